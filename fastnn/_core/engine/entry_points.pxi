# The engine's functions that Python calls. Arguments are trusted: contiguous, of one dtype and of
# matching shapes; `fastnn._checks` checks them before. `matmul`, `elementary` and
# `draw_permutation` serve tests and benchmarks.

def forward(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, cnp.ndarray x, cnp.ndarray activations,
    int n_threads, tuple training=None, /,
):
    """Overwrite `activations` (n * row_width,) with the output of each operation, (n, width).

    `training` is None in evaluation mode. In training mode the rows are a batch, and `training` is
    the key of the dropout masks, the epoch, the first sample of the batch within the epoch, and the
    factor of the probabilities of dropout; the running statistics are updated.
    """
    cdef Batch batch
    cdef const Batch *mode = no_batch()
    if training is not None:
        mode = &batch
        batch = batch_from(training, address(constants))
    if is_float(params):
        forward_typed(plan, <const float *>address(params), constants, x, activations, mode,
                      n_threads)
    else:
        forward_typed(plan, <const double *>address(params), constants, x, activations, mode,
                      n_threads)


cdef forward_typed(
    Plan plan, const real *params, cnp.ndarray constants_array, cnp.ndarray x_array,
    cnp.ndarray activations_array, const Batch *mode, int n_threads,
):
    cdef const real *constants = <const real *>address(constants_array)
    cdef const real *x = <const real *>address(x_array)
    cdef real *activations = <real *>address(activations_array)
    cdef Py_ssize_t n = sample_count(x_array)
    cdef real *out = activations + plan.operations[plan.n_operations - 1].output * n
    cdef Workspace workspace
    cdef PyThreadState *thread
    if n == 0:
        return
    workspace = take_workspace(gemm_workspace(n_threads))
    thread = release_gil(work_of(plan, n))
    forward_pass(plan, params, constants, x, activations, out, n, workspace.data, n_threads,
                 mode, True)
    regain_gil(thread)
    give_back(workspace)


def backward(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, cnp.ndarray x, cnp.ndarray activations,
    cnp.ndarray dy, cnp.ndarray grads, cnp.ndarray dx, int n_threads, bint training=False, /,
):
    """Overwrite `grads` (n_params,) and `dx` (n, n_in) from the cotangent `dy` (n, n_out).

    `activations` are what `forward` wrote for the same parameters, `x` and mode.
    """
    if is_float(params):
        backward_typed(plan, <const float *>address(params), constants, x, activations, dy, grads,
                       dx, n_threads, training)
    else:
        backward_typed(plan, <const double *>address(params), constants, x, activations, dy, grads,
                       dx, n_threads, training)


cdef backward_typed(
    Plan plan, const real *params, cnp.ndarray constants_array, cnp.ndarray x_array,
    cnp.ndarray activations_array, cnp.ndarray dy, cnp.ndarray grads_array, cnp.ndarray dx_array,
    int n_threads, bint training,
):
    cdef const real *constants = <const real *>address(constants_array)
    cdef const real *x = <const real *>address(x_array)
    cdef const real *activations = <const real *>address(activations_array)
    cdef const void *output_cotangent = address(dy)
    cdef real *grads = <real *>address(grads_array)
    cdef real *dx = <real *>address(dx_array)
    cdef Py_ssize_t n = sample_count(x_array)
    cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
    cdef Workspace workspace
    cdef real *cotangent
    cdef PyThreadState *thread
    cdef const Batch *mode = no_batch()
    if training:
        mode = &ALONE
    if n == 0:
        memset(grads, 0, plan.n_params * sizeof(real))
        return
    workspace = take_workspace(scratch_bytes + n * plan.spare_width() * sizeof(real))
    cotangent = <real *>(workspace.data + scratch_bytes)
    thread = release_gil(work_of(plan, n))
    memcpy(cotangent, output_cotangent, n * plan.n_out * sizeof(real))
    backward_pass(plan, params, constants, x, activations, n, cotangent,
                  cotangent + n * plan.max_width, grads, False, dx, <const int8_t *>NULL,
                  workspace.data, n_threads, mode)
    regain_gil(thread)
    give_back(workspace)


def loss_and_grad(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, cnp.ndarray x, targets, labels, weights,
    dict formula, cnp.ndarray grads, int n_threads, tuple part=None, /,
):
    """Return the loss of all samples as one batch; overwrite `grads` (n_params,) by its gradient.

    Either `targets` (n, n_out) of the network's dtype or `labels` (n,) of int64 is given; the other
    is None. `weights` (n,) of the network's dtype are not all 0; None means weight 1.

    If the samples are a part of a batch, `part` has five items. The first is the factor of their
    summed loss. In training mode, the others are `training` as in `forward`, the numbers (n,) of
    the samples in the batch, a function that adds the sums of the other rows to an array of
    float64, in place, and the number of rows of the batch; without training mode, they are None.
    """
    cdef Targets given = targets_of(targets, labels, weights)
    cdef Loss loss = loss_of(formula)
    cdef Batch batch
    cdef Batch *mode = NULL
    cdef Others others
    cdef double scale = -1
    if part is not None:
        scale = part[0]
        if part[1] is not None:
            batch = batch_from(part[1], address(constants))
            batch.numbers = <const int64_t *>address(part[2])
            others.add = &add_others
            others.owner = <void *>part[3]
            others.rows = part[4]
            batch.others = &others
            mode = &batch
    if is_float(params):
        return loss_and_grad_typed(plan, <const float *>address(params), constants, x, given, loss,
                                   scale, grads, mode, n_threads)
    return loss_and_grad_typed(plan, <const double *>address(params), constants, x, given, loss,
                               scale, grads, mode, n_threads)


cdef void add_others(void *owner, double *sums, Py_ssize_t n) noexcept with gil:
    """Call a function of Python, which must not raise."""
    cdef cnp.npy_intp size = n
    (<object>owner)(cnp.PyArray_SimpleNewFromData(1, &size, cnp.NPY_DOUBLE, sums))


cdef double loss_and_grad_typed(
    Plan plan, const real *params, cnp.ndarray constants_array, cnp.ndarray x_array, Targets given,
    Loss loss, double scale, cnp.ndarray grads_array, Batch *mode, int n_threads,
) except *:
    cdef const real *constants = <const real *>address(constants_array)
    cdef const real *x = <const real *>address(x_array)
    cdef real *grads = <real *>address(grads_array)
    cdef Py_ssize_t n = sample_count(x_array)
    cdef Py_ssize_t chunk = n
    cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
    cdef Workspace workspace
    cdef double total = 0
    cdef Py_ssize_t first = 0
    cdef PyThreadState *thread
    if mode == NULL or not plan.has_batch_norm:
        chunk = min(plan.chunk_rows(sizeof(real)), n)
    workspace = take_workspace(scratch_bytes + chunk * plan.gradient_width() * sizeof(real))
    if scale < 0:
        scale = 1
        if loss.mean:
            scale = total_weight(&loss, <const real *>given.values, given.labels,
                                 <const real *>given.weights, NULL, n, plan.n_out)
            scale = 1 / scale if scale > 0 else 1
    thread = release_gil(work_of(plan, n))
    while first < n:
        total += chunk_gradient(
            plan, params, constants, x + first * plan.n_in,
            targets_from(given, first, plan.n_out, sizeof(real)), min(chunk, n - first),
            &loss, scale, grads, first > 0, <const int8_t *>NULL,
            <real *>(workspace.data + scratch_bytes), workspace.data, n_threads, mode)
        first += chunk
        if mode != NULL:
            mode.numbers += chunk
    regain_gil(thread)
    give_back(workspace)
    return scale * total


def loss(
    dict formula, cnp.ndarray y_pred, targets, labels, weights, double scale, cnp.ndarray dy, /,
):
    """Return the loss summed over the samples; overwrite `dy` with `scale` times its gradient.

    Either `targets` (n, n_out) of the dtype of `y_pred` or `labels` (n,) of int64 is given; the
    other is None. `weights` (n,) of that dtype may be None, which means weight 1.
    """
    cdef Targets given = targets_of(targets, labels, weights)
    cdef Loss loss = loss_of(formula)
    cdef Py_ssize_t n = cnp.PyArray_DIM(y_pred, 0)
    cdef Py_ssize_t n_out = cnp.PyArray_DIM(y_pred, 1)
    cdef const void *outputs = address(y_pred)
    cdef void *cotangent = address(dy)
    cdef bint single = is_float(y_pred)
    cdef double value
    cdef PyThreadState *thread
    if n == 0:
        return 0.0
    thread = release_gil(n * n_out)
    if single:
        value = loss_of_outputs(
            &loss, <const float *>outputs, given, n, n_out, scale, <float *>cotangent)
    else:
        value = loss_of_outputs(
            &loss, <const double *>outputs, given, n, n_out, scale, <double *>cotangent)
    regain_gil(thread)
    return value


def optimizer_step(
    dict rule, double rate, cnp.ndarray params, cnp.ndarray grads, cnp.ndarray state,
    cnp.ndarray segments, Py_ssize_t step, /,
):
    """Update `params` and `state` (n_states, n_params) in place with the learning rate `rate`.

    `segments` are as for the Trainer; `step` counts from 1.
    """
    cdef Optimizer optimizer = optimizer_of(rule)
    cdef const Segment *runs = <const Segment *>address(segments)
    cdef Py_ssize_t n_runs = cnp.PyArray_DIM(segments, 0)
    cdef Py_ssize_t n = cnp.PyArray_DIM(params, 0)
    if is_float(params):
        update_params(&optimizer, rate, <float *>address(params), <const float *>address(grads),
                      <float *>address(state), n, runs, n_runs, step, 1)
    else:
        update_params(&optimizer, rate, <double *>address(params), <const double *>address(grads),
                      <double *>address(state), n, runs, n_runs, step, 1)


def matmul(
    cnp.ndarray a, cnp.ndarray b, cnp.ndarray start, cnp.ndarray out, int n_threads,
    Py_ssize_t repeats=1, /,
):
    """out = a @ b + start, for any strides of `a` and `b` that are multiples of the item size.

    `start` is None, a row (n,), or (m, n), which may be `out` itself; all have one dtype. `repeats`
    computes the product several times, so that a benchmark can time it without the call.
    """
    if is_float(a):
        matmul_typed(a, b, start, out, <float *>address(out), n_threads, repeats)
    else:
        matmul_typed(a, b, start, out, <double *>address(out), n_threads, repeats)


cdef matmul_typed(
    cnp.ndarray a, cnp.ndarray b, cnp.ndarray start, cnp.ndarray out, real *c, int n_threads,
    Py_ssize_t repeats,
):
    cdef Py_ssize_t m = cnp.PyArray_DIM(a, 0)
    cdef Py_ssize_t k = cnp.PyArray_DIM(a, 1)
    cdef Py_ssize_t n = cnp.PyArray_DIM(b, 1)
    cdef const real *a_data = <const real *>address(a)
    cdef const real *b_data = <const real *>address(b)
    cdef const real *start_data = <const real *>address(start)
    cdef Py_ssize_t start_row = 0
    cdef Py_ssize_t a_row = cnp.PyArray_STRIDE(a, 0) // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t a_col = cnp.PyArray_STRIDE(a, 1) // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t b_row = cnp.PyArray_STRIDE(b, 0) // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t b_col = cnp.PyArray_STRIDE(b, 1) // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t c_row = cnp.PyArray_STRIDE(out, 0) // <Py_ssize_t>sizeof(real)
    cdef Workspace workspace = take_workspace(gemm_workspace(n_threads))
    if start is not None and cnp.PyArray_NDIM(start) == 2 and cnp.PyArray_DIM(start, 0) > 1:
        start_row = cnp.PyArray_STRIDE(start, 0) // <Py_ssize_t>sizeof(real)
    with nogil:
        for _ in range(repeats):
            product(m, n, k, a_data, a_row, a_col, b_data, b_row, b_col, start_data, start_row,
                    c, c_row, workspace.data, n_threads)
    give_back(workspace)


def elementary(str name, cnp.ndarray x, cnp.ndarray out, /):
    """Overwrite `out` with exp, log, tanh, sigmoid, expm1, log1p, sin or cos of x.

    expm1 is defined for x ≤ 0 and log1p for x in [0, 1], which is all that the engine needs.
    """
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        evaluate(name, <const float *>cnp.PyArray_DATA(x), <float *>cnp.PyArray_DATA(out), n)
    else:
        evaluate(name, <const double *>cnp.PyArray_DATA(x), <double *>cnp.PyArray_DATA(out), n)


cdef int evaluate(str name, const real *x, real *out, Py_ssize_t n) except -1:
    cdef real[AT_ONCE] padded, values
    cdef const real *source
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t count, vectors, i
    if name == "tanh" or name == "sigmoid":
        activate(activation_kind(name), 0, x, out, <real *>NULL, n)
    elif name == "sin":
        sines(x, 0, out, n)
    elif name == "cos":
        sines(x, 1, out, n)
    else:
        while first < n:
            count = min(<Py_ssize_t>AT_ONCE, n - first)
            vectors = vectors_of(count, values[0])
            source = whole_vectors(x + first, count, vectors, padded)
            if name == "exp":
                for i in range(vectors * lanes(values[0])):
                    values[i] = exp(source[i])
            elif name == "log":
                for i in range(vectors * lanes(values[0])):
                    values[i] = log(source[i])
            elif name == "expm1":
                for i in range(vectors * lanes(values[0])):
                    values[i] = expm1_of_negative(source[i])
            elif name == "log1p":
                for i in range(vectors * lanes(values[0])):
                    values[i] = log1p_of_unit(source[i])
            else:
                raise ValueError(name)
            memcpy(out + first, values, count * sizeof(real))
            first += count


def all_finite(cnp.ndarray values, /):
    """Return whether no element of a contiguous array is NaN or infinite."""
    if is_float(values):
        return is_finite(<const float *>address(values), cnp.PyArray_SIZE(values))
    return is_finite(<const double *>address(values), cnp.PyArray_SIZE(values))


def draw_permutation(bit_generator, cnp.ndarray order, /):
    """Overwrite `order` (n,) as `numpy.random.Generator(bit_generator).permutation(n)` would."""
    cdef bitgen_t *random = <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
    permutation(random, <int64_t *>address(order), cnp.PyArray_SIZE(order))
