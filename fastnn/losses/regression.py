"""Losses of real targets: squared and absolute errors, quantiles and counts."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, metrics
from fastnn._core.arrays import Array
from fastnn.losses.base import Formula, Loss, Reduction


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
class MeanAbsoluteError(Loss):
    """Mean over a sample's outputs of |ŷ - y|; its gradient is sign(ŷ - y) / n_outputs, 0 at 0.

    Takes real targets (n, n_outputs), or (n,) for one output. Piecewise linear, it has no Hessian.
    """

    kind: ClassVar[str] = "mean_absolute_error"
    takes_labels: ClassVar[bool] = False
    has_hessian: ClassVar[bool] = False
    metric_name: ClassVar[str] = "rmse"


@dataclass(frozen=True)
class Huber(Loss):
    """Mean over a sample's outputs of ½ e² where |e| < delta, and delta (|e| - ½ delta) beyond.

    With e = ŷ - y (Huber 1964; PyTorch's HuberLoss): a squared error that outliers pull on with a
    bounded force. Its Hessian is 1 / n_outputs or, beyond delta, 0. Takes real targets
    (n, n_outputs), or (n,) for one output.

    Parameters
    ----------
    delta : float
        Where the loss becomes linear, above 0.
    reduction : {"mean", "sum"}
        See `Loss`.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it should be.
    """

    kind: ClassVar[str] = "huber"
    takes_labels: ClassVar[bool] = False
    hessian_takes_target: ClassVar[bool] = True
    metric_name: ClassVar[str] = "rmse"

    reduction: Reduction = field(default="mean", kw_only=True)
    delta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.number(self.delta, "delta", above=0)


@dataclass(frozen=True)
class LogCosh(Loss):
    """Mean over a sample's outputs of ln cosh(ŷ - y); its gradient is tanh(ŷ - y) / n_outputs.

    It is close to ½ e² for small errors e = ŷ - y and to |e| - ln 2 for large ones, a smooth Huber
    loss. Its Hessian (1 - tanh² e) / n_outputs is positive. Takes real targets (n, n_outputs), or
    (n,) for one output.
    """

    kind: ClassVar[str] = "log_cosh"
    takes_labels: ClassVar[bool] = False
    hessian_takes_target: ClassVar[bool] = True
    metric_name: ClassVar[str] = "rmse"


@dataclass(frozen=True)
class Pinball(Loss):
    """Quantile regression: mean over a sample's outputs of τ (y - ŷ), or (1 - τ) (ŷ - y) above y.

    Its minimum is the τ-quantile of the targets (Koenker and Bassett 1978). The gradient is -τ or
    1 - τ, over n_outputs, and 0 at ŷ = y. Piecewise linear, it has no Hessian. Validation reports
    the coverage error: by how much the share of targets at or below the outputs misses τ.

    Parameters
    ----------
    quantiles : float or sequence of float
        τ for all outputs, or one for each; above 0 and below 1. With a sequence, targets (n,) are
        taken for every quantile; otherwise they are (n, n_outputs), or (n,) for one output.
    reduction : {"mean", "sum"}
        See `Loss`.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it should be.
    """

    kind: ClassVar[str] = "pinball"
    takes_labels: ClassVar[bool] = False
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
        """Return the description in the engine's form."""
        return super().formula() | {"quantiles": np.array(self.quantiles, np.float64, ndmin=1)}

    def check_target(
        self, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str = "y"
    ) -> Array:
        """Check and convert targets for outputs of that shape and dtype."""
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
        target = _checks.real_targets(y, name, dtype, (n, 1))
        return np.repeat(target, n_outputs, axis=1)

    def metric(self, outputs: Array, target: Array, weights: Array | None = None) -> float:
        """Return the mean over outputs of |share of targets at or below the output - τ|."""
        return metrics.coverage_error(outputs, target, self.quantiles, weights)


@dataclass(frozen=True)
class Poisson(Loss):
    """Σ over a sample's outputs of e^z - y z, for counts y of which z is the log of the rate.

    The negative log-likelihood of Poisson's distribution, without its ln y!, which no parameter
    changes (PyTorch's PoissonNLLLoss). The exponential is part of the loss; its gradient is
    e^z - y. Takes targets of at least 0, (n, n_outputs), or (n,) for one output.
    """

    kind: ClassVar[str] = "poisson"
    takes_labels: ClassVar[bool] = False
    metric_name: ClassVar[str] = "rmse"

    def check_target(
        self, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str = "y"
    ) -> Array:
        """Check and convert targets of at least 0 for outputs of that shape and dtype."""
        target = super().check_target(y, shape, dtype, name)
        if target.size and target.min() < 0:
            raise ValueError(f"{name} holds {target.min():g}; Poisson takes targets of at least 0")
        return target

    def metric(self, outputs: Array, target: Array, weights: Array | None = None) -> float:
        """Return the root of the mean squared error of the rates."""
        with np.errstate(over="ignore"):
            return metrics.rmse(np.exp(outputs), target, weights)
