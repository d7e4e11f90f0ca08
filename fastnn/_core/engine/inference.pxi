# Outputs without a gradient: a block of rows at a time goes through all layers, in cache.

cdef enum:
    READY_WORK = 4_000_000    # multiply-adds of which one call is not worth sharing among threads
    GIL_WORK = 50_000         # those that end sooner than other Python threads would notice


def predict(
    Plan plan, const real[::1] params, const real[::1] constants, const real[:, ::1] x,
    real[:, ::1] out, int n_threads,
):
    """Overwrite `out` (n, n_out) with the network's outputs; returns whether `x` is finite."""
    cdef bint finite = True
    cdef Py_ssize_t n = x.shape[0]
    cdef Py_ssize_t block = plan.predict_rows(n, sizeof(real))
    cdef Workspace workspace = take_workspace(
        gemm_workspace(n_threads) + block * plan.row_width * sizeof(real))
    if n:
        with nogil:
            finite = predict_blocks(plan, data(params), data(constants), &x[0, 0], &out[0, 0], n,
                                    block, workspace.data, n_threads)
    give_back(workspace)
    return finite


cdef Py_ssize_t ready_samples(Plan plan, x, int kind):
    """How many samples `x` holds if it is an array as the engine wants it, else 0."""
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
    """The outputs for finite samples that need no conversion and are few; None for all others.

    What a caller in a loop waits for at small sizes is the checks, so here they are compiled:
    `x` (n, n_in) or (n_in,) must be a contiguous array of the dtype of `params`.
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
                                workspace.data)
    else:
        with nogil:
            finite = predict_arrays(
                plan, kind, cnp.PyArray_DATA(params), cnp.PyArray_DATA(constants),
                cnp.PyArray_DATA(ready), cnp.PyArray_DATA(out), n, block, workspace.data)
    give_back(workspace)
    return out if finite else None


cdef bint predict_arrays(
    Plan plan, int kind, const void *params, const void *constants, const void *x, void *out,
    Py_ssize_t n, Py_ssize_t block, char *workspace,
) noexcept nogil:
    """Dispatch by NumPy's number of the dtype; returns whether all of `x` was finite."""
    if kind == cnp.NPY_FLOAT:
        return predict_blocks(
            plan, <const float *>params, <const float *>constants, <const float *>x, <float *>out,
            n, block, workspace, 1)
    return predict_blocks(
        plan, <const double *>params, <const double *>constants, <const double *>x, <double *>out,
        n, block, workspace, 1)


cdef bint predict_blocks(
    Plan plan, const real *params, const real *constants, const real *x, real *out,
    Py_ssize_t n, Py_ssize_t block, char *workspace, int n_threads,
) noexcept nogil:
    """Overwrite `out`; returns whether `x` is finite, which is seen block by block, in cache."""
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
