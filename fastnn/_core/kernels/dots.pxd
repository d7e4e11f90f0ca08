"""The dense product by blocks of dot products, on one thread. See dot.h.

It is for few columns, or for a transposed B and few rows.
"""

from libc.stddef cimport ptrdiff_t

from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.tiles cimport WIDE_TILE_ROWS, first


cdef extern from "kernels.h" nogil:
    ctypedef void (*f32_dot)(
        ptrdiff_t, const float *, ptrdiff_t, const float *, ptrdiff_t, ptrdiff_t,
        const float *, ptrdiff_t, float *, ptrdiff_t, int, const float *) noexcept
    ctypedef void (*f64_dot)(
        ptrdiff_t, const double *, ptrdiff_t, const double *, ptrdiff_t, ptrdiff_t,
        const double *, ptrdiff_t, double *, ptrdiff_t, int, const double *) noexcept
    f32_dot f32_dots[5][6]  # the header's table has WIDE_TILE_ROWS entries a row
    f64_dot f64_dots[5][6]


cdef inline void product_by_dots(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, const real *b, Py_ssize_t b_col,
    const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row, bint relu, const real *gate,
) noexcept nogil:
    """Rows of A and columns of B lie in memory without gaps.

    Either a few columns of B stay in a cache while all rows of A are read, or all columns stay
    while a few rows are read.
    """
    cdef Py_ssize_t row, rows
    if n <= 4 or m <= n:
        dots_of_rows(m, n, k, a, a_row, b, b_col, start, start_row, c, c_row, relu, gate)
        return
    row = 0
    while row < m:
        rows = min(<Py_ssize_t>WIDE_TILE_ROWS, m - row)
        dots_of_rows(rows, n, k, a + row * a_row, a_row, b, b_col,
                     start + row * start_row if start != NULL else start, start_row,
                     c + row * c_row, c_row, relu, gate + row * c_row if gate != NULL else gate)
        row += rows


cdef inline void dots_of_rows(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, const real *b, Py_ssize_t b_col,
    const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row, bint relu, const real *gate,
) noexcept nogil:
    cdef Py_ssize_t blocks = (m + WIDE_TILE_ROWS - 1) // WIDE_TILE_ROWS
    cdef Py_ssize_t j0 = 0
    cdef Py_ssize_t block, row, rows, columns, ahead
    while j0 < n:
        columns = 8 if m == 1 and n - j0 >= 8 else min(<Py_ssize_t>4, n - j0)
        ahead = columns * b_col if j0 + columns < n else 0
        row = 0
        for block in range(blocks):
            rows = m // blocks + (block < m % blocks)
            dot(rows, columns, k, a + row * a_row, a_row, b + j0 * b_col, b_col, ahead,
                first(start, row * start_row + j0), start_row, c + row * c_row + j0, c_row, relu,
                gate + row * c_row + j0 if gate != NULL else NULL)
            row += rows
        j0 += columns


cdef inline void dot(
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, const real *b, Py_ssize_t b_col, Py_ssize_t ahead,
    const real *start, Py_ssize_t start_row, real *c, Py_ssize_t c_row,
    bint relu, const real *gate,
) noexcept nogil:
    """One block of one to four columns, or of eight columns if it has one row.

    The elements of B that are `ahead` elements after the block are prefetched for the next block.
    """
    cdef Py_ssize_t kind = min(columns, <Py_ssize_t>5) - 1
    if real is float:
        f32_dots[kind][rows - 1](
            k, a, a_row, b, b_col, ahead, start, start_row, c, c_row, relu, gate)
    else:
        f64_dots[kind][rows - 1](
            k, a, a_row, b, b_col, ahead, start, start_row, c, c_row, relu, gate)
