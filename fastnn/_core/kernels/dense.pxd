"""The linear layer, z = a Wᵀ + b: each pass is one matrix product.

Rows are samples: x is (rows, n_in), W is (n_out, n_in), z is (rows, n_out). With the cotangent dz
of z, the chain rule gives dx = dz W, dW = Σ over samples of dz ⊗ x = dzᵀ x, and db = Σ dz, which is
dzᵀ times a column of ones. A ReLU before or after the layer needs no pass of its own: the product
applies the ReLU, or its derivative, to each tile before it stores the tile.
"""

from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.gemm cimport gemm
from fastnn._core.kernels.rows cimport product_of_row


cdef enum:
    NARROW = 64   # outputs of a narrow layer, at most


cdef inline void dense_forward(
    const real *x, const real *weight, const real *bias, bint relu, real *z,
    Py_ssize_t rows, Py_ssize_t n_in, Py_ssize_t n_out, char *scratch, int n_threads,
) noexcept nogil:
    """z = x Wᵀ + b, or max(z, 0) with `relu`; overwrites z. bias may be NULL."""
    gemm(rows, n_out, n_in, x, n_in, 1, weight, 1, n_in, bias, 0, z, n_out,
         relu, <const real *>NULL, scratch, n_threads)


cdef inline void dense_backward_input(
    const real *dz, const real *weight, const real *relu_output, real *dx,
    Py_ssize_t rows, Py_ssize_t n_in, Py_ssize_t n_out, char *scratch, int n_threads,
) noexcept nogil:
    """dx = dz W; overwrites dx, which must not overlap dz.

    Where x is the output of a ReLU, `relu_output` is x, and dx the cotangent of the ReLU's input;
    otherwise it is NULL.
    """
    gemm(rows, n_in, n_out, dz, n_out, 1, weight, n_in, 1, <const real *>NULL, 0, dx, n_in,
         False, relu_output, scratch, n_threads)


cdef inline void dense_backward_params(
    const real *x, const real *dz, real *dweight, real *dbias, bint accumulate,
    Py_ssize_t rows, Py_ssize_t n_in, Py_ssize_t n_out, char *scratch, int n_threads,
) noexcept nogil:
    """dW = dzᵀ x and db = Σ dz, overwritten or with `accumulate` added; dbias may be NULL."""
    gemm(n_out, n_in, rows, dz, 1, n_out, x, n_in, 1, dweight if accumulate else NULL, n_in,
         dweight, n_in, False, <const real *>NULL, scratch, n_threads)
    if dbias != NULL:
        column_sums(dz, dbias, accumulate, rows, n_out)


cdef inline void column_sums(
    const real *dz, real *dbias, bint accumulate, Py_ssize_t rows, Py_ssize_t n_out,
) noexcept nogil:
    """db = Σ dz, overwritten or with `accumulate` added.

    A row of a narrow layer is one or two vectors. In their sum each addition waits for the one
    before; four rows are then read as one, which gives four independent sums.
    """
    cdef real one = 1
    cdef real[4 * NARROW] sums
    cdef Py_ssize_t quarters = rows // 4
    cdef Py_ssize_t i, j
    if n_out > NARROW or quarters < 8:
        product_of_row(n_out, rows, &one, <Py_ssize_t>0, dz, n_out, dbias if accumulate else NULL,
                       dbias, False, <const real *>NULL)
        return
    product_of_row(4 * n_out, quarters, &one, <Py_ssize_t>0, dz, 4 * n_out, <const real *>NULL,
                   sums, False, <const real *>NULL)
    for i in range(4 * quarters, rows):
        for j in range(n_out):
            sums[j] += dz[i * n_out + j]
    for j in range(n_out):
        dbias[j] = (dbias[j] if accumulate else 0) + (
            (sums[j] + sums[n_out + j]) + (sums[2 * n_out + j] + sums[3 * n_out + j]))
