"""Losses for regression: squared and absolute errors, quantiles and counts."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, metrics
from fastnn._core.arrays import Array
from fastnn.losses.base import Formula, Loss, Reduction


@dataclass(frozen=True, repr=False)
class HalfSquaredError(Loss):
    """½ Σ (ŷ - y)² over the outputs of a sample; its gradient is ŷ - y.

    Takes real targets (n, n_outputs), or (n,) for one output.
    """

    kind: ClassVar[str] = "half_squared_error"
    sums_outputs: ClassVar[bool] = True
    takes_labels: ClassVar[bool] = False
    of_errors: ClassVar[bool] = True
    metric_name: ClassVar[str] = "rmse"


@dataclass(frozen=True, repr=False)
class MeanSquaredError(Loss):
    """Mean over a sample's outputs of (ŷ - y)²; its gradient is 2 (ŷ - y) / n_outputs.

    Takes real targets (n, n_outputs), or (n,) for one output.

    Examples
    --------
    >>> fn.MeanSquaredError().value_and_grad([[1.0], [2.0]], [[3.0], [2.0]])
    (2.0, array([[-2.],
           [ 0.]]))
    """

    kind: ClassVar[str] = "mean_squared_error"
    takes_labels: ClassVar[bool] = False
    of_errors: ClassVar[bool] = True
    metric_name: ClassVar[str] = "rmse"


@dataclass(frozen=True, repr=False)
class MeanAbsoluteError(Loss):
    """Mean over a sample's outputs of `|ŷ - y|`; its gradient is sign(ŷ - y) / n_outputs, 0 at 0.

    Takes real targets (n, n_outputs), or (n,) for one output. The loss is piecewise linear and has
    no Hessian.
    """

    kind: ClassVar[str] = "mean_absolute_error"
    takes_labels: ClassVar[bool] = False
    of_errors: ClassVar[bool] = True
    has_hessian: ClassVar[bool] = False
    metric_name: ClassVar[str] = "rmse"


@dataclass(frozen=True, repr=False)
class Huber(Loss):
    """Mean over a sample's outputs of ½ e² where `|e| < delta`, else `delta (|e| - ½ delta)`.

    Here e = ŷ - y (Huber 1964; PyTorch's HuberLoss). The gradient is bounded, so that an outlier
    has limited influence. The Hessian is 1 / n_outputs, or 0 beyond delta. Takes real targets
    (n, n_outputs), or (n,) for one output.

    Parameters
    ----------
    delta : float
        The error `|e|` from which on the loss is linear, above 0; by default 1.
    reduction : {"mean", "sum"}
        See `Loss`.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.

    Examples
    --------
    >>> fn.Huber(delta=1.0, reduction="sum").value_and_grad([[0.5], [3.0]], [[0.0], [0.0]])
    (2.625, array([[0.5],
           [1. ]]))
    """

    kind: ClassVar[str] = "huber"
    takes_labels: ClassVar[bool] = False
    of_errors: ClassVar[bool] = True
    hessian_takes_target: ClassVar[bool] = True
    metric_name: ClassVar[str] = "rmse"

    reduction: Reduction = field(default="mean", kw_only=True)
    delta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.number(self.delta, "delta", above=0)


@dataclass(frozen=True, repr=False)
class LogCosh(Loss):
    """Mean over a sample's outputs of ln cosh(ŷ - y); its gradient is tanh(ŷ - y) / n_outputs.

    It is close to ½ e² for small errors e = ŷ - y and to `|e| - ln 2` for large ones, a smooth
    Huber loss. Its Hessian (1 - tanh² e) / n_outputs is positive. Takes real targets
    (n, n_outputs), or (n,) for one output.
    """

    kind: ClassVar[str] = "log_cosh"
    takes_labels: ClassVar[bool] = False
    of_errors: ClassVar[bool] = True
    hessian_takes_target: ClassVar[bool] = True
    metric_name: ClassVar[str] = "rmse"


@dataclass(frozen=True, repr=False)
class Pinball(Loss):
    """Quantile regression: mean over outputs of τ (y - ŷ) if ŷ < y, else (1 - τ) (ŷ - y).

    The τ-quantile of the targets minimises the loss (Koenker and Bassett 1978). The gradient is
    -τ / n_outputs or (1 - τ) / n_outputs, and 0 at ŷ = y. The loss is piecewise linear and has no
    Hessian. Validation reports the coverage error, `|share of targets at or below the output - τ|`.

    Parameters
    ----------
    quantiles : float or sequence of float
        One τ for all outputs, or a τ for each output; above 0 and below 1. By default 0.5. Targets
        are (n, n_outputs), or (n,) for one output. With a sequence, targets (n,) serve all outputs.
    reduction : {"mean", "sum"}
        See `Loss`.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.

    Examples
    --------
    >>> fn.Pinball(0.9).value_and_grad([[1.0]], [[3.0]])  # too low costs more than too high
    (1.8, array([[-0.9]]))
    """

    kind: ClassVar[str] = "pinball"
    takes_labels: ClassVar[bool] = False
    of_errors: ClassVar[bool] = True
    has_hessian: ClassVar[bool] = False
    metric_name: ClassVar[str] = "coverage_error"

    reduction: Reduction = field(default="mean", kw_only=True)
    quantiles: float | tuple[float, ...] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        given: Any = self.quantiles
        if isinstance(given, list | tuple) or np.ndim(given):
            given = tuple(given)
            if not given:
                raise ValueError("quantiles is empty; at least one number is wanted")
            given = tuple(
                _checks.number(quantile, f"quantiles[{i}]", above=0, below=1)
                for i, quantile in enumerate(given)
            )
        else:
            given = given[()] if isinstance(given, np.ndarray) else given
            given = _checks.number(given, "quantiles", above=0, below=1)
        object.__setattr__(self, "quantiles", given)

    def formula(self) -> Formula:
        """Return the engine's description of the loss."""
        return super().formula() | {"quantiles": np.array(self.quantiles, np.float64, ndmin=1)}

    def check_target(
        self, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str = "y"
    ) -> Array:
        """Return the checked targets for outputs of this shape and dtype."""
        n, n_outputs = shape
        if not isinstance(self.quantiles, tuple):
            return super().check_target(y, shape, dtype, name)
        if len(self.quantiles) != n_outputs:
            raise ValueError(
                f"quantiles has {len(self.quantiles)} numbers; {n_outputs}, one for each output of "
                f"the network, are wanted"
            )
        if np.ndim(y) != 1:
            return super().check_target(y, shape, dtype, name)
        self.check_width(n_outputs)
        target = _checks.real_targets(y, name, dtype, (n, 1), self.ignore_nan)
        return np.repeat(target, n_outputs, axis=1)

    def target_bounds(self, n_outputs: int) -> tuple[float, float] | None:
        """Return the range of the targets, or None if there is a quantile for each output."""
        return None if isinstance(self.quantiles, tuple) else super().target_bounds(n_outputs)

    def metric(self, outputs: Array, target: Array, weights: Array | None = None) -> float:
        """Return the mean over outputs of `|share of targets at or below the output - τ|`."""
        if not self.ignore_nan and self.output_weight is None:
            return metrics.coverage_error(outputs, target, self.quantiles, weights)
        elements = self.element_weights(target)
        if weights is not None:
            elements *= weights[:, np.newaxis]
        columns = elements.any(axis=0)
        covered = np.average((target <= outputs)[:, columns], axis=0, weights=elements[:, columns])
        errors = np.abs(covered - np.broadcast_to(self.quantiles, columns.shape)[columns])
        chosen = None if self.output_weight is None else np.array(self.output_weight)[columns]
        return float(np.average(errors, weights=chosen))


@dataclass(frozen=True, repr=False)
class Poisson(Loss):
    """Σ over a sample's outputs of e^z - y z, for counts y and outputs z, the logs of the rates.

    The negative log-likelihood of the Poisson distribution without the constant ln y!, as
    PyTorch's PoissonNLLLoss. The exponential is part of the loss; the gradient is e^z - y. Takes
    targets of at least 0, of shape (n, n_outputs), or (n,) for one output.
    """

    kind: ClassVar[str] = "poisson"
    sums_outputs: ClassVar[bool] = True
    takes_labels: ClassVar[bool] = False
    metric_name: ClassVar[str] = "rmse"

    def check_target(
        self, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str = "y"
    ) -> Array:
        """Return the checked targets of at least 0 for outputs of this shape and dtype."""
        target = super().check_target(y, shape, dtype, name)
        least = np.fmin.reduce(target, axis=None, initial=0.0)  # ignores NaN
        if least < 0:
            raise ValueError(f"{name} holds {least:g}; Poisson takes targets of at least 0")
        return target

    def target_bounds(self, n_outputs: int) -> tuple[float, float]:
        """Return the range of the targets."""
        return 0.0, math.inf

    def metric(self, outputs: Array, target: Array, weights: Array | None = None) -> float:
        """Return the root of the mean squared error of the rates."""
        with np.errstate(over="ignore"):
            return metrics.rmse(*self.observed(np.exp(outputs), target, weights))
