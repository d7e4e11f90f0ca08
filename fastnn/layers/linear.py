"""The linear layer, z = W a + b."""

from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.initializers import Initializer, zeros
from fastnn.layers.base import Operation
from fastnn.layers.weighted import Shapes, Weighted


class Linear(Weighted):
    """z = W a + b for each sample; for a matrix of samples, Z = A Wᵀ + b.

    The derivatives are ∂z/∂a = W, ∂z_k/∂W_ij = δ_ki a_j and ∂z/∂b = I. Backpropagation turns a
    cotangent dz into da = Wᵀ dz, dW = dz aᵀ and db = dz; dW and db are summed over the samples.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Whether the layer has a bias b; by default True.
    weight_init, bias_init : callable, optional
        Functions `(rng, shape) -> array` that return the initial values, such as the functions of
        `fastnn.initializers`. By default the weights suit the next activation in the network: He
        for the ReLU family, LeCun for SELU, Xavier otherwise. Biases are zero by default.

    Raises
    ------
    ValueError, TypeError
        If a width is not a positive integer, or an initializer is not a function.

    Notes
    -----
    In a network `weight` and `bias` are views into `net.params`. Outside a network the layer holds
    its values in float64, drawn at the first use. A network that takes the layer copies the values
    that were drawn or set before.

    Examples
    --------
    >>> net = fn.Network([fn.Linear(2, 1)], seed=0)
    >>> net.layers[0].weight[:] = [[3.0, -1.0]]
    >>> net.layers[0].bias[:] = 0.5
    >>> net.predict([[1.0, 2.0]])
    array([[1.5]], dtype=float32)
    """

    kind: ClassVar[str] = "linear"
    in_features: int
    out_features: int

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        weight_init: "Initializer | None" = None,
        bias_init: "Initializer | None" = None,
    ) -> None:
        self.in_features = _checks.integer(in_features, "in_features", at_least=1)
        self.out_features = _checks.integer(out_features, "out_features", at_least=1)
        for name, initializer in (("weight_init", weight_init), ("bias_init", bias_init)):
            if not (initializer is None or callable(initializer)):
                raise TypeError(f"{name} is {initializer!r}; a function (rng, shape) is wanted")
        self._has_bias = _checks.boolean(bias, "bias")
        self._weight_init = weight_init
        self._bias_init = bias_init
        self._count_parameters()

    def parameter_shapes(self) -> Shapes:
        """Return the shape of each parameter by its name, in the order of the flat arrays."""
        shapes: Shapes = {"weight": (self.out_features, self.in_features)}
        if self._has_bias:
            shapes["bias"] = (self.out_features,)
        return shapes

    def operation(self, in_features: int) -> Operation:
        """Return the engine's description of the layer."""
        return (self.kind, self.in_features, self.out_features, self._has_bias, 0.0, 0.0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        config: dict[str, Any] = {
            "in_features": self.in_features,
            "out_features": self.out_features,
        }
        return config if self._has_bias else {**config, "bias": False}

    def new_values(self, rng: "np.random.Generator", default: "Initializer") -> list[Array]:
        """Return initial values of the weight and the bias."""
        weight_init = self._weight_init or default
        bias_init = self._bias_init or zeros

        def draw(name: str, initializer: Initializer, *shape: int) -> Array:
            drawn = initializer(rng, shape)
            return _checks.shaped_array(drawn, f"{name}(rng, {shape})", np.dtype(float), shape)

        values = [draw("weight_init", weight_init, self.out_features, self.in_features)]
        if self._has_bias:
            values.append(draw("bias_init", bias_init, self.out_features))
        return values

    def __repr__(self) -> str:
        bias = "" if self._has_bias else ", bias=False"
        return f"Linear({self.in_features}, {self.out_features}{bias})"

    def _by_input(self, x: Array) -> jacobians.Dense:
        size = self.in_features * self.out_features  # the bias comes after the weight
        weight = self._flat_params(x.dtype)[:size]
        return jacobians.Dense(weight.reshape(self.out_features, self.in_features))

    def _by_params(self, x: Array) -> jacobians.Block:
        by_weight = jacobians.Kronecker(self._identity(x), x[np.newaxis])  # ∂z_k/∂W_ij = δ_ki a_j
        return jacobians.Block([by_weight, self._identity(x)] if self._has_bias else [by_weight])

    def _identity(self, x: Array) -> jacobians.Identity:
        return jacobians.Identity(self.out_features, x.dtype)
