"""The base class of the losses that the engine computes: reduction, weights, the engine's call."""

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from fastnn import _checks, _core, metrics
from fastnn._core._calls import loss_and_grad
from fastnn._core.arrays import Array

if TYPE_CHECKING:
    from fastnn._core import engine

Reduction = Literal["mean", "sum"]

# The engine's description of a loss: kind, reduction, and the loss's parameters by name.
Formula = dict[str, Any]


@dataclass(frozen=True, repr=False)
class Loss:
    """The base class of the built-in losses; use one of its subclasses.

    The engine computes only the built-in losses. A subclass of your own trains one update at a time
    in Python, through its `value_and_grad`.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Whether the loss of a batch is the mean of the samples' losses l, or their sum. By default
        the mean. With sample weights w it is Σ w l / Σ w or Σ w l.
    negative_weights : bool
        Whether sample weights may be negative, such as the advantages of policy gradients. By
        default False. Then the weights may also be all 0, and the mean is Σ w l / n for n samples,
        since Σ w may be 0. Metrics of held-out samples ignore such weights.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.
    """

    kind: ClassVar[str]
    takes_labels: ClassVar[bool]
    takes_probabilities: ClassVar[bool] = False
    has_hessian: ClassVar[bool] = True
    hessian_takes_target: ClassVar[bool] = False
    metric_name: ClassVar[str]

    # whether the engine computes the loss; a subclass of your own may override any method
    in_engine: ClassVar[bool] = False

    reduction: Reduction = "mean"
    negative_weights: bool = field(default=False, kw_only=True)

    def __init_subclass__(cls) -> None:
        cls.in_engine = cls.__module__.startswith("fastnn.losses.")

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise ValueError(f"reduction is {self.reduction!r}; 'mean' or 'sum' is wanted")
        _checks.boolean(self.negative_weights, "negative_weights")

    def __repr__(self) -> str:
        """Return the constructor's call; checkpoints compare it, so new defaults are left out."""
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        if not self.negative_weights:
            del shown["negative_weights"]
        arguments = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{type(self).__qualname__}({arguments})"

    def formula(self) -> Formula:
        """Return the engine's description of the loss."""
        return {"kind": self.kind, **vars(self)}

    def under(self, plan: "engine.Plan") -> tuple["engine.Plan", Formula]:
        """Return the plan and the formula with which the engine computes the loss of a network."""
        return plan, self.formula()

    def value_and_grad(self, y_pred: Any, y: Any, sample_weight: Any = None) -> tuple[float, Array]:
        """Return the loss and its gradient with respect to the outputs.

        Parameters
        ----------
        y_pred : array_like (n, n_outputs)
            The network's outputs. Float32 stays float32; other dtypes become float64.
        y : array_like
            Targets (n, n_outputs), or class indices (n,) where the loss takes labels.
        sample_weight : array_like (n,), optional
            Weights of the samples, at least 0 and not all 0 unless the loss has
            `negative_weights`. By default all are 1.

        Returns
        -------
        (float, ndarray (n, n_outputs))

        Raises
        ------
        ValueError, TypeError
            If shapes do not fit, or the values do not suit this loss.
        """
        ready = loss_and_grad(_core.engine, self, y_pred, y, sample_weight)
        if ready is not None:
            return ready
        given = _checks.numeric_array(y_pred, "y_pred")
        dtype = np.dtype(np.float32 if given.dtype == np.float32 else np.float64)
        if given.ndim != 2 or given.shape[1] == 0:
            raise ValueError(f"y_pred has shape {given.shape}; (n, n_outputs) is wanted")
        target = self.check_target(y, given.shape, dtype)
        weights = _checks.sample_weight(
            sample_weight, "sample_weight", dtype, len(given), self.negative_weights
        )
        outputs = _checks.converted(given, "y_pred", dtype)
        self.check_outputs(outputs)
        return self.evaluate(outputs, target, weights)

    def evaluate(
        self,
        outputs: Array,
        target: Array,
        weights: Array | None = None,
        formula: Formula | None = None,
    ) -> tuple[float, Array]:
        """Return `value_and_grad` for checked arrays, and optionally the formula from `under`."""
        divisor = self.divisor(len(outputs), weights)
        gradient = np.empty_like(outputs)
        total = _core.engine.loss(
            formula or self.formula(),
            outputs,
            *self.engine_target(target),
            weights,
            1 / divisor,
            gradient,
        )
        return total / divisor, gradient

    def divisor(self, n_samples: int, weights: Array | None) -> float:
        """Return the divisor of the summed loss of a batch; 1 for a batch without samples."""
        if self.reduction == "sum":
            return 1.0
        if weights is None or self.negative_weights:
            return float(n_samples) or 1.0
        return float(weights.sum(dtype=np.float64)) or 1.0

    def target_bounds(self, n_outputs: int) -> tuple[float, float] | None:
        """Return the least and the largest target, which `check_target` accepts without conversion.

        None means that only `check_target` can tell for a network of so many outputs.
        """
        return -math.inf, math.inf

    def engine_target(self, target: Array) -> tuple[Array | None, Array | None]:
        """Return the engine's two arguments (targets, labels); one of the two is None."""
        return (None, target) if self.takes_labels else (target, None)

    def check_target(
        self, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str = "y"
    ) -> Array:
        """Return the checked targets for outputs of shape (n, n_outputs) and this dtype."""
        n, n_outputs = shape
        if not self.takes_labels:
            return _checks.real_targets(y, name, dtype, shape)
        if n_outputs < 2:
            raise ValueError(
                f"{type(self).__name__} needs a network of at least 2 outputs, one for each "
                f"class; the network has {n_outputs}"
            )
        return _checks.class_labels(y, name, n, n_outputs)

    def check_outputs(self, outputs: Array) -> None:
        """Raise ValueError if the outputs do not suit the loss (logits, not probabilities)."""

    def metric(self, outputs: Array, target: Array, weights: Array | None = None) -> float:
        """Return the metric that is reported with the loss: accuracy or RMSE."""
        if self.takes_labels:
            return metrics.accuracy(outputs, target, weights)
        return metrics.rmse(outputs, target, weights)
