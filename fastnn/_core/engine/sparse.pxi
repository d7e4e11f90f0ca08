# Sparse rows: the products with their stored elements, or dense rows, and a minibatch's gradient.

cdef enum:
    DENSE_FROM = 5   # if 1 / DENSE_FROM of a matrix is stored, the dense products are as fast


# Kernels are inlined in these three functions only, so that their code exists once for each dtype.

cdef void transposed(
    const real *a, Py_ssize_t rows, Py_ssize_t columns, real *out, int n_threads,
) noexcept nogil:
    """out (columns, rows) = aᵀ for a (rows, columns)."""
    transpose_matrix(a, rows, columns, out, n_threads)


cdef void write_dense(
    const SparseRows *x, real *out, Py_ssize_t rows, Py_ssize_t n_in, int n_threads,
) noexcept nogil:
    """Overwrite `out` (rows, n_in) with the rows, zeros included."""
    dense_rows(x, out, rows, n_in, n_threads)


cdef void first_forward(
    const SparseRows *x, const real *weight, const real *bias, bint relu, real *z,
    Py_ssize_t rows, Py_ssize_t n_out, int n_threads,
) noexcept nogil:
    """The output of the first layer, for its weight (n_in, n_out)."""
    sparse_forward(x, weight, bias, relu, z, rows, n_out, n_threads)


cdef SparseRows csr_rows(x):
    """Return the C form of the rows of a CSR matrix, which must outlive it.

    `x` has the arrays `data` of the network's dtype, `indices` of int32 and `indptr` (n + 1,) of
    int64. The indices in each row ascend.
    """
    cdef SparseRows rows
    rows.data = address(x.data)
    rows.indices = <const int32_t *>address(x.indices)
    rows.indptr = <const int64_t *>address(x.indptr)
    rows.order = NULL
    rows.first = 0
    return rows


def takes_elements(Plan plan, Py_ssize_t n_elements, Py_ssize_t n_samples, /):
    """Return whether the products go through the stored elements instead of dense rows.

    This needs a linear layer as the first operation, and few stored elements.
    """
    return (plan.operations[0].kind == DENSE
            and <double>DENSE_FROM * n_elements < <double>n_samples * plan.n_in)


cdef Py_ssize_t sparse_width(Plan plan) noexcept nogil:
    """Return the elements per row in the workspace of `sparse_chunk_gradient`."""
    return plan.row_width + 2 * plan.widest_output + plan.slots_width


cdef Py_ssize_t sparse_chunk_rows(Plan plan, Py_ssize_t itemsize) noexcept nogil:
    """Return how many sparse rows of a batch go through the network at a time.

    As in `Plan.chunk_rows`; the work in the first layer is at most that of the stored elements.
    """
    cdef Operation *first = &plan.operations[0]
    cdef Py_ssize_t row_bytes = itemsize * (sparse_width(plan) + first.n_out)
    cdef Py_ssize_t cached = min(max(1_000_000 // row_bytes, 512), 4096)
    cdef double work = 6.0 * (
        plan.n_params - (1 - 1.0 / DENSE_FROM) * first.n_in * first.n_out) + 1
    return max(min(cached, <Py_ssize_t>(2e10 / work)), 16)


cdef double sparse_chunk_gradient(
    Plan plan, const real *params, const real *weight, const real *constants,
    const SparseRows *x, Targets targets, Py_ssize_t rows, const Loss *loss, double scale,
    real *grads, real *transposed_grads, bint accumulate, const int8_t *frozen, real *workspace,
    real *dz, char *scratch, int n_threads, const Batch *batch,
) noexcept nogil:
    """As `chunk_gradient`, for sparse rows and a first operation that is a linear layer.

    `weight` (n_in, n_out) has the first weight, and its gradient is added to
    `transposed_grads`; `params` and `grads` have all others. `workspace` has
    rows * sparse_width(plan) elements, and `dz` rows times the outputs of the first operation.
    """
    cdef Operation *first = &plan.operations[0]
    cdef const real *bias = params + first.bias if first.bias >= 0 else <const real *>NULL
    cdef bint learns = not (frozen != NULL and frozen[0])
    cdef real *cotangent = workspace + plan.row_width * rows
    cdef real *y_pred = cotangent - plan.n_out * rows  # the last of the activations
    cdef double total
    first_forward(x, weight, bias, first.relu, workspace, rows, first.n_out, n_threads)
    forward_from(plan, 1, params, constants, workspace, workspace, y_pred, rows, scratch,
                 n_threads, batch, True)
    total = loss_of_outputs(loss, y_pred, targets, rows, plan.n_out, scale, cotangent)
    if plan.n_operations == 1:
        dz = cotangent
    else:
        backward_to(plan, 1, params, constants, <const real *>NULL, workspace, rows, cotangent,
                    cotangent + plan.widest_output * rows,
                    cotangent + 2 * plan.widest_output * rows, grads, accumulate,
                    dz if learns else <real *>NULL, frozen, scratch, n_threads, batch)
    if learns:
        if first.relu:
            activation_backward(RELU, 0, workspace, workspace, dz, dz, rows * first.n_out)
        sparse_backward_params(x, dz, transposed_grads, rows, first.n_out, n_threads)
        if first.bias >= 0:
            column_sums(dz, grads + first.bias, accumulate, rows, first.n_out)
    return total
