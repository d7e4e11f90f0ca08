"""What a loss is computed from: its description, the targets, and the weights of their elements.

An element of the targets has the weight of its sample times the weight of its output. A missing
element has the weight 0: with `ignore_nan` it is NaN among real targets, or a label below 0.
"""

cimport numpy as cnp
from libc.stdint cimport int64_t

from fastnn._core.kernels.dtypes cimport real


cdef enum LossKind:
    HALF_SQUARED_ERROR
    MEAN_SQUARED_ERROR
    MEAN_ABSOLUTE_ERROR
    HUBER
    LOG_COSH
    PINBALL
    POISSON
    BINARY_CROSS_ENTROPY
    NEGATIVE_LOG_LIKELIHOOD
    SOFTMAX_CROSS_ENTROPY


cdef struct Loss:
    int kind
    bint mean                   # the mean over the samples; otherwise their sum
    double delta
    double label_smoothing
    const double *quantiles     # one per output, or one for all outputs
    Py_ssize_t quantile_stride  # 1, or 0 with one for all outputs
    bint through_softmax        # NEGATIVE_LOG_LIKELIHOOD, computed from the logits
    bint negative_weights       # the mean is Σ w l / n, otherwise Σ w l / Σ w
    bint ignore_nan             # targets may be missing
    const double *output_weight  # one per output; NULL: all are 1


cdef struct Targets:        # what the outputs of some rows are compared with
    const void *values      # (rows, n) of the outputs' dtype; NULL where the loss takes labels
    const int64_t *labels   # (rows,); NULL where the loss takes values
    const void *weights     # (rows,) of the outputs' dtype; NULL: each row has weight 1


cdef inline Targets targets_from(
    Targets targets, Py_ssize_t row, Py_ssize_t n, Py_ssize_t itemsize,
) noexcept nogil:
    """Return the targets from that row on."""
    if targets.values != NULL:
        targets.values = <const char *>targets.values + row * n * itemsize
    if targets.labels != NULL:
        targets.labels += row
    if targets.weights != NULL:
        targets.weights = <const char *>targets.weights + row * itemsize
    return targets


cdef inline int loss_kind(str name) except -1:  # a dict would be made anew in each call
    if name == "half_squared_error":
        return HALF_SQUARED_ERROR
    if name == "mean_squared_error":
        return MEAN_SQUARED_ERROR
    if name == "mean_absolute_error":
        return MEAN_ABSOLUTE_ERROR
    if name == "huber":
        return HUBER
    if name == "log_cosh":
        return LOG_COSH
    if name == "pinball":
        return PINBALL
    if name == "poisson":
        return POISSON
    if name == "binary_cross_entropy":
        return BINARY_CROSS_ENTROPY
    if name == "negative_log_likelihood":
        return NEGATIVE_LOG_LIKELIHOOD
    if name == "softmax_cross_entropy":
        return SOFTMAX_CROSS_ENTROPY
    raise KeyError(name)


cdef inline Loss loss_from(dict formula) except *:
    """Return the C form of a loss's `formula()`, which must outlive it: it owns the arrays.

    A formula contains only what its kind needs.
    """
    cdef Loss loss
    cdef cnp.ndarray quantiles
    cdef cnp.ndarray output_weight = formula.get("output_weight")
    loss.kind = loss_kind(formula["kind"])
    loss.mean = formula["reduction"] == "mean"
    loss.delta = formula.get("delta", 0)
    loss.label_smoothing = formula.get("label_smoothing", 0)
    loss.through_softmax = formula.get("through_softmax", False)
    loss.negative_weights = formula.get("negative_weights", False)
    loss.ignore_nan = formula.get("ignore_nan", False)
    loss.output_weight = NULL
    if output_weight is not None:
        loss.output_weight = <const double *>cnp.PyArray_DATA(output_weight)
    loss.quantiles = NULL
    loss.quantile_stride = 0
    if loss.kind == PINBALL:
        quantiles = <cnp.ndarray>formula["quantiles"]
        loss.quantiles = <const double *>cnp.PyArray_DATA(quantiles)
        loss.quantile_stride = cnp.PyArray_SIZE(quantiles) > 1
    return loss


cdef inline double sum_of_weights(
    const real *weights, const int64_t *order, Py_ssize_t n,
) noexcept nogil:
    """Return Σ weights[order[i]] for i < n, or Σ weights[i] if `order` is NULL."""
    cdef double total = 0
    cdef Py_ssize_t i
    for i in range(n):
        total += weights[i if order == NULL else order[i]]
    return total


cdef inline double element_weight(
    const Loss *loss, const real *targets, Py_ssize_t place, Py_ssize_t column,
) noexcept nogil:
    """Return the weight of targets[place] within its sample: 0 if it is missing.

    `targets` may be NULL unless targets may be missing.
    """
    if loss.ignore_nan and targets[place] != targets[place]:
        return 0
    return 1 if loss.output_weight == NULL else loss.output_weight[column]


cdef inline double observed_share(
    const Loss *loss, const real *targets, Py_ssize_t n,
) noexcept nogil:
    """Return the share of a sample's weight that counts in the divisor of a mean.

    For a mean over the outputs it is the share of the observed elements, by their weights. For a
    sum over the outputs it is 1 if any element is observed.
    """
    cdef double observed = 0
    cdef bint complete = True
    cdef Py_ssize_t j
    for j in range(n):
        observed += element_weight(loss, targets, j, j)
        complete = complete and targets[j] == targets[j]
    if loss.kind == HALF_SQUARED_ERROR or loss.kind == POISSON:
        return observed > 0
    return 1 if complete else observed / n


cdef inline double total_weight(
    const Loss *loss, const real *values, const int64_t *labels, const real *weights,
    const int64_t *order, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """Return the divisor of the mean over some rows, which are order[i] unless `order` is NULL."""
    cdef double total = 0
    cdef double share
    cdef Py_ssize_t i, row
    if loss.negative_weights:
        weights = NULL
    if not loss.ignore_nan:
        return rows if weights == NULL else sum_of_weights(weights, order, rows)
    for i in range(rows):
        row = i if order == NULL else order[i]
        if labels != NULL:
            share = labels[row] >= 0
        else:
            share = observed_share(loss, values + row * n, n)
        total += share if weights == NULL else share * weights[row]
    return total
