"""Elementwise activations: a = σ(z), with the diagonal Jacobian diag(σ'(z)).

So a cotangent da becomes dz = σ'(z) da. At a kink, where every slope between the two sides' is a
subderivative, the derivative is the negative side's (ReLU: 0); Abs and HardTanh take 0.
"""

from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.layers.base import Layer, Operation


class Activation(Layer):
    """What the elementwise activations share; use one of its subclasses."""

    def _by_input(self, x: Array) -> jacobians.Diagonal:
        return jacobians.Diagonal(self.vjp(x, np.ones_like(x)))  # diag(σ'(z)) 1 = σ'(z)


class Identity(Activation):
    """a = z, of slope 1."""

    kind: ClassVar[str] = "identity"


class ReLU(Activation):
    """a = max(0, z), of slope 1 for z > 0, else 0 (and 0 at the kink)."""

    kind: ClassVar[str] = "relu"
    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    weight_init: ClassVar[str] = "he_uniform"


class LeakyReLU(Activation):
    """a = z for z > 0, else negative_slope · z; of slope 1 or negative_slope.

    Parameters
    ----------
    negative_slope : float
        At least 0 and below 1e30; by default 0.01.

    Raises
    ------
    ValueError, TypeError
        If it is not such a number.
    """

    kind: ClassVar[str] = "leaky_relu"
    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    weight_init: ClassVar[str] = "he_uniform"

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = _checks.number(
            negative_slope, "negative_slope", at_least=0, below=1e30
        )

    def operation(self, in_features: int) -> Operation:
        """Describe the layer to the engine."""
        return (self.kind, in_features, in_features, False, self.negative_slope, 0.0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's plain arguments, as a model file keeps them."""
        return {"negative_slope": self.negative_slope}


class ELU(Activation):
    """a = z for z > 0, else alpha (e^z - 1); of slope 1 or alpha e^z (Clevert et al. 2016).

    Parameters
    ----------
    alpha : float
        At least 0 and below 1e30; by default 1, where the slope has no jump.

    Raises
    ------
    ValueError, TypeError
        If it is not such a number.
    """

    kind: ClassVar[str] = "elu"
    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    weight_init: ClassVar[str] = "he_uniform"

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = _checks.number(alpha, "alpha", at_least=0, below=1e30)

    def operation(self, in_features: int) -> Operation:
        """Describe the layer to the engine."""
        return (self.kind, in_features, in_features, False, self.alpha, 0.0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's plain arguments, as a model file keeps them."""
        return {"alpha": self.alpha}


class SELU(Activation):
    """a = 1.0507… · ELU(z; alpha=1.6733…), which keeps mean 0 and variance 1 (Klambauer 2017)."""

    kind: ClassVar[str] = "selu"
    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    weight_init: ClassVar[str] = "lecun_normal"


class Sigmoid(Activation):
    """a = 1 / (1 + e^-z), of slope a (1 - a)."""

    kind: ClassVar[str] = "sigmoid"


class Tanh(Activation):
    """a = tanh z, of slope 1 - a²."""

    kind: ClassVar[str] = "tanh"


class Softplus(Activation):
    """a = ln(1 + e^z), of slope sigmoid(z)."""

    kind: ClassVar[str] = "softplus"
    weight_init: ClassVar[str] = "he_uniform"


class GELU(Activation):
    """a = z Φ(z) with the normal distribution's Φ (the exact form), of slope Φ(z) + z Φ'(z)."""

    kind: ClassVar[str] = "gelu"
    weight_init: ClassVar[str] = "he_uniform"


class SiLU(Activation):
    """a = z s with s = sigmoid(z), of slope s (1 + z (1 - s)); also called swish."""

    kind: ClassVar[str] = "silu"
    weight_init: ClassVar[str] = "he_uniform"


class Abs(Activation):
    """a = |z|, of slope sign(z) (and 0 at the kink)."""

    kind: ClassVar[str] = "abs"
    kinks: ClassVar[tuple[float, ...]] = (0.0,)
    weight_init: ClassVar[str] = "he_uniform"


class HardTanh(Activation):
    """a = z within [-1, 1], else -1 or 1; of slope 1 within, else 0 (and 0 at the kinks)."""

    kind: ClassVar[str] = "hard_tanh"
    kinks: ClassVar[tuple[float, ...]] = (-1.0, 1.0)
