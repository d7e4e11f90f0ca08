"""Losses: the sum of the per-sample losses of some rows, and its cotangent dy in the same pass.

Targets are either real numbers (rows, n) or class indices (rows,). The caller's `scale` multiplies
dy alone: 1 for a summed loss, 1 / batch size for a mean. Sums over samples run in double, in
order, so that a float32 epoch's loss does not drift.
"""

from libc.stdint cimport int64_t

from fastnn._core.kernels.activations cimport softplus
from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.elementary cimport log, sigmoid
from fastnn._core.kernels.softmax cimport exp_of_shifted_rows, row_maximum


cdef enum Loss:
    HALF_SQUARED_ERROR
    MEAN_SQUARED_ERROR
    BINARY_CROSS_ENTROPY
    NEGATIVE_LOG_LIKELIHOOD
    SOFTMAX_CROSS_ENTROPY


cdef inline int loss_kind(str name) except -1:
    """The loss called `name`; KeyError for any other."""
    return {
        "half_squared_error": HALF_SQUARED_ERROR, "mean_squared_error": MEAN_SQUARED_ERROR,
        "binary_cross_entropy": BINARY_CROSS_ENTROPY,
        "negative_log_likelihood": NEGATIVE_LOG_LIKELIHOOD,
        "softmax_cross_entropy": SOFTMAX_CROSS_ENTROPY,
    }[name]


cdef inline double loss_and_cotangent(
    int kind, const real *y_pred, const real *targets, const int64_t *labels,
    Py_ssize_t rows, Py_ssize_t n, real scale, real *dy,
) noexcept nogil:
    """The summed loss; overwrites dy (rows, n) with `scale` times its gradient by y_pred.

    `labels` for the two last kinds, `targets` for the others; the unused one may be NULL.
    """
    if kind == HALF_SQUARED_ERROR:
        return squared_error(y_pred, targets, rows * n, 0.5, scale, dy)
    if kind == MEAN_SQUARED_ERROR:
        return squared_error(y_pred, targets, rows * n, 1.0 / n, scale, dy)
    if kind == BINARY_CROSS_ENTROPY:
        return binary_cross_entropy(y_pred, targets, rows * n, 1.0 / n, scale, dy)
    if kind == NEGATIVE_LOG_LIKELIHOOD:
        return negative_log_likelihood(y_pred, labels, rows, n, scale, dy)
    return softmax_cross_entropy(y_pred, labels, rows, n, scale, dy)


cdef inline double squared_error(
    const real *y_pred, const real *targets, Py_ssize_t n, double factor, real scale, real *dy,
) noexcept nogil:
    """factor Σ (ŷ - y)², of slope 2 factor (ŷ - y)."""
    cdef double total = 0
    cdef real slope = <real>(2 * factor) * scale
    cdef real error
    cdef Py_ssize_t i
    for i in range(n):
        error = y_pred[i] - targets[i]
        total += <double>error * error
        dy[i] = slope * error
    return factor * total


cdef inline double binary_cross_entropy(
    const real *logits, const real *targets, Py_ssize_t n, double factor, real scale, real *dy,
) noexcept nogil:
    """factor Σ [ln(1 + e^z) - y z], of slope factor (σ(z) - y): the stable form of
    -y ln σ(z) - (1 - y) ln(1 - σ(z))."""
    cdef double total = 0
    cdef real slope = <real>factor * scale
    cdef Py_ssize_t i
    for i in range(n):
        # ln(1 + e^z) - y z = ln(1 + e^-z) + (1 - y) z: take the form without a large difference
        if logits[i] > 0:
            total += softplus(-logits[i]) + (<real>1 - targets[i]) * logits[i]
        else:
            total += softplus(logits[i]) - targets[i] * logits[i]
        dy[i] = slope * (sigmoid(logits[i]) - targets[i])
    return factor * total


cdef inline double negative_log_likelihood(
    const real *probabilities, const int64_t *labels, Py_ssize_t rows, Py_ssize_t n,
    real scale, real *dy,
) noexcept nogil:
    """Σ -ln p_c, of slope -1 / p_c at the label c and 0 elsewhere."""
    cdef double total = 0
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(n):
            dy[j] = 0
        total -= log(probabilities[labels[i]])
        dy[labels[i]] = -scale / probabilities[labels[i]]
        probabilities += n
        dy += n
    return total


cdef inline double softmax_cross_entropy(
    const real *logits, const int64_t *labels, Py_ssize_t rows, Py_ssize_t n,
    real scale, real *dy,
) noexcept nogil:
    """Σ [ln Σ_j e^{z_j} - z_c], of slope S - onehot_c: -ln S_c through softmax in one step."""
    cdef double total = 0
    cdef real mass
    cdef Py_ssize_t i, j
    exp_of_shifted_rows(logits, dy, rows, n)
    for i in range(rows):
        mass = 0
        for j in range(n):
            mass += dy[j]
        total += <double>log(mass) - (<double>logits[labels[i]] - row_maximum(logits, n))
        for j in range(n):
            dy[j] *= scale / mass
        dy[labels[i]] -= scale
        logits += n
        dy += n
    return total
