"""Advice after training has diverged, from the data and the optimizer of the fit."""

from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.optimizers import SGD, Optimizer
from fastnn.optimizers.full_batch import FullBatchOptimizer
from fastnn.optimizers.schedule import Schedule

LARGE = 10.0  # standardised data rarely reach it
ROWS = 10_000  # the number of rows that are examined, so that the error comes quickly


def after_divergence(x: Any, target: Any, optimizer: Optimizer | FullBatchOptimizer) -> str:
    """Return sentences about the likely cause and what to try.

    Parameters
    ----------
    x : ndarray (n, in_features), or a source of rows
        A source of rows is not examined.
    target : ndarray
        Class indices are not examined.
    optimizer : Optimizer or FullBatchOptimizer

    Returns
    -------
    str
    """
    found = []
    if isinstance(x, np.ndarray) and len(x):
        size, column = _largest(x)
        if size > LARGE:
            found.append(
                f"The features X reach {size:.3g} in column {column}: standardise them, for "
                f"instance with Standardize.from_data(X) as the first layer"
            )
    if isinstance(target, np.ndarray) and target.dtype.kind == "f" and target.size:
        size, column = _largest(target)
        if size > LARGE:
            found.append(
                f"The targets y reach {size:.3g}: end the network with Unstandardize and call fit "
                f'with standardize="y", or train on (y - y.mean()) / y.std(), and scale the '
                f"predictions back"
            )
    if isinstance(optimizer, FullBatchOptimizer):
        return ". ".join(found or ["Another seed or other initial parameters may help"])
    rate = optimizer.learning_rate
    if isinstance(rate, Schedule):
        found.append(f"The learning rate is {rate!r}: try a tenth of its rates")
    else:
        found.append(f"The learning rate is {rate:g}: try {float(f'{rate / 10:.1g}'):g}")
    if isinstance(optimizer, SGD):
        found.append("The default optimizer, Adam, depends less on the scale of the gradient")
    elif optimizer.clip_norm is None:
        found.append("The argument clip_norm=1.0 limits the gradient")
    return ". ".join(found)


def _largest(values: Array) -> tuple[float, int]:
    """Return the largest magnitude in the first rows, and the column where it occurs."""
    rows = np.abs(values[:ROWS].reshape(len(values[:ROWS]), -1))
    sizes = np.fmax.reduce(rows, axis=0, initial=0)  # targets may be missing: NaN is ignored
    column = int(np.argmax(sizes))
    return float(sizes[column]), column
