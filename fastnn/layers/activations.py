"""Elementwise activations: a = σ(z), with the diagonal Jacobian diag(σ'(z)).

Backpropagation turns a cotangent da into dz = σ'(z) da. At a kink, the derivative is the slope of
the negative side (0 for ReLU), and 0 for Abs and HardTanh. All of them are subderivatives.
"""

from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.layers.base import Layer, Operation


class Activation(Layer):
    """The base class of the elementwise activations; use one of its subclasses."""

    def _by_input(self, x: Array) -> jacobians.Diagonal:
        return jacobians.Diagonal(self.vjp(x, np.ones_like(x)))  # diag(σ'(z)) 1 = σ'(z)


class Identity(Activation):
    """a = z, with slope 1."""

    kind: ClassVar[str] = "identity"


class ReLU(Activation):
    """a = max(0, z), with slope 1 for z > 0, else 0 (and 0 at the kink)."""

    kind: ClassVar[str] = "relu"
    kinks = (0.0,)
    weight_init = "he_uniform"


class LeakyReLU(Activation):
    """a = z for z > 0, else negative_slope · z, with slope 1 or negative_slope.

    Parameters
    ----------
    negative_slope : float
        At least 0 and below 1e30; by default 0.01.

    Raises
    ------
    ValueError, TypeError
        If `negative_slope` is out of range or not a number.
    """

    kind: ClassVar[str] = "leaky_relu"
    kinks = (0.0,)
    weight_init = "he_uniform"

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = _checks.number(
            negative_slope, "negative_slope", at_least=0, below=1e30
        )

    def operation(self, in_features: int) -> Operation:
        """Return the engine's description of the layer."""
        return (self.kind, in_features, in_features, False, self.negative_slope, 0.0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        return {"negative_slope": self.negative_slope}


class ELU(Activation):
    """a = z for z > 0, else alpha (e^z - 1), with slope 1 or alpha e^z (Clevert et al. 2016).

    Parameters
    ----------
    alpha : float
        At least 0 and below 1e30; by default 1, for which the slope is continuous.

    Raises
    ------
    ValueError, TypeError
        If `alpha` is out of range or not a number.
    """

    kind: ClassVar[str] = "elu"
    kinks = (0.0,)
    weight_init = "he_uniform"

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = _checks.number(alpha, "alpha", at_least=0, below=1e30)

    def operation(self, in_features: int) -> Operation:
        """Return the engine's description of the layer."""
        return (self.kind, in_features, in_features, False, self.alpha, 0.0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        return {"alpha": self.alpha}


class SELU(Activation):
    """a = 1.0507… · ELU(z; alpha=1.6733…), which keeps mean 0 and variance 1 (Klambauer 2017)."""

    kind: ClassVar[str] = "selu"
    kinks = (0.0,)
    weight_init = "lecun_normal"


class Sigmoid(Activation):
    """a = 1 / (1 + e^-z), with slope a (1 - a)."""

    kind: ClassVar[str] = "sigmoid"


class Tanh(Activation):
    """a = tanh z, with slope 1 - a²."""

    kind: ClassVar[str] = "tanh"


class Softplus(Activation):
    """a = ln(1 + e^z), with slope sigmoid(z)."""

    kind: ClassVar[str] = "softplus"
    weight_init = "he_uniform"


class GELU(Activation):
    """a = z Φ(z), the exact form, with slope Φ(z) + z Φ'(z); Φ is the normal distribution's CDF."""

    kind: ClassVar[str] = "gelu"
    weight_init = "he_uniform"


class SiLU(Activation):
    """a = z s where s = sigmoid(z), with slope s (1 + z (1 - s)); also called swish."""

    kind: ClassVar[str] = "silu"
    weight_init = "he_uniform"


class Mish(Activation):
    """a = z t where t = tanh(ln(1 + e^z)), with slope t + z (1 - t²) sigmoid(z) (Misra 2020)."""

    kind: ClassVar[str] = "mish"
    weight_init = "he_uniform"


class Abs(Activation):
    """`a = |z|`, with slope sign(z) (0 at the kink)."""

    kind: ClassVar[str] = "abs"
    kinks = (0.0,)
    weight_init = "he_uniform"


class HardTanh(Activation):
    """a = z within [-1, 1], else -1 or 1; with slope 1 within, else 0 (and 0 at the kinks)."""

    kind: ClassVar[str] = "hard_tanh"
    kinks = (-1.0, 1.0)
