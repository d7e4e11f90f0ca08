"""Dense matrix product, C = A B + start, for row-major C and any strides of A and B.

a) There are several forms (implementations), since none of them is fast for all shapes. The
   products of a network have from one row to thousands of rows, and two columns or more. `choose`
   chooses a form by the shape of the whole product. So the form and the bits are the same for any
   number of threads.
b) Each thread computes panels of columns, or blocks of rows if C has more rows than columns. Sums
   are never split among threads, so the bits do not depend on the number of threads. A product with
   few rows and columns and a long sum, such as the weight gradient of a narrow layer, is therefore
   not faster with threads. Starting a thread costs some microseconds. So each thread gets at least
   THREAD_FLOPS.
"""

from cython.parallel cimport prange
from libc.stdint cimport int32_t

from fastnn._core.kernels.apart cimport call_apart
from fastnn._core.kernels.dots cimport product_by_dots
from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.outer cimport outer
from fastnn._core.kernels.packing cimport VECTOR_BYTES, pack
from fastnn._core.kernels.rearranged cimport (
    REARRANGED_BYTES, product_by_strips, product_transposed)
from fastnn._core.kernels.rows cimport product_of_narrow_row, product_of_row
from fastnn._core.kernels.shallow cimport is_shallow, product_of_steps
from fastnn._core.kernels.threads cimport startable
from fastnn._core.kernels.tiles cimport (
    FAR_BYTES, PANEL_VECTORS, SWEEP_DEPTH, TILE_ROWS, TILES_SCRATCH_BYTES, product_by_panels,
    product_by_sweeps)


cdef enum:
    THREAD_FLOPS = 8_000_000
    SHALLOW_BYTES = 80     # of a row of C: one vector of AVX-512 or two, and up to five of SSE2


cdef enum Form:
    PANELS           # of B, along which blocks of rows pass
    SWEEPS           # along the rows, for few of them or few steps of k
    DOTS             # of rows of A and columns of B, for few of either
    DOTS_OF_PACKED   # B is first transposed, into the scratch memory
    ROW              # one row of A
    NARROW_ROW       # likewise, for at most a vector of columns
    SHALLOW          # few steps of k and few columns, which stay in registers
    SHALLOW_OF_PACKED    # a transposed B, likewise
    OUTER            # one step of k
    TRANSPOSED       # C^T for few columns
    STRIPS           # C^T for a transposed B that is larger than A and C


cdef inline Py_ssize_t gemm_workspace(Py_ssize_t n_threads) noexcept nogil:
    """Return the bytes of scratch memory of `gemm`, which are the same for every shape."""
    return n_threads * (TILES_SCRATCH_BYTES + REARRANGED_BYTES)


cdef inline void gemm(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, Py_ssize_t b_col,
    const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row, bint relu, const real *gate,
    char *scratch, int n_threads,
) noexcept nogil:
    """C[i, j] = start[i, j] + sum over p of A[i, p] B[p, j]; overwrites C. No size is zero.

    C is (m, n) with rows c_row apart. Element (i, p) of A is at i * a_row + p * a_col; B likewise.
    `start` is NULL for zero, a bias with start_row = 0, or C itself to accumulate. With `relu`,
    negative elements become zero. With `gate`, which has the strides of C and may be NULL, elements
    become zero where `gate` is not positive.
    """
    cdef Py_ssize_t width = PANEL_VECTORS * VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t panels = (n + width - 1) // width
    cdef Py_ssize_t blocks = (m + TILE_ROWS - 1) // TILE_ROWS
    cdef Py_ssize_t worth = <Py_ssize_t>(2.0 * m * n * k / THREAD_FLOPS)
    cdef Py_ssize_t parts = min(min(<Py_ssize_t>n_threads, max(panels, blocks)), worth)
    cdef bint by_columns = panels >= blocks
    cdef Py_ssize_t share, part, row, column, rows, columns
    cdef Form form
    if start == NULL:
        start_row = 0
    form = choose(m, n, k, a_row, a_col, b_row, b_col, start != NULL, start_row, c_row, relu,
                  gate != NULL, <Py_ssize_t>sizeof(real))
    # these forms write across row boundaries, so they run on one thread; they are always short
    if parts <= 1 or form == OUTER or form == SHALLOW or form == SHALLOW_OF_PACKED:
        gemm_serial(form, m, n, k, a, a_row, a_col, b, b_row, b_col, start, start_row, c, c_row,
                    relu, gate, scratch)
        return
    if by_columns:
        share = (panels + parts - 1) // parts * width
    else:
        share = (m + parts - 1) // parts
    for part in prange(parts, num_threads=startable(<int>parts), schedule="static"):
        row = 0 if by_columns else part * share
        column = part * share if by_columns else 0
        rows = m if by_columns else min(share, m - row)
        columns = min(share, n - column) if by_columns else n
        if rows > 0 and columns > 0:
            call_apart(
                gemm_serial[real], form, rows, columns, k, a + row * a_row, a_row, a_col,
                b + column * b_col, b_row, b_col,
                start + row * start_row + column if start != NULL else start, start_row,
                c + row * c_row + column, c_row,
                relu, gate + row * c_row + column if gate != NULL else gate,
                scratch + gemm_workspace(part))


cdef inline Form choose(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    Py_ssize_t a_row, Py_ssize_t a_col, Py_ssize_t b_row, Py_ssize_t b_col,
    bint started, Py_ssize_t start_row, Py_ssize_t c_row, bint relu, bint gated,
    Py_ssize_t itemsize,
) noexcept nogil:
    """Return the form that was measured fastest for the sizes and strides of the whole product."""
    cdef Py_ssize_t lanes = VECTOR_BYTES // itemsize
    # elements that have to be copied; the elements of a transposed C count twice
    cdef bint far = m > 3 * TILE_ROWS and n >= 8 * lanes and a_row * itemsize >= FAR_BYTES
    cdef Py_ssize_t moved_by_panels = n * k + (m * k if far else 0)
    cdef Py_ssize_t moved_by_strips = m * k + 2 * m * n
    if (k == 1 and a_row == 1 and b_col == 1 and (n < 16 * lanes or VECTOR_BYTES < 64)
            and (n >= lanes or m * n >= 4096)
            and c_row == n and not started and not relu and not gated):
        return OUTER
    if (is_shallow(k) and n * itemsize <= SHALLOW_BYTES and c_row == n and start_row == 0
            and m >= (4 if b_col == 1 and k <= 4 else 2 * k)
            and (k > 1 or n < lanes) and (k <= 4 or n <= 2 * lanes)
            and not (a_row == 1 and k > 1 and n <= 4 and m >= lanes)):  # TRANSPOSED is better
        return SHALLOW if b_col == 1 else SHALLOW_OF_PACKED
    if a_col == 1 and b_row == 1:
        if ((m <= 4 and (k >= lanes or (m == 1 and k > 4)))
                or (n <= 4 and k >= lanes)
                or (n <= 12 and m <= 2 * lanes and k >= 4 * max(m, lanes))
                or (n <= 12 and lanes > 8 and k >= 16 * lanes)):
            return DOTS
        if (m >= lanes and k > SWEEP_DEPTH and moved_by_strips < moved_by_panels
                and start_row == 0 and not gated):
            return STRIPS
        if m <= 16 and 16 * m <= k:
            return DOTS
    if a_col == 1 and b_col == 1 and n <= 4 and k >= 2 * lanes and m >= 4 and n * k <= 8192:
        return DOTS_OF_PACKED
    if m == 1 and b_col == 1 and (n > 4 * lanes or (n > lanes and k <= SWEEP_DEPTH)):
        return ROW
    if m == 1 and b_col == 1 and b_row >= n and n <= lanes and k >= 8:
        return NARROW_ROW
    if a_row == 1 and a_col >= m and m >= lanes and not relu and not gated and (
            n <= 12 or (n < 2 * lanes and n % lanes != 0 and k > SWEEP_DEPTH and not started
                        and m >= 4 * lanes and filled(n, lanes) * 6 < filled(m, lanes) * 5)):
        return TRANSPOSED
    if k <= SWEEP_DEPTH or (m <= TILE_ROWS and b_col == 1):
        return SWEEPS
    return PANELS


cdef inline double filled(Py_ssize_t n, Py_ssize_t lanes) noexcept nogil:
    """Return the fraction of the lanes that n elements fill in their vectors."""
    return <double>n / ((n + lanes - 1) // lanes * lanes)


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
    elif form == ROW:
        product_of_row(n, k, a, a_col, b, b_row, start, c, relu, gate)
    elif form == NARROW_ROW:
        product_of_narrow_row(n, k, a, a_col, b, b_row, start, c, relu, gate)
    elif form == SHALLOW:
        product_of_steps(m, n, k, a, a_row, a_col, b, b_row, start, c, relu, gate)
    elif form == SHALLOW_OF_PACKED:
        pack(k, n, n, b, b_row, b_col, <real *>scratch)
        product_of_steps(m, n, k, a, a_row, a_col, <real *>scratch, n, start, c, relu, gate)
    elif form == OUTER:
        outer(<Py_ssize_t>1, <const int32_t *>NULL, <Py_ssize_t>1, m, n, a, <Py_ssize_t>0,
              <Py_ssize_t>0, b, <Py_ssize_t>0, c, <Py_ssize_t>0, <Py_ssize_t>0)
    elif form == SWEEPS:
        product_by_sweeps(m, n, k, a, a_row, a_col, b, b_row, b_col, start, start_row, c, c_row,
                          relu, gate, scratch)
    elif form == PANELS:
        product_by_panels(m, n, k, a, a_row, a_col, b, b_row, b_col, start, start_row, c, c_row,
                          relu, gate, scratch)
    else:
        call_apart(gemm_rearranged[real], form, m, n, k, a, a_row, a_col, b, b_row, b_col, start,
                   start_row, c, c_row, relu, gate, scratch)


cdef inline void gemm_rearranged(
    Form form, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, Py_ssize_t b_col,
    const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row, bint relu, const real *gate,
    char *scratch,
) noexcept nogil:
    """The forms whose work is long compared with a call; their code exists once."""
    if form == DOTS_OF_PACKED:
        call_apart(pack[real], n, k, k, b, 1, b_row, <real *>scratch)
        product_by_dots(m, n, k, a, a_row, <real *>scratch, k, start, start_row, c, c_row, relu,
                        gate)
    elif form == TRANSPOSED:
        product_transposed(m, n, k, a, a_col, b, b_row, b_col, start, start_row, c, c_row, scratch)
    else:
        product_by_strips(m, n, k, a, a_row, b, b_col, start, c, c_row, relu, scratch)
