"""The dense product by register tiles, on one thread, in two orders of the tiles.

a) By panels: B is divided into panels as wide as the tile, and each panel is multiplied by all rows
   of a block of A. A panel whose rows are near each other is read in place; a transposed or
   scattered panel is packed first. A block of A of up to a_block_bytes stays in the second-level
   cache for all panels. If its elements are far apart, it is packed, so that a tile reads one
   stream. If A has several blocks, the packed panels are kept for the next block.
b) By sweeps: with few steps of k, or few rows, reading and writing C or reading B takes most of the
   time. A sweep along the rows does this in long runs.
c) The sum over k is divided into blocks, so that data that is read again stays in a cache. A tile
   begins with the value of C, so the division changes no bit.
"""

from libc.stddef cimport ptrdiff_t

from fastnn._core.kernels.apart cimport call_apart
from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.packing cimport HAVE_MASKS, VECTOR_BYTES, pack, prefetch


cdef extern from "kernels.h" nogil:
    enum: TILE_ROWS
    enum: WIDE_TILE_ROWS
    enum: PANEL_VECTORS
    ctypedef void (*f32_tile)(
        ptrdiff_t, const float *, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, ptrdiff_t,
        const float *, ptrdiff_t, float *, ptrdiff_t, int, const float *) noexcept
    ctypedef void (*f64_tile)(
        ptrdiff_t, const double *, ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t, ptrdiff_t,
        const double *, ptrdiff_t, double *, ptrdiff_t, int, const double *) noexcept
    const double *zeros
    Py_ssize_t k_block, a_block_bytes
    f32_tile f32_tiles[3][14]  # the header's table has TILE_ROWS entries a row
    f64_tile f64_tiles[3][14]


cdef enum:
    SWEEP_DEPTH = 16
    SWEEP_BYTES = 24 * 1024          # a block of B that stays in L1 beside a few rows of C
    # Rows of B up to NEAR_BYTES apart are read in place. Further apart they are in many pages, and
    # a copy pays if at least seven blocks of rows read them; from PAGE_BYTES on they share a cache
    # set, and a copy pays from three blocks on.
    NEAR_BYTES = 1536
    PAGE_BYTES = 4096
    FAR_BYTES = 2048                 # rows of A that are so far apart are copied together
    MOST_A_BLOCK_BYTES = 1024 * 1024
    B_BLOCK_BYTES = 2 * 1024 * 1024  # packed panels that are kept for further blocks of A
    TILES_SCRATCH_BYTES = MOST_A_BLOCK_BYTES + B_BLOCK_BYTES + 64


cdef inline void product_by_panels(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, Py_ssize_t b_col,
    const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row, bint relu, const real *gate,
    char *scratch,
) noexcept nogil:
    """Call `by_panels`, whose code exists once: inlined it would be most of the wheel."""
    call_apart(by_panels[real], m, n, k, a, a_row, a_col, b, b_row, b_col, start, start_row,
               c, c_row, relu, gate, scratch)


cdef inline void by_panels(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, Py_ssize_t b_col,
    const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row, bint relu, const real *gate,
    char *scratch,
) noexcept nogil:
    """Multiply each panel of B, which stays in L1, by all rows of a block of A."""
    cdef Py_ssize_t lanes = VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef real *packed = <real *>scratch
    cdef real *a_packed = <real *>(scratch + B_BLOCK_BYTES)
    cdef bint wide = PANEL_VECTORS == 4 and n > 3 * lanes
    cdef Py_ssize_t height = WIDE_TILE_ROWS if wide else TILE_ROWS
    cdef Py_ssize_t most_vectors = 4 if wide else 2
    cdef Py_ssize_t blocks = (m + height - 1) // height
    # a pass packs as many row blocks as fit; the passes are as few as possible, and of even size
    cdef Py_ssize_t most = max(
        1, a_block_bytes // (height * min(k, k_block) * <Py_ssize_t>sizeof(real)))
    cdef Py_ssize_t passes = (blocks + most - 1) // most
    cdef Py_ssize_t b_bytes = b_row * <Py_ssize_t>sizeof(real)
    cdef bint in_place = b_col == 1 and (
        blocks <= 2 or b_bytes < NEAR_BYTES or (blocks <= 6 and b_bytes < PAGE_BYTES))
    cdef bint far = blocks >= 4 and n >= 8 * lanes and (
        a_col * <Py_ssize_t>sizeof(real) >= 1024
        or a_row * <Py_ssize_t>sizeof(real) >= FAR_BYTES)
    cdef bint done
    cdef const real *panel
    cdef const real *a_tile
    cdef Py_ssize_t k0, depth, n0, end, j0, columns, vectors, last, panel_row
    cdef Py_ssize_t first_block, end_block, number, block, pass_row, rows, i
    cdef Py_ssize_t row = 0
    k0 = 0
    while k0 < k:
        depth = min(k_block, k - k0)
        done = k0 + depth == k
        if k0 > 0:
            start = c
            start_row = c_row
        n0 = 0
        while n0 < n:
            end = n
            if passes > 1:  # all of them need the packed panels, which have to be kept
                end = min(n, n0 + B_BLOCK_BYTES // (depth * <Py_ssize_t>sizeof(real))
                          // (most_vectors * lanes) * (most_vectors * lanes))
            pass_row = 0
            first_block = 0
            for number in range(passes):
                end_block = blocks * (number + 1) // passes
                if far:
                    pack_rows(first_block, end_block, m, blocks, depth,
                              a + pass_row * a_row + k0 * a_col, a_row, a_col, a_packed)
                j0 = n0
                while j0 < end:
                    vectors = vectors_of_panel(end - j0, lanes, most_vectors)
                    columns = min(end - j0, vectors * lanes)
                    last = columns - (vectors - 1) * lanes
                    panel = b + k0 * b_row + j0
                    panel_row = b_row
                    if not in_place or (last < lanes and not HAVE_MASKS):
                        panel = packed + ((j0 - n0) * depth if passes > 1 else 0)
                        panel_row = vectors * lanes
                        if number == 0:
                            call_apart(pack[real], depth, columns, panel_row,
                                       b + k0 * b_row + j0 * b_col, b_row, b_col, <real *>panel)
                    row = pass_row
                    a_tile = a_packed
                    for block in range(first_block, end_block):
                        rows = height_of_block(block, m, blocks)
                        if not far:
                            a_tile = a + row * a_row + k0 * a_col
                        if depth >= 128:  # long enough to prefetch C for the next tile
                            for i in range(rows):
                                prefetch(c + (row + rows + i) * c_row + j0)
                                prefetch(c + (row + rows + i) * c_row + j0
                                         + (most_vectors - 1) * lanes)
                        tile(rows, vectors, depth,
                             a_tile, 1 if far else a_row, rows if far else a_col,
                             panel, panel_row, last,
                             first(start, row * start_row + j0), start_row,
                             c + row * c_row + j0, c_row, relu and done,
                             gate + row * c_row + j0 if gate != NULL and done else NULL)
                        a_tile += rows * depth
                        row += rows
                    j0 += columns
                first_block = end_block
                pass_row = row
            n0 = end
        k0 += depth


cdef inline void product_by_sweeps(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, Py_ssize_t b_col,
    const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row, bint relu, const real *gate,
    char *scratch,
) noexcept nogil:
    """Read and write a few rows of C at a time, from left to right, for a few steps of k."""
    cdef Py_ssize_t lanes = VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef real *packed = <real *>(scratch + B_BLOCK_BYTES)
    # wider tiles have fewer rows; they are faster for these shapes
    cdef bint wide = n > 3 * lanes and (
        m <= WIDE_TILE_ROWS or m > TILE_ROWS or k <= 4
        or (m <= 2 * WIDE_TILE_ROWS and k <= SWEEP_DEPTH
            and n * <Py_ssize_t>sizeof(real) <= PAGE_BYTES))
    cdef Py_ssize_t height = WIDE_TILE_ROWS if wide else TILE_ROWS
    cdef Py_ssize_t most_vectors = 4 if wide else 2
    cdef Py_ssize_t blocks = (m + height - 1) // height
    cdef Py_ssize_t most_depth = min(256, max(
        <Py_ssize_t>(SWEEP_DEPTH if blocks > 1 else 4 * SWEEP_DEPTH),
        SWEEP_BYTES // (n * <Py_ssize_t>sizeof(real))))
    cdef bint in_place = b_col == 1 and (HAVE_MASKS or n % lanes == 0)
    cdef bint done
    cdef const real *panel
    cdef Py_ssize_t k0, depth, chunk, j0, end, j, columns, vectors, panel_row
    cdef Py_ssize_t block, row, rows
    k0 = 0
    while k0 < k:
        depth = min(most_depth, k - k0)
        done = k0 + depth == k
        if k0 > 0:
            start = c
            start_row = c_row
        chunk = 4 * lanes * max(
            1, SWEEP_BYTES // (depth * 4 * lanes * <Py_ssize_t>sizeof(real)))
        j0 = 0
        while j0 < n:
            end = min(n, j0 + chunk)
            if not in_place:
                panel = packed
                j = j0
                while j < end:
                    vectors = vectors_of_panel(end - j, lanes, most_vectors)
                    columns = min(end - j, vectors * lanes)
                    call_apart(pack[real], depth, columns, vectors * lanes,
                               b + k0 * b_row + j * b_col, b_row, b_col, <real *>panel)
                    panel += depth * vectors * lanes
                    j += columns
            row = 0
            for block in range(blocks):
                rows = height_of_block(block, m, blocks)
                panel = packed
                j = j0
                while j < end:
                    vectors = vectors_of_panel(end - j, lanes, most_vectors)
                    columns = min(end - j, vectors * lanes)
                    panel_row = vectors * lanes
                    if in_place:
                        panel = b + k0 * b_row + j
                        panel_row = b_row
                    tile(rows, vectors, depth, a + row * a_row + k0 * a_col, a_row, a_col,
                         panel, panel_row, columns - (vectors - 1) * lanes,
                         first(start, row * start_row + j), start_row, c + row * c_row + j, c_row,
                         relu and done,
                         gate + row * c_row + j if gate != NULL and done else NULL)
                    panel += depth * panel_row
                    j += columns
                row += rows
            j0 = end
        k0 += depth


cdef inline const real *first(const real *start, Py_ssize_t offset) noexcept nogil:
    """The `start` of a tile; one row of zeros, for all rows, if `start` is NULL."""
    return <const real *>zeros if start == NULL else start + offset


cdef inline Py_ssize_t vectors_of_panel(
    Py_ssize_t columns, Py_ssize_t lanes, Py_ssize_t most,
) noexcept nogil:
    """The number of vectors in the next panel, 1, 2 or 4, if `columns` columns are left."""
    if columns > 3 * lanes and most == 4:
        return 4
    return 2 if columns > lanes else 1


cdef inline Py_ssize_t height_of_block(
    Py_ssize_t block, Py_ssize_t m, Py_ssize_t blocks,
) noexcept nogil:
    """The number of rows of a block if m rows are split evenly: 32 becomes 11 + 11 + 10."""
    return m // blocks + (block < m % blocks)


cdef inline void pack_rows(
    Py_ssize_t first_block, Py_ssize_t end_block, Py_ssize_t m, Py_ssize_t blocks,
    Py_ssize_t depth, const real *a, Py_ssize_t a_row, Py_ssize_t a_col, real *packed,
) noexcept nogil:
    """Copy some blocks of rows of A, in the order in which a tile reads its block."""
    cdef Py_ssize_t block, rows
    for block in range(first_block, end_block):
        rows = height_of_block(block, m, blocks)
        call_apart(pack[real], depth, rows, rows, a, a_col, a_row, packed)
        packed += rows * depth
        a += rows * a_row


cdef inline void tile(
    Py_ssize_t rows, Py_ssize_t vectors, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, Py_ssize_t last,
    const real *start, Py_ssize_t start_row, real *c, Py_ssize_t c_row,
    bint relu, const real *gate,
) noexcept nogil:
    if real is float:
        f32_tiles[vectors >> 1][rows - 1](
            k, a, a_row, a_col, b, b_row, last, start, start_row, c, c_row, relu, gate)
    else:
        f64_tiles[vectors >> 1][rows - 1](
            k, a, a_row, a_col, b, b_row, last, start, start_row, c, c_row, relu, gate)
