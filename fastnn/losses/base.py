"""The base class of all losses: reduction, weights, and the call of the engine."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from fastnn import _checks, _core, metrics
from fastnn._core.arrays import Array

if TYPE_CHECKING:
    from fastnn._core import engine

Reduction = Literal["mean", "sum"]

# What the engine takes: the kind, the reduction, and the loss's own numbers by name.
Formula = dict[str, Any]


@dataclass(frozen=True)
class Loss:
    """What the built-in losses share; use one of its subclasses.

    The engine knows these alone: a subclass of your own trains step by step, through its
    `value_and_grad`.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Whether the per-sample losses l of a batch are averaged (the default, as frameworks do) or
        summed (as minibatch gradient descent is first taught). With sample weights w that is
        Σ w l / Σ w or Σ w l.
    """

    kind: ClassVar[str]
    takes_labels: ClassVar[bool]
    takes_probabilities: ClassVar[bool] = False
    has_hessian: ClassVar[bool] = True
    hessian_takes_target: ClassVar[bool] = False
    metric_name: ClassVar[str]

    reduction: Reduction = "mean"

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise ValueError(f"reduction is {self.reduction!r}; 'mean' or 'sum' is wanted")

    def formula(self) -> Formula:
        """Return the description in the engine's form."""
        return {"kind": self.kind, **vars(self)}

    def under(self, plan: "engine.Plan") -> tuple["engine.Plan", Formula]:
        """Return the plan and the formula by which the engine finds the loss of a network."""
        return plan, self.formula()

    def value_and_grad(self, y_pred: Any, y: Any, sample_weight: Any = None) -> tuple[float, Array]:
        """Compute the loss and its gradient.

        Parameters
        ----------
        y_pred : array_like (n, n_outputs)
            The network's outputs; float32 is kept, all else becomes float64.
        y : array_like
            Targets (n, n_outputs), or class indices (n,) where the loss takes labels.
        sample_weight : array_like (n,), optional
            At least 0, and not all 0; by default 1 each.

        Returns
        -------
        (float, ndarray (n, n_outputs))

        Raises
        ------
        ValueError, TypeError
            If shapes do not fit or values are not what this loss takes.
        """
        given = _checks.numeric_array(y_pred, "y_pred")
        dtype = np.dtype(np.float32 if given.dtype == np.float32 else np.float64)
        if given.ndim != 2 or given.shape[1] == 0:
            raise ValueError(f"y_pred has shape {given.shape}; (n, n_outputs) is wanted")
        target = self.check_target(y, given.shape, dtype)
        weights = _checks.sample_weight(sample_weight, "sample_weight", dtype, len(given))
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
        """`value_and_grad` of arrays that have been checked, maybe by the formula of `under`."""
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
        """Return what the summed loss of a batch is divided by; 1 where there is no sample."""
        if self.reduction == "sum":
            return 1.0
        return float(n_samples if weights is None else weights.sum(dtype=np.float64)) or 1.0

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

    def metric(self, outputs: Array, target: Array, weights: Array | None = None) -> float:
        """Return the figure that people read beside the loss: accuracy, or RMSE."""
        if self.takes_labels:
            return metrics.accuracy(outputs, target, weights)
        return metrics.rmse(outputs, target, weights)
