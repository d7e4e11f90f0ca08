"""Sums in double, of either dtype.

Sixteen partial sums run side by side: in a single sum each addition waits for the one before, which
takes far longer than reading the elements. The order depends on the number of elements alone.
"""

from fastnn._core.kernels.dtypes cimport real


cdef enum:
    SIDE_BY_SIDE = 16


cdef inline double sum_of(const real *x, Py_ssize_t n) noexcept nogil:
    """Σ x."""
    cdef double sums[SIDE_BY_SIDE]
    cdef double total = 0
    cdef Py_ssize_t i, j
    for j in range(SIDE_BY_SIDE):
        sums[j] = 0
    for i in range(n // SIDE_BY_SIDE):
        for j in range(SIDE_BY_SIDE):
            sums[j] += x[SIDE_BY_SIDE * i + j]
    for j in range(SIDE_BY_SIDE):
        total += sums[j]
    for i in range(n // SIDE_BY_SIDE * SIDE_BY_SIDE, n):
        total += x[i]
    return total


cdef inline double sum_of_squares(const real *x, Py_ssize_t n) noexcept nogil:
    """Σ x²."""
    cdef double sums[SIDE_BY_SIDE]
    cdef double total = 0
    cdef Py_ssize_t i, j
    for j in range(SIDE_BY_SIDE):
        sums[j] = 0
    for i in range(n // SIDE_BY_SIDE):
        for j in range(SIDE_BY_SIDE):
            sums[j] += <double>x[SIDE_BY_SIDE * i + j] * <double>x[SIDE_BY_SIDE * i + j]
    for j in range(SIDE_BY_SIDE):
        total += sums[j]
    for i in range(n // SIDE_BY_SIDE * SIDE_BY_SIDE, n):
        total += <double>x[i] * <double>x[i]
    return total


cdef inline double sum_of_squares_of_multiple(
    double factor, const real *x, Py_ssize_t n,
) noexcept nogil:
    """Σ (factor x)², for x whose squares would overflow."""
    cdef double scaled
    cdef double total = 0
    cdef Py_ssize_t i
    for i in range(n):
        scaled = factor * x[i]
        total += scaled * scaled
    return total
