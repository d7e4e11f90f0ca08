"""Layers that normalise their inputs, then scale and shift each feature by parameters."""

from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, jacobians
from fastnn.initializers import Initializer
from fastnn.layers.base import Array, Operation
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
        return (self.kind, self.in_features, self.in_features, True, self.eps)

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
        return jacobians.Composed([
            jacobians.Diagonal(weight / deviation),
            jacobians.DiagonalMinusOuter(ones, ones, ones / x.dtype.type(x.size)),
            jacobians.DiagonalMinusOuter(ones, y, y / x.dtype.type(x.size)),
        ])  # fmt: skip

    def _normalized(self, x: Array) -> tuple[Array, Array]:
        centred = x - x.mean()
        deviation = np.sqrt(np.mean(centred**2) + x.dtype.type(self.eps))
        return centred / deviation, deviation
