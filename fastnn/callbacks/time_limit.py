"""A limit on the duration of a fit."""

import time
from typing import Any, ClassVar

from fastnn import _checks
from fastnn.callbacks.callback import Callback


class TimeLimit(Callback):
    """Stop training after the epoch in which a time limit passes.

    The limit is wall-clock time from the first epoch of each call of `fit`. It includes validation,
    checkpoints and other callbacks. It is checked after each epoch, so `fit` can last longer than
    the limit by one epoch with its validation. `EarlyStopping` and other callbacks end as after the
    last epoch.

    A fit with a checkpoint can be resumed after the limit. It then has the whole limit again.

    Parameters
    ----------
    seconds : float
        The limit in seconds, above 0.

    Raises
    ------
    ValueError, TypeError
        If the limit is invalid.
    """

    pauses: ClassVar[bool] = True

    def __init__(self, seconds: float) -> None:
        self.seconds = _checks.number(seconds, "seconds", above=0)
        self._begin: float | None = None

    def epoch_begin(self, net: Any, epoch: int) -> None:
        """Start the clock before the first epoch."""
        if self._begin is None:
            self._begin = time.monotonic()

    def epoch_end(self, net: Any, epoch: int, metrics: dict[str, float]) -> bool:
        """Return whether the limit has passed."""
        return self._begin is not None and time.monotonic() - self._begin >= self.seconds

    def close(self) -> None:
        """Stop the clock."""
        self._begin = None
