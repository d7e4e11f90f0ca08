"""What an estimator minimises: a loss of fastnn, by scikit-learn's name or as it is."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from fastnn.losses import BinaryCrossEntropy, HalfSquaredError, Loss, SoftmaxCrossEntropy

Array = NDArray[Any]

REGRESSION = {"squared_error": HalfSquaredError}


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
    offset : float
        Added to the loss, so that a perfect prediction has loss 0 where that depends on the target.
    """

    loss: Loss
    out_activation: str
    factor: float = 1.0
    offset: float = 0.0


def classification(loss: "str | Loss", target_type: str, n_outputs: int) -> Objective:
    """Return the objective for targets of that scikit-learn type, as the network sees them."""
    factor = 1.0
    if isinstance(loss, str):
        multiclass = target_type == "multiclass"
        loss = SoftmaxCrossEntropy() if multiclass else BinaryCrossEntropy()
        factor = 1.0 if multiclass else float(n_outputs)
    return Objective(loss, "softmax" if loss.takes_labels else "logistic", factor)


def regression(loss: "str | Loss", target: Array) -> Objective:
    """Return the objective for targets (n, n_outputs)."""
    if isinstance(loss, str):
        loss = REGRESSION[loss]()
    return Objective(loss, "identity")
