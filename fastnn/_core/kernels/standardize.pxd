"""Column-wise standardisation with fixed constants: y = (x - mean) / scale, dx = dy / scale."""

from fastnn._core.kernels.dtypes cimport real


cdef inline void standardize_forward(
    const real *x, const real *mean, const real *scale, real *y, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """Overwrites y."""
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(n):
            y[i * n + j] = (x[i * n + j] - mean[j]) / scale[j]


cdef inline void standardize_backward(
    const real *scale, const real *dy, real *dx, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """Overwrites dx, which may be dy."""
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(n):
            dx[i * n + j] = dy[i * n + j] / scale[j]
