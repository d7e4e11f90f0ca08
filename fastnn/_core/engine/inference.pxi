# Predictions: a block of rows at a time goes through all layers, and stays in cache.

def predict(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, cnp.ndarray x, cnp.ndarray out,
    int n_threads, /,
):
    """Overwrite `out` (n, n_out) with the network's outputs; return whether `x` is finite."""
    cdef bint finite
    cdef int kind = cnp.PyArray_TYPE(params)
    cdef Py_ssize_t n = sample_count(x)
    cdef Py_ssize_t itemsize = cnp.PyArray_ITEMSIZE(params)
    cdef Py_ssize_t block = plan.predict_rows(n, itemsize)
    cdef Workspace workspace = take_workspace(
        gemm_workspace(n_threads) + block * plan.row_width * itemsize)
    cdef PyThreadState *thread = release_gil(work_of(plan, n))
    finite = predict_arrays(
        plan, kind, cnp.PyArray_DATA(params), cnp.PyArray_DATA(constants),
        cnp.PyArray_DATA(x), cnp.PyArray_DATA(out), n, block, workspace.data, n_threads)
    regain_gil(thread)
    give_back(workspace)
    return finite


cdef bint predict_arrays(
    Plan plan, int kind, const void *params, const void *constants, const void *x, void *out,
    Py_ssize_t n, Py_ssize_t block, char *workspace, int n_threads,
) noexcept nogil:
    """Call `predict_blocks` of the dtype, `kind` in NumPy; return whether `x` is finite."""
    if kind == cnp.NPY_FLOAT:
        return predict_blocks(
            plan, <const float *>params, <const float *>constants, <const float *>x, <float *>out,
            n, block, workspace, n_threads)
    return predict_blocks(
        plan, <const double *>params, <const double *>constants, <const double *>x, <double *>out,
        n, block, workspace, n_threads)


cdef bint predict_blocks(
    Plan plan, const real *params, const real *constants, const real *x, real *out,
    Py_ssize_t n, Py_ssize_t block, char *workspace, int n_threads,
) noexcept nogil:
    """Overwrite `out`; return whether `x` is finite, checked block by block while in cache."""
    cdef real *activations = <real *>(workspace + gemm_workspace(n_threads))
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t rows
    cdef bint finite = True
    while first < n:
        rows = min(block, n - first)
        finite = is_finite(x + first * plan.n_in, rows * plan.n_in) and finite
        forward_pass(plan, params, constants, x + first * plan.n_in, activations,
                     out + first * plan.n_out, rows, workspace, n_threads, no_batch(), False)
        first += rows
    return finite
