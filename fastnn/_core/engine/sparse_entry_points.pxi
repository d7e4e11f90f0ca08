# What Python calls for sparse rows; `csr_rows` says which objects these are.

cdef enum:
    DOTS_UP_TO = 4   # with fewer elements than features / DOTS_UP_TO, transposing takes longer


def dense_of_sparse(
    x, Py_ssize_t first, Py_ssize_t end, cnp.ndarray order, cnp.ndarray out, int n_threads, /,
):
    """Overwrite `out` (rows, n_in) with the rows from `first` to `end`, or in `order`."""
    cdef SparseRows rows = csr_rows(x)
    cdef Py_ssize_t n = end - first if order is None else cnp.PyArray_SIZE(order)
    cdef Py_ssize_t n_in = cnp.PyArray_DIM(out, 1)
    rows.first = first
    rows.order = <const int64_t *>address(order)
    with nogil:
        if cnp.PyArray_TYPE(out) == cnp.NPY_FLOAT:
            write_dense(&rows, <float *>cnp.PyArray_DATA(out), n, n_in, n_threads)
        else:
            write_dense(&rows, <double *>cnp.PyArray_DATA(out), n, n_in, n_threads)


def transposed_weight(Plan plan, cnp.ndarray params, Py_ssize_t n_elements, int n_threads, /):
    """Return the first weight as (n_in, n_out) for a prediction, or None if it does not pay."""
    cdef Operation *first = &plan.operations[0]
    cdef cnp.ndarray out
    cdef bint single = is_float(params)
    if DOTS_UP_TO * n_elements < plan.n_in:
        return None
    out = np.empty((first.n_in, first.n_out), params.dtype)
    with nogil:
        if single:
            transposed(<const float *>cnp.PyArray_DATA(params), first.n_out, first.n_in,
                       <float *>cnp.PyArray_DATA(out), n_threads)
        else:
            transposed(<const double *>cnp.PyArray_DATA(params), first.n_out, first.n_in,
                       <double *>cnp.PyArray_DATA(out), n_threads)
    return out


def predict_sparse(
    Plan plan, cnp.ndarray params, cnp.ndarray weight, cnp.ndarray constants, x,
    Py_ssize_t start, cnp.ndarray out, int n_threads, /,
):
    """Overwrite `out` (n, n_out) with the outputs of n rows from `start`.

    The first operation is a linear layer, and `weight` comes from `transposed_weight`.
    """
    cdef SparseRows rows = csr_rows(x)
    rows.first = start
    if is_float(params):
        predict_sparse_typed(plan, <const float *>address(params), address(weight), constants,
                             rows, out, n_threads)
    else:
        predict_sparse_typed(plan, <const double *>address(params), address(weight), constants,
                             rows, out, n_threads)


cdef predict_sparse_typed(
    Plan plan, const real *params, const void *weight, cnp.ndarray constants_array,
    SparseRows x, cnp.ndarray out_array, int n_threads,
):
    cdef Operation *operation = &plan.operations[0]
    cdef const real *bias = params + operation.bias if operation.bias >= 0 else <const real *>NULL
    cdef const real *constants = <const real *>address(constants_array)
    cdef real *out = <real *>address(out_array)
    cdef Py_ssize_t n = cnp.PyArray_DIM(out_array, 0)
    cdef Py_ssize_t block = min(n, max(500_000 // <Py_ssize_t>(sizeof(real) * plan.row_width), 256))
    cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
    cdef Workspace workspace = take_workspace(scratch_bytes + block * plan.row_width * sizeof(real))
    cdef real *activations = <real *>(workspace.data + scratch_bytes)
    cdef real *z
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t rows
    with nogil:
        while first < n:
            rows = min(block, n - first)
            z = out + first * plan.n_out if plan.n_operations == 1 else activations
            if weight == NULL:
                sparse_forward_by_dots(&x, params, bias, operation.relu, z, rows, operation.n_in,
                                       operation.n_out)
            else:
                first_forward(&x, <const real *>weight, bias, operation.relu, z, rows,
                              operation.n_out, n_threads)
            forward_from(plan, 1, params, constants, activations, activations,
                         out + first * plan.n_out, rows, workspace.data, n_threads, no_batch(),
                         False)
            first += rows
            x.first += rows
    give_back(workspace)


def loss_and_grad_sparse(
    Plan plan, cnp.ndarray params, cnp.ndarray constants, x, targets, labels, weights,
    dict formula, cnp.ndarray grads, int n_threads, /,
):
    """As `loss_and_grad`, for sparse rows and a first operation that is a linear layer."""
    cdef Targets given = targets_of(targets, labels, weights)
    cdef SparseRows rows = csr_rows(x)
    cdef Py_ssize_t n = x.shape[0]
    cdef Loss loss = loss_of(formula)
    if is_float(params):
        return loss_and_grad_sparse_typed(
            plan, <const float *>address(params), constants, rows, n, given, loss, grads, n_threads)
    return loss_and_grad_sparse_typed(
        plan, <const double *>address(params), constants, rows, n, given, loss, grads, n_threads)


cdef double loss_and_grad_sparse_typed(
    Plan plan, const real *params, cnp.ndarray constants_array, SparseRows x, Py_ssize_t n,
    Targets given, Loss loss, cnp.ndarray grads_array, int n_threads,
) except *:
    cdef const real *constants = <const real *>address(constants_array)
    cdef real *grads = <real *>address(grads_array)
    cdef Operation *operation = &plan.operations[0]
    cdef Py_ssize_t size = operation.n_in * operation.n_out
    cdef Py_ssize_t chunk = min(sparse_chunk_rows(plan, sizeof(real)), n)
    cdef Py_ssize_t scratch_bytes = gemm_workspace(n_threads)
    cdef Workspace workspace = take_workspace(
        scratch_bytes + chunk * (sparse_width(plan) + operation.n_out) * sizeof(real))
    cdef Workspace matrices = Workspace(2 * size * sizeof(real))
    cdef real *weight = <real *>matrices.data
    cdef real *gradient = weight + size
    cdef real *activations = <real *>(workspace.data + scratch_bytes)
    cdef double scale = 1
    cdef double total = 0
    cdef Py_ssize_t first = 0
    if loss.mean:
        scale = total_weight(&loss, <const real *>given.values, given.labels,
                             <const real *>given.weights, NULL, n, plan.n_out)
        scale = 1 / scale if scale > 0 else 1
    with nogil:
        transposed(params, operation.n_out, operation.n_in, weight, n_threads)
        memset(gradient, 0, size * sizeof(real))
        while first < n:
            x.first = first
            total += sparse_chunk_gradient(
                plan, params, <const real *>weight, constants, &x,
                targets_from(given, first, plan.n_out, sizeof(real)), min(chunk, n - first),
                &loss, scale, grads, gradient, first > 0, <const int8_t *>NULL, activations,
                activations + chunk * sparse_width(plan), workspace.data, n_threads, no_batch())
            first += chunk
        transposed(<const real *>gradient, operation.n_in, operation.n_out, grads, n_threads)
    give_back(workspace)
    return scale * total
