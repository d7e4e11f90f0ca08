"""The linear layer, z = a Wᵀ + b: each pass is one matrix product.

Rows are samples: x is (rows, n_in), W is (n_out, n_in), z is (rows, n_out). With the cotangent dz
of z, the chain rule gives dx = dz W, dW = Σ over samples of dz ⊗ x = dzᵀ x, and db = Σ dz.
"""

from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.gemm cimport gemm
from fastnn._core.kernels.packing cimport pack


cdef enum:
    PAGE_BYTES = 4096


cdef inline void dense_forward(
    const real *x, const real *weight, const real *bias, real *z,
    Py_ssize_t rows, Py_ssize_t n_in, Py_ssize_t n_out, char *scratch, int n_threads,
) noexcept nogil:
    """z = x Wᵀ + b; overwrites z. bias may be NULL."""
    gemm(rows, n_out, n_in, x, n_in, 1, weight, 1, n_in, bias, 0, z, n_out,
         False, <const real *>NULL, scratch, n_threads)


cdef inline void dense_backward_input(
    const real *dz, const real *weight, real *dx,
    Py_ssize_t rows, Py_ssize_t n_in, Py_ssize_t n_out, char *scratch, int n_threads,
) noexcept nogil:
    """dx = dz W; overwrites dx, which must not overlap dz."""
    gemm(rows, n_in, n_out, dz, n_out, 1, weight, n_in, 1, <const real *>NULL, 0, dx, n_in,
         False, <const real *>NULL, scratch, n_threads)


cdef inline void dense_backward_params(
    const real *x, const real *dz, real *dweight, real *dbias, bint accumulate,
    Py_ssize_t rows, Py_ssize_t n_in, Py_ssize_t n_out, real *spare, char *scratch, int n_threads,
) noexcept nogil:
    """dW = dzᵀ x and db = Σ dz, or added to what stands there; dbias may be NULL.

    `spare` (rows * n_out) may be overwritten: every panel of x reads all of dz down its columns,
    and where each row of it begins a new page of memory it pays to transpose it first.
    """
    cdef const real *start = NULL
    cdef Py_ssize_t i, j
    if accumulate:
        start = dweight
    if n_out * <Py_ssize_t>sizeof(real) >= PAGE_BYTES:
        pack(n_out, rows, rows, dz, 1, n_out, spare)
        gemm(n_out, n_in, rows, spare, rows, 1, x, n_in, 1, start, n_in, dweight, n_in,
             False, <const real *>NULL, scratch, n_threads)
    else:
        gemm(n_out, n_in, rows, dz, 1, n_out, x, n_in, 1, start, n_in, dweight, n_in,
             False, <const real *>NULL, scratch, n_threads)
    if dbias == NULL:
        return
    if not accumulate:
        for j in range(n_out):
            dbias[j] = 0
    for i in range(rows):
        for j in range(n_out):
            dbias[j] += dz[i * n_out + j]
