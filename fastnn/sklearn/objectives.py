"""What an estimator minimises: a loss of fastnn, by scikit-learn's name or as it is."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from sklearn.metrics import d2_pinball_score

from fastnn.losses import (
    BinaryCrossEntropy,
    HalfSquaredError,
    Huber,
    Loss,
    MeanAbsoluteError,
    Pinball,
    Poisson,
    SoftmaxCrossEntropy,
)

Array = NDArray[Any]

# scikit-learn's names
REGRESSION = {
    "squared_error": HalfSquaredError,
    "absolute_error": MeanAbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
}


@dataclass(frozen=True)
class Objective:
    """A loss averaged over the samples, beside the penalty.

    Attributes
    ----------
    loss : Loss
        Of the network's raw outputs.
    out_activation : {"identity", "exp", "logistic", "softmax"}
        What turns raw outputs into predictions or probabilities.
    factor : float
        Multiplies the loss: scikit-learn sums the cross-entropies of several labels, of which
        BinaryCrossEntropy takes the mean.
    offsets : ndarray (n_samples,) or None
        Added to the samples' losses, so that a perfect prediction has loss 0.
    reported : float
        Multiplies the losses that "sgd" and "adam" report, penalty apart. Like scikit-learn they
        follow the sum of several squared errors, and report their mean.
    """

    loss: Loss
    out_activation: str
    factor: float = 1.0
    offsets: Array | None = None
    reported: float = 1.0

    def of_rows(self, rows: Array) -> "Objective":
        """Return the objective of some of the samples, by their row numbers."""
        return self if self.offsets is None else replace(self, offsets=self.offsets[rows])

    def offset(self, sample_weight: "Array | None") -> float:
        """Return what is added to the loss of all samples together."""
        if self.offsets is None:
            return 0.0
        return float(np.average(self.offsets, weights=sample_weight))


def classification(loss: "str | Loss", target_type: str, n_outputs: int) -> Objective:
    """Return the objective for targets of that scikit-learn type, as the network sees them."""
    factor = 1.0
    if isinstance(loss, SoftmaxCrossEntropy) and target_type.startswith("multilabel"):
        raise ValueError(f"loss is {loss}, for classes of which a sample has one; y has several")
    if isinstance(loss, BinaryCrossEntropy) and target_type == "multiclass":
        raise ValueError(f"loss is {loss}, for two classes or several labels; y has more classes")
    if isinstance(loss, str):
        multiclass = target_type == "multiclass"
        loss = SoftmaxCrossEntropy() if multiclass else BinaryCrossEntropy()
        factor = 1.0 if multiclass else float(n_outputs)
    return Objective(loss, "softmax" if loss.takes_labels else "logistic", factor)


def regression(loss: "str | Loss", y: Array) -> Objective:
    """Return the objective for targets (n,) or (n, n_outputs)."""
    chosen = REGRESSION[loss]() if isinstance(loss, str) else loss
    if chosen.takes_labels:
        raise ValueError(f"loss is {chosen}, for classes; MLPRegressor wants a loss of numbers")
    if isinstance(chosen, BinaryCrossEntropy):
        return Objective(chosen, "logistic")
    if not isinstance(chosen, Poisson):
        n_outputs = y[:1].size if loss == "squared_error" else 1
        return Objective(chosen, "identity", reported=1 / n_outputs)
    # half the deviance: y ln(y / ŷ) - y + ŷ
    perfect = xlogy(y, y) - y
    if perfect.ndim == 2:
        perfect = perfect.sum(axis=1)
    return Objective(chosen, "exp", offsets=perfect if chosen.reduction == "mean" else None)


def d2_pinball(loss: Pinball, y: Any, predicted: Array, sample_weight: "Array | None") -> float:
    """Return 1 less the pinball loss over that of the best constants, the mean over outputs.

    It is to quantiles what R² is to means (Koenker and Machado 1999). `y` is (n,), or has the shape
    of the predictions (n, n_outputs).
    """
    if np.ndim(y) == 2 and np.shape(y)[1] == 1:
        y = np.ravel(y)
    target = loss.check_target(y, predicted.shape, np.dtype(np.float64), "y")
    quantiles = np.broadcast_to(loss.quantiles, predicted.shape[1])
    scores = [
        d2_pinball_score(target[:, i], predicted[:, i], sample_weight=sample_weight, alpha=quantile)
        for i, quantile in enumerate(quantiles)
    ]
    return float(np.mean(scores))


def n_units(loss: Loss, y: Array) -> int:
    """Return how many outputs a regressor's network needs for targets (n,) or (n, n_outputs)."""
    if isinstance(loss, Pinball) and isinstance(loss.quantiles, tuple):
        return len(loss.quantiles)
    return 1 if y.ndim == 1 else y.shape[1]
