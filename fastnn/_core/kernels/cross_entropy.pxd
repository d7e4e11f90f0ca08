"""Softmax cross-entropy of rows of logits, and its cotangent in the same pass.

The loss of a row is ln Σ_j e^{z_j} - z_c, its slope S - onehot_c: -ln S_c through softmax in one
step. With smoothing ε, (1 - ε) onehot_c + ε / n stands in place of onehot_c (Szegedy and others
2016). The sum of the other probabilities is 1 - S_c, with a small relative error also if S_c is
near 1.

A row of few logits is shorter than a vector, and its maximum, sum and logarithm wait for each
other. So sixteen such rows are transposed and computed side by side, a lane for each row. The
order of every sum is the one of a single row, so that the bits do not depend on the other rows.
With vectors of 16 bytes, the transposes take the time that is won.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from fastnn._core.kernels.apart cimport call_apart
from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.elementary cimport exp_of_difference
from fastnn._core.kernels.packing cimport VECTOR_BYTES, transpose
from fastnn._core.kernels.softmax cimport exp_of_shifted_rows, log_of_sum, row_maximum, row_sum
from fastnn._core.kernels.sums cimport SIDE_BY_SIDE


cdef enum:
    ROWS = 16                      # side by side
    FEW = 8                        # fewer rows are computed one after the other
    WIDEST = 2 * SIDE_BY_SIDE - 1  # logits of a row that `row_sum` adds in order


cdef inline double softmax_cross_entropy(
    const real *logits, const int64_t *labels, const real *weights, Py_ssize_t rows, Py_ssize_t n,
    double smoothing, double scale, real *dy,
) noexcept nogil:
    """Return Σ w times the loss of a row; overwrite dy (rows, n) with `scale` times its gradient.

    A row of weight 0 or of a negative label is skipped: its dy is 0, whatever its logits are.
    """
    cdef double[ROWS] losses, factors
    cdef double total = 0
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t count, i
    while first < rows:
        count = min(<Py_ssize_t>ROWS, rows - first)
        for i in range(ROWS):
            factors[i] = 1
        if weights != NULL:
            for i in range(count):
                factors[i] = weights[first + i]
        if VECTOR_BYTES > 16 and n <= WIDEST and count >= FEW:
            call_apart(rows_side_by_side[real], logits, labels, <double *>factors, count, n,
                       smoothing, scale, dy, <double *>losses)
        else:
            call_apart(rows_in_turn[real], logits, labels, <double *>factors, count, n,
                       smoothing, scale, dy, <double *>losses)
        for i in range(count):
            if labels[i] < 0 or factors[i] == 0:
                memset(dy + i * n, 0, n * sizeof(real))
            else:
                total += factors[i] * losses[i]
        logits += count * n
        dy += count * n
        labels += count
        first += count
    return total


cdef inline void rows_in_turn(
    const real *logits, const int64_t *labels, const double *weights, Py_ssize_t rows, Py_ssize_t n,
    double smoothing, double scale, real *dy, double *losses,
) noexcept nogil:
    cdef double even = smoothing / n
    cdef double rest, share
    cdef real own, top, factor
    cdef Py_ssize_t c, i, j
    call_apart(exp_of_shifted_rows[real], logits, dy, rows, n)
    for i in range(rows):
        c = max(labels[i], <int64_t>0)
        top = row_maximum(logits, n)
        own = dy[c]
        dy[c] = 0
        rest = row_sum(dy, n)
        share = scale * weights[i] / (own + rest)
        losses[i] = log_of_sum(own, rest) - (1 - smoothing) * (<double>logits[c] - top)
        factor = <real>share
        for j in range(n):
            dy[j] *= factor
        dy[c] = <real>(-share * rest)
        if smoothing > 0:
            factor = <real>(even * scale * weights[i])
            for j in range(n):
                losses[i] -= even * (<double>logits[j] - top)
                dy[j] -= factor
            dy[c] = <real>((smoothing - even) * scale * weights[i] - share * rest)
        logits += n
        dy += n


cdef inline void rows_side_by_side(
    const real *logits, const int64_t *labels, const double *weights, Py_ssize_t rows, Py_ssize_t n,
    double smoothing, double scale, real *dy, double *losses,
) noexcept nogil:
    """The same for at most ROWS rows of at most WIDEST logits."""
    cdef real[WIDEST * ROWS] z, slopes
    cdef real[ROWS] top, c, own, own_logit, factor, own_slope
    cdef double[ROWS] rest, share
    cdef double even = smoothing / n
    cdef real x, difference, back, error
    cdef Py_ssize_t i, j
    transpose_rows(rows, n, <Py_ssize_t>ROWS, logits, n, z, ROWS)
    for i in range(rows):
        c[i] = <real>labels[i]
    for i in range(rows, ROWS):
        c[i] = 0
    for i in range(ROWS):
        top[i] = z[i]
        own[i] = own_logit[i] = 0
        rest[i] = 0
    for j in range(1, n):
        for i in range(ROWS):
            x = z[j * ROWS + i]
            top[i] = x if x > top[i] else top[i]
    for j in range(n):
        for i in range(ROWS):  # as in `exp_of_shifted_rows`
            x = z[j * ROWS + i]
            difference = x - top[i]
            back = difference - x
            error = (x - (difference - back)) - (top[i] + back)
            error = error if error > -1 else -1
            slopes[j * ROWS + i] = exp_of_difference(difference, error)
    for j in range(n):
        for i in range(ROWS):
            x = slopes[j * ROWS + i]
            own[i] = x if c[i] == j else own[i]
            own_logit[i] = z[j * ROWS + i] if c[i] == j else own_logit[i]
            rest[i] += 0 if c[i] == j else x
    for i in range(ROWS):
        share[i] = scale * weights[i] / (own[i] + rest[i])
        factor[i] = <real>share[i]
        own_slope[i] = <real>(-share[i] * rest[i])
        losses[i] = log_of_sum(own[i], rest[i]) - (1 - smoothing) * (<double>own_logit[i] - top[i])
    for j in range(n):
        for i in range(ROWS):
            slopes[j * ROWS + i] *= factor[i]
    if smoothing > 0:
        for i in range(ROWS):
            factor[i] = <real>(even * scale * weights[i])
            own_slope[i] = <real>((smoothing - even) * scale * weights[i] - share[i] * rest[i])
        for j in range(n):
            for i in range(ROWS):
                losses[i] -= even * (<double>z[j * ROWS + i] - top[i])
                slopes[j * ROWS + i] -= factor[i]
    for j in range(n):
        for i in range(ROWS):
            x = slopes[j * ROWS + i]
            slopes[j * ROWS + i] = own_slope[i] if c[i] == j else x
    transpose_rows(n, rows, n, slopes, <Py_ssize_t>ROWS, dy, n)


cdef inline void transpose_rows(
    Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t width, const real *b, Py_ssize_t b_stride,
    real *c, Py_ssize_t c_stride,
) noexcept nogil:
    """c[j, i] = b[i, j] for the rows, and 0 for i from there up to the width."""
    cdef Py_ssize_t lanes = VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t j
    while i < width:
        j = 0
        while j < columns:
            transpose(min(lanes, rows - i), min(lanes, columns - j), min(lanes, width - i),
                      b + i * b_stride + j, b_stride, c + j * c_stride + i, c_stride)
            j += lanes
        i += lanes
