"""Layers that normalise their inputs, then scale and shift each feature by parameters."""

from typing import Any, ClassVar, Self

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.initializers import Initializer
from fastnn.layers.base import Operation
from fastnn.layers.weighted import Weighted


class Normalization(Weighted):
    """What the normalising layers share; use one of its subclasses.

    y = w x̂ + b, so ∂y/∂w = diag(x̂) and ∂y/∂b = I: a cotangent dy becomes dw = x̂ dy and db = dy,
    summed over the samples.
    """

    weight_init: ClassVar[str | None] = None
    in_features: int
    eps: float

    def _hold_features(self, features: int, eps: float) -> None:
        self.in_features = self.out_features = _checks.integer(features, "features", at_least=1)
        self.eps = _checks.number(eps, "eps", at_least=1e-30, below=1)
        self._hold((self.in_features,), True)

    def operation(self, in_features: int) -> Operation:
        """Describe the layer to the engine."""
        return (self.kind, self.in_features, self.in_features, True, self.eps, 0.0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's plain arguments, as a model file keeps them."""
        return {"features": self.in_features, "eps": self.eps}

    def initial_values(self, rng: "np.random.Generator", default: Initializer) -> Array:
        """Return the values that are set, or else ones and zeros: weight then bias."""
        if self._params is None:
            return np.repeat([1.0, 0.0], self.in_features)
        return self._params

    def _by_params(self, x: Array) -> jacobians.Block:
        identity = jacobians.Identity(self.in_features, x.dtype)
        return jacobians.Block([jacobians.Diagonal(self._normalized(x)[0]), identity])

    def _normalized(self, x: Array) -> tuple[Array, Array]:
        """Return x̂ and what divided it to get there."""
        raise NotImplementedError


class LayerNorm(Normalization):
    """y = w x̂ + b with x̂ = (x - μ) / √(σ² + eps), by each sample's own mean and variance.

    The variance is divided by the number of features (Ba et al. 2016), as PyTorch's. What a sample
    becomes does not depend on the others, and training and prediction do the same. The Jacobian by
    the input is diag(w) (I - 1 1ᵀ/n - x̂ x̂ᵀ/n) / √(σ² + eps).

    Parameters
    ----------
    features : int
    eps : float
        At least 1e-30, which is a positive number in float32 too, and below 1; by default 1e-5.

    Raises
    ------
    ValueError, TypeError
        If an argument is not such a number.

    Notes
    -----
    `weight`, w, starts as ones and `bias`, b, as zeros, both (features,); in a network they are
    views into `net.params`.
    """

    kind: ClassVar[str] = "layer_norm"

    def __init__(self, features: int, eps: float = 1e-5) -> None:
        self._hold_features(features, eps)

    def _by_input(self, x: Array) -> jacobians.Composed:
        # I - 1 1ᵀ/n - x̂ x̂ᵀ/n = (I - 1 1ᵀ/n) (I - x̂ x̂ᵀ/n), since x̂ adds up to 0
        y, deviation = self._normalized(x)
        weight = self._weight_of(self._flat_params(x.dtype))
        ones = np.ones_like(x)
        return jacobians.Composed(
            [
                jacobians.Diagonal(weight / deviation),
                jacobians.DiagonalMinusOuter(ones, ones, ones / x.dtype.type(x.size)),
                jacobians.DiagonalMinusOuter(ones, y, y / x.dtype.type(x.size)),
            ]
        )

    def _normalized(self, x: Array) -> tuple[Array, Array]:
        # squares of what is at most 1 do not overflow
        unit = max(np.abs(x).max(), 1)
        centred = np.divide(x, unit, dtype=np.float64)
        centred -= centred.mean()
        deviation = np.hypot(np.sqrt(np.mean(centred**2)), np.sqrt(self.eps) / float(unit))
        return (centred / deviation).astype(x.dtype), x.dtype.type(deviation * float(unit))


class BatchNorm(Normalization):
    """y = w x̂ + b with x̂ = (x - μ) / √(σ² + eps), feature by feature (Ioffe and Szegedy 2015).

    In training μ and σ² are the mean and variance of the minibatch (divided by its size), and the
    running statistics move towards them. Everywhere else, in `predict` and in all derivatives that
    you ask for, they are the running statistics, and the Jacobian for the input is
    diag(w / √(σ² + eps)).

    Parameters
    ----------
    features : int
    eps : float
        At least 1e-30, which is a positive number in float32 too, and below 1; by default 1e-5.
    momentum : float
        The share of a minibatch in the running statistics, above 0 and below 1; by default 0.1.

    Raises
    ------
    ValueError, TypeError
        If an argument is not such a number.

    Notes
    -----
    All formulas are PyTorch's `BatchNorm1d`: into `running_var` goes the minibatch's variance
    divided by its size less 1. A minibatch needs two samples or more, and goes through the network
    as a whole, however large. `weight`, w, starts as ones and `bias`, b, as zeros, both
    (features,); in a network they are views into `net.params`.
    """

    kind: ClassVar[str] = "batch_norm"

    def __init__(self, features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.momentum = _checks.number(momentum, "momentum", above=0, below=1)
        self._hold_features(features, eps)
        self.n_constants = 2 * self.in_features

    @property
    def running_mean(self) -> Array:
        """The running mean, (features,), read-only; starts as zeros. Assigning copies."""
        self._hold_constants()
        return self._read_only_constants()[: self.in_features]

    @running_mean.setter
    def running_mean(self, value: Any) -> None:
        self._set_statistic("running_mean", value, slice(0, self.in_features))

    @property
    def running_var(self) -> Array:
        """The running variance, (features,), read-only; starts as ones. Assigning copies."""
        self._hold_constants()
        return self._read_only_constants()[self.in_features :]

    @running_var.setter
    def running_var(self, value: Any) -> None:
        shape = (self.in_features,)
        variance = _checks.shaped_array(value, "running_var", np.dtype(np.float64), shape)
        if variance.min(initial=0) < 0:
            raise ValueError(f"running_var holds {variance.min():g}; a variance is at least 0")
        self._set_statistic("running_var", variance, slice(self.in_features, None))

    def operation(self, in_features: int) -> Operation:
        """Describe the layer to the engine."""
        return (self.kind, self.in_features, self.in_features, True, self.eps, self.momentum)

    def config(self) -> dict[str, Any]:
        """Return the constructor's plain arguments, as a model file keeps them."""
        return {**super().config(), "momentum": self.momentum}

    def arrays(self) -> dict[str, Array]:
        """Return weight, bias and the running statistics."""
        statistics = {"running_mean": self.running_mean, "running_var": self.running_var}
        return super().arrays() | statistics

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Make the layer that `config()` and `arrays()` came from."""
        own = dict(arrays)
        statistics = {name: own.pop(name) for name in ("running_mean", "running_var")}
        layer = super().from_config(config, own)
        layer.running_mean, layer.running_var = statistics.values()
        return layer

    def initial_constants(self) -> Array:
        """Return running mean, then running variance, as one flat array."""
        self._hold_constants()
        return self._constants

    def _hold_constants(self) -> None:
        if self._constants.size == 0:
            self._constants = np.repeat([0.0, 1.0], self.in_features)

    def _set_statistic(self, name: str, value: Any, place: slice) -> None:
        self._hold_constants()
        dtype, shape = self._constants.dtype, (self.in_features,)
        self._constants[place] = _checks.shaped_array(value, name, dtype, shape)

    def _flat_constants(self, dtype: np.dtype[Any]) -> Array:
        self._hold_constants()
        return super()._flat_constants(dtype)

    def _by_input(self, x: Array) -> jacobians.Diagonal:
        weight = self._weight_of(self._flat_params(x.dtype))
        return jacobians.Diagonal(weight / self._normalized(x)[1])

    def _normalized(self, x: Array) -> tuple[Array, Array]:
        constants = self._flat_constants(x.dtype)
        mean, variance = constants[: self.in_features], constants[self.in_features :]
        deviation = np.sqrt(variance + x.dtype.type(self.eps))
        return (x - mean) / deviation, deviation
