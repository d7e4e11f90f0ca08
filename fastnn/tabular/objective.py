"""The loss that an estimator minimises, and the metric that chooses the best epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp, softmax, xlogy

from fastnn._core.arrays import Array
from fastnn.losses import (
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Pinball,
    Poisson,
    SoftmaxCrossEntropy,
)

SMOOTHING = 0.1  # of the labels, unless the metric measures probabilities
Score = Callable[[Array, Array, "Array | None"], float]


@dataclass(frozen=True)
class Objective:
    """A loss, and the metric of the held-out rows.

    Attributes
    ----------
    loss : Loss
    metric : str
    larger_is_better : bool
    score : function (outputs, targets, weights) -> float
        Computes the metric. The outputs are a classifier's logits or a regressor's predictions.
    """

    loss: Loss
    metric: str
    larger_is_better: bool
    score: Score


def _accuracy(logits: Array, labels: Array, weights: Array | None) -> float:
    return float(np.average(logits.argmax(axis=1) == labels, weights=weights))


def _balanced_accuracy(logits: Array, labels: Array, weights: Array | None) -> float:
    """Return the mean recall of the classes that have rows."""
    right = logits.argmax(axis=1) == labels
    k = logits.shape[1]
    hits = np.bincount(labels, right if weights is None else right * weights, minlength=k)
    totals = np.bincount(labels, weights, minlength=k)
    return float((hits[totals > 0] / totals[totals > 0]).mean())


def _log_loss(logits: Array, labels: Array, weights: Array | None) -> float:
    wide = logits.astype(np.float64)
    losses = logsumexp(wide, axis=1) - np.take_along_axis(wide, labels[:, None], axis=1)[:, 0]
    return float(np.average(losses, weights=weights))


def _auc(logits: Array, labels: Array, weights: Array | None) -> float:
    """Return the area under the ROC curve.

    With three or more classes, this is the mean of the areas of each class against the rest.
    Classes without a row are left out. If all rows are of one class, it is NaN.
    """
    from sklearn.metrics import roc_auc_score

    if logits.shape[1] == 2:
        scores, classes = (logits[:, 1] - logits[:, 0])[:, None], [1]
    else:
        scores = softmax(logits.astype(np.float64), axis=1)
        classes = list(range(logits.shape[1]))
    areas = [
        roc_auc_score(labels == c, scores[:, i], sample_weight=weights)
        for i, c in enumerate(classes)
        if 0 < np.count_nonzero(labels == c) < len(labels)
    ]
    return float(np.mean(areas)) if areas else float("nan")


def _rmse(predicted: Array, y: Array, weights: Array | None) -> float:
    return float(np.sqrt(np.average(np.square(predicted - y, dtype=np.float64), weights=weights)))


def _mae(predicted: Array, y: Array, weights: Array | None) -> float:
    return float(np.average(np.abs(predicted - y, dtype=np.float64), weights=weights))


def _r2(predicted: Array, y: Array, weights: Array | None) -> float:
    deviation = _rmse(np.full(len(y), np.average(y, weights=weights)), y, weights)
    return 1 - (_rmse(predicted, y, weights) / deviation) ** 2 if deviation > 0 else float("nan")


def _poisson_deviance(predicted: Array, y: Array, weights: Array | None) -> float:
    """Return the mean of 2 (y ln(y / ŷ) - y + ŷ), for predictions ŷ > 0."""
    wide = np.maximum(predicted, np.finfo(np.float32).tiny).astype(np.float64)
    return float(np.average(2 * (xlogy(y, y / wide) - y + wide), weights=weights))


def _pinball(quantile: float) -> Score:
    def score(predicted: Array, y: Array, weights: Array | None) -> float:
        error = np.subtract(y, predicted, dtype=np.float64)
        losses = np.maximum(quantile * error, (quantile - 1) * error)
        return float(np.average(losses, weights=weights))

    return score


# the function, whether larger is better, and whether it measures probabilities
OF_CLASSES: dict[str, tuple[Score, bool, bool]] = {
    "accuracy": (_accuracy, True, False),
    "balanced_accuracy": (_balanced_accuracy, True, False),
    "log_loss": (_log_loss, False, True),
    "auc": (_auc, True, True),
}
OF_NUMBERS: dict[str, tuple[Score, bool]] = {
    "rmse": (_rmse, False),
    "mae": (_mae, False),
    "r2": (_r2, True),
    "poisson_deviance": (_poisson_deviance, False),
}
METRIC_OF_LOSS = {
    "squared": "rmse",
    "absolute": "mae",
    "quantile": "pinball",
    "poisson": "poisson_deviance",
}


def classification(metric: str) -> Objective:
    """Return the objective of a classifier for a metric; "auto" is "accuracy"."""
    name = "accuracy" if metric == "auto" else metric
    score, larger, of_probabilities = OF_CLASSES[name]
    smoothing = 0.0 if of_probabilities else SMOOTHING
    return Objective(SoftmaxCrossEntropy(label_smoothing=smoothing), name, larger, score)


def regression(loss: str, metric: str, quantile: float) -> Objective:
    """Return the objective of a regressor.

    The loss "auto" is "absolute" with the metric "mae", and otherwise "squared". The metric "auto"
    is that of the loss, by `METRIC_OF_LOSS`.
    """
    if loss == "auto":
        loss = "absolute" if metric == "mae" else "squared"
    name = METRIC_OF_LOSS[loss] if metric == "auto" else metric
    losses: dict[str, Any] = {
        "squared": MeanSquaredError,
        "absolute": MeanAbsoluteError,
        "quantile": lambda: Pinball(quantile),
        "poisson": Poisson,
    }
    score, larger = (_pinball(quantile), False) if name == "pinball" else OF_NUMBERS[name]
    return Objective(losses[loss](), name, larger, score)
