# The engine's functions as Python calls them. Arguments are trusted: contiguous, of one dtype and
# of fitting shapes, as `fastnn._checks` and `fastnn.network` make them. `matmul`,
# `elementary` and `draw_permutation` are there for tests and benches.

def forward(
    Plan plan, const real[::1] params, const real[::1] constants, const real[:, ::1] x,
    real[::1] activations, int n_threads, tuple training=None,
):
    """Overwrite `activations` (n * row_width,) with every operation's output, (n, width) each.

    `training` is None for evaluation mode; else the rows are a batch, and it holds the key of the
    dropout masks, the epoch, and the batch's first sample in it. Running statistics move then.
    """
    cdef Py_ssize_t n = x.shape[0]
    cdef Workspace workspace = take_workspace(gemm_workspace(n_threads))
    cdef Batch batch
    cdef const Batch *mode = no_batch()
    cdef real *out
    if n == 0:
        return
    if training is not None:
        mode = &batch
        batch.key = batch_key(training[0], training[1], training[2])
        batch.first = 0
        batch.running = <void *>data(constants)
    out = &activations[0] + plan.operations[plan.n_operations - 1].output * n
    with nogil:
        forward_pass(plan, data(params), data(constants), &x[0, 0], &activations[0], out, n,
                     workspace.data, n_threads, mode, True)
    give_back(workspace)


def backward(
    Plan plan, const real[::1] params, const real[::1] constants, const real[:, ::1] x,
    const real[::1] activations, const real[:, ::1] dy, real[::1] grads, real[:, ::1] dx,
    int n_threads, bint training=False,
):
    """Overwrite `grads` (n_params,) and `dx` (n, n_in) from the cotangent `dy` (n, n_out).

    `activations` are those that `forward` wrote for the same parameters and `x`, in the same
    mode.
    """
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
    cdef Workspace workspace = take_workspace(
        scratch_bytes + 2 * n * plan.max_width * sizeof(real))
    cdef real *cotangent = <real *>(workspace.data + scratch_bytes)
    if n == 0:
        memset(writable(grads), 0, plan.n_params * sizeof(real))
        return
    with nogil:
        memcpy(cotangent, &dy[0, 0], n * plan.n_out * sizeof(real))
        backward_pass(plan, data(params), data(constants), &x[0, 0], &activations[0], n,
                      cotangent, cotangent + n * plan.max_width, writable(grads), False, &dx[0, 0],
                      <const int8_t *>NULL, workspace.data, n_threads, training)
    give_back(workspace)


def loss_and_grad(
    Plan plan, const real[::1] params, const real[::1] constants, const real[:, ::1] x,
    targets, labels, weights, dict formula, real[::1] grads, int n_threads,
):
    """The loss of all samples as one batch; overwrites `grads` (n_params,) with its gradient.

    Either `targets` (n, n_out) of the network's dtype or `labels` (n,) of int64 is an array, and
    the other is None. `weights` (n,) of the network's dtype are not all 0; None is 1 for each.
    """
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t chunk = min(plan.chunk_rows(sizeof(real)), n)
    cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
    cdef Workspace workspace = take_workspace(
        scratch_bytes + chunk * plan.gradient_width() * sizeof(real))
    cdef Targets given = targets_of(targets, labels, weights)
    cdef double scale = 1
    cdef double total = 0
    cdef Loss loss = loss_from(formula)
    cdef Py_ssize_t first = 0
    if loss.mean:
        scale = 1 / (
            n if given.weights == NULL else sum_of_weights(<const real *>given.weights, NULL, n))
    with nogil:
        while first < n:
            total += chunk_gradient(
                plan, data(params), data(constants), &x[first, 0],
                targets_from(given, first, plan.n_out, sizeof(real)), min(chunk, n - first),
                &loss, scale, writable(grads), first > 0, <const int8_t *>NULL,
                <real *>(workspace.data + scratch_bytes), workspace.data, n_threads, no_batch())
            first += chunk
    give_back(workspace)
    return scale * total


def loss(
    dict formula, const real[:, ::1] y_pred, targets, labels, weights, double scale,
    real[:, ::1] dy,
):
    """The loss summed over the samples; overwrites `dy` with `scale` times its gradient.

    Either `targets` (n, n_out) of the dtype of `y_pred` or `labels` (n,) of int64 is an array,
    and the other is None. `weights` (n,) of that dtype may be None.
    """
    cdef Targets given = targets_of(targets, labels, weights)
    cdef Loss loss = loss_from(formula)
    cdef double value
    if y_pred.shape[0] == 0:
        return 0.0
    with nogil:
        value = loss_of_outputs(
            &loss, &y_pred[0, 0], given, y_pred.shape[0], y_pred.shape[1], scale, &dy[0, 0])
    return value


def optimizer_step(
    dict rule, double rate, real[::1] params, const real[::1] grads, real[:, ::1] state,
    const int64_t[:, ::1] segments, Py_ssize_t step,
):
    """Update `params` and `state` (n_states, n_params) in place, with that learning rate.

    `segments` are the Trainer's; `step` counts from 1.
    """
    cdef Optimizer optimizer = optimizer_from(rule)
    with nogil:
        update_params(
            &optimizer, rate, writable(params), data(grads), &state[0, 0], params.shape[0],
            <const Segment *>&segments[0, 0], segments.shape[0], step, 1)


def matmul(
    const real[:, :] a, const real[:, :] b, start, real[:, ::1] out, int n_threads,
    Py_ssize_t repeats=1,
):
    """out = a @ b + start, for any strides of `a` and `b` that are multiples of the item size.

    `start` is None, a row (n,), or (m, n), which may be `out` itself; all of one dtype. A bench
    has the product made `repeats` times, to time it without the call.
    """
    cdef const real[:, :] start_view
    cdef const real *start_data = NULL
    cdef Py_ssize_t start_row = 0
    cdef Py_ssize_t item = sizeof(real)
    cdef const real *no_gate = NULL
    cdef Workspace workspace = take_workspace(gemm_workspace(n_threads))
    if start is not None:
        start_view = np.atleast_2d(start)
        start_data = &start_view[0, 0]
        start_row = start_view.strides[0] // item if start_view.shape[0] > 1 else 0
    with nogil:
        for _ in range(repeats):
            gemm(a.shape[0], b.shape[1], a.shape[1],
                 &a[0, 0], a.strides[0] // item, a.strides[1] // item,
                 &b[0, 0], b.strides[0] // item, b.strides[1] // item, start_data, start_row,
                 &out[0, 0], out.strides[0] // item, False, no_gate, workspace.data, n_threads)
    give_back(workspace)


def elementary(str name, cnp.ndarray x, cnp.ndarray out):
    """Overwrite `out` with exp, log, tanh, sigmoid or erf of x, or with expm1, log1p or normal_cdf.

    expm1 and log1p are defined where the engine uses them: for x ≤ 0, and on [0, 1].
    """
    cdef Py_ssize_t n = cnp.PyArray_SIZE(x)
    # raw pointers: two memoryviews and the choice between dtypes would take longer than the work
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        evaluate(name, <const float *>cnp.PyArray_DATA(x), <float *>cnp.PyArray_DATA(out), n)
    else:
        evaluate(name, <const double *>cnp.PyArray_DATA(x), <double *>cnp.PyArray_DATA(out), n)


cdef int evaluate(str name, const real *x, real *out, Py_ssize_t n) except -1:
    cdef Py_ssize_t i
    if name == "exp":
        for i in range(n):
            out[i] = exp(x[i])
    elif name == "log":
        for i in range(n):
            out[i] = log(x[i])
    elif name == "tanh":
        for i in range(n):
            out[i] = tanh(x[i])
    elif name == "sigmoid":
        for i in range(n):
            out[i] = sigmoid(x[i])
    elif name == "erf":
        for i in range(n):
            out[i] = erf(x[i])
    elif name == "expm1":
        for i in range(n):
            out[i] = expm1_of_negative(x[i])
    elif name == "log1p":
        for i in range(n):
            out[i] = log1p_of_unit(x[i])
    elif name == "normal_cdf":
        for i in range(n):
            out[i] = normal_cdf(x[i])
    else:
        raise ValueError(name)


def all_finite(const real[::1] values):
    """Whether no element is NaN or infinite."""
    return is_finite(data(values), values.shape[0])


def draw_permutation(bit_generator, int64_t[::1] order):
    """Overwrite `order` (n,) as `numpy.random.Generator(bit_generator).permutation(n)` would."""
    cdef bitgen_t *random = <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
    if order.shape[0]:
        with nogil:
            permutation(random, &order[0], order.shape[0])


cdef Targets targets_of(values, labels, weights):
    """Return the C form of arrays, each None if it is not given; they must outlive it."""
    cdef Targets targets
    targets.values = NULL if values is None else cnp.PyArray_DATA(values)
    targets.labels = <const int64_t *>(NULL if labels is None else cnp.PyArray_DATA(labels))
    targets.weights = NULL if weights is None else cnp.PyArray_DATA(weights)
    return targets


cdef inline const real *data(const real[::1] values) noexcept nogil:
    return &values[0]  # an empty array's address is taken, never read


cdef inline real *writable(real[::1] values) noexcept nogil:
    return &values[0]
