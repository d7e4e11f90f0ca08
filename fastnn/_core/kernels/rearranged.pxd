"""Products that are computed as another product, on one thread.

C is transposed. The result is in scratch memory until it is copied to its destination.
"""

from fastnn._core.kernels.apart cimport call_apart
from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.packing cimport VECTOR_BYTES, pack, transpose
from fastnn._core.kernels.tiles cimport (
    TILES_SCRATCH_BYTES, product_by_panels, product_by_sweeps)


cdef enum:
    TRANSPOSED_ROWS = 128
    STRIP_COLUMNS = 1024
    REARRANGED_BYTES = STRIP_COLUMNS * 2 * VECTOR_BYTES   # a strip, which is the largest result


cdef inline void product_transposed(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_col, const real *b, Py_ssize_t b_row, Py_ssize_t b_col,
    const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row, char *scratch,
) noexcept nogil:
    """C^T = B^T A^T for few columns: the vectors then run along the many rows."""
    cdef real *result = <real *>(scratch + TILES_SCRATCH_BYTES)
    cdef Py_ssize_t row, rows, i, j
    row = 0
    while row < m:
        rows = min(<Py_ssize_t>TRANSPOSED_ROWS, m - row)
        product_by_sweeps(n, rows, k, b, b_col, b_row, a + row, a_col, 1, <const real *>NULL, 0,
                          result, TRANSPOSED_ROWS, False, <const real *>NULL, scratch)
        if start == NULL and c_row == n:
            call_apart(pack[real], rows, n, n, result, 1, TRANSPOSED_ROWS, c + row * n)
        else:
            for i in range(rows):
                for j in range(n):
                    c[(row + i) * c_row + j] = result[j * TRANSPOSED_ROWS + i] + (
                        0 if start == NULL else start[(row + i) * start_row + j])
        row += rows


cdef inline void product_by_strips(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, const real *b, Py_ssize_t b_col, const real *start,
    real *c, Py_ssize_t c_row, bint relu, char *scratch,
) noexcept nogil:
    """C^T = B^T A^T for a transposed B that is larger than A and C: A and C are transposed, not B.

    `start` is one row, or NULL.
    """
    cdef real *result = <real *>(scratch + TILES_SCRATCH_BYTES)
    cdef Py_ssize_t lanes = VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t row = 0
    cdef Py_ssize_t rows, columns, column, i, j
    cdef real *c_strip
    while row < m:
        rows = min(2 * lanes, m - row)
        column = 0
        while column < n:
            columns = min(<Py_ssize_t>STRIP_COLUMNS, n - column)
            product_by_panels(
                columns, rows, k, b + column * b_col, b_col, 1, a + row * a_row, 1, a_row,
                <const real *>NULL, 0, result, 2 * lanes, False, <const real *>NULL, scratch)
            i = 0
            while i < rows:
                j = 0
                while j < columns:
                    transpose(min(lanes, columns - j), min(lanes, rows - i), columns - j,
                              result + j * 2 * lanes + i, 2 * lanes,
                              c + (row + i) * c_row + column + j, c_row)
                    j += lanes
                i += lanes
            for i in range(rows):
                c_strip = c + (row + i) * c_row + column
                if start != NULL:
                    for j in range(columns):
                        c_strip[j] += start[column + j]
                if relu:
                    for j in range(columns):
                        c_strip[j] = 0 if c_strip[j] <= 0 else c_strip[j]
            column += columns
        row += rows
