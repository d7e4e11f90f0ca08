"""The layer that multiplies each feature by a parameter, y = w x + b."""

from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.initializers import Initializer
from fastnn.layers.base import Operation
from fastnn.layers.weighted import Shapes, Weighted


class Scale(Weighted):
    """y = w x, or w x + b, feature by feature.

    As the first layer, it learns how much each feature counts. The derivatives are
    ∂y/∂x = diag(w), ∂y/∂w = diag(x) and ∂y/∂b = I. Backpropagation turns a cotangent dy into
    dx = w dy, dw = x dy and db = dy; dw and db are summed over the samples.

    Parameters
    ----------
    features : int
    bias : bool
        Whether the layer has a bias b; by default False.

    Raises
    ------
    ValueError, TypeError
        If `features` is not a positive integer, or `bias` is not a boolean.

    Notes
    -----
    `weight`, w, starts as ones and `bias`, b, as zeros, both (features,); in a network they are
    views into `net.params`.
    """

    kind: ClassVar[str] = "scale"
    weight_init = None
    in_features: int

    def __init__(self, features: int, bias: bool = False) -> None:
        self.in_features = self.out_features = _checks.integer(features, "features", at_least=1)
        self._has_bias = _checks.boolean(bias, "bias")
        self._count_parameters()

    def parameter_shapes(self) -> Shapes:
        """Return the shape of each parameter by its name, in the order of the flat arrays."""
        names = ("weight", "bias") if self._has_bias else ("weight",)
        return {name: (self.in_features,) for name in names}

    def operation(self, in_features: int) -> Operation:
        """Return the engine's description of the layer."""
        return (self.kind, self.in_features, self.in_features, self._has_bias, 0.0, 0.0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        config: dict[str, Any] = {"features": self.in_features}
        return {**config, "bias": True} if self._has_bias else config

    def new_values(self, rng: "np.random.Generator", default: "Initializer") -> list[Array]:
        """Return ones for the weight and zeros for the bias."""
        values: list[Array] = [np.ones(self.in_features)]
        return [*values, np.zeros(self.in_features)] if self._has_bias else values

    def __repr__(self) -> str:
        return f"Scale({self.in_features}{', bias=True' if self._has_bias else ''})"

    def _by_input(self, x: Array) -> jacobians.Diagonal:
        return jacobians.Diagonal(self.split(self._flat_params(x.dtype))["weight"])

    def _by_params(self, x: Array) -> jacobians.Jacobian:
        by_weight = jacobians.Diagonal(x)
        if not self._has_bias:
            return by_weight
        return jacobians.Block([by_weight, jacobians.Identity(self.in_features, x.dtype)])
