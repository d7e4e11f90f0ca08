"""Prediction intervals from the errors on held-out rows (split conformal prediction).

Lei et al., "Distribution-free predictive inference for regression", 2018.
"""

import math

import numpy as np

from fastnn._core.arrays import Array


def offsets(errors: Array, coverage: float) -> tuple[float, float]:
    """Return what to add to a prediction for the lower and the upper end of an interval.

    Parameters
    ----------
    errors : ndarray (n,)
        y - ŷ on held-out rows, sorted.
    coverage : float
        The probability that an interval contains the target, above 0 and below 1.

    Returns
    -------
    (float, float)
        The lower and the upper offset. Equally many errors lie below the one and above the other.

    Raises
    ------
    ValueError
        If there are too few held-out rows for this coverage.
    """
    n = len(errors)
    outside = math.floor((n + 1) * (1 - coverage) / 2 + 1e-9)  # rows on each side
    if outside < 1:
        needed = math.ceil(2 / (1 - coverage) - 1 - 1e-9)
        raise ValueError(
            f"coverage is {coverage:g}, and {n} rows were held out; {needed} or more are wanted"
        )
    return float(errors[outside - 1]), float(errors[n - outside])


def sorted_errors(predicted: Array, y: Array) -> Array:
    """Return y - ŷ in ascending order, float64."""
    return np.sort(np.subtract(y, predicted, dtype=np.float64))
