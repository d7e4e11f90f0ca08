"""What to try after training has diverged, from what the fit was given."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.optimizers import SGD, Optimizer
from fastnn.optimizers.full_batch import FullBatchOptimizer
from fastnn.optimizers.schedule import Schedule

Array = NDArray[Any]

LARGE = 10.0  # standardised data of usual shapes stay below
ROWS = 10_000  # looked at, so that the error comes at once


def after_divergence(x: Any, target: Any, optimizer: Optimizer | FullBatchOptimizer) -> str:
    """Return sentences that name what was seen and what to try.

    Parameters
    ----------
    x : ndarray (n, in_features), or a source of batches
        Of a source nothing is known here.
    target : ndarray
        Class indices are integers, which have no scale.
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
                f"The targets y reach {size:.3g}: train on (y - y.mean()) / y.std(), and scale the "
                f"predictions back"
            )
    if isinstance(optimizer, FullBatchOptimizer):
        return ". ".join(found or ["Another seed or another start of the parameters may help"])
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
    """Return the largest magnitude in the first rows, and its column."""
    sizes = np.abs(values[:ROWS].reshape(len(values[:ROWS]), -1)).max(axis=0)
    column = int(np.argmax(sizes))
    return float(sizes[column]), column
