"""A custom layer as a part of a network."""

from dataclasses import dataclass

import numpy as np

from fastnn._core.arrays import Array
from fastnn.layers import CustomLayer, custom_calls
from fastnn.model import TrainingMode


@dataclass(frozen=True)
class CustomPart:
    """A custom layer on its slice of the parameters, with the methods of `Model` for one part.

    Attributes
    ----------
    layer : CustomLayer
    place : int
        Its place in the network.
    params : ndarray (n_params,)
    trouble : list of str, or None
        See `fastnn.layers.custom_calls`.
    """

    layer: CustomLayer
    place: int
    params: Array
    trouble: list[str] | None

    def predict(self, x: Array, n_threads: int | None) -> Array:
        """Return the outputs."""
        return custom_calls.forward(self.layer, x, self.params, self.trouble)

    def forward(
        self, x: Array, n_threads: int | None, training: TrainingMode | None
    ) -> tuple[None, Array]:
        """Return None, since nothing is kept for `backward`, and the outputs."""
        return None, self.predict(x, n_threads)

    def backward(
        self,
        x: Array,
        activations: None,
        dy: Array,
        grads: Array,
        n_threads: int | None,
        training: bool = False,
    ) -> Array:
        """Overwrite `grads` (n_params,), and return the cotangent of the input."""
        return custom_calls.vjp(self.layer, x, self.params, dy, grads, self.trouble)

    def sample_vjp(self, x: Array, cotangent: Array, grads: Array, n_threads: int) -> None:
        """Overwrite `grads` (n, n_params) with each sample's cotangent times its Jacobian."""
        for i in range(len(x)):
            one = slice(i, i + 1)
            custom_calls.vjp(
                self.layer, x[one], self.params, cotangent[one], grads[i], self.trouble
            )

    def jvp(self, x: Array, tangent: Array, by_params: bool, n_threads: int | None) -> Array:
        """Return the outputs' derivative along a direction of the input or the parameters."""
        if not self.has_jvp:
            raise TypeError(
                f"layers[{self.place}] is {self.layer!r}, which has no method jvp; "
                f"jvp(x, params, x_tangent, params_tangent) is wanted"
            )
        directions = (np.zeros_like(x), tangent)
        if not by_params:
            directions = (tangent, np.zeros_like(self.params))
        return custom_calls.jvp(self.layer, x, self.params, *directions, self.trouble)

    @property
    def has_jvp(self) -> bool:
        """Whether the layer's class defines `jvp`."""
        return type(self.layer).jvp is not CustomLayer.jvp
