"""The base class of schedules, which change a number such as the learning rate during a fit.

A schedule is a function of the number of the update. It is evaluated for many updates at once,
before they run. A schedule that reacts to metrics has a memory, which multiplies the rates of each
epoch by a factor.
"""

from typing import Any, Protocol

import numpy as np

from fastnn._core.arrays import FloatArray, IntArray

Rates = FloatArray
Updates = IntArray


class Memory(Protocol):
    """The memory of a schedule during one fit, if it reacts to metrics."""

    factors: list[float]  # of the rates, one for each complete epoch and for the next one
    epochs_to_skip: int  # the number of first epochs whose metrics are ignored

    def observe(self, metrics: dict[str, float]) -> None:
        """Take the metrics of a complete epoch, and append the factor of the next epoch."""

    def state(self) -> dict[str, Any]:
        """Return everything as plain numbers and lists, which JSON keeps exactly."""

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""


class Schedule:
    """A number that changes during a fit: a learning rate, a weight decay, a factor of dropout.

    Use a class of `fastnn.schedules`, or derive your own, which defines `rates`.
    """

    def __repr__(self) -> str:
        # without the object's address, since a resumed fit compares the text
        return f"{type(self).__module__}.{type(self).__qualname__}()"

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rates of some updates.

        Parameters
        ----------
        updates : ndarray (n,) of int64
            Numbers of updates, counted from 0 within this fit.
        updates_per_epoch, total_updates : int
            The number of updates in each epoch, and in the entire fit.

        Returns
        -------
        ndarray (n,) of float64
            Finite numbers of at least 0.
        """
        raise NotImplementedError

    def base_rate(self, updates_per_epoch: int, total_updates: int) -> float:
        """Return the rate that a Warmup before this schedule rises to: the first rate."""
        first = np.zeros(1, np.int64)
        return float(self.rates(first, updates_per_epoch, total_updates)[0])

    def memory(self, updates_per_epoch: int) -> Memory | None:
        """Return a new memory for one fit, or None if the rates depend on the update alone."""
        return None


def demand_no_metric(schedule: Schedule, name: str) -> None:
    """Raise ValueError if a schedule depends on the metrics of the epochs.

    Only that of a learning rate may do so.
    """
    if schedule.memory(1) is not None:
        raise ValueError(
            f"{name} is {schedule!r}, which follows a metric; a schedule that depends on the "
            f"update alone is wanted"
        )
