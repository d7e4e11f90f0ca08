"""A network as the engine sees it: its plan, and the arrays that go with it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core

if TYPE_CHECKING:
    from fastnn._core import engine

Array = NDArray[Any]


@dataclass(frozen=True)
class Model:
    """The plan, and flat arrays of the network's dtype; the passes trust their arguments.

    Attributes
    ----------
    plan : Plan
    params, grads : ndarray (n_params,)
    constants : ndarray (n_constants,)
    """

    plan: "engine.Plan"
    params: Array
    grads: Array
    constants: Array

    def predict(self, x: Array, n_threads: int) -> Array:
        """Return the outputs (n, n_out), computed a block of rows at a time."""
        out: Array = np.empty((len(x), self.plan.n_out), x.dtype)
        _core.engine.predict(self.plan, self.params, self.constants, x, out, n_threads)
        return out

    def forward(self, x: Array, n_threads: int) -> tuple[Array, Array]:
        """Return every operation's output as one flat array, and a view of the last, (n, n_out)."""
        activations = np.empty(len(x) * self.plan.row_width, x.dtype)
        _core.engine.forward(self.plan, self.params, self.constants, x, activations, n_threads)
        outputs = activations[len(activations) - len(x) * self.plan.n_out :]
        return activations, outputs.reshape(-1, self.plan.n_out)

    def backward(
        self, x: Array, activations: Array, dy: Array, grads: Array, n_threads: int
    ) -> Array:
        """Overwrite `grads` (n_params,), and return the cotangent of the input, (n, n_in)."""
        dx = np.empty_like(x)
        _core.engine.backward(
            self.plan, self.params, self.constants, x, activations, dy, grads, dx, n_threads
        )
        return dx
