# The first derivatives that Python calls, a chunk of samples at a time. Arguments are trusted, as
# in entry_points.pxi.

cdef Py_ssize_t block_rows(Plan plan, bint by_params) noexcept nogil:
    """Return the number of rows of a sample's block in `fill_jacobian`."""
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
                                 blocks, slopes, parts.at_linear, parts.at_borders, workspace,
                                 n_threads)
            params_rows(plan, x, activations, samples, r, parts.at_linear, out, workspace)
        else:
            input_jacobian(plan, params, constants, x, activations, samples, out,
                           blocks, slopes, parts.at_borders, workspace, n_threads)
        x += samples * plan.n_in
        out += samples * plan.n_out * columns
        first += samples


def jacobian(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, cnp.ndarray x, bint by_params,
    cnp.ndarray outputs, cnp.ndarray out, int n_threads, /,
):
    """Overwrite `out` (n, n_out, n_in or n_params), and `outputs` (n, n_out) unless it is None."""
    if is_float(params):
        jacobian_typed(plan, <const float *>address(params), constants, x, by_params, outputs, out,
                       n_threads)
    else:
        jacobian_typed(plan, <const double *>address(params), constants, x, by_params, outputs,
                       out, n_threads)


cdef jacobian_typed(
    Plan plan, const real *params, cnp.ndarray constants_array, cnp.ndarray x_array,
    bint by_params, cnp.ndarray outputs_array, cnp.ndarray out_array, int n_threads,
):
    cdef const real *constants = <const real *>address(constants_array)
    cdef const real *x = <const real *>address(x_array)
    cdef real *outputs = <real *>address(outputs_array)
    cdef real *out = <real *>address(out_array)
    cdef Py_ssize_t n = sample_count(x_array)
    cdef Py_ssize_t r = block_rows(plan, by_params)
    cdef Py_ssize_t chunk = chunk_samples(plan, r, max(n, 1), sizeof(real))
    cdef Workspace workspace = take_workspace(
        blocks_bytes(plan, chunk, r, sizeof(real), n_threads))
    cdef PyThreadState *thread = release_gil(work_of(plan, n * r))
    fill_jacobian(plan, params, constants, x, n, by_params, outputs, out, workspace.data,
                  n_threads)
    regain_gil(thread)
    give_back(workspace)


def sample_vjp(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, cnp.ndarray x, cnp.ndarray cotangent,
    cnp.ndarray out, int n_threads, /,
):
    """Overwrite `out` (n, n_params) with each sample's cotangent (n_out,) times its Jacobian."""
    if is_float(params):
        sample_vjp_typed(
            plan, <const float *>address(params), constants, x, cotangent, out, n_threads)
    else:
        sample_vjp_typed(
            plan, <const double *>address(params), constants, x, cotangent, out, n_threads)


cdef sample_vjp_typed(
    Plan plan, const real *params, cnp.ndarray constants_array, cnp.ndarray x_array,
    cnp.ndarray cotangent_array, cnp.ndarray out_array, int n_threads,
):
    cdef const real *constants = <const real *>address(constants_array)
    cdef const real *x = <const real *>address(x_array)
    cdef const real *cotangent = <const real *>address(cotangent_array)
    cdef real *out = <real *>address(out_array)
    cdef Py_ssize_t n = sample_count(x_array)
    cdef Py_ssize_t chunk = chunk_samples(plan, 1, max(n, 1), sizeof(real))
    cdef Workspace workspace
    cdef Chunk parts
    cdef real *activations
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t samples
    cdef PyThreadState *thread
    if n == 0 or plan.n_params == 0:
        return
    workspace = take_workspace(blocks_bytes(plan, chunk, 1, sizeof(real), n_threads))
    parts = carved(plan, workspace.data, chunk, 1, sizeof(real), n_threads)
    activations = <real *>parts.activations
    thread = release_gil(work_of(plan, n))
    while first < n:
        samples = min(chunk, n - first)
        forward_pass(
            plan, params, constants, x + first * plan.n_in, activations,
            activations + plan.operations[plan.n_operations - 1].output * samples,
            samples, workspace.data, n_threads, no_batch(), True)
        pull_back(plan, params, constants, x + first * plan.n_in, activations, samples, hidden(1),
                  plan.n_operations - 1, plan.first_trainable,
                  block_of(cotangent + first * plan.n_out, plan.n_out), <real *>parts.blocks,
                  <real *>parts.slopes, <real *>NULL, parts.at_linear, parts.at_borders,
                  workspace.data, n_threads)
        params_rows(plan, x + first * plan.n_in, activations, samples, 1, parts.at_linear,
                    out + first * plan.n_params, workspace.data)
        first += samples
    regain_gil(thread)
    give_back(workspace)


def jvp(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, cnp.ndarray x, cnp.ndarray x_tangent,
    cnp.ndarray direction, cnp.ndarray out, int n_threads, /,
):
    """Overwrite `out` (n, n_out) with the outputs' derivative along a direction.

    The direction is `x_tangent` (n, n_in), or `direction` (n_params,); the other is None.
    """
    if is_float(params):
        jvp_typed(plan, <const float *>address(params), constants, x, x_tangent, direction, out,
                  n_threads)
    else:
        jvp_typed(plan, <const double *>address(params), constants, x, x_tangent, direction, out,
                  n_threads)


cdef jvp_typed(
    Plan plan, const real *params, cnp.ndarray constants_array, cnp.ndarray x_array,
    cnp.ndarray x_tangent_array, cnp.ndarray direction_array, cnp.ndarray out_array, int n_threads,
):
    cdef const real *constants = <const real *>address(constants_array)
    cdef const real *x = <const real *>address(x_array)
    cdef const real *x_tangent = <const real *>address(x_tangent_array)
    cdef const real *direction = <const real *>address(direction_array)
    cdef real *out = <real *>address(out_array)
    cdef Py_ssize_t n = sample_count(x_array)
    cdef Py_ssize_t chunk = min(plan.chunk_rows(sizeof(real)), n)
    cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
    cdef Workspace workspace = take_workspace(
        scratch_bytes + 2 * chunk * plan.row_width * sizeof(real))
    cdef real *activations = <real *>(workspace.data + scratch_bytes)
    cdef real *tangents = activations + chunk * plan.row_width
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t samples
    cdef PyThreadState *thread = release_gil(work_of(plan, n))
    while first < n:
        samples = min(chunk, n - first)
        forward_pass(
            plan, params, constants, x + first * plan.n_in, activations,
            activations + plan.operations[plan.n_operations - 1].output * samples,
            samples, workspace.data, n_threads, no_batch(), True)
        if not tangent_pass(
                plan, params, constants, direction, x + first * plan.n_in,
                x_tangent + first * plan.n_in if x_tangent != NULL else x_tangent,
                activations, tangents, out + first * plan.n_out, samples, workspace.data,
                n_threads):
            memset(out + first * plan.n_out, 0, samples * plan.n_out * sizeof(real))
        first += samples
    regain_gil(thread)
    give_back(workspace)


def vjp(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, cnp.ndarray x, cnp.ndarray cotangent,
    cnp.ndarray grads, cnp.ndarray dx, int n_threads, /,
):
    """Overwrite `dx` (n, n_in), or add to `grads` (n_params,); the other is None."""
    if is_float(params):
        vjp_typed(plan, <const float *>address(params), constants, x, cotangent, grads, dx,
                  n_threads)
    else:
        vjp_typed(plan, <const double *>address(params), constants, x, cotangent, grads, dx,
                  n_threads)


cdef vjp_typed(
    Plan plan, const real *params, cnp.ndarray constants_array, cnp.ndarray x_array,
    cnp.ndarray cotangent_array, cnp.ndarray grads_array, cnp.ndarray dx_array, int n_threads,
):
    cdef const real *constants = <const real *>address(constants_array)
    cdef const real *x = <const real *>address(x_array)
    cdef const real *cotangent = <const real *>address(cotangent_array)
    cdef real *grads = <real *>address(grads_array)
    cdef real *dx = <real *>address(dx_array)
    cdef Py_ssize_t n = sample_count(x_array)
    cdef Py_ssize_t chunk = min(plan.chunk_rows(sizeof(real)), n)
    cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
    cdef Workspace workspace = take_workspace(
        scratch_bytes + chunk * plan.gradient_width() * sizeof(real))
    cdef real *activations = <real *>(workspace.data + scratch_bytes)
    cdef real *dy = activations + chunk * plan.row_width
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t samples
    cdef PyThreadState *thread = release_gil(work_of(plan, n))
    while first < n:
        samples = min(chunk, n - first)
        forward_pass(
            plan, params, constants, x + first * plan.n_in, activations,
            activations + plan.operations[plan.n_operations - 1].output * samples,
            samples, workspace.data, n_threads, no_batch(), True)
        memcpy(dy, cotangent + first * plan.n_out, samples * plan.n_out * sizeof(real))
        backward_pass(
            plan, params, constants, x + first * plan.n_in, activations, samples,
            dy, dy + chunk * plan.max_width,
            grads, True, dx + first * plan.n_in if dx != NULL else dx, <const int8_t *>NULL,
            workspace.data, n_threads, no_batch())
        first += samples
    regain_gil(thread)
    give_back(workspace)
