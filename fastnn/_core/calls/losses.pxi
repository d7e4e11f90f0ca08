# Losses: what the engine takes for them, and the targets of a batch.

cdef enum:
    LOSS_SIZE = 1_000_000  # outputs; a loss of more is computed through `fastnn._checks`


@cython.final
cdef class LossPlan:
    """What the engine takes for a built-in loss, and the targets that the loss accepts.

    `plan` is the network's, or None for a loss of given outputs.
    """

    cdef object loss
    cdef Py_ssize_t n_outputs
    cdef object plan           # of the network, or of its logits
    cdef dict formula
    cdef bint readable         # whether targets can be checked here
    cdef bint takes_labels
    cdef bint mean
    cdef bint negative_weights
    cdef bint takes_probabilities
    cdef bint has_hessian
    cdef double low
    cdef double high

    def __cinit__(self, loss, plan, Py_ssize_t n_outputs, /):
        bounds = None
        if not loss.ignore_nan and loss.output_weight is None:
            bounds = loss.target_bounds(n_outputs)
        self.loss, self.n_outputs = loss, n_outputs
        self.plan, self.formula = (None, loss.formula()) if plan is None else loss.under(plan)
        self.takes_labels = loss.takes_labels
        self.mean = loss.reduction == "mean"
        self.negative_weights = loss.negative_weights
        self.has_hessian = loss.has_hessian
        self.takes_probabilities = loss.takes_probabilities
        self.readable = bounds is not None
        if bounds is not None:
            self.low, self.high = bounds


cdef inline bint is_in_engine(object loss) except -1:
    """Return whether this is a built-in loss, and no subclass of it."""
    return getattr(type(loss), "in_engine", False)


@cython.final
cdef class Batch:
    """The targets and weights of some samples, as the engine takes them."""

    cdef cnp.ndarray targets
    cdef cnp.ndarray labels
    cdef cnp.ndarray weights


cdef Batch read_batch(
    LossPlan loss, object y, object sample_weight, Py_ssize_t n, Py_ssize_t n_outputs, int kind,
):
    """Return the targets and weights of n samples, or None."""
    cdef Batch batch = Batch.__new__(Batch)
    cdef Shape shape
    if loss.takes_labels:
        if n_outputs < 2:
            return None
        batch.labels = read_labels(y, n, n_outputs)
        if batch.labels is None:
            return None
    else:
        shape = shape_of(y)
        if shape.ndim == 2:
            if shape.rows != n or shape.columns != n_outputs:
                return None
        elif shape.ndim != 1 or n_outputs != 1 or shape.columns != n:
            return None
        batch.targets = read(y, shape, kind, False)
        if batch.targets is None:
            return None
        if ((loss.low != -INFINITY or loss.high != INFINITY)
                and not lies_in(batch.targets, kind, loss.low, loss.high)):
            return None
    if sample_weight is not None:
        batch.weights = read_weights(sample_weight, n, kind)
        if batch.weights is None:
            return None
    return batch


cdef double divisor(LossPlan loss, Batch batch, Py_ssize_t n) except? -1:
    """Return the divisor of the summed loss, as `Loss.divisor`."""
    if not loss.mean:
        return 1
    if batch.weights is None or loss.negative_weights:
        return n
    return batch.weights.sum(dtype=FLOAT64)


cdef object shared = object()   # whose critical sections guard the next variable; see workspace.pxi
cdef LossPlan last_loss = None  # of `loss_and_grad`


def loss_and_grad(engine, loss, y_pred, y, sample_weight, /):
    """Return `Loss.value_and_grad` of a built-in loss, or None."""
    global last_loss
    cdef Shape shape = shape_of(y_pred)
    cdef int kind = cnp.NPY_DOUBLE
    cdef cnp.ndarray outputs, gradient
    cdef cnp.npy_intp[2] dims
    cdef LossPlan plan
    cdef Batch batch
    cdef double n
    if shape.ndim != 2 or not 0 < shape.rows * shape.columns <= LOSS_SIZE:
        return None
    if is_native_float32(y_pred):
        kind = cnp.NPY_FLOAT
    elif is_list(y_pred) and (not is_list(y_pred[0]) or type(y_pred[0][0]) is FLOAT32):
        return None  # the dtype follows from all rows
    with cython.critical_section(shared):
        plan = last_loss
    if plan is None or plan.loss is not loss or plan.n_outputs != shape.columns:
        if not is_in_engine(loss):
            return None
        plan = LossPlan(loss, None, shape.columns)
        with cython.critical_section(shared):
            last_loss = plan
    if not plan.readable:
        return None
    outputs = read(y_pred, shape, kind, False)
    if outputs is None:
        return None
    if plan.takes_probabilities and not are_probabilities(outputs, kind):
        return None
    batch = read_batch(plan, y, sample_weight, shape.rows, shape.columns, kind)
    if batch is None:
        return None
    dims[0], dims[1] = shape.rows, shape.columns
    gradient = cnp.PyArray_EMPTY(2, dims, kind, 0)
    n = divisor(plan, batch, shape.rows)
    total = engine.loss(
        plan.formula, outputs, batch.targets, batch.labels, batch.weights, 1 / n, gradient)
    return total / n, gradient


cdef bint are_probabilities(cnp.ndarray outputs, int kind):
    """Return whether rows are clearly probabilities; a stricter test than `check_outputs`."""
    cdef Py_ssize_t n = cnp.PyArray_DIM(outputs, 1)
    cdef Py_ssize_t i, j
    cdef double value, total
    for i in range(cnp.PyArray_DIM(outputs, 0)):
        total = 0
        for j in range(n):
            if kind == cnp.NPY_FLOAT:
                value = (<const float *>cnp.PyArray_DATA(outputs))[i * n + j]
            else:
                value = (<const double *>cnp.PyArray_DATA(outputs))[i * n + j]
            if value < 0:
                return False
            total += value
        if not -0.9e-3 < total - 1 < 0.9e-3:
            return False
    return True
