"""What an estimator minimises: a loss of fastnn, or one that scikit-learn names."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import xlogy
from sklearn.metrics import d2_pinball_score

from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
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
from fastnn.network import Network

# scikit-learn's names
REGRESSION = {
    "squared_error": HalfSquaredError,
    "absolute_error": MeanAbsoluteError,
    "huber": Huber,
    "poisson": Poisson,
}


@dataclass(frozen=True)
class Objective:
    """A loss averaged over the samples, without the penalty on the weights.

    Attributes
    ----------
    loss : Loss
        A function of the network's raw outputs.
    out_activation : {"identity", "exp", "logistic", "softmax"}
        Turns raw outputs into predictions or probabilities.
    factor : float
        Multiplies the loss. For several labels scikit-learn sums the cross-entropies, while
        BinaryCrossEntropy is their mean.
    offsets : ndarray (n_samples,) or None
        Added to the losses of the samples, so that a perfect prediction has loss 0.
    reported : float
        Multiplies the losses that "sgd" and "adam" report, but not the penalty. For several outputs
        the steps follow the summed squared errors while the reported loss is their mean, as in
        scikit-learn.
    """

    loss: Loss
    out_activation: str
    factor: float = 1.0
    offsets: Array | None = None
    reported: float = 1.0

    def of_rows(self, rows: Array) -> "Objective":
        """Return the objective of some of the samples, given by their row numbers."""
        return self if self.offsets is None else replace(self, offsets=self.offsets[rows])

    def offset(self, sample_weight: "Array | None") -> float:
        """Return the weighted mean of the offsets, which is added to the loss of all samples."""
        if self.offsets is None:
            return 0.0
        return float(np.average(self.offsets, weights=sample_weight))


@dataclass(frozen=True)
class Problem:
    """What a call of `fit` minimises: an objective and the penalty on all weights.

    Attributes
    ----------
    network : Network
    objective : Objective
    x : ndarray (n_samples, n_features), or SparseRows
    target : ndarray
        The targets in the form that `objective.loss` takes.
    sample_weight : ndarray (n_samples,) or None
    alpha : float
        Factor of the penalty.
    n_threads : int or None
    """

    network: Network
    objective: Objective
    x: "Array | SparseRows"
    target: Array
    sample_weight: Array | None
    alpha: float
    n_threads: int | None

    def of_rows(self, rows: Array) -> "Problem":
        """Return the problem on some of the samples, given by their row numbers."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return replace(
            self,
            objective=self.objective.of_rows(rows),
            x=self.x[rows],
            target=self.target[rows],
            sample_weight=weight,
        )


def classification(loss: "str | Loss", target_type: str, n_outputs: int) -> Objective:
    """Return a classifier's objective.

    Parameters
    ----------
    loss : "log_loss", SoftmaxCrossEntropy or BinaryCrossEntropy
    target_type : str
        The type of y, as scikit-learn's `type_of_target` returns it.
    n_outputs : int
        Number of columns of the encoded targets.

    Raises
    ------
    ValueError
        If the loss does not take such targets.
    """
    factor = 1.0
    if isinstance(loss, SoftmaxCrossEntropy) and target_type.startswith("multilabel"):
        raise ValueError(f"loss is {loss}, which takes one class per sample; y has several labels")
    if isinstance(loss, BinaryCrossEntropy) and target_type == "multiclass":
        raise ValueError(
            f"loss is {loss}, which takes two classes or several labels; y has more classes"
        )
    if isinstance(loss, str):
        multiclass = target_type == "multiclass"
        loss = SoftmaxCrossEntropy() if multiclass else BinaryCrossEntropy()
        factor = 1.0 if multiclass else float(n_outputs)
    return Objective(loss, "softmax" if loss.takes_labels else "logistic", factor)


def regression(loss: "str | Loss", y: Array) -> Objective:
    """Return a regressor's objective for targets (n,) or (n, n_outputs).

    Raises
    ------
    ValueError
        If the loss takes classes.
    """
    chosen = REGRESSION[loss]() if isinstance(loss, str) else loss
    if chosen.takes_labels:
        raise ValueError(f"loss is {chosen}, which takes classes; MLPRegressor takes other losses")
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
    """Return D², averaged over the outputs: 1 - (pinball loss / loss of the best constants).

    It corresponds to R², for quantiles in place of means (Koenker and Machado 1999). `y` has the
    shape (n,) or the shape of the predictions, (n, n_outputs).
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
    """Return the number of outputs that a regressor needs for targets (n,) or (n, n_outputs)."""
    if isinstance(loss, Pinball) and isinstance(loss.quantiles, tuple):
        return len(loss.quantiles)
    return 1 if y.ndim == 1 else y.shape[1]
