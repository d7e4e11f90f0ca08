"""Dense matrix product, C = A B + start, for row-major C and any strides of A and B.

a) B is cut into panels as wide as the register tile. A panel whose rows lie near each other is
   read in place; a transposed, ragged or scattered one is first packed, with zeros to its right.
b) The sum over k is cut into blocks of K_BLOCK, so that a panel stays in L1 while every row of A
   passes over it. The cut does not depend on the other sizes: a row of the result has the same
   bits whatever rows are computed beside it.
c) Threads get whole panels, or rows where there are more of those. No sum is ever split among
   them, so the bits do not depend on their number; a product with few rows and columns and a long
   sum, such as the weight gradient of a narrow layer, gains nothing from threads. A thread must
   get THREAD_FLOPS to be worth waking, which costs some microseconds.
"""

from cython.parallel cimport prange
from libc.stddef cimport ptrdiff_t

from fastnn._core.kernels.dtypes cimport real


cdef extern from "tile.h" nogil:
    enum: VECTOR_BYTES
    enum: TILE_ROWS
    ctypedef void (*f32_tile)(ptrdiff_t, const float *, ptrdiff_t, ptrdiff_t,
                              const float *, ptrdiff_t, const float *, ptrdiff_t,
                              float *, ptrdiff_t) noexcept
    ctypedef void (*f64_tile)(ptrdiff_t, const double *, ptrdiff_t, ptrdiff_t,
                              const double *, ptrdiff_t, const double *, ptrdiff_t,
                              double *, ptrdiff_t) noexcept
    f32_tile f32_tiles[2][14]  # the header's table has TILE_ROWS entries a row
    f64_tile f64_tiles[2][14]
    void f32_transpose(const float *, ptrdiff_t, float *, ptrdiff_t) noexcept
    void f64_transpose(const double *, ptrdiff_t, double *, ptrdiff_t) noexcept


cdef enum:
    K_BLOCK = 256
    THREAD_FLOPS = 8_000_000
    # rows of B further apart than this sit in pages and cache sets that collide: copying them
    # together pays from the third block of rows that reads them
    NEAR_BYTES = 1536
    # room for one packed panel, and for one ragged tile beside it; the latter at most 16 rows
    # of two vectors of at most 64 bytes
    PANEL_BYTES = K_BLOCK * 2 * 64
    EDGE_BYTES = 16 * 2 * 64
    ZERO_BYTES = 2 * 64


cdef inline Py_ssize_t gemm_workspace(Py_ssize_t n_threads) noexcept nogil:
    """Bytes of scratch memory that `gemm` needs; the same for every shape."""
    return n_threads * (PANEL_BYTES + EDGE_BYTES + ZERO_BYTES)


cdef inline void gemm(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, Py_ssize_t b_col,
    const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row,
    char *scratch, int n_threads,
) noexcept nogil:
    """C[i, j] = start[i, j] + sum over p of A[i, p] B[p, j]; overwrites C. No size is zero.

    C is (m, n) with rows c_row apart; element (i, p) of A stands at i * a_row + p * a_col, that
    of B likewise. `start` is NULL for zero, a bias with start_row = 0, or C itself to accumulate.
    """
    cdef Py_ssize_t width = 2 * VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t panels = (n + width - 1) // width
    cdef Py_ssize_t blocks = (m + TILE_ROWS - 1) // TILE_ROWS
    cdef Py_ssize_t worth = <Py_ssize_t>(2.0 * m * n * k / THREAD_FLOPS)
    cdef Py_ssize_t parts = min(min(<Py_ssize_t>n_threads, max(panels, blocks)), worth)
    cdef Py_ssize_t share, first, part
    if parts <= 1:
        gemm_serial(m, n, k, a, a_row, a_col, b, b_row, b_col, start, start_row, c, c_row, scratch)
    elif panels >= blocks:
        share = (panels + parts - 1) // parts * width
        for part in prange(parts, num_threads=parts, schedule="static"):
            first = part * share
            if first < n:
                gemm_serial(
                    m, min(share, n - first), k, a, a_row, a_col, b + first * b_col, b_row, b_col,
                    start + first if start != NULL else start, start_row, c + first, c_row,
                    scratch + gemm_workspace(part))
    else:
        share = (m + parts - 1) // parts
        for part in prange(parts, num_threads=parts, schedule="static"):
            first = part * share
            if first < m:
                gemm_serial(
                    min(share, m - first), n, k, a + first * a_row, a_row, a_col, b, b_row, b_col,
                    start + first * start_row if start != NULL else start, start_row,
                    c + first * c_row, c_row, scratch + gemm_workspace(part))


cdef inline void gemm_serial(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, Py_ssize_t b_col,
    const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row,
    char *scratch,
) noexcept nogil:
    """`gemm` on one thread."""
    cdef Py_ssize_t lanes = VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef real *packed = <real *>scratch
    cdef real *edge = <real *>(scratch + PANEL_BYTES)
    cdef real *zeros = <real *>(scratch + PANEL_BYTES + EDGE_BYTES)
    cdef const real *panel
    cdef const real *tile_start
    cdef Py_ssize_t blocks = (m + TILE_ROWS - 1) // TILE_ROWS
    cdef bint near = b_row * <Py_ssize_t>sizeof(real) < NEAR_BYTES
    cdef Py_ssize_t k_block, k0, depth, column_block, j0, columns, vectors, panel_row
    cdef Py_ssize_t block, row, rows, i, j
    for j in range(2 * lanes):
        zeros[j] = 0
    for k_block in range((k + K_BLOCK - 1) // K_BLOCK):
        k0 = k_block * K_BLOCK
        depth = min(<Py_ssize_t>K_BLOCK, k - k0)
        if k0 > 0:
            start = c
            start_row = c_row
        for column_block in range((n + 2 * lanes - 1) // (2 * lanes)):
            j0 = column_block * 2 * lanes
            columns = min(2 * lanes, n - j0)
            vectors = 1 if columns <= lanes else 2
            if b_col == 1 and columns == vectors * lanes and (near or blocks <= 2):
                panel = b + k0 * b_row + j0
                panel_row = b_row
            else:
                panel = packed
                panel_row = vectors * lanes
                pack(depth, columns, panel_row, b + k0 * b_row + j0 * b_col, b_row, b_col, packed)
            row = 0
            for block in range(blocks):  # rows split evenly: 32 becomes 11 + 11 + 10
                rows = m // blocks + (block < m % blocks)
                tile_start = zeros
                if start != NULL:
                    tile_start = start + row * start_row + j0
                if columns == vectors * lanes:
                    tile(rows, vectors, depth, a + row * a_row + k0 * a_col, a_row, a_col,
                         panel, panel_row, tile_start, 0 if start == NULL else start_row,
                         c + row * c_row + j0, c_row)
                else:
                    tile(rows, vectors, depth, a + row * a_row + k0 * a_col, a_row, a_col,
                         panel, panel_row, zeros, 0, edge, panel_row)
                    for i in range(rows):
                        for j in range(columns):
                            c[(row + i) * c_row + j0 + j] = edge[i * panel_row + j] + (
                                0 if start == NULL else tile_start[i * start_row + j])
                row += rows


cdef inline void tile(
    Py_ssize_t rows, Py_ssize_t vectors, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col, const real *b, Py_ssize_t b_row,
    const real *start, Py_ssize_t start_row, real *c, Py_ssize_t c_row,
) noexcept nogil:
    if real is float:
        f32_tiles[vectors - 1][rows - 1](
            k, a, a_row, a_col, b, b_row, start, start_row, c, c_row)
    else:
        f64_tiles[vectors - 1][rows - 1](
            k, a, a_row, a_col, b, b_row, start, start_row, c, c_row)


cdef inline void pack(
    Py_ssize_t depth, Py_ssize_t columns, Py_ssize_t width,
    const real *b, Py_ssize_t b_row, Py_ssize_t b_col, real *panel,
) noexcept nogil:
    """Copy a (depth, columns) block of B into rows of `width`, zeros to the right."""
    cdef Py_ssize_t lanes = VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t p, j
    cdef Py_ssize_t square_rows = 0     # what whole squares of the transposed block cover
    cdef Py_ssize_t square_columns = 0
    if columns < width:
        for p in range(depth):
            for j in range(columns, width):
                panel[p * width + j] = 0
    if b_col == 1:
        for p in range(depth):
            for j in range(columns):
                panel[p * width + j] = b[p * b_row + j]
        return
    if b_row == 1:
        square_rows = depth // lanes * lanes
        square_columns = columns // lanes * lanes
    p = 0
    while p < square_rows:
        j = 0
        while j < square_columns:
            transpose(b + p + j * b_col, b_col, panel + p * width + j, width)
            j += lanes
        p += lanes
    for j in range(columns):
        for p in range(square_rows if j < square_columns else 0, depth):
            panel[p * width + j] = b[p * b_row + j * b_col]


cdef inline void transpose(
    const real *b, Py_ssize_t b_stride, real *c, Py_ssize_t c_stride,
) noexcept nogil:
    """A square block as wide as a vector: c[j, i] = b[i, j]."""
    if real is float:
        f32_transpose(b, b_stride, c, c_stride)
    else:
        f64_transpose(b, b_stride, c, c_stride)
