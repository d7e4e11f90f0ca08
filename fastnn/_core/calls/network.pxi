# The methods of a network.

cdef enum:
    PREDICT_WORK = 4_000_000     # multiply-adds; up to this many, one thread is fast enough
    ONE_THREAD_WORK = 8_000_000  # multiply-adds; the engine gives a smaller product one thread
    # Multiply-adds of a pass, where an elementwise operation counts as 50. More samples are for
    # `Model`, which returns to Python now and then to handle Ctrl-C.
    PASS_WORK = 40_000_000
    CHECKED_ROWS = 256           # the outputs of more are for `InputChecks`


@cython.final
cdef class Calls:
    """The calls of one network.

    Parameters
    ----------
    engine : module
        The build of the engine that made `plan`.
    plan : Plan
    params, constants : ndarray (n_params,) and (n_constants,), of one dtype
    """

    cdef object engine
    cdef object engine_predict
    cdef object plan
    cdef cnp.ndarray params
    cdef cnp.ndarray constants
    cdef int kind                  # of the dtype, in NumPy
    cdef Py_ssize_t itemsize
    cdef Py_ssize_t n_in
    cdef Py_ssize_t n_out
    cdef Py_ssize_t n_params
    cdef Py_ssize_t row_width
    cdef Py_ssize_t predict_rows   # the most samples of a prediction
    cdef Py_ssize_t rows           # the most samples of another call
    cdef LossPlan loss             # of the last call

    def __cinit__(self, engine, plan, cnp.ndarray params, cnp.ndarray constants, /):
        self.engine, self.plan, self.params, self.constants = engine, plan, params, constants
        self.engine_predict = engine.predict
        self.kind, self.itemsize = cnp.PyArray_TYPE(params), cnp.PyArray_ITEMSIZE(params)
        self.n_in, self.n_out, self.n_params = plan.n_in, plan.n_out, plan.n_params
        self.row_width = plan.row_width
        self.predict_rows = PREDICT_WORK // (self.n_params + self.row_width)
        self.rows = PASS_WORK // (self.n_params + 50 * self.row_width)

    cdef cnp.ndarray samples(self, object X, Py_ssize_t most, bint copy):
        """Return samples (n, n_in), at most so many, or one sample (n_in,); or None."""
        cdef Shape shape = shape_of(X)
        if shape.ndim == 0 or shape.columns != self.n_in or not 0 < shape.rows <= most:
            return None
        return read(X, shape, self.kind, copy)

    cdef cnp.ndarray like_outputs(self, object value, cnp.ndarray x):
        """Return a cotangent of the shape of the outputs at x, or None."""
        cdef Shape shape = shape_of(value)
        if (shape.ndim != cnp.PyArray_NDIM(x) or shape.columns != self.n_out
                or (shape.ndim == 2 and shape.rows != cnp.PyArray_DIM(x, 0))):
            return None
        return read(value, shape, self.kind, False)

    cdef cnp.ndarray vector(self, object value):
        """Return a finite vector (n_params,), or None."""
        cdef Shape shape = shape_of(value)
        if shape.ndim != 1 or shape.columns != self.n_params:
            return None
        return read(value, shape, self.kind, False)

    cdef cnp.ndarray outputs(self, cnp.ndarray x):
        """Return a new array for the outputs at x."""
        cdef cnp.npy_intp[2] dims
        cdef int ndim = cnp.PyArray_NDIM(x)
        dims[0] = cnp.PyArray_DIM(x, 0)
        dims[ndim - 1] = self.n_out
        return cnp.PyArray_EMPTY(ndim, dims, self.kind, 0)

    cdef cnp.ndarray new_vector(self, Py_ssize_t n):
        cdef cnp.npy_intp size = n
        return cnp.PyArray_EMPTY(1, &size, self.kind, 0)

    cdef int threads(self, Py_ssize_t work, object n_threads) except -1:
        """Return the number of threads for so many multiply-adds; 0 if `n_threads` is invalid."""
        if n_threads is not None and (type(n_threads) is not int or not 0 < n_threads < 2**62):
            return 0
        return 1 if work < ONE_THREAD_WORK else _core.thread_count(n_threads)

    cdef LossPlan loss_plan(self, object loss):
        """Return the plan of a built-in loss, or None if its targets are not read here."""
        cdef LossPlan plan
        with cython.critical_section(self):
            plan = self.loss
        if plan is None or plan.loss is not loss:
            if not is_in_engine(loss):
                return None
            plan = LossPlan(loss, self.plan, self.n_out)
            with cython.critical_section(self):
                self.loss = plan
        return plan if plan.readable else None

    def sample(self, x, /):
        """Return one sample (n_in,), or None."""
        return self.samples(x, 1, False) if shape_of(x).ndim == 1 else None

    def predict(self, X, n_threads=None, /):
        """Return the outputs, or None."""
        cdef Shape shape = shape_of(X)
        cdef cnp.ndarray x
        cdef cnp.ndarray out
        if (shape.ndim == 0 or shape.columns != self.n_in
                or not 0 < shape.rows <= self.predict_rows or not self.threads(0, n_threads)):
            return None
        if (is_array(X) and cnp.PyArray_TYPE(X) == self.kind and cnp.PyArray_ISCARRAY_RO(X)):
            x = X  # the engine checks that it is finite
        else:
            x = read(X, shape, self.kind, False)
            if x is None:
                return None
        out = self.outputs(x)
        return out if self.engine_predict(
            self.plan, self.params, self.constants, x, out, 1) else None

    def forward(self, X, begin_training, Passes passes, /):
        """Return the outputs, and keep this thread's forward pass; or return None.

        In training mode, `begin_training(n_samples)` returns the argument `training` of the
        engine's function; in evaluation mode it is None.
        """
        cdef tuple moment = passes.now()
        cdef cnp.ndarray x = self.samples(X, self.rows, True)
        cdef cnp.ndarray activations, out
        cdef Py_ssize_t n, size
        if x is None:
            return None
        n = sample_count(x)
        activations = self.new_vector(n * self.row_width)
        out = self.outputs(x)
        self.engine.forward(
            self.plan, self.params, self.constants, x, activations,
            self.threads(n * self.n_params, None),
            None if begin_training is None else begin_training(n))
        size = cnp.PyArray_NBYTES(out)
        memcpy(
            cnp.PyArray_DATA(out),
            cnp.PyArray_BYTES(activations) + cnp.PyArray_NBYTES(activations) - size, size)
        passes.keep((x, activations, begin_training is not None, moment))
        return out

    def backward(self, dY, grads, Passes passes, bint checked, /):
        """Overwrite `grads`, and return the cotangent of the input of the last forward pass.

        Return None if dY cannot be read; with `checked` it is an array for the engine.
        """
        cdef tuple done = passes.kept()
        cdef cnp.ndarray x = done[0]
        cdef cnp.ndarray dy = None
        cdef cnp.ndarray dx
        if checked:
            dy = dY
        elif 0 < sample_count(x) <= self.rows:
            dy = self.like_outputs(dY, x)
        if dy is None:
            return None
        dx = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), self.kind, 0)
        passes.begin_backward(done[3])
        try:
            self.engine.backward(
                self.plan, self.params, self.constants, x, done[1], dy, grads, dx,
                self.threads(sample_count(x) * self.n_params, None), done[2])
        finally:
            passes.end_backward()
        return dx

    def jacobian(self, X, wrt, given, n_threads, bint with_outputs, /):
        """Return (outputs or None, Jacobian), or None. The Jacobian is written to `given`."""
        cdef bint by_params
        cdef cnp.ndarray x, jacobian, outputs
        cdef cnp.npy_intp[3] dims
        cdef Py_ssize_t n, columns
        cdef int ndim, threads
        if type(wrt) is not str or (wrt != "input" and wrt != "params"):
            return None
        by_params = wrt == "params"
        columns = self.n_params if by_params else self.n_in
        x = self.samples(X, self.rows // self.n_out, False)
        if x is None or columns == 0:
            return None
        n = sample_count(x)
        threads = self.threads(n * self.n_out * self.n_params, n_threads)
        if threads == 0 or n * self.n_out * columns * self.itemsize > SMALL:
            return None
        ndim = cnp.PyArray_NDIM(x)
        dims[0] = n
        dims[ndim - 1] = self.n_out
        dims[ndim] = columns
        if given is None:
            jacobian = cnp.PyArray_EMPTY(ndim + 1, dims, self.kind, 0)
        else:
            if not cnp.PyArray_CheckExact(given):
                return None
            jacobian = given
            if (cnp.PyArray_TYPE(jacobian) != self.kind or not cnp.PyArray_ISCARRAY(jacobian)
                    or cnp.PyArray_NDIM(jacobian) != ndim + 1
                    or memcmp(cnp.PyArray_DIMS(jacobian), dims, (ndim + 1) * sizeof(cnp.npy_intp))
                    or overlap(self.params, jacobian)
                    or (is_array(X) and overlap(X, jacobian))):
                return None
        outputs = self.outputs(x) if with_outputs else None
        self.engine.jacobian(
            self.plan, self.params, self.constants, x, by_params, outputs, jacobian, threads)
        return outputs, jacobian

    def jvp(self, X, tangent, wrt, n_threads, /):
        """Return J h, or None."""
        cdef cnp.ndarray x = self.samples(X, self.rows, False)
        cdef cnp.ndarray h, out
        cdef Shape shape
        cdef bint by_params
        cdef int threads
        if x is None or type(wrt) is not str or (wrt != "input" and wrt != "params"):
            return None
        by_params = wrt == "params"
        if by_params:
            h = self.vector(tangent)
        else:
            shape = shape_of(tangent)
            if (shape.ndim != cnp.PyArray_NDIM(x) or shape.columns != self.n_in
                    or shape.rows != sample_count(x)):
                return None
            h = read(tangent, shape, self.kind, False)
        threads = self.threads(sample_count(x) * self.n_params, n_threads)
        if h is None or threads == 0:
            return None
        out = self.outputs(x)
        self.engine.jvp(
            self.plan, self.params, self.constants, x, None if by_params else h,
            h if by_params else None, out, threads)
        return out

    def vjp(self, X, cotangent, wrt, n_threads, /):
        """Return Jᵀ c, or None."""
        cdef cnp.ndarray x = self.samples(X, self.rows, False)
        cdef cnp.ndarray c, out
        cdef bint by_params
        cdef int threads
        if x is None or type(wrt) is not str or (wrt != "input" and wrt != "params"):
            return None
        by_params = wrt == "params"
        c = self.like_outputs(cotangent, x)
        threads = self.threads(sample_count(x) * self.n_params, n_threads)
        if c is None or threads == 0:
            return None
        if by_params:
            out = cnp.PyArray_ZEROS(1, cnp.PyArray_DIMS(self.params), self.kind, 0)
        else:
            out = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), self.kind, 0)
        self.engine.vjp(
            self.plan, self.params, self.constants, x, c, out if by_params else None,
            None if by_params else out, threads)
        return out

    def loss_and_grad(self, X, y, loss, sample_weight, /):
        """Return a built-in loss and its gradient, or None."""
        cdef LossPlan plan = self.loss_plan(loss)
        cdef cnp.ndarray x = None if plan is None else self.matrix(X)
        cdef cnp.ndarray grads
        cdef Batch batch
        cdef Py_ssize_t n
        if x is None:
            return None
        n = cnp.PyArray_DIM(x, 0)
        batch = read_batch(plan, y, sample_weight, n, self.n_out, self.kind)
        if batch is None or not self.suits(plan, x):
            return None
        grads = self.new_vector(self.n_params)
        value = self.engine.loss_and_grad(
            plan.plan, self.params, self.constants, x, batch.targets, batch.labels, batch.weights,
            plan.formula, grads, self.threads(n * self.n_params, None))
        return value, grads

    def sample_grads(self, X, y, loss, n_threads, /):
        """Return the gradient of each sample's built-in loss, (n, n_params), or None."""
        cdef LossPlan plan = self.loss_plan(loss)
        cdef cnp.ndarray x = None if plan is None else self.matrix(X)
        cdef cnp.ndarray outputs, dy, grads
        cdef cnp.npy_intp[2] dims
        cdef Batch batch
        cdef int threads
        if x is None:
            return None
        dims[0], dims[1] = cnp.PyArray_DIM(x, 0), self.n_params
        batch = read_batch(plan, y, None, dims[0], self.n_out, self.kind)
        threads = self.threads(dims[0] * self.n_params, n_threads)
        if (batch is None or threads == 0 or dims[0] * self.n_params * self.itemsize > SMALL
                or not self.suits(plan, x)):
            return None
        outputs, dy = self.outputs(x), self.outputs(x)
        self.engine_predict(plan.plan, self.params, self.constants, x, outputs, threads)
        self.engine.loss(plan.formula, outputs, batch.targets, batch.labels, None, 1.0, dy)
        grads = cnp.PyArray_EMPTY(2, dims, self.kind, 0)
        self.engine.sample_vjp(plan.plan, self.params, self.constants, x, dy, grads, threads)
        return grads

    def hvp(self, X, y, loss, v, sample_weight, n_threads, /):
        """Return the Hessian of a built-in loss times v, or None."""
        cdef LossPlan plan = self.loss_plan(loss)
        cdef cnp.ndarray x = None
        cdef cnp.ndarray direction, product
        cdef Batch batch
        cdef Py_ssize_t n
        cdef int threads
        if plan is not None and plan.has_hessian:
            x = self.matrix(X)
        if x is None:
            return None
        n = cnp.PyArray_DIM(x, 0)
        batch = read_batch(plan, y, sample_weight, n, self.n_out, self.kind)
        direction = self.vector(v)
        threads = self.threads(n * self.n_params, n_threads)
        if (batch is None or direction is None or threads == 0
                or not self.suits(plan, x)):
            return None
        product = self.new_vector(self.n_params)
        self.engine.hvp(
            plan.plan, self.params, self.constants, x, batch.targets, batch.labels, batch.weights,
            plan.formula, 1 / divisor(plan, batch, n), direction, product, False, threads)
        return product

    def batch(self, X, y, loss, sample_weight, /):
        """Return (X, targets, weights or None) as `Model` takes them, or None."""
        cdef LossPlan plan = self.loss_plan(loss)
        cdef cnp.ndarray x = None if plan is None else self.matrix(X)
        cdef Batch batch
        if x is None:
            return None
        batch = read_batch(
            plan, y, sample_weight, cnp.PyArray_DIM(x, 0), self.n_out, self.kind)
        if batch is None or not self.suits(plan, x):
            return None
        if plan.takes_labels:
            return x, batch.labels, batch.weights
        return x, batch.targets.reshape(-1, self.n_out), batch.weights

    cdef bint suits(self, LossPlan plan, cnp.ndarray x) except -1:
        """Return whether the outputs are clearly probabilities, if the loss takes them."""
        cdef cnp.ndarray outputs
        if not plan.takes_probabilities:
            return True
        if cnp.PyArray_DIM(x, 0) > CHECKED_ROWS:
            return False
        outputs = self.outputs(x)
        self.engine_predict(self.plan, self.params, self.constants, x, outputs, 1)
        return are_probabilities(outputs, self.kind)

    cdef cnp.ndarray matrix(self, object X):
        """Return samples (n, n_in), n at least 1, or None; one sample (n_in,) is not accepted."""
        cdef cnp.ndarray x
        if shape_of(X).ndim != 2:
            return None
        return self.samples(X, self.rows, False)


cdef inline Py_ssize_t sample_count(cnp.ndarray x):
    """Return the number of samples in (n, n_in), or 1 for a single sample (n_in,)."""
    return 1 if cnp.PyArray_NDIM(x) == 1 else cnp.PyArray_DIM(x, 0)


cdef bint overlap(cnp.ndarray a, cnp.ndarray b):
    """Return whether the memory from the first to the last element of two arrays overlaps."""
    cdef char *a_low
    cdef char *a_high
    cdef char *b_low
    cdef char *b_high
    extent(a, &a_low, &a_high)
    extent(b, &b_low, &b_high)
    return a_low < b_high and b_low < a_high


cdef void extent(cnp.ndarray array, char **low, char **high):
    cdef int axis
    cdef Py_ssize_t reach
    low[0] = high[0] = cnp.PyArray_BYTES(array)
    high[0] += cnp.PyArray_ITEMSIZE(array)
    for axis in range(cnp.PyArray_NDIM(array)):
        reach = (cnp.PyArray_DIM(array, axis) - 1) * cnp.PyArray_STRIDE(array, axis)
        if reach > 0:
            high[0] += reach
        else:
            low[0] += reach
