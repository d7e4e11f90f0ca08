"""Losses: the sum of the per-sample losses of some rows, and its cotangent dy in the same pass.

Targets are either real numbers (rows, n) or class indices (rows,). `scale` multiplies dy alone: it
is 1 for a summed loss and 1 / batch size for a mean. Sums over samples run in double, in order, so
that the loss of a float32 epoch does not drift.

The formulas have no weights. Without weights a formula computes all rows at once; with weights it
computes one row at a time, and the weight is a factor of `scale`. If the elements of a row have
different weights, it computes one run of equal weights at a time. Only softmax cross-entropy gets
the weights, since it computes many rows at once (cross_entropy.pxd). A row or element of weight 0
is skipped, since 0 times an infinite value would be NaN.
"""

from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from fastnn._core.kernels.activations cimport lanes, vectors_of, whole_vectors
from fastnn._core.kernels.cross_entropy cimport softmax_cross_entropy
from fastnn._core.kernels.dtypes cimport fabs, real
from fastnn._core.kernels.elementary cimport (
    by_sign, exp, exp_of_negative, exp_remainder, expm1_of_negative, log, log1p_of_unit, tanh)
from fastnn._core.kernels.loss_arguments cimport (
    BINARY_CROSS_ENTROPY, HALF_SQUARED_ERROR, HUBER, LOG_COSH, MEAN_ABSOLUTE_ERROR,
    MEAN_SQUARED_ERROR, PINBALL, POISSON, SOFTMAX_CROSS_ENTROPY, Loss, Targets, element_weight)
from fastnn._core.kernels.sums cimport sum_of, sum_of_squares


cdef enum:
    BLOCK = 64    # terms that are computed, as vectors, before they are summed


cdef inline double loss_and_cotangent(
    const Loss *loss, const real *y_pred, Targets given, Py_ssize_t rows, Py_ssize_t n,
    double scale, real *dy,
) noexcept nogil:
    """Return the summed loss; overwrite dy (rows, n) with `scale` times its gradient by y_pred.

    The last two kinds of loss take labels, the others values.
    """
    cdef const real *targets = <const real *>given.values
    cdef const int64_t *labels = given.labels
    cdef const real *weights = <const real *>given.weights
    cdef Py_ssize_t step = rows
    cdef Py_ssize_t i = 0
    cdef double weight = 1
    cdef double total = 0
    if loss.kind == SOFTMAX_CROSS_ENTROPY or loss.through_softmax:
        return softmax_cross_entropy(
            y_pred, labels, weights, rows, n, loss.label_smoothing, scale, dy)
    if weights != NULL or (loss.ignore_nan and labels != NULL):
        step = 1
    while i < rows:
        if weights != NULL:
            weight = weights[i]
        if weight != 0 and not (step == 1 and labels != NULL and labels[0] < 0):
            total += weight * loss_of_rows(
                loss, y_pred + i * n, targets, labels, step, n, scale * weight, dy + i * n)
        else:
            memset(dy + i * n, 0, n * sizeof(real))
        if labels != NULL:
            labels += step
        else:
            targets += step * n
        i += step
    return total


cdef inline double loss_of_rows(
    const Loss *loss, const real *y_pred, const real *targets, const int64_t *labels,
    Py_ssize_t rows, Py_ssize_t n, double scale, real *dy,
) noexcept nogil:
    """Return the summed loss of rows of one weight, a run of elements of equal weights at a time.
    """
    cdef bint by_element = labels == NULL and (loss.ignore_nan or loss.output_weight != NULL)
    cdef double total = 0
    cdef double weight = 1
    cdef double following = 1
    cdef Py_ssize_t size = rows * n
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t column = 0
    cdef Py_ssize_t end = size
    cdef Py_ssize_t end_column = 0
    if by_element:
        following = element_weight(loss, targets, 0, 0)
    while first < size:
        weight = following
        if by_element:
            end, end_column = first, column
            while end < size and following == weight:
                end += 1
                end_column = end_column + 1 if end_column + 1 < n else 0
                if end < size:
                    following = element_weight(loss, targets, end, end_column)
        if weight > 0:
            total += weight * loss_of_elements(
                loss, y_pred + first, targets + first, labels, column, end - first, n,
                scale * weight, dy + first)
        else:
            memset(dy + first, 0, (end - first) * sizeof(real))
        first, column = end, end_column
    return total


cdef inline double loss_of_elements(
    const Loss *loss, const real *y_pred, const real *targets, const int64_t *labels,
    Py_ssize_t column, Py_ssize_t count, Py_ssize_t n, double scale, real *dy,
) noexcept nogil:
    """Return the summed loss of `count` elements of rows of n outputs, from this column on."""
    cdef double half = 0.5
    if loss.kind == HALF_SQUARED_ERROR:
        return squared_error(y_pred, targets, count, 0.5, scale, dy)
    if loss.kind == MEAN_SQUARED_ERROR:
        return squared_error(y_pred, targets, count, 1.0 / n, scale, dy)
    if loss.kind == MEAN_ABSOLUTE_ERROR:  # both slopes of the median's pinball loss are 1/2
        return pinball(y_pred, targets, column, count, n, &half, 0, 2.0 / n, scale, dy)
    if loss.kind == PINBALL:
        return pinball(y_pred, targets, column, count, n, loss.quantiles, loss.quantile_stride,
                       1.0 / n, scale, dy)
    if loss.kind == HUBER:
        return huber(y_pred, targets, count, loss.delta, 1.0 / n, scale, dy)
    if loss.kind == LOG_COSH:
        return log_cosh(y_pred, targets, count, 1.0 / n, scale, dy)
    if loss.kind == POISSON:
        return poisson(y_pred, targets, count, scale, dy)
    if loss.kind == BINARY_CROSS_ENTROPY:
        return binary_cross_entropy(
            y_pred, targets, count, loss.label_smoothing, 1.0 / n, scale, dy)
    return negative_log_likelihood(y_pred, labels, count // n, n, scale, dy)


cdef inline double squared_error(
    const real *y_pred, const real *targets, Py_ssize_t n, double factor, double scale, real *dy,
) noexcept nogil:
    """factor Σ (ŷ - y)², of slope 2 factor (ŷ - y)."""
    cdef double total
    cdef real slope = <real>(2 * factor * scale)
    cdef Py_ssize_t i
    for i in range(n):
        dy[i] = y_pred[i] - targets[i]
    total = sum_of_squares(dy, n)
    for i in range(n):
        dy[i] *= slope
    return factor * total


cdef inline double pinball(
    const real *y_pred, const real *targets, Py_ssize_t column, Py_ssize_t count, Py_ssize_t n,
    const double *quantiles, Py_ssize_t stride, double factor, double scale, real *dy,
) noexcept nogil:
    """factor Σ τ (y - ŷ) below the target and (1 - τ) (ŷ - y) above it; of slope 0 at it.

    The quantile τ of output j is quantiles[j * stride] (Koenker and Bassett 1978).
    """
    cdef double total = 0
    cdef double quantile
    cdef real error
    cdef Py_ssize_t i
    for i in range(count):
        quantile = quantiles[column * stride]
        error = y_pred[i] - targets[i]
        quantile = 1 - quantile if error > 0 else -quantile
        total += quantile * error
        dy[i] = 0 if error == 0 else <real>(factor * quantile * scale)
        column = column + 1 if column + 1 < n else 0
    return factor * total


cdef inline double huber(
    const real *y_pred, const real *targets, Py_ssize_t n, double delta, double factor,
    double scale, real *dy,
) noexcept nogil:
    """factor Σ of ½ e² where |e| < δ and δ (|e| - ½ δ) beyond, e = ŷ - y; of slope e within ±δ."""
    cdef double total = 0
    cdef double error, cut
    cdef real slope = <real>(factor * scale)
    cdef double[BLOCK] terms
    cdef Py_ssize_t first = 0
    cdef real[BLOCK] padded, padded_targets, slopes
    cdef const real *p
    cdef const real *t
    cdef Py_ssize_t count, vectors, i
    while first < n:
        count = min(<Py_ssize_t>BLOCK, n - first)
        vectors = vectors_of(count, slope)
        p = whole_vectors(y_pred + first, count, vectors, padded)
        t = whole_vectors(targets + first, count, vectors, padded_targets)
        for i in range(vectors * lanes(slope)):
            error = p[i] - t[i]
            cut = delta if error > delta else (-delta if error < -delta else error)
            terms[i] = cut * (error - 0.5 * cut)
            slopes[i] = slope * <real>cut
        total += sum_of(terms, count)
        memcpy(dy + first, slopes, count * sizeof(real))
        first += count
    return factor * total


cdef inline double log_cosh(
    const real *y_pred, const real *targets, Py_ssize_t n, double factor, double scale, real *dy,
) noexcept nogil:
    """factor Σ ln cosh e with e = ŷ - y, of slope factor tanh e.

    With E = e^(-2|e|), cosh e is (1 + E) / (2 √E). So ln cosh e is |e| - ln 2 + ln(1 + E). That
    cancels near 0, where ½ ln(1 + sinh² e) with sinh² e = (1 - E)² / (4 E) is accurate.
    """
    cdef double total = 0
    cdef double error, size, far, near
    cdef real slope = <real>(factor * scale)
    cdef double[BLOCK] terms
    cdef Py_ssize_t first = 0
    cdef real[BLOCK] padded, padded_targets, slopes
    cdef const real *p
    cdef const real *t
    cdef Py_ssize_t count, vectors, i
    while first < n:
        count = min(<Py_ssize_t>BLOCK, n - first)
        vectors = vectors_of(count, slope)
        p = whole_vectors(y_pred + first, count, vectors, padded)
        t = whole_vectors(targets + first, count, vectors, padded_targets)
        for i in range(vectors * lanes(slope)):
            error = <double>p[i] - <double>t[i]
            size = fabs(error)
            far = (size - 0.69314718055994531) + log1p_of_unit(exp_of_negative(-2 * size))
            near = expm1_of_negative(-2 * (0.8 if size > 0.8 else size))
            near = 0.5 * log1p_of_unit(near * near / (4 * (1 + near)))
            terms[i] = by_sign(size - 0.8, near, far)
            slopes[i] = slope * tanh(<real>error)
        total += sum_of(terms, count)
        memcpy(dy + first, slopes, count * sizeof(real))
        first += count
    return factor * total


cdef inline double poisson(
    const real *log_rates, const real *targets, Py_ssize_t n, double scale, real *dy,
) noexcept nogil:
    """Σ e^z - y z, of slope e^z - y: the negative log-likelihood of counts y, without ln y!.

    Near z = 0 the slope is computed as (1 - y) + (e^z - 1), without cancellation.
    """
    cdef double total = 0
    cdef real slope = <real>scale
    cdef real z, rate, near
    cdef double[BLOCK] terms
    cdef Py_ssize_t first = 0
    cdef real[BLOCK] padded, padded_targets, slopes
    cdef const real *p
    cdef const real *t
    cdef Py_ssize_t count, vectors, i
    while first < n:
        count = min(<Py_ssize_t>BLOCK, n - first)
        vectors = vectors_of(count, slope)
        p = whole_vectors(log_rates + first, count, vectors, padded)
        t = whole_vectors(targets + first, count, vectors, padded_targets)
        for i in range(vectors * lanes(slope)):
            z = p[i]
            rate = exp(z)
            near = (<real>1 - t[i]) + (z + z * z * exp_remainder(z))
            terms[i] = <double>rate - <double>t[i] * z
            slopes[i] = slope * by_sign(
                fabs(z) - <real>0.34, near, rate - t[i])
        total += sum_of(terms, count)
        memcpy(dy + first, slopes, count * sizeof(real))
        first += count
    return total


cdef inline double binary_cross_entropy(
    const real *logits, const real *targets, Py_ssize_t n, double smoothing, double factor,
    double scale, real *dy,
) noexcept nogil:
    """factor Σ [ln(1 + e^z) - y z], of slope factor (σ(z) - y): the stable form of
    -y ln σ(z) - (1 - y) ln(1 - σ(z)). Label smoothing first moves y towards 1/2.

    For z ≥ 0 these are ln(1 + e^-z) + (1 - y) z and (1 - y) - σ(-z), without a large difference.
    """
    cdef double total = 0
    cdef real slope = <real>(factor * scale)
    cdef real rest = <real>(1 - smoothing)
    cdef real half = <real>(0.5 * smoothing)
    cdef real[BLOCK] terms
    cdef real z, e, target, other, side, tail
    cdef Py_ssize_t first = 0
    cdef real[BLOCK] padded, padded_targets, slopes
    cdef const real *p
    cdef const real *t
    cdef Py_ssize_t count, vectors, i
    while first < n:
        count = min(<Py_ssize_t>BLOCK, n - first)
        vectors = vectors_of(count, slope)
        p = whole_vectors(logits + first, count, vectors, padded)
        t = whole_vectors(targets + first, count, vectors, padded_targets)
        for i in range(vectors * lanes(slope)):
            z = p[i]
            e = exp_of_negative(-fabs(z))
            target = rest * t[i] + half
            other = rest * (<real>1 - t[i]) + half
            side = by_sign(z, -target, other)
            tail = e / (<real>1 + e)
            terms[i] = log1p_of_unit(e) + side * z
            slopes[i] = slope * (side + by_sign(z, tail, -tail))
        total += sum_of(terms, count)
        memcpy(dy + first, slopes, count * sizeof(real))
        first += count
    return factor * total


cdef inline double negative_log_likelihood(
    const real *probabilities, const int64_t *labels, Py_ssize_t rows, Py_ssize_t n,
    double scale, real *dy,
) noexcept nogil:
    """Σ -ln p_c, of slope -1 / p_c at the label c and 0 elsewhere."""
    cdef double total = 0
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(n):
            dy[j] = 0
        total -= log(probabilities[labels[i]])
        dy[labels[i]] = -<real>scale / probabilities[labels[i]]
        probabilities += n
        dy += n
    return total
