"""Temperature scaling of a classifier's logits (Guo et al., "On calibration of modern neural
networks", 2017).
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from fastnn._core.arrays import Array

FEWEST_ROWS = 20  # with fewer held-out rows, "auto" does not calibrate
WIDEST = 20.0  # the temperature lies between 1/20 and 20


def temperature(logits: Array, labels: Array, weights: Array | None) -> float:
    """Return the T that minimises the log loss of the logits (n, k) divided by T.

    The labels are smoothed by 1 / (n + 2), as in Platt scaling. Otherwise the best T would be 0 if
    all rows are classified correctly.

    Parameters
    ----------
    logits : ndarray (n, k)
        At least one row.
    labels : ndarray (n,) of int
        Class indices.
    weights : ndarray (n,) or None
    """
    n, k = logits.shape
    wide = logits.astype(np.float64)
    smoothing = 1 / (n + 2)
    targets = np.full((n, k), smoothing / k)
    targets[np.arange(n), labels] += 1 - smoothing
    expected = np.sum(targets * wide, axis=1)

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        losses = logsumexp(wide * inverse, axis=1) - inverse * expected
        return float(np.average(losses, weights=weights))

    limit = np.log(WIDEST)
    found = minimize_scalar(loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def probabilities(logits: list[Array], temperature: float) -> Array:
    """Return the mean (n, k), float64, of the probabilities of some networks' logits."""
    parts = [softmax(part.astype(np.float64) / temperature, axis=1) for part in logits]
    mean: Array = parts[0] if len(parts) == 1 else np.mean(parts, axis=0)
    return mean
