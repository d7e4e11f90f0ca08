"""What a learning rate that changes during a `fit` is; `schedules` has those to choose from.

A schedule is a function of the update's number, evaluated for many at once before they run. One
that reacts to what training measures keeps that in a memory of its own, a factor for each epoch.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Rates = NDArray[np.float64]
Updates = NDArray[np.int64]


class Memory(Protocol):
    """What a schedule that reacts remembers of one `fit`."""

    factors: list[float]  # of the rate, for each epoch so far and for the one to come
    epochs_to_skip: int  # at the beginning, whose figures do not count

    def observe(self, metrics: dict[str, float]) -> None:
        """Learn an epoch's figures, and settle the next epoch's factor."""

    def state(self) -> dict[str, Any]:
        """Return all of it as plain numbers and lists, which JSON keeps exactly."""

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `state` returned."""


class Schedule:
    """A learning rate that changes; use one of the subclasses, or derive one with `rates`."""

    def __repr__(self) -> str:
        # no address, which would be another one when a fit is resumed from its checkpoint
        return f"{type(self).__module__}.{type(self).__qualname__}()"

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rate of each of some updates.

        Parameters
        ----------
        updates : ndarray (n,) of int64
            Their numbers, counted from 0 within this `fit`.
        updates_per_epoch, total_updates : int
            Of this `fit`.

        Returns
        -------
        ndarray (n,) of float64
            Finite, at least 0.
        """
        raise NotImplementedError

    def base_rate(self, updates_per_epoch: int, total_updates: int) -> float:
        """Return the rate that a Warmup before it rises to: its first one, by default."""
        first = np.zeros(1, np.int64)
        return float(self.rates(first, updates_per_epoch, total_updates)[0])

    def memory(self, updates_per_epoch: int) -> Memory | None:
        """Return a fresh memory of what training measures, for a schedule that reacts to it."""
        return None
