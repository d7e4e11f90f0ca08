"""Products over the active units of each sample, behind a ReLU. See active.h."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.packing cimport HAVE_MASKS, VECTOR_BYTES
from fastnn._core.kernels.tiles cimport TILE_ROWS, WIDE_TILE_ROWS, first, height_of_block


cdef extern from "kernels.h" nogil:
    ctypedef void (*f32_active)(
        ptrdiff_t, const int32_t *, const float *, ptrdiff_t, ptrdiff_t,
        const float *, ptrdiff_t, ptrdiff_t,
        const float *, ptrdiff_t, float *, ptrdiff_t) noexcept
    ctypedef void (*f64_active)(
        ptrdiff_t, const int32_t *, const double *, ptrdiff_t, ptrdiff_t,
        const double *, ptrdiff_t, ptrdiff_t,
        const double *, ptrdiff_t, double *, ptrdiff_t) noexcept
    f32_active f32_actives[3][14]  # the header's table has TILE_ROWS entries a row
    f64_active f64_actives[3][14]
    ptrdiff_t f32_positive(ptrdiff_t, const float *, int32_t *) noexcept
    ptrdiff_t f64_positive(ptrdiff_t, const double *, int32_t *) noexcept


cdef enum:
    ACTIVE_BYTES = 256 * 1024  # the largest B that is read in place for each sample


cdef inline bint active_pays(Py_ssize_t k, Py_ssize_t n, Py_ssize_t itemsize) noexcept nogil:
    """Whether a product over active units for each sample is faster than a dense product."""
    return HAVE_MASKS and k * n * itemsize <= ACTIVE_BYTES


cdef inline void times_active(
    const real *block, Py_ssize_t stride, const real *relu_output, const real *weight, real *out,
    Py_ssize_t samples, Py_ssize_t r, Py_ssize_t k, Py_ssize_t n, int32_t *index,
) noexcept nogil:
    """block diag(1[y > 0]) W for each sample's block (r, k) and ReLU's output y (k,).

    W is (k, n); overwrites `out` (samples, r, n). `index` is room for k numbers.
    """
    cdef Py_ssize_t s, count
    for s in range(samples):
        count = positive(k, relu_output + s * k, index)
        product_of_active(r, n, count, index, block + s * stride, k, <Py_ssize_t>1, weight, n,
                          out + s * r * n, n, False)


cdef inline void product_of_active(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t count, const int32_t *index,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col, const real *b, Py_ssize_t b_row,
    real *c, Py_ssize_t c_row, bint accumulate,
) noexcept nogil:
    """C (m, n) (+)= Σ over p in `index` of A[:, p] B[p, :], where rows of B have no gaps."""
    cdef Py_ssize_t lanes = VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t j = 0
    cdef Py_ssize_t row, rows, block, blocks, vectors, columns, last
    cdef const real *start = c if accumulate else NULL
    cdef Py_ssize_t start_row = c_row if accumulate else 0
    while j < n:
        vectors = 4 if n - j > 3 * lanes and m <= WIDE_TILE_ROWS else 2 if n - j > lanes else 1
        columns = min(n - j, vectors * lanes)
        last = columns - (vectors - 1) * lanes
        blocks = WIDE_TILE_ROWS if vectors == 4 else TILE_ROWS
        blocks = (m + blocks - 1) // blocks
        row = 0
        for block in range(blocks):
            rows = height_of_block(block, m, blocks)
            if real is float:
                f32_actives[vectors >> 1][rows - 1](
                    count, index, a + row * a_row, a_row, a_col, b + j, b_row, last,
                    first(start, row * start_row + j), start_row, c + row * c_row + j, c_row)
            else:
                f64_actives[vectors >> 1][rows - 1](
                    count, index, a + row * a_row, a_row, a_col, b + j, b_row, last,
                    first(start, row * start_row + j), start_row, c + row * c_row + j, c_row)
            row += rows
        j += columns


cdef inline Py_ssize_t positive(Py_ssize_t n, const real *y, int32_t *index) noexcept nogil:
    """Write the indices of the elements that are not ≤ 0; return their number."""
    if real is float:
        return f32_positive(n, y, index)
    else:
        return f64_positive(n, y, index)
