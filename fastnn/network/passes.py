"""The forward and backward passes of threads that share a network.

Each thread has the activations of its own last forward pass. All threads share one array of
gradients: after a thread's `backward`, no other thread may overwrite it until this thread reads
`grads`. Without these checks, a thread could read the numbers of another thread unnoticed.
"""

import threading
from typing import NamedTuple

from fastnn._core.arrays import Array

ADVICE = (
    "Use loss_and_grad or vjp, which any thread may call, or a copy of the network for each thread "
    "(copy.deepcopy)"
)


class Moment(NamedTuple):
    """The state when a forward pass began: the count of fits, and whether `grads` was free."""

    fits: int
    free: bool


class Pass(NamedTuple):
    """The results of a forward pass that `backward` needs; x is in the shape that it came in."""

    x: Array
    activations: Array
    training: bool
    moment: Moment


class Passes:
    """The checks for threads that call forward, backward and fit of one network."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._lock = threading.Lock()
        self._fits = 0  # counts each begin and each end of a fit
        self._running = False  # whether a backward pass is running
        # the thread whose `backward` wrote `grads`, until it reads them
        self._writer: threading.Thread | None = None
        self._fits_at_write = 0

    def now(self) -> Moment:
        """Return the present state, at the beginning of a forward pass."""
        return Moment(self._fits, self._writer is None or not self._belongs_to_another())

    def keep(self, done: Pass) -> None:
        """Keep a forward pass for this thread's `backward`."""
        self._own.kept = done

    def kept(self) -> Pass:
        """Return this thread's last forward pass.

        Raises
        ------
        RuntimeError
            If there was no forward pass since the construction or the last fit.
        """
        done: Pass | None = getattr(self._own, "kept", None)
        if done is None or done.moment.fits != self._fits:
            raise RuntimeError(
                "backward needs a forward pass of this thread since the last fit; call forward(X) "
                "first"
            )
        return done

    def begin_backward(self, done: Pass) -> None:
        """Reserve `grads` for the next backward pass of this thread.

        Raises
        ------
        RuntimeError
            If another thread has begun a fit, is in `backward`, or has not read its gradient.
        """
        with self._lock:
            if done.moment.fits != self._fits:
                raise RuntimeError("another thread has begun to train this network")
            if self._running or not done.moment.free or self._belongs_to_another():
                raise RuntimeError(
                    f"backward would overwrite grads: another thread's backward wrote a gradient, "
                    f"and had not read it when this thread called forward. {ADVICE}"
                )
            self._running = True
            self._writer, self._fits_at_write = threading.current_thread(), self._fits

    def end_backward(self) -> None:
        """Mark the end of the backward pass."""
        self._running = False

    def begin_fit(self) -> None:
        """Mark the beginning of a fit, which makes all earlier forward passes invalid.

        Raises
        ------
        RuntimeError
            If another thread is in `backward`.
        """
        with self._lock:
            if self._running:
                raise RuntimeError("another thread is in backward of this network")
            self._fits += 1
            if not self._belongs_to_another():
                self._writer = None

    def end_fit(self) -> None:
        """Mark the end of a fit, which makes the forward passes during the fit invalid."""
        self._fits += 1

    def read(self) -> None:
        """Check that `grads` still holds the gradient that this thread wrote, if it wrote one.

        Raises
        ------
        RuntimeError
            If another thread's fit has overwritten the gradient.
        """
        if self._writer is threading.current_thread():
            self._writer = None
            if self._fits != self._fits_at_write:
                raise RuntimeError(
                    f"another thread's fit has overwritten the gradient that backward wrote into "
                    f"grads in this thread. {ADVICE}"
                )

    def _belongs_to_another(self) -> bool:
        """Return whether another living thread has not yet read its gradient in `grads`."""
        writer = self._writer
        return writer is not None and writer is not threading.current_thread() and writer.is_alive()
