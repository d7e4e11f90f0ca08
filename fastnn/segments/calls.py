"""The calls on few samples, for a network with layers written in Python."""

from typing import Any

from fastnn._core.arrays import Array
from fastnn.model import Model


class SegmentedCalls:
    """Has the methods of `Calls`. All but one return None: the general way takes the arguments."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def _none(self, *arguments: Any) -> None:
        """Return None."""

    predict = forward = cotangent = jacobian = jvp = vjp = _none
    loss_and_grad = batch = sample_grads = hvp = _none

    def backward(
        self, x: Array, activations: Any, dy: Array, grads: Array, training: bool
    ) -> Array:
        """Overwrite `grads`, and return the cotangent of the input x; dy is checked."""
        model = self.model
        rows = x.reshape(-1, model.plan.n_in)
        cotangent = dy.reshape(-1, model.plan.n_out)
        dx = model.backward(rows, activations, cotangent, grads, None, training)
        return dx.reshape(x.shape)
