"""Losses for classification."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastnn import _checks, metrics
from fastnn._core.arrays import Array
from fastnn.losses.base import Formula, Loss

if TYPE_CHECKING:
    from fastnn._core import engine


@dataclass(frozen=True, repr=False)
class BinaryCrossEntropy(Loss):
    """Mean over a sample's outputs of -y ln σ(z) - (1 - y) ln(1 - σ(z)), for logits z.

    The sigmoid is part of the loss, which is computed in the stable form ln(1 + e^z) - y z. The
    gradient is (σ(z) - y) / n_outputs. Takes targets in [0, 1], of shape (n, n_outputs), or (n,)
    for one output.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        See `Loss`.
    label_smoothing : float
        ε, at least 0 and below 1: the targets become (1 - ε) y + ½ ε. By default 0.

    Examples
    --------
    >>> loss, gradient = fn.BinaryCrossEntropy().value_and_grad([[0.0]], [[1.0]])
    >>> round(loss, 4), gradient.tolist()  # ln 2, and σ(z) - y
    (0.6931, [[-0.5]])
    """

    kind: ClassVar[str] = "binary_cross_entropy"
    link: ClassVar[str | None] = "sigmoid"
    takes_labels: ClassVar[bool] = False
    metric_name: ClassVar[str] = "accuracy"

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.number(self.label_smoothing, "label_smoothing", at_least=0, below=1)

    def check_target(
        self, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str = "y"
    ) -> Array:
        """Return the checked targets in [0, 1] for outputs of this shape and dtype."""
        target = super().check_target(y, shape, dtype, name)
        least, largest = (f.reduce(target, axis=None, initial=0.5) for f in (np.fmin, np.fmax))
        if least < 0 or largest > 1:  # fmin and fmax ignore NaN
            least, largest = (f.reduce(target, axis=None) for f in (np.fmin, np.fmax))
            raise ValueError(
                f"{name} lies in [{least:g}, {largest:g}]; BinaryCrossEntropy takes targets in "
                f"[0, 1]"
            )
        return target

    def target_bounds(self, n_outputs: int) -> tuple[float, float]:
        """Return the range of the targets."""
        return 0.0, 1.0

    def metric(self, outputs: Array, target: Array, weights: Array | None = None) -> float:
        """Return the share of outputs whose probability is on the target's side of one half."""
        return metrics.binary_accuracy(*self.observed(outputs, target, weights))


@dataclass(frozen=True, repr=False)
class NegativeLogLikelihood(Loss):
    """-ln p_c of each sample's class c, for a network that ends in Softmax.

    Takes probabilities, not logits or log-probabilities. The gradient is -1 / p_c at c, and
    S - onehot_c with respect to the logits. Labels are class indices (n,).

    For a network that ends in Softmax, training and the network's derivatives of this loss go from
    the logits to the loss in one step, as in `SoftmaxCrossEntropy`. They stay finite if p_c rounds
    to 0. `value_and_grad` gets only the probabilities: the loss is infinite for p_c = 0, and the
    gradient also overflows for the smallest denormal p_c.
    """

    kind: ClassVar[str] = "negative_log_likelihood"
    link: ClassVar[str | None] = "identity"
    takes_labels: ClassVar[bool] = True
    takes_probabilities: ClassVar[bool] = True
    hessian_takes_target: ClassVar[bool] = True
    metric_name: ClassVar[str] = "accuracy"

    def under(self, plan: "engine.Plan") -> tuple["engine.Plan", Formula]:
        """Return the plan of the logits if the network ends in Softmax, and the formula."""
        if plan.logits is None:
            return plan, self.formula()
        return plan.logits, {**self.formula(), "through_softmax": True}

    def check_outputs(self, outputs: Array) -> None:
        """Raise if the outputs are not probabilities."""
        if not outputs.size:
            return
        worst = float(np.abs(outputs.sum(axis=1, dtype=np.float64) - 1).max())
        if outputs.min() >= 0 and worst < 1e-3:
            return
        kind = "log-probabilities" if outputs.max() <= 0 else "logits"
        raise ValueError(
            f"NegativeLogLikelihood takes probabilities, but the network's outputs look like "
            f"{kind}: the least is {outputs.min():.4g}, and the sums of the rows differ from 1 by "
            f"up to {worst:.4g}. End the network with Softmax, or use SoftmaxCrossEntropy, which "
            f"takes logits"
        )


@dataclass(frozen=True, repr=False)
class SoftmaxCrossEntropy(Loss):
    """-ln S_c = ln Σ e^z - z_c for logits z and class c; the gradient is S - onehot_c.

    The softmax is part of the loss. Labels are class indices (n,).

    Parameters
    ----------
    reduction : {"mean", "sum"}
        See `Loss`.
    label_smoothing : float
        ε, at least 0 and below 1: the target of k classes becomes (1 - ε) onehot_c + ε / k, as in
        PyTorch. By default 0.

    Examples
    --------
    >>> loss, gradient = fn.SoftmaxCrossEntropy().value_and_grad([[0.0, 0.0]], [1])
    >>> round(loss, 4), gradient.tolist()  # ln 2, and S - onehot
    (0.6931, [[0.5, -0.5]])
    """

    kind: ClassVar[str] = "softmax_cross_entropy"
    link: ClassVar[str | None] = "softmax"
    takes_labels: ClassVar[bool] = True
    metric_name: ClassVar[str] = "accuracy"

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.number(self.label_smoothing, "label_smoothing", at_least=0, below=1)
