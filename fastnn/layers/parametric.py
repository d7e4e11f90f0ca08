"""Activations with a parameter for each feature, y = (1 - α) x + α f(x)."""

from typing import Any, ClassVar, Self

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.initializers import Initializer
from fastnn.layers.activations import Activation
from fastnn.layers.base import LAYERS, Operation
from fastnn.layers.weighted import Parametrized, Shapes


class Parametric(Parametrized):
    """y = x + α (f(x) - x), feature by feature: a mix of the identity and an activation f.

    With α = 1 the layer is f, and with α = 0 the identity. Training may move the α of each feature
    to any number (RealMLP, Holzmüller et al. 2024). The derivatives are
    ∂y/∂x = diag(1 + α (f'(x) - 1)) and ∂y/∂α = diag(f(x) - x). Backpropagation turns a cotangent dy
    into dx = (1 + α (f'(x) - 1)) dy and dα = (f(x) - x) dy, summed over the samples.

    Parameters
    ----------
    features : int
    activation : Activation or class of it
        f: an elementwise activation of fastnn, such as `Mish`, `SELU` or `ELU(0.5)`.

    Raises
    ------
    ValueError, TypeError
        If `features` is not a positive integer, or `activation` is not an activation.

    Notes
    -----
    `alpha`, (features,), starts as ones; in a network it is a view into `net.params`.
    """

    kind: ClassVar[str] = "parametric"
    in_features: int

    def __init__(self, features: int, activation: "Activation | type[Activation]") -> None:
        self.in_features = self.out_features = _checks.integer(features, "features", at_least=1)
        if isinstance(activation, type) and issubclass(activation, Activation):
            activation = activation()
        if not isinstance(activation, Activation):
            raise TypeError(
                f"activation is {activation!r}; an activation such as Mish or ELU(0.5) is wanted"
            )
        self.activation = activation
        self.weight_init, self.kinks = activation.weight_init, activation.kinks
        self._count_parameters()

    @property
    def alpha(self) -> Array:
        """The share of the activation, (features,), writable; assigning copies into it."""
        return self._parameter("alpha")

    @alpha.setter
    def alpha(self, value: Any) -> None:
        self._set_parameter("alpha", value)

    @property
    def alpha_grad(self) -> Array | None:
        """The gradient with respect to alpha; None outside a network."""
        return self._gradient("alpha")

    def parameter_shapes(self) -> Shapes:
        """Return the shape of each parameter by its name, in the order of the flat arrays."""
        return {"alpha": (self.in_features,)}

    def operation(self, in_features: int) -> Operation:
        """Return the engine's description of the layer."""
        described: Any = self.activation.operation(in_features)
        width = self.in_features
        return (f"{self.kind}_{described[0]}", width, width, False, described[4], 0.0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        return {"features": self.in_features, "activation": self.activation.description()}

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return a new layer, made from the results of `config()` and `arrays()`."""
        described = config["activation"]
        if not isinstance(described, dict):
            raise ValueError(f"activation is {described!r}; a description is wanted")
        arguments = dict(described)
        kind = arguments.pop("kind")
        described_class = LAYERS.get(kind)
        if described_class is None or not issubclass(described_class, Activation):
            raise ValueError(f"activation has the kind {kind!r}, unknown to this version")
        activation = described_class.from_config(arguments, {})
        return super().from_config({**config, "activation": activation}, arrays)

    def new_values(self, rng: "np.random.Generator", default: "Initializer") -> list[Array]:
        """Return ones."""
        return [np.ones(self.in_features)]

    def __repr__(self) -> str:
        return f"Parametric({self.in_features}, {self.activation!r})"

    def _by_input(self, x: Array) -> jacobians.Diagonal:
        return jacobians.Diagonal(self.vjp(x, np.ones_like(x)))  # diag(slopes) 1

    def _by_params(self, x: Array) -> jacobians.Diagonal:
        return jacobians.Diagonal(self.activation(x) - x)
