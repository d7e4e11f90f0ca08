"""Dense matrix product, C = A B + start, for row-major C and any strides of A and B.

a) There are several forms, for no one order of work serves all shapes: a network's products range
   from one row to thousands, and from two columns. `choose` looks at the whole product, so that its
   parts have the same form, and the same bits, on any number of threads.
b) Threads get whole panels of columns, or rows where there are more of those. No sum is ever split
   among them, so the bits do not depend on their number; a product with few rows and columns and a
   long sum, such as the weight gradient of a narrow layer, gains nothing from threads. A thread
   must get THREAD_FLOPS to be worth waking, which costs some microseconds.
"""

from cython.parallel cimport prange

from fastnn._core.kernels.dots cimport product_by_dots
from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.packing cimport VECTOR_BYTES, pack
from fastnn._core.kernels.tiles cimport (
    SWEEP_DEPTH, TILE_ROWS, TILES_SCRATCH_BYTES, product_by_panels, product_by_sweeps)


cdef enum:
    THREAD_FLOPS = 8_000_000
    TRANSPOSED_ROWS = 128
    TRANSPOSED_BYTES = 12 * TRANSPOSED_ROWS * 8
    FOLDS = 4


cdef enum Form:
    PANELS
    SWEEPS
    DOTS
    DOTS_OF_PACKED   # B is first transposed, into the scratch memory
    TRANSPOSED       # of the two factors, exchanged; the result is copied into its place
    FOLDED           # one row, few columns: several steps of k at a time


cdef inline Py_ssize_t gemm_workspace(Py_ssize_t n_threads) noexcept nogil:
    """Bytes of scratch memory that `gemm` needs; the same for every shape."""
    return n_threads * (TILES_SCRATCH_BYTES + TRANSPOSED_BYTES)


cdef inline void gemm(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, Py_ssize_t b_col,
    const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row, bint relu, const real *gate,
    char *scratch, int n_threads,
) noexcept nogil:
    """C[i, j] = start[i, j] + sum over p of A[i, p] B[p, j]; overwrites C. No size is zero.

    C is (m, n) with rows c_row apart; element (i, p) of A stands at i * a_row + p * a_col, that
    of B likewise. `start` is NULL for zero, a bias with start_row = 0, or C itself to accumulate.
    With `relu`, negative elements become zero; with `gate`, which has C's strides and may be NULL,
    those where it is not positive.
    """
    cdef Py_ssize_t width = 2 * VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t panels = (n + width - 1) // width
    cdef Py_ssize_t blocks = (m + TILE_ROWS - 1) // TILE_ROWS
    cdef Py_ssize_t worth = <Py_ssize_t>(2.0 * m * n * k / THREAD_FLOPS)
    cdef Py_ssize_t parts = min(min(<Py_ssize_t>n_threads, max(panels, blocks)), worth)
    cdef Py_ssize_t share, first, part
    cdef Form form = choose(
        m, n, k, a_row, a_col, b_row, b_col, relu or gate != NULL, <Py_ssize_t>sizeof(real))
    if start == NULL:
        start_row = 0
    if parts <= 1:
        gemm_serial(form, m, n, k, a, a_row, a_col, b, b_row, b_col, start, start_row, c, c_row,
                    relu, gate, scratch)
    elif panels >= blocks:
        share = (panels + parts - 1) // parts * width
        for part in prange(parts, num_threads=parts, schedule="static"):
            first = part * share
            if first < n:
                gemm_serial(
                    form, m, min(share, n - first), k, a, a_row, a_col,
                    b + first * b_col, b_row, b_col,
                    start + first if start != NULL else start, start_row, c + first, c_row,
                    relu, gate + first if gate != NULL else gate, scratch + gemm_workspace(part))
    else:
        share = (m + parts - 1) // parts
        for part in prange(parts, num_threads=parts, schedule="static"):
            first = part * share
            if first < m:
                gemm_serial(
                    form, min(share, m - first), n, k, a + first * a_row, a_row, a_col,
                    b, b_row, b_col,
                    start + first * start_row if start != NULL else start, start_row,
                    c + first * c_row, c_row,
                    relu, gate + first * c_row if gate != NULL else gate,
                    scratch + gemm_workspace(part))


cdef inline Form choose(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    Py_ssize_t a_row, Py_ssize_t a_col, Py_ssize_t b_row, Py_ssize_t b_col,
    bint finished, Py_ssize_t itemsize,
) noexcept nogil:
    """The form that measured fastest, from the sizes and strides of the whole product."""
    cdef Py_ssize_t lanes = VECTOR_BYTES // itemsize
    if a_col == 1 and b_row == 1 and (
            (m <= 4 and (k >= lanes or (m == 1 and k > 4)))
            or (n <= 4 and k >= lanes)
            or (m <= 16 and 16 * m <= k)):
        return DOTS
    if a_col == 1 and b_col == 1 and n <= 4 and k >= 2 * lanes and m >= 4 and n * k <= 8192:
        return DOTS_OF_PACKED
    if a_row == 1 and a_col >= m and n <= 12 and m >= lanes and not finished:
        return TRANSPOSED
    if (m == 1 and FOLDS * n <= 3 * lanes and b_col == 1 and b_row == n and k >= 8 * FOLDS
            and not finished):
        return FOLDED
    if k <= SWEEP_DEPTH or (m <= TILE_ROWS and b_col == 1 and n > 2 * lanes):
        return SWEEPS
    return PANELS


cdef inline void gemm_serial(
    Form form, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, Py_ssize_t b_col,
    const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row, bint relu, const real *gate,
    char *scratch,
) noexcept nogil:
    """`gemm` on one thread."""
    if form == DOTS:
        product_by_dots(m, n, k, a, a_row, b, b_col, start, start_row, c, c_row, relu, gate)
    elif form == DOTS_OF_PACKED:
        pack(n, k, k, b, 1, b_row, <real *>scratch)
        product_by_dots(m, n, k, a, a_row, <real *>scratch, k, start, start_row, c, c_row, relu,
                        gate)
    elif form == TRANSPOSED:
        product_transposed(m, n, k, a, a_col, b, b_row, b_col, start, start_row, c, c_row, scratch)
    elif form == FOLDED:
        product_folded(n, k, a, a_col, b, start, c, scratch)
    elif form == SWEEPS:
        product_by_sweeps(m, n, k, a, a_row, a_col, b, b_row, b_col, start, start_row, c, c_row,
                          relu, gate, scratch)
    else:
        product_by_panels(m, n, k, a, a_row, a_col, b, b_row, b_col, start, start_row, c, c_row,
                          relu, gate, scratch)


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
            pack(rows, n, n, result, 1, <Py_ssize_t>TRANSPOSED_ROWS, c + row * n)
        else:
            for i in range(rows):
                for j in range(n):
                    c[(row + i) * c_row + j] = result[j * TRANSPOSED_ROWS + i] + (
                        0 if start == NULL else start[(row + i) * start_row + j])
        row += rows


cdef inline void product_folded(
    Py_ssize_t n, Py_ssize_t k, const real *a, Py_ssize_t a_col, const real *b, const real *start,
    real *c, char *scratch,
) noexcept nogil:
    """One row times a B of few columns and no gaps: FOLDS rows of B are read as one.

    Every FOLDS-th element of `a` makes a row of its own, and in its product with that wide B the
    part that belongs to the element's rows of B is wanted. The rest is waste, but a single row's
    sum would be one chain in which each addition waits for the one before.
    """
    cdef real *result = <real *>(scratch + TILES_SCRATCH_BYTES)
    cdef Py_ssize_t width = FOLDS * n
    cdef Py_ssize_t fold, j, p
    product_by_panels(<Py_ssize_t>FOLDS, width, k // FOLDS, a, a_col, FOLDS * a_col, b, width, 1,
                      <const real *>NULL, 0, result, width, False, <const real *>NULL, scratch)
    for fold in range(1, FOLDS):
        for j in range(n):
            result[j] += result[fold * width + fold * n + j]
    for p in range(k // FOLDS * FOLDS, k):
        for j in range(n):
            result[j] += a[p * a_col] * b[p * n + j]
    for j in range(n):
        c[j] = result[j] + (0 if start == NULL else start[j])
