# Predictions: a block of rows at a time goes through all layers, and stays in cache.

cdef enum:
    READY_WORK = 4_000_000    # multiply-adds; up to this many, one thread is fast enough
    GIL_WORK = 50_000         # multiply-adds; below, releasing the GIL is not worth its time


def predict(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, cnp.ndarray x, cnp.ndarray out,
    int n_threads,
):
    """Overwrite `out` (n, n_out) with the network's outputs; return whether `x` is finite."""
    cdef bint finite
    cdef int kind = cnp.PyArray_TYPE(params)
    cdef Py_ssize_t n = cnp.PyArray_DIM(x, 0)
    cdef Py_ssize_t itemsize = cnp.PyArray_ITEMSIZE(params)
    cdef Py_ssize_t block = plan.predict_rows(n, itemsize)
    cdef Workspace workspace = take_workspace(
        gemm_workspace(n_threads) + block * plan.row_width * itemsize)
    with nogil:
        finite = predict_arrays(
            plan, kind, cnp.PyArray_DATA(params), cnp.PyArray_DATA(constants),
            cnp.PyArray_DATA(x), cnp.PyArray_DATA(out), n, block, workspace.data, n_threads)
    give_back(workspace)
    return finite


cdef Py_ssize_t ready_samples(Plan plan, x, int kind):
    """Return the number of samples of `x`; 0 if `x` is not an array that the engine can read."""
    cdef cnp.ndarray array
    cdef int ndim
    if not cnp.PyArray_CheckExact(x):
        return 0
    array = x
    ndim = cnp.PyArray_NDIM(array)
    if (cnp.PyArray_TYPE(array) != kind or not cnp.PyArray_ISCARRAY_RO(array)
            or (ndim != 1 and ndim != 2) or cnp.PyArray_DIM(array, ndim - 1) != plan.n_in):
        return 0
    return 1 if ndim == 1 else cnp.PyArray_DIM(array, 0)


def predict_ready(Plan plan, cnp.ndarray params, cnp.ndarray constants, x):
    """Return the outputs if `x` is a small, finite, contiguous array; otherwise None.

    `x` is (n, n_in) or (n_in,), of the dtype of `params`. For small arrays the checks take longer
    than the prediction, so these checks are compiled.
    """
    cdef cnp.ndarray ready, out
    cdef int kind = cnp.PyArray_TYPE(params)
    cdef Py_ssize_t n = ready_samples(plan, x, kind)
    cdef Py_ssize_t block
    cdef int ndim
    cdef cnp.npy_intp[2] shape
    cdef Workspace workspace
    cdef bint finite
    if n == 0 or n > READY_WORK // (plan.n_params + plan.row_width):
        return None
    ready = x
    ndim = cnp.PyArray_NDIM(ready)
    shape[0] = n
    shape[ndim - 1] = plan.n_out
    out = cnp.PyArray_EMPTY(ndim, shape, kind, 0)
    block = plan.predict_rows(n, cnp.PyArray_ITEMSIZE(ready))
    workspace = take_workspace(
        gemm_workspace(1) + block * plan.row_width * cnp.PyArray_ITEMSIZE(ready))
    if n * plan.n_params < GIL_WORK:
        finite = predict_arrays(plan, kind, cnp.PyArray_DATA(params), cnp.PyArray_DATA(constants),
                                cnp.PyArray_DATA(ready), cnp.PyArray_DATA(out), n, block,
                                workspace.data, 1)
    else:
        with nogil:
            finite = predict_arrays(
                plan, kind, cnp.PyArray_DATA(params), cnp.PyArray_DATA(constants),
                cnp.PyArray_DATA(ready), cnp.PyArray_DATA(out), n, block, workspace.data, 1)
    give_back(workspace)
    return out if finite else None


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
