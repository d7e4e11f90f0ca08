"""The dense product of one row, on one thread. See row.h."""

from libc.stddef cimport ptrdiff_t

from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.tiles cimport first


cdef extern from "kernels.h" nogil:
    ctypedef void (*f32_add_rows)(
        ptrdiff_t, const float *, ptrdiff_t, const float *, ptrdiff_t, const float *,
        float *) noexcept
    ctypedef void (*f64_add_rows)(
        ptrdiff_t, const double *, ptrdiff_t, const double *, ptrdiff_t, const double *,
        double *) noexcept
    const f32_add_rows f32_add_8_rows
    const f32_add_rows f32_add_2_rows
    const f32_add_rows f32_add_1_rows
    const f64_add_rows f64_add_8_rows
    const f64_add_rows f64_add_2_rows
    const f64_add_rows f64_add_1_rows
    void f32_narrow_row(
        ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, const float *, ptrdiff_t, const float *,
        float *, int, const float *) noexcept
    void f64_narrow_row(
        ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t, const double *, ptrdiff_t, const double *,
        double *, int, const double *) noexcept


cdef inline void product_of_row(
    Py_ssize_t n, Py_ssize_t k, const real *a, Py_ssize_t a_col, const real *b, Py_ssize_t b_row,
    const real *start, real *c, bint relu, const real *gate,
) noexcept nogil:
    """Rows of B lie in memory without gaps."""
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t taken, j
    if start == NULL:
        for j in range(n):
            c[j] = 0
        start = c
    while p < k:
        taken = 8 if k - p >= 8 else 2 if k - p >= 2 else 1
        add_rows(taken, n, a + p * a_col, a_col, b + p * b_row, b_row, start, c)
        start = c
        p += taken
    if relu:
        for j in range(n):
            c[j] = 0 if c[j] <= 0 else c[j]
    if gate != NULL:
        for j in range(n):
            c[j] = 0 if gate[j] <= 0 else c[j]


cdef inline void product_of_narrow_row(
    Py_ssize_t n, Py_ssize_t k, const real *a, Py_ssize_t a_col, const real *b, Py_ssize_t b_row,
    const real *start, real *c, bint relu, const real *gate,
) noexcept nogil:
    """For a row of at most a vector; rows of B lie in memory without gaps."""
    if real is float:
        f32_narrow_row(n, k, a, a_col, b, b_row, start, c, relu, gate)
    else:
        f64_narrow_row(n, k, a, a_col, b, b_row, start, c, relu, gate)


cdef inline void add_rows(
    Py_ssize_t taken, Py_ssize_t n, const real *a, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, const real *start, real *c,
) noexcept nogil:
    """c = start + the first 8, 2 or 1 rows of B, times the factors in `a`."""
    if real is float:
        (f32_add_8_rows if taken == 8 else f32_add_2_rows if taken == 2 else f32_add_1_rows)(
            n, a, a_col, b, b_row, start, c)
    else:
        (f64_add_8_rows if taken == 8 else f64_add_2_rows if taken == 2 else f64_add_1_rows)(
            n, a, a_col, b, b_row, start, c)
