"""Layers that normalise their inputs, then scale and shift each feature by parameters."""

from typing import Any, ClassVar, Self

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.initializers import Initializer
from fastnn.layers.base import Operation
from fastnn.layers.weighted import Shapes, Weighted


class Normalization(Weighted):
    """The base class of the normalising layers; use one of its subclasses.

    y = w x̂ + b, so ∂y/∂w = diag(x̂) and ∂y/∂b = I. Backpropagation turns a cotangent dy into
    dw = x̂ dy and db = dy, summed over the samples.
    """

    weight_init = None
    in_features: int
    eps: float

    def _set_features(self, features: int, eps: float) -> None:
        self.in_features = self.out_features = _checks.integer(features, "features", at_least=1)
        self.eps = _checks.number(eps, "eps", at_least=1e-30, below=1)
        self._count_parameters()

    def parameter_shapes(self) -> Shapes:
        """Return the shape of each parameter by its name, in the order of the flat arrays."""
        return {"weight": (self.in_features,), "bias": (self.in_features,)}

    def operation(self, in_features: int) -> Operation:
        """Return the engine's description of the layer."""
        return (self.kind, self.in_features, self.in_features, True, self.eps, 0.0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        return {"features": self.in_features, "eps": self.eps}

    def new_values(self, rng: "np.random.Generator", default: "Initializer") -> list[Array]:
        """Return ones for the weight and zeros for the bias."""
        return [np.ones(self.in_features), np.zeros(self.in_features)]

    def _by_params(self, x: Array) -> jacobians.Block:
        identity = jacobians.Identity(self.in_features, x.dtype)
        return jacobians.Block([jacobians.Diagonal(self._normalized(x)[0]), identity])

    def _normalized(self, x: Array) -> tuple[Array, Array]:
        """Return x̂ and its divisor √(σ² + eps)."""
        raise NotImplementedError


class LayerNorm(Normalization):
    """y = w x̂ + b with x̂ = (x - μ) / √(σ² + eps), by each sample's own mean and variance.

    σ² is the sum of squared deviations divided by the number of features n (Ba et al. 2016), as in
    PyTorch. A sample's output does not depend on other samples, and is the same in training and
    prediction. The Jacobian with respect to the input is
    diag(w) (I - 1 1ᵀ/n - x̂ x̂ᵀ/n) / √(σ² + eps).

    Parameters
    ----------
    features : int
    eps : float
        At least 1e-30, which float32 can represent, and below 1; by default 1e-5.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or not a number.

    Notes
    -----
    `weight`, w, starts as ones and `bias`, b, as zeros, both (features,); in a network they are
    views into `net.params`.
    """

    kind: ClassVar[str] = "layer_norm"

    def __init__(self, features: int, eps: float = 1e-5) -> None:
        self._set_features(features, eps)

    def _by_input(self, x: Array) -> jacobians.Composed:
        # I - 1 1ᵀ/n - x̂ x̂ᵀ/n = (I - 1 1ᵀ/n) (I - x̂ x̂ᵀ/n), since the entries of x̂ add up to 0
        y, deviation = self._normalized(x)
        weight = self.split(self._flat_params(x.dtype))["weight"]
        ones = np.ones_like(x)
        return jacobians.Composed(
            [
                jacobians.Diagonal(weight / deviation),
                jacobians.DiagonalMinusOuter(ones, ones, ones / x.dtype.type(x.size)),
                jacobians.DiagonalMinusOuter(ones, y, y / x.dtype.type(x.size)),
            ]
        )

    def _normalized(self, x: Array) -> tuple[Array, Array]:
        # after division by the largest entry, squares do not overflow
        unit = max(np.abs(x).max(), 1)
        centred = np.divide(x, unit, dtype=np.float64)
        centred -= centred.mean()
        deviation = np.hypot(np.sqrt(np.mean(centred**2)), np.sqrt(self.eps) / float(unit))
        return (centred / deviation).astype(x.dtype), x.dtype.type(deviation * float(unit))


class BatchNorm(Normalization):
    """y = w x̂ + b with x̂ = (x - μ) / √(σ² + eps), feature by feature (Ioffe and Szegedy 2015).

    In training μ and σ² are the mean and variance of the minibatch (divided by its size), and the
    running statistics move towards them. Elsewhere, in `predict` and in all derivatives of the
    network, μ and σ² are the running statistics. The Jacobian with respect to the input is then
    diag(w / √(σ² + eps)).

    Parameters
    ----------
    features : int
    eps : float
        At least 1e-30, which float32 can represent, and below 1; by default 1e-5.
    momentum : float
        The weight of a new minibatch in the running statistics, above 0 and below 1; by default
        0.1.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or not a number.

    Notes
    -----
    All formulas are those of PyTorch's `BatchNorm1d`: `running_var` takes the minibatch's variance
    with the divisor m - 1 for m samples. A minibatch needs at least two samples, and goes through
    the network as a whole, whatever its size. `weight`, w, starts as ones and `bias`, b, as zeros,
    both (features,); in a network they are views into `net.params`.
    """

    kind: ClassVar[str] = "batch_norm"

    def __init__(self, features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.momentum = _checks.number(momentum, "momentum", above=0, below=1)
        self._set_features(features, eps)
        self.n_constants = 2 * self.in_features

    @property
    def running_mean(self) -> Array:
        """The running mean, (features,), read-only; assigning copies. It starts as zeros."""
        self._make_constants()
        return self._read_only_constants()[: self.in_features]

    @running_mean.setter
    def running_mean(self, value: Any) -> None:
        self._set_statistic("running_mean", value, slice(0, self.in_features))

    @property
    def running_var(self) -> Array:
        """The running variance, (features,), read-only; assigning copies. It starts as ones."""
        self._make_constants()
        return self._read_only_constants()[self.in_features :]

    @running_var.setter
    def running_var(self, value: Any) -> None:
        shape = (self.in_features,)
        variance = _checks.shaped_array(value, "running_var", np.dtype(np.float64), shape)
        if variance.min(initial=0) < 0:
            raise ValueError(f"running_var holds {variance.min():g}; at least 0 is wanted")
        self._set_statistic("running_var", variance, slice(self.in_features, None))

    def operation(self, in_features: int) -> Operation:
        """Return the engine's description of the layer."""
        return (self.kind, self.in_features, self.in_features, True, self.eps, self.momentum)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        return {**super().config(), "momentum": self.momentum}

    def arrays(self) -> dict[str, Array]:
        """Return weight, bias and the running statistics."""
        statistics = {"running_mean": self.running_mean, "running_var": self.running_var}
        return super().arrays() | statistics

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return a new layer, made from the results of `config()` and `arrays()`."""
        own = dict(arrays)
        statistics = {name: own.pop(name) for name in ("running_mean", "running_var")}
        layer = super().from_config(config, own)
        layer.running_mean, layer.running_var = statistics.values()
        return layer

    def initial_constants(self) -> Array:
        """Return running mean, then running variance, as one flat array."""
        self._make_constants()
        return self._constants

    def _make_constants(self) -> None:
        if self._constants.size == 0:
            self._constants = np.repeat([0.0, 1.0], self.in_features)

    def _set_statistic(self, name: str, value: Any, place: slice) -> None:
        self._make_constants()
        dtype, shape = self._constants.dtype, (self.in_features,)
        self._constants[place] = _checks.shaped_array(value, name, dtype, shape)

    def _flat_constants(self, dtype: np.dtype[Any]) -> Array:
        self._make_constants()
        return super()._flat_constants(dtype)

    def _by_input(self, x: Array) -> jacobians.Diagonal:
        weight = self.split(self._flat_params(x.dtype))["weight"]
        return jacobians.Diagonal(weight / self._normalized(x)[1])

    def _normalized(self, x: Array) -> tuple[Array, Array]:
        constants = self._flat_constants(x.dtype)
        mean, variance = constants[: self.in_features], constants[self.in_features :]
        deviation = np.sqrt(variance + x.dtype.type(self.eps))
        return (x - mean) / deviation, deviation
