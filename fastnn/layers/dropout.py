"""Dropout: a layer that leaves out random elements in training, and does nothing otherwise."""

from typing import Any, ClassVar

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.layers.base import Layer, Operation


class Dropout(Layer):
    """In training each element becomes 0 with probability p, else x / (1 - p); otherwise y = x.

    Dividing by 1 - p keeps the mean, so that `predict` needs no correction (Srivastava et al.
    2014). All derivatives that you ask for are those of the identity; `forward(X, training=True)`
    and `backward` use a fresh mask.

    Parameters
    ----------
    p : float
        At least 0 and below 1; by default 0.5.

    Raises
    ------
    ValueError, TypeError
        If it is not such a number.

    Notes
    -----
    `fit` derives the masks from its seed, apart from the order of the samples; they depend neither
    on the number of threads nor on the dtype.
    """

    kind: ClassVar[str] = "dropout"
    weight_init: ClassVar[str | None] = None

    def __init__(self, p: float = 0.5) -> None:
        self.p = _checks.number(p, "p", at_least=0, below=1)

    def operation(self, in_features: int) -> Operation:
        """Describe the layer to the engine."""
        return (self.kind, in_features, in_features, False, self.p, 0.0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's plain arguments, as a model file keeps them."""
        return {"p": self.p}

    def _by_input(self, x: Array) -> jacobians.Identity:
        return jacobians.Identity(x.size, x.dtype)
