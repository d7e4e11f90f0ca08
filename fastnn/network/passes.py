"""Which thread's passes a network holds: the activations for `backward`, and the gradient it wrote.

Each thread keeps the activations of its own last forward pass. There is one array of gradients, so
the gradient that a thread's `backward` wrote is that thread's until it reads `grads`. Without this
order, threads that share a network would take each other's numbers without noticing.
"""

import threading
from typing import NamedTuple

from fastnn._core.arrays import Array

ADVICE = (
    "Use loss_and_grad or vjp, which any thread may call, or give each thread a copy of the "
    "network by copy.deepcopy"
)


class Moment(NamedTuple):
    """When a forward pass began: after how many fits, and whether `grads` was free to write."""

    fits: int
    free: bool


class Pass(NamedTuple):
    """What a forward pass leaves for `backward`."""

    x: Array
    activations: Array
    single: bool
    training: bool
    moment: Moment


class Passes:
    """The order among the threads that call forward, backward and fit of one network."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._lock = threading.Lock()
        self._fits = 0  # that have begun, and that have ended
        self._running = False  # whether a backward pass is
        self._writer: threading.Thread | None = None  # whose gradient stands in `grads`, unread
        self._fits_at_write = 0

    def now(self) -> Moment:
        """Return the moment, as a forward pass begins."""
        return Moment(self._fits, self._writer is None or not self._is_others())

    def keep(self, done: Pass) -> None:
        """Keep a forward pass for this thread's `backward`."""
        self._own.kept = done

    def kept(self) -> Pass:
        """Return this thread's last forward pass.

        Raises
        ------
        RuntimeError
            If there was none since the construction or the last fit.
        """
        done: Pass | None = getattr(self._own, "kept", None)
        if done is None or done.moment.fits != self._fits:
            raise RuntimeError(
                "backward needs the activations of a forward pass that this thread made after the "
                "last fit; call forward(X)"
            )
        return done

    def begin_backward(self, done: Pass) -> None:
        """Take `grads` for the backward pass that follows.

        Raises
        ------
        RuntimeError
            If another thread is in `backward` or `fit`, or has not read its gradient.
        """
        with self._lock:
            if done.moment.fits != self._fits:
                raise RuntimeError("another thread has begun to train this network")
            if self._running or not done.moment.free or self._is_others():
                raise RuntimeError(
                    f"backward would overwrite grads: another thread wrote its gradient there, and "
                    f"had not read it when this thread called forward. {ADVICE}"
                )
            self._running = True
            self._writer, self._fits_at_write = threading.current_thread(), self._fits

    def end_backward(self) -> None:
        """Say that the backward pass is over."""
        self._running = False

    def begin_fit(self) -> None:
        """Make the forward passes so far stale.

        Raises
        ------
        RuntimeError
            If another thread is in `backward`.
        """
        with self._lock:
            if self._running:
                raise RuntimeError("another thread is in backward of this network")
            self._fits += 1
            if not self._is_others():
                self._writer = None

    def end_fit(self) -> None:
        """Make the forward passes stale that another thread made during the fit."""
        self._fits += 1

    def read(self) -> None:
        """See that `grads` holds the gradient that this thread wrote, if it wrote one.

        Raises
        ------
        RuntimeError
            If a fit of another thread has overwritten it.
        """
        if self._writer is threading.current_thread():
            self._writer = None
            if self._fits != self._fits_at_write:
                raise RuntimeError(
                    f"grads no longer holds the gradient of this thread's backward: a fit of "
                    f"another thread has overwritten it. {ADVICE}"
                )

    def _is_others(self) -> bool:
        """Whether another thread, which has not ended, has a gradient in `grads`, unread."""
        writer = self._writer
        return writer is not None and writer is not threading.current_thread() and writer.is_alive()
