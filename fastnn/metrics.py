"""Metrics for people: accuracy, the table of classes, RMSE, R2, coverage error."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn._checks.printing import printable
from fastnn._core.arrays import Array

LARGER_IS_BETTER = ("accuracy", "r2", "d2", "log_evidence")  # the ends of the metrics' names


def larger_is_better(name: str, mode: str) -> bool:
    """Return whether a larger value of the metric with that name is better.

    `mode` is "min", "max", or "auto", which decides by the name.
    """
    return mode == "max" or (mode == "auto" and name.endswith(LARGER_IS_BETTER))


def accuracy(outputs: Array, labels: Array, sample_weight: Array | None = None) -> float:
    """Return the share of rows of `outputs` (n, k) whose largest entry is at the label.

    Examples
    --------
    >>> fn.metrics.accuracy(np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([0, 0]))
    0.5
    """
    return _mean(outputs.argmax(axis=1) == labels, sample_weight)


def binary_accuracy(logits: Array, targets: Array, sample_weight: Array | None = None) -> float:
    """Return the share of entries where (logit > 0) equals (target > 1/2)."""
    return _mean((logits > 0) == (targets > 0.5), sample_weight)


def rmse(outputs: Array, targets: Array, sample_weight: Array | None = None) -> float:
    """Return the root of the mean squared error of two arrays of one shape."""
    return _root_mean_square(np.subtract(outputs, targets, dtype=np.float64), sample_weight)


def coverage_error(
    outputs: Array, targets: Array, quantiles: Any, sample_weight: Array | None = None
) -> float:
    """Return the mean over the columns of `|share of targets at or below the output - quantile|`.

    The arrays are (n, k); `quantiles` is one number, or a number for each column.
    """
    covered = np.average(targets <= outputs, axis=0, weights=sample_weight)
    return float(np.mean(np.abs(covered - np.asarray(quantiles))))


def _mean(values: Array, sample_weight: Array | None) -> float:
    """Return the mean of an array, with weights of the rows if they are given."""
    if sample_weight is None:
        return float(np.mean(values))
    rows = values.reshape(len(values), -1).mean(axis=1)
    return float(np.average(rows, weights=sample_weight.astype(np.float64)))


def _root_mean_square(values: Array, sample_weight: Array | None) -> float:
    """Return √ of the mean of values²; division by the largest value prevents overflow."""
    largest = float(np.abs(values).max(initial=0))
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(_mean(np.square(values / largest), sample_weight)))


def r2(outputs: Array, targets: Array, sample_weight: Array | None = None) -> float:
    """Return R² = 1 - squared error / variance; NaN for constant targets.

    Examples
    --------
    >>> round(fn.metrics.r2(np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]])), 3)
    0.5
    """
    deviations = targets.astype(np.float64)
    largest = float(np.abs(deviations).max(initial=0)) or 1.0
    deviations -= largest * _mean(deviations / largest, sample_weight)
    deviation = _root_mean_square(deviations, sample_weight)
    error = rmse(outputs, targets, sample_weight)
    return 1 - (error / deviation) ** 2 if deviation > 0 else float("nan")


def class_report(predicted: Array, labels: Array, names: Sequence[Any]) -> str:
    """Return a table of precision, recall, F1 and support of each class; 0 if undefined.

    Parameters
    ----------
    predicted, labels : ndarray (n,) of int
        Class indices.
    names : sequence
        A name for each class; control characters are escaped.
    """
    k, shown = len(names), [printable(str(name)) for name in names]
    confusion = np.bincount(labels * k + predicted, minlength=k * k).reshape(k, k)
    hits, support, claimed = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    width = max(len("class"), *map(len, shown))
    lines = [f"{'class':<{width}}  precision  recall      f1  support"]
    for name, hit, m, n in zip(shown, hits, support, claimed, strict=True):
        precision, recall, f1 = hit / max(n, 1), hit / max(m, 1), 2 * hit / max(m + n, 1)
        lines.append(f"{name:<{width}}  {precision:9.4f}  {recall:.4f}  {f1:.4f}  {m:7d}")
    return "\n".join(lines)
