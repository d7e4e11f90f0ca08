"""The calls on few samples, for a network with layers written in Python."""

from typing import Any

from fastnn._core._calls import Passes
from fastnn._core.arrays import Array
from fastnn.model import Model


class SegmentedCalls:
    """The methods of `Calls`. All but `backward` return None: the caller then uses the model."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def _none(self, *arguments: Any) -> None:
        """Return None."""

    sample = predict = forward = jacobian = jvp = vjp = _none
    loss_and_grad = batch = sample_grads = hvp = _none

    def backward(self, dY: Any, grads: Array, passes: Passes, checked: bool) -> Array | None:
        """Overwrite `grads`, and return the cotangent of the input; None unless dY is checked."""
        if not checked:
            return None
        x, activations, training, moment = passes.kept()
        model = self.model
        rows = x.reshape(-1, model.plan.n_in)
        cotangent = dY.reshape(-1, model.plan.n_out)
        passes.begin_backward(moment)
        try:
            dx = model.backward(rows, activations, cotangent, grads, None, training)
        finally:
            passes.end_backward()
        return dx.reshape(x.shape)
