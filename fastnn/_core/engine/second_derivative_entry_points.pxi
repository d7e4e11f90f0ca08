# The second derivatives that Python calls, a chunk of samples at a time. Arguments are trusted, as
# in entry_points.pxi.

def hvp(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, cnp.ndarray x, targets, labels, weights,
    dict formula, double scale, cnp.ndarray direction, cnp.ndarray out, bint accumulate,
    int n_threads, /,
):
    """Overwrite `out` (n_params,) with the Hessian of `scale` times the summed loss, times
    `direction`, or add it with `accumulate`."""
    cdef Targets given = targets_of(targets, labels, weights)
    cdef Loss loss = loss_of(formula)
    if is_float(params):
        hvp_typed(plan, <const float *>address(params), constants, x, given, loss, scale,
                  direction, out, accumulate, n_threads)
    else:
        hvp_typed(plan, <const double *>address(params), constants, x, given, loss, scale,
                  direction, out, accumulate, n_threads)


cdef hvp_typed(
    Plan plan, const real *params, cnp.ndarray constants_array, cnp.ndarray x_array, Targets given,
    Loss loss, double scale, cnp.ndarray direction_array, cnp.ndarray out_array, bint accumulate,
    int n_threads,
):
    cdef const real *constants = <const real *>address(constants_array)
    cdef const real *x = <const real *>address(x_array)
    cdef const real *direction = <const real *>address(direction_array)
    cdef real *out = <real *>address(out_array)
    cdef Py_ssize_t n = cnp.PyArray_DIM(x_array, 0)
    cdef Py_ssize_t chunk = min(plan.chunk_rows(sizeof(real)), n)
    cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
    cdef Workspace workspace = take_workspace(
        scratch_bytes + 2 * chunk * plan.gradient_width() * sizeof(real))
    cdef real *activations = <real *>(workspace.data + scratch_bytes)
    cdef real *tangents = activations + chunk * plan.row_width
    cdef real *dy = tangents + chunk * plan.row_width
    cdef Py_ssize_t room = chunk * plan.max_width
    cdef Targets rows
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t samples
    cdef Py_ssize_t last
    cdef PyThreadState *thread
    if plan.n_params == 0:
        return
    thread = release_gil(work_of(plan, n))
    while first < n:
        samples = min(chunk, n - first)
        last = plan.operations[plan.n_operations - 1].output * samples
        rows = targets_from(given, first, plan.n_out, sizeof(real))
        forward_pass(plan, params, constants, x + first * plan.n_in, activations,
                     activations + last, samples, workspace.data, n_threads, no_batch(), True)
        tangent_pass(plan, params, constants, direction, x + first * plan.n_in,
                     <const real *>NULL, activations, tangents, tangents + last, samples,
                     workspace.data, n_threads)
        loss_of_outputs(
            &loss, activations + last, rows, samples, plan.n_out, scale, dy)
        loss_curvature(&loss, activations + last, rows, tangents + last, scale,
                       dy + 2 * room, samples, plan.n_out)
        backward_tangent_pass(
            plan, params, constants, direction, x + first * plan.n_in, activations,
            tangents, samples, dy, dy + room, dy + 2 * room, dy + 3 * room, out,
            accumulate or first > 0, workspace.data, n_threads)
        first += samples
    regain_gil(thread)
    give_back(workspace)


def gram(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, cnp.ndarray x, targets, labels, weights,
    dict formula, double scale, cnp.ndarray out, bint accumulate, bint complete, int n_threads,
    cnp.ndarray roots=None, /,
):
    """Overwrite `out` (n_params, n_params) with Σ scale w Jᵀ H_L J, or add it with `accumulate`.

    `targets` and `labels` may both be None if H_L does not depend on them. Only the diagonal and
    the elements right of it are written, unless `complete` asks for the copy to the left.

    With `roots` Q (n, k, n_out), Σ (QJ)ᵀ QJ is written or added, whatever the loss.
    """
    cdef Targets given = targets_of(targets, labels, weights)
    cdef Loss loss = loss_of(formula)
    if is_float(params):
        gram_typed(plan, <const float *>address(params), constants, x, given, loss, scale, out,
                   accumulate, complete, n_threads, roots)
    else:
        gram_typed(plan, <const double *>address(params), constants, x, given, loss, scale, out,
                   accumulate, complete, n_threads, roots)


cdef gram_typed(
    Plan plan, const real *params, cnp.ndarray constants_array, cnp.ndarray x_array, Targets given,
    Loss loss, double scale, cnp.ndarray out_array, bint accumulate, bint complete, int n_threads,
    cnp.ndarray roots,
):
    cdef const real *given_roots = <const real *>address(roots)
    cdef const real *constants = <const real *>address(constants_array)
    cdef const real *x = <const real *>address(x_array)
    cdef real *out = <real *>address(out_array)
    cdef Py_ssize_t n = cnp.PyArray_DIM(x_array, 0)
    cdef Py_ssize_t r = (
        loss_rank(&loss, plan.n_out) if roots is None else cnp.PyArray_DIM(roots, 1))
    cdef Py_ssize_t chunk = min(chunk_samples(plan, r, n, sizeof(real)), gram_samples(plan, r))
    cdef Py_ssize_t per_thread = gram_scratch(plan, chunk, sizeof(real))
    cdef Py_ssize_t root_size = chunk * r * plan.n_out
    cdef Py_ssize_t rows_size = chunk * gram_rows(plan, r) * plan.n_params
    cdef Workspace workspace
    cdef Chunk parts
    cdef Block block
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
            forward_pass(plan, params, constants, x + first * plan.n_in, activations, y,
                         samples, workspace.data, n_threads, no_batch(), True)
            if given_roots == NULL:
                loss_root(&loss, y, here, scale, root, samples, plan.n_out)
                block = block_of(root, 0 if root_is_shared(&loss, given) else r * plan.n_out)
            else:
                block = block_of(given_roots + first * r * plan.n_out, r * plan.n_out)
            pull_back(plan, params, constants, x + first * plan.n_in, activations, samples, r,
                      plan.n_operations - 1, plan.first_trainable, block,
                      <real *>parts.blocks, <real *>parts.slopes, <real *>NULL, parts.at_linear,
                      parts.at_borders, workspace.data, n_threads)
            add_gram(plan, x + first * plan.n_in, activations, samples, r, parts.at_linear, rows,
                     out, accumulate or first > 0, workspace.data, factors, per_thread, n_threads)
            first += samples
        if complete:
            mirror(out, plan.n_params)
    give_back(workspace)
