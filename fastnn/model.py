"""A network as the engine sees it: its plan, and the arrays that go with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks, _core

if TYPE_CHECKING:
    from fastnn._core import engine

Array = NDArray[Any]


@dataclass(frozen=True)
class Model:
    """The plan, and flat arrays of the network's dtype; the passes trust their arguments.

    `n_threads` is None for the default; it is looked at in each pass, since a fork loses threads.

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

    def predict(self, x: Array, n_threads: int | None) -> Array:
        """Return the outputs (n, n_out), computed a block of rows at a time."""
        return self._outputs(x, n_threads)[0]

    def predict_by_blocks(self, x: Array, n_threads: int | None) -> Array:
        """Return the outputs of a matrix of another dtype, which is converted a block at a time.

        Raises
        ------
        ValueError
            If x is not finite in the network's dtype.
        """
        out: Array = np.empty((len(x), self.plan.n_out), self.params.dtype)
        start = 0
        for block in _checks.row_blocks(x, "X", self.params.dtype):
            out[start : start + len(block)] = self.predict(block, n_threads)
            start += len(block)
        return out

    def predict_as_is(self, X: Any, n_threads: int | None) -> Array | None:
        """Return the outputs if X is a finite array as the engine wants it, else None."""
        wanted = (
            type(X) is np.ndarray
            and X.ndim == 2
            and len(X)
            and X.dtype == self.params.dtype
            and X.flags.c_contiguous
            and X.flags.aligned
            and X.shape[1] == self.plan.n_in
        )
        if not wanted:
            return None
        out, finite = self._outputs(X, n_threads)
        return out if finite else None

    def _outputs(self, x: Array, n_threads: int | None) -> tuple[Array, bool]:
        """Return the outputs, and whether x is finite, which costs less here than by itself."""
        out: Array = np.empty((len(x), self.plan.n_out), x.dtype)
        threads = _core.thread_count(n_threads)
        finite = True
        for part in self.parts(len(x), 1):
            finite &= _core.engine.predict(
                self.plan, self.params, self.constants, x[part], out[part], threads
            )
        return out, finite

    def parts(self, n_samples: int, work: int, at_least: int = 256) -> Iterator[slice]:
        """Yield the samples in parts, for a call of the engine each.

        The engine comes back to Python after some 10**9 flops, so that Ctrl-C is heard, but not
        before `at_least` so many samples, without which a call would not be worth it. `work` is how
        many times a forward pass a sample takes.
        """
        flops = (2 * self.plan.n_params + 100 * self.plan.row_width) * max(work, 1)
        rows = max(10**9 // flops, at_least)
        for first in range(0, n_samples, rows):
            yield slice(first, first + rows)

    def predict_ready(self, X: Any) -> Array | None:
        """Return the outputs if X is an array of few samples as the engine wants it, else None."""
        return _core.engine.predict_ready(self.plan, self.params, self.constants, X)

    def forward(
        self, x: Array, n_threads: int | None, training: tuple[int, int, int] | None = None
    ) -> tuple[Array, Array]:
        """Return every operation's output as one flat array, and a view of the last, (n, n_out).

        `training` is None for evaluation mode, else where the batch stands: the key of its dropout
        masks, the epoch, and its first sample in it. Running statistics move then.
        """
        activations = np.empty(len(x) * self.plan.row_width, x.dtype)
        threads = _core.thread_count(n_threads)
        _core.engine.forward(
            self.plan, self.params, self.constants, x, activations, threads, training
        )
        outputs = activations[len(activations) - len(x) * self.plan.n_out :]
        return activations, outputs.reshape(-1, self.plan.n_out)

    def backward(
        self,
        x: Array,
        activations: Array,
        dy: Array,
        grads: Array,
        n_threads: int | None,
        training: bool = False,
    ) -> Array:
        """Overwrite `grads` (n_params,), and return the cotangent of the input, (n, n_in)."""
        dx = np.empty_like(x)
        threads = _core.thread_count(n_threads)
        _core.engine.backward(
            self.plan, self.params, self.constants, x, activations, dy, grads, dx, threads, training
        )
        return dx
