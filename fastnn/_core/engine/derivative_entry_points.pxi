# The derivatives that Python asks for, a chunk of samples at a time. Arguments are trusted, as in
# entry_points.pxi.

cdef enum:
    READY_JACOBIAN_WORK = 8 * READY_WORK  # multiply-adds, of which half may be with zeros


cdef Py_ssize_t block_rows(Plan plan, bint by_params) noexcept nogil:
    """How many rows a sample's block has in `fill_jacobian`."""
    return plan.n_in if not by_params and forward_is_cheaper(plan) else plan.n_out


cdef void fill_jacobian(
    Plan plan, const real *params, const real *constants, const real *x, Py_ssize_t n,
    bint by_params, real *outputs, real *out, char *workspace, int n_threads,
) noexcept nogil:
    """Overwrite `out` (n, n_out, n_in or n_params), and `outputs` (n, n_out) unless it is NULL."""
    cdef Py_ssize_t r = block_rows(plan, by_params)
    cdef Py_ssize_t chunk = chunk_samples(plan, r, n, sizeof(real))
    cdef Py_ssize_t columns = plan.n_params if by_params else plan.n_in
    cdef Chunk parts = carved(plan, workspace, chunk, r, sizeof(real), n_threads)
    cdef real *activations = <real *>parts.activations
    cdef real *blocks = <real *>parts.blocks
    cdef real *slopes = <real *>parts.slopes
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t samples
    cdef real *y
    while first < n:
        samples = min(chunk, n - first)
        y = activations + plan.operations[plan.n_operations - 1].output * samples
        forward_pass(plan, params, constants, x, activations, y, samples, workspace, n_threads,
                     no_batch(), True)
        if outputs != NULL:
            memcpy(outputs + first * plan.n_out, y, samples * plan.n_out * sizeof(real))
        if by_params:
            cotangents_at_linear(plan, params, constants, x, activations, samples,
                                 blocks, slopes, parts.at_linear, workspace, n_threads)
            params_rows(plan, x, activations, samples, r, parts.at_linear, out)
        else:
            input_jacobian(plan, params, constants, x, activations, samples, out,
                           blocks, slopes, workspace, n_threads)
        x += samples * plan.n_in
        out += samples * plan.n_out * columns
        first += samples


def jacobian(
    Plan plan, const real[::1] params, const real[::1] constants, const real[:, ::1] x,
    bint by_params, real[:, ::1] outputs, real[:, :, ::1] out, int n_threads,
):
    """Overwrite `out` (n, n_out, n_in or n_params), and `outputs` (n, n_out) unless it is None."""
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t r = block_rows(plan, by_params)
    cdef Py_ssize_t chunk = chunk_samples(plan, r, max(n, 1), sizeof(real))
    cdef Workspace workspace
    if n == 0:
        return
    workspace = take_workspace(blocks_bytes(plan, chunk, r, sizeof(real), n_threads))
    with nogil:
        fill_jacobian(plan, data(params), data(constants), &x[0, 0], n, by_params,
                      <real *>NULL if outputs is None else &outputs[0, 0], &out[0, 0, 0],
                      workspace.data, n_threads)
    give_back(workspace)


def jacobian_ready(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, x, bint by_params, given,
):
    """The Jacobian for arrays that need no conversion and few samples; None for all others.

    It is written to `given`, or where that is None to a new array. See `predict_ready`.
    """
    cdef cnp.ndarray ready, out
    cdef int kind = cnp.PyArray_TYPE(params)
    cdef Py_ssize_t n = ready_samples(plan, x, kind)
    cdef Py_ssize_t r = block_rows(plan, by_params)
    cdef Py_ssize_t itemsize
    cdef int ndim
    cdef cnp.npy_intp[3] shape
    cdef Workspace workspace
    cdef bint finite
    if n == 0 or n > READY_JACOBIAN_WORK // (r * (plan.n_params + plan.row_width)):
        return None
    ready = x
    ndim = cnp.PyArray_NDIM(ready)
    itemsize = cnp.PyArray_ITEMSIZE(ready)
    shape[0] = n
    shape[ndim - 1] = plan.n_out
    shape[ndim] = plan.n_params if by_params else plan.n_in
    if shape[ndim] == 0:
        return None
    if given is None:
        out = cnp.PyArray_EMPTY(ndim + 1, shape, kind, 0)
    else:
        if not cnp.PyArray_CheckExact(given):
            return None
        out = given
        if (cnp.PyArray_TYPE(out) != kind or not cnp.PyArray_ISCARRAY(out)
                or cnp.PyArray_NDIM(out) != ndim + 1
                or memcmp(cnp.PyArray_DIMS(out), shape, (ndim + 1) * sizeof(cnp.npy_intp))
                or overlap(ready, out) or overlap(params, out)):
            return None
    workspace = take_workspace(
        blocks_bytes(plan, chunk_samples(plan, r, n, itemsize), r, itemsize, 1))
    if kind == cnp.NPY_FLOAT:
        finite = jacobian_of_finite[float](
            plan, <const float *>cnp.PyArray_DATA(params),
            <const float *>cnp.PyArray_DATA(constants), <const float *>cnp.PyArray_DATA(ready), n,
            by_params, <float *>cnp.PyArray_DATA(out), workspace.data)
    else:
        finite = jacobian_of_finite[double](
            plan, <const double *>cnp.PyArray_DATA(params),
            <const double *>cnp.PyArray_DATA(constants), <const double *>cnp.PyArray_DATA(ready),
            n, by_params, <double *>cnp.PyArray_DATA(out), workspace.data)
    give_back(workspace)
    return out if finite else None


cdef bint overlap(cnp.ndarray a, cnp.ndarray b):
    """Whether two contiguous arrays share memory."""
    cdef char *first = <char *>cnp.PyArray_DATA(a)
    cdef char *second = <char *>cnp.PyArray_DATA(b)
    return first < second + cnp.PyArray_NBYTES(b) and second < first + cnp.PyArray_NBYTES(a)


cdef bint jacobian_of_finite(
    Plan plan, const real *params, const real *constants, const real *x, Py_ssize_t n,
    bint by_params, real *out, char *workspace,
) noexcept:
    if not is_finite(x, n * plan.n_in):
        return False
    with nogil:
        fill_jacobian(plan, params, constants, x, n, by_params, <real *>NULL, out, workspace, 1)
    return True


def sample_vjp(
    Plan plan, const real[::1] params, const real[::1] constants, const real[:, ::1] x,
    const real[:, ::1] cotangent, real[:, ::1] out, int n_threads,
):
    """Overwrite `out` (n, n_params): each sample's cotangent (n_out,) times its Jacobian."""
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t chunk = chunk_samples(plan, 1, max(n, 1), sizeof(real))
    cdef Workspace workspace
    cdef Chunk parts
    cdef real *activations
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t samples
    if n == 0 or plan.n_params == 0:
        return
    workspace = take_workspace(blocks_bytes(plan, chunk, 1, sizeof(real), n_threads))
    parts = carved(plan, workspace.data, chunk, 1, sizeof(real), n_threads)
    activations = <real *>parts.activations
    with nogil:
        while first < n:
            samples = min(chunk, n - first)
            forward_pass(
                plan, data(params), data(constants), &x[first, 0], activations,
                activations + plan.operations[plan.n_operations - 1].output * samples,
                samples, workspace.data, n_threads, no_batch(), True)
            pull_back(plan, data(params), data(constants), &x[first, 0], activations, samples, 1,
                      plan.n_operations - 1, plan.first_trainable,
                      block_of(&cotangent[first, 0], plan.n_out), <real *>parts.blocks,
                      <real *>parts.slopes, <real *>NULL, parts.at_linear, workspace.data,
                      n_threads)
            params_rows(plan, &x[first, 0], activations, samples, 1, parts.at_linear,
                        &out[first, 0])
            first += samples
    give_back(workspace)


def jvp(
    Plan plan, const real[::1] params, const real[::1] constants, const real[:, ::1] x,
    const real[:, ::1] x_tangent, const real[::1] direction, real[:, ::1] out, int n_threads,
):
    """Overwrite `out` (n, n_out) with the outputs' derivative along a direction.

    It is that of the input (n, n_in), or that of the parameters (n_params,); the other is None.
    """
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t chunk = min(plan.chunk_rows(sizeof(real)), n)
    cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
    cdef Workspace workspace = take_workspace(
        scratch_bytes + 2 * chunk * plan.row_width * sizeof(real))
    cdef real *activations = <real *>(workspace.data + scratch_bytes)
    cdef real *tangents = activations + chunk * plan.row_width
    cdef const real *along = <const real *>NULL if direction is None else data(direction)
    cdef bint by_input = x_tangent is not None
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t samples
    with nogil:
        while first < n:
            samples = min(chunk, n - first)
            forward_pass(
                plan, data(params), data(constants), &x[first, 0], activations,
                activations + plan.operations[plan.n_operations - 1].output * samples,
                samples, workspace.data, n_threads, no_batch(), True)
            if not tangent_pass(
                    plan, data(params), data(constants), along, &x[first, 0],
                    &x_tangent[first, 0] if by_input else <const real *>NULL, activations,
                    tangents, &out[first, 0], samples, workspace.data, n_threads):
                memset(&out[first, 0], 0, samples * plan.n_out * sizeof(real))
            first += samples
    give_back(workspace)


def vjp(
    Plan plan, const real[::1] params, const real[::1] constants, const real[:, ::1] x,
    const real[:, ::1] cotangent, real[::1] grads, real[:, ::1] dx, int n_threads,
):
    """Overwrite `dx` (n, n_in), or add to `grads` (n_params,); the other is None."""
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t chunk = min(plan.chunk_rows(sizeof(real)), n)
    cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
    cdef Workspace workspace = take_workspace(
        scratch_bytes + chunk * plan.gradient_width() * sizeof(real))
    cdef real *activations = <real *>(workspace.data + scratch_bytes)
    cdef real *dy = activations + chunk * plan.row_width
    cdef bint by_input = dx is not None
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t samples
    with nogil:
        while first < n:
            samples = min(chunk, n - first)
            forward_pass(
                plan, data(params), data(constants), &x[first, 0], activations,
                activations + plan.operations[plan.n_operations - 1].output * samples,
                samples, workspace.data, n_threads, no_batch(), True)
            memcpy(dy, &cotangent[first, 0], samples * plan.n_out * sizeof(real))
            backward_pass(
                plan, data(params), data(constants), &x[first, 0], activations, samples,
                dy, dy + chunk * plan.max_width,
                <real *>NULL if by_input else writable(grads), True,
                &dx[first, 0] if by_input else <real *>NULL, <const int8_t *>NULL,
                workspace.data, n_threads, False)
            first += samples
    give_back(workspace)


def hvp(
    Plan plan, const real[::1] params, const real[::1] constants, const real[:, ::1] x,
    targets, labels, weights, dict formula, double scale, const real[::1] direction,
    real[::1] out, int n_threads,
):
    """Add the Hessian of `scale` times the summed loss, times `direction`, to `out` (n_params,)."""
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t chunk = min(plan.chunk_rows(sizeof(real)), n)
    cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
    cdef Workspace workspace = take_workspace(
        scratch_bytes + 2 * chunk * plan.gradient_width() * sizeof(real))
    cdef real *activations = <real *>(workspace.data + scratch_bytes)
    cdef real *tangents = activations + chunk * plan.row_width
    cdef real *dy = tangents + chunk * plan.row_width
    cdef Py_ssize_t room = chunk * plan.max_width
    cdef Targets given = targets_of(targets, labels, weights)
    cdef Loss loss = loss_from(formula)
    cdef Targets rows
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t samples
    cdef Py_ssize_t last
    if plan.n_params == 0:
        return
    with nogil:
        while first < n:
            samples = min(chunk, n - first)
            last = plan.operations[plan.n_operations - 1].output * samples
            rows = targets_from(given, first, plan.n_out, sizeof(real))
            forward_pass(plan, data(params), data(constants), &x[first, 0], activations,
                         activations + last, samples, workspace.data, n_threads, no_batch(), True)
            tangent_pass(plan, data(params), data(constants), data(direction), &x[first, 0],
                         <const real *>NULL, activations, tangents, tangents + last, samples,
                         workspace.data, n_threads)
            loss_of_outputs(
                &loss, activations + last, rows, samples, plan.n_out, scale, dy)
            loss_curvature(&loss, activations + last, rows, tangents + last, scale,
                           dy + 2 * room, samples, plan.n_out)
            backward_tangent_pass(
                plan, data(params), data(constants), data(direction), &x[first, 0], activations,
                tangents, samples, dy, dy + room, dy + 2 * room, dy + 3 * room, writable(out),
                workspace.data, n_threads)
            first += samples
    give_back(workspace)


def gram(
    Plan plan, const real[::1] params, const real[::1] constants, const real[:, ::1] x,
    targets, labels, weights, dict formula, double scale, real[:, ::1] out, bint accumulate,
    bint complete, int n_threads,
):
    """Overwrite `out` (n_params, n_params) with Σ scale w Jᵀ H_L J.

    Where H_L does not depend on them, `targets` and `labels` may both be None. Only what stands on
    and right of its diagonal is written, until `complete` copies that to the left.
    """
    cdef Py_ssize_t n = x.shape[0]
    cdef Loss loss = loss_from(formula)
    cdef Py_ssize_t r = loss_rank(&loss, plan.n_out)
    cdef Py_ssize_t chunk = min(chunk_samples(plan, r, n, sizeof(real)), gram_samples(plan, r))
    cdef Py_ssize_t per_thread = gram_scratch(plan, chunk, sizeof(real))
    cdef Py_ssize_t root_size = chunk * r * plan.n_out
    cdef Py_ssize_t rows_size = chunk * gram_rows(plan, r) * plan.n_params
    cdef Workspace workspace
    cdef Targets given = targets_of(targets, labels, weights)
    cdef Chunk parts
    cdef Targets here
    cdef real *activations
    cdef real *root
    cdef real *rows
    cdef real *y
    cdef char *factors
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t samples
    if plan.n_params == 0:
        return
    workspace = take_workspace(
        blocks_bytes(plan, chunk, r, sizeof(real), n_threads)
        + (root_size + rows_size) * sizeof(real) + n_threads * per_thread + 2 * 64)
    parts = carved(plan, workspace.data, chunk, r, sizeof(real), n_threads)
    activations = <real *>parts.activations
    root = <real *>aligned(parts.end)
    rows = root + root_size
    factors = aligned(<char *>(rows + rows_size))
    with nogil:
        while first < n:
            samples = min(chunk, n - first)
            here = targets_from(given, first, plan.n_out, sizeof(real))
            y = activations + plan.operations[plan.n_operations - 1].output * samples
            forward_pass(plan, data(params), data(constants), &x[first, 0], activations, y,
                         samples, workspace.data, n_threads, no_batch(), True)
            loss_root(&loss, y, here, scale, root, samples, plan.n_out)
            pull_back(plan, data(params), data(constants), &x[first, 0], activations, samples, r,
                      plan.n_operations - 1, plan.first_trainable,
                      block_of(root, 0 if root_is_shared(&loss, given) else r * plan.n_out),
                      <real *>parts.blocks, <real *>parts.slopes, <real *>NULL, parts.at_linear,
                      workspace.data, n_threads)
            add_gram(plan, &x[first, 0], activations, samples, r, parts.at_linear, rows, &out[0, 0],
                     accumulate or first > 0, workspace.data, factors, per_thread, n_threads)
            first += samples
        if complete:
            mirror(&out[0, 0], plan.n_params)
    give_back(workspace)
