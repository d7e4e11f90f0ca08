"""Losses: value, gradient by the network's outputs, and what targets they take.

Each describes a kernel of the engine. A loss of your own is any object with
`value_and_grad(y_pred, y) -> (float, ndarray of y_pred's shape)`; it trains step by step.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks, _core, metrics

Array = NDArray[Any]


class CustomLoss(Protocol):
    """What `fit` asks of a loss written in Python.

    If it has an attribute `reduction` that is not "mean", an epoch's loss is the sum of its values
    over the minibatches; otherwise their mean, weighted by the samples.
    """

    def value_and_grad(self, y_pred: Array, y: Array) -> tuple[float, Array]:
        """Return the loss of a minibatch and its gradient by `y_pred` (n, n_outputs)."""
        ...


@dataclass(frozen=True)
class Loss:
    """What the built-in losses share; use one of its subclasses.

    The engine knows these alone: a subclass of your own trains step by step, through its
    `value_and_grad`.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Whether the per-sample losses of a batch are averaged (the default, as frameworks do) or
        summed (as minibatch gradient descent is first taught).
    """

    kind: ClassVar[str]
    takes_labels: ClassVar[bool]
    takes_probabilities: ClassVar[bool] = False
    metric_name: ClassVar[str]

    reduction: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise ValueError(f"reduction is {self.reduction!r}; 'mean' or 'sum' is wanted")

    def value_and_grad(self, y_pred: Any, y: Any) -> tuple[float, Array]:
        """Compute the loss and its gradient.

        Parameters
        ----------
        y_pred : array_like (n, n_outputs)
            The network's outputs; float32 is kept, all else becomes float64.
        y : array_like
            Targets (n, n_outputs), or class indices (n,) where the loss takes labels.

        Returns
        -------
        (float, ndarray (n, n_outputs))

        Raises
        ------
        ValueError, TypeError
            If shapes do not fit or values are not what this loss takes.
        """
        dtype = np.dtype(np.float32 if np.asarray(y_pred).dtype == np.float32 else np.float64)
        outputs = _checks.real_array(y_pred, "y_pred", dtype)
        if outputs.ndim != 2 or outputs.shape[1] == 0:
            raise ValueError(f"y_pred has shape {outputs.shape}; (n, n_outputs) is wanted")
        self.check_outputs(outputs)
        return self.evaluate(outputs, self.check_target(y, outputs.shape, dtype))

    def evaluate(self, outputs: Array, target: Array) -> tuple[float, Array]:
        """`value_and_grad` of arrays that `check_target` has seen."""
        n = max(len(outputs), 1)
        mean = self.reduction == "mean"
        gradient = np.empty_like(outputs)
        total = _core.engine.loss(
            self.kind, outputs, *self.engine_target(target), 1 / n if mean else 1.0, gradient
        )
        return total / n if mean else total, gradient

    def engine_target(self, target: Array) -> tuple[Array | None, Array | None]:
        """Return the engine's two arguments (targets, labels), one of which is None."""
        return (None, target) if self.takes_labels else (target, None)

    def check_target(
        self, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str = "y"
    ) -> Array:
        """Check and convert targets for outputs of that shape (n, n_outputs) and dtype."""
        n, n_outputs = shape
        if not self.takes_labels:
            return _checks.real_targets(y, name, dtype, shape)
        if n_outputs < 2:
            raise ValueError(
                f"{type(self).__name__} needs a network of at least 2 outputs, one for each "
                f"class; this one has {n_outputs}"
            )
        return _checks.class_labels(y, name, n, n_outputs)

    def check_outputs(self, outputs: Array) -> None:
        """Raise if these cannot be outputs that the loss is meant for."""

    def metric(self, outputs: Array, target: Array) -> float:
        """Return the figure that people read beside the loss: accuracy, or RMSE."""
        if self.takes_labels:
            return metrics.accuracy(outputs, target)
        return metrics.rmse(outputs, target)


@dataclass(frozen=True)
class HalfSquaredError(Loss):
    """½ Σ (ŷ - y)² over the outputs of a sample; its gradient is ŷ - y.

    Takes real targets (n, n_outputs), or (n,) for one output.
    """

    kind: ClassVar[str] = "half_squared_error"
    takes_labels: ClassVar[bool] = False
    metric_name: ClassVar[str] = "rmse"


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """Mean over a sample's outputs of (ŷ - y)²; its gradient is 2 (ŷ - y) / n_outputs.

    Takes real targets (n, n_outputs), or (n,) for one output.
    """

    kind: ClassVar[str] = "mean_squared_error"
    takes_labels: ClassVar[bool] = False
    metric_name: ClassVar[str] = "rmse"


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Mean over a sample's outputs of -y ln σ(z) - (1 - y) ln(1 - σ(z)), for logits z.

    The sigmoid is part of the loss, in the stable form ln(1 + e^z) - y z, of gradient
    (σ(z) - y) / n_outputs. Takes targets in [0, 1], (n, n_outputs), or (n,) for one output.
    """

    kind: ClassVar[str] = "binary_cross_entropy"
    takes_labels: ClassVar[bool] = False
    metric_name: ClassVar[str] = "accuracy"

    def check_target(
        self, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str = "y"
    ) -> Array:
        """Check and convert targets in [0, 1] for outputs of that shape and dtype."""
        target = super().check_target(y, shape, dtype, name)
        if target.size and (target.min() < 0 or target.max() > 1):
            raise ValueError(
                f"{name} lies in [{target.min():g}, {target.max():g}]; BinaryCrossEntropy takes "
                f"targets in [0, 1]"
            )
        return target

    def metric(self, outputs: Array, target: Array) -> float:
        """Return the share of outputs on the target's side of one half."""
        return metrics.binary_accuracy(outputs, target)


@dataclass(frozen=True)
class NegativeLogLikelihood(Loss):
    """-ln p_c of each sample's class c, for a network that ends in Softmax.

    Takes probabilities, not logits or log-probabilities; its gradient is -1 / p_c at c. Through
    Softmax's true Jacobian that becomes S - onehot_c, which `SoftmaxCrossEntropy` computes in one
    stable step. Labels are class indices (n,).
    """

    kind: ClassVar[str] = "negative_log_likelihood"
    takes_labels: ClassVar[bool] = True
    takes_probabilities: ClassVar[bool] = True
    metric_name: ClassVar[str] = "accuracy"

    def check_outputs(self, outputs: Array) -> None:
        """Raise if the outputs are not probabilities."""
        if not outputs.size:
            return
        worst = float(np.abs(outputs.sum(axis=1, dtype=np.float64) - 1).max())
        if outputs.min() >= 0 and worst < 1e-3:
            return
        kind = "log-probabilities" if outputs.max() <= 0 else "logits"
        raise ValueError(
            f"NegativeLogLikelihood takes probabilities, and the network's outputs look like "
            f"{kind}: the least is {outputs.min():.4g}, and rows miss the sum 1 by up to "
            f"{worst:.4g}. End the network with Softmax, or give logits to SoftmaxCrossEntropy"
        )


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """-ln S_c of each sample's class c, for logits z: ln Σ e^z - z_c, of gradient S - onehot_c.

    The softmax is part of the loss. Labels are class indices (n,).
    """

    kind: ClassVar[str] = "softmax_cross_entropy"
    takes_labels: ClassVar[bool] = True
    metric_name: ClassVar[str] = "accuracy"


BUILT_IN = (
    HalfSquaredError, MeanSquaredError, BinaryCrossEntropy, NegativeLogLikelihood,
    SoftmaxCrossEntropy,
)  # fmt: skip


def is_built_in(loss: Any) -> TypeGuard[Loss]:
    """Whether the engine knows this loss; a subclass may have changed what it computes."""
    return type(loss) in BUILT_IN


def check_target(
    loss: Any, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str
) -> NDArray[Any]:
    """Check a loss, and targets for outputs of that shape (n, n_outputs) and dtype.

    Raises
    ------
    TypeError
        If it is no loss.
    ValueError, TypeError
        If the targets are not what the loss takes.
    """
    if is_built_in(loss):
        return loss.check_target(y, shape, dtype, name)
    if isinstance(loss, type) or not callable(getattr(loss, "value_and_grad", None)):
        raise TypeError(
            f"loss is {loss!r}; a loss of fastnn such as SoftmaxCrossEntropy(), or an object with "
            f"value_and_grad(y_pred, y), is wanted"
        )
    if isinstance(y, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; fill or drop the masked entries first")
    try:
        target = np.asarray(y)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}") from None
    if target.ndim == 0 or len(target) != shape[0]:
        raise ValueError(f"{name} has shape {target.shape}; ({shape[0]}, …) is wanted")
    return target
