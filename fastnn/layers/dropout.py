"""Dropout: a layer that sets random elements to 0 in training, and otherwise does nothing."""

from typing import Any, ClassVar

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.layers.base import Layer, Operation


class Dropout(Layer):
    """In training each element becomes 0 with probability p, else x / (1 - p); otherwise y = x.

    Dividing by 1 - p keeps the mean, so that `predict` needs no correction (Srivastava et al.
    2014). The network's derivatives treat the layer as the identity. Only
    `forward(X, training=True)` draws a new mask, which the next `backward` applies too.

    Parameters
    ----------
    p : float
        At least 0 and below 1; by default 0.5.

    Raises
    ------
    ValueError, TypeError
        If p is out of range or not a number.

    Notes
    -----
    `fit` derives the masks from its seed, in a random stream of their own. The masks do not depend
    on the number of threads or the dtype.
    """

    kind: ClassVar[str] = "dropout"
    weight_init = None

    def __init__(self, p: float = 0.5) -> None:
        self.p = _checks.number(p, "p", at_least=0, below=1)

    def operation(self, in_features: int) -> Operation:
        """Return the engine's description of the layer."""
        return (self.kind, in_features, in_features, False, self.p, 0.0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        return {"p": self.p}

    def _by_input(self, x: Array) -> jacobians.Identity:
        return jacobians.Identity(x.size, x.dtype)
