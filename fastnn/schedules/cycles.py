"""Schedules that raise the rate before they lower it."""

from dataclasses import KW_ONLY, dataclass

import numpy as np

from fastnn import _checks
from fastnn.optimizers.schedule import Memory, Rates, Schedule, Updates
from fastnn.schedules.decays import cosine

MOST_CYCLES = 1000  # 2^cycles is a float64 number


@dataclass(frozen=True)
class Warmup(Schedule):
    """Raise the rate linearly, then follow another schedule.

    In a warmup of W updates, update t, counted from 0, has the first rate of `then` times
    (t + 1) / (W + 1), as with `torch.optim.lr_scheduler.LinearLR` with start_factor=1 / (W + 1) and
    total_iters=W. The first rate of a OneCycle is max_rate / div_factor. The schedule `then` starts
    at its first update after the warmup.

    Parameters
    ----------
    then : Schedule
        For instance `Constant(rate)`; not a Warmup.
    updates, epochs : int
        The length of the warmup, at least 1. Give one of the two.
    """

    then: Schedule
    _: KW_ONLY
    updates: int | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.then, Schedule) or isinstance(self.then, Warmup):
            raise TypeError(f"then is {self.then!r}; a schedule such as Constant(0.1) is wanted")
        if (self.updates is None) == (self.epochs is None):
            raise ValueError(
                f"updates is {self.updates} and epochs {self.epochs}; exactly one of them is wanted"
            )
        for name in ("updates", "epochs"):
            if getattr(self, name) is not None:
                _checks.integer(getattr(self, name), name, at_least=1)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rates of some updates."""
        length = self._length(updates_per_epoch)
        rising = updates < length
        after = np.where(rising, 0, updates - length)
        rest = max(total_updates - length, 1)
        rise = (updates + 1) / (length + 1) * self.then.base_rate(updates_per_epoch, rest)
        return np.where(rising, rise, self.then.rates(after, updates_per_epoch, rest))

    def memory(self, updates_per_epoch: int) -> Memory | None:
        """Return the memory of the schedule `then`, which skips the epochs of the warmup."""
        memory = self.then.memory(updates_per_epoch)
        if memory is not None:
            memory.epochs_to_skip = self._length(updates_per_epoch) // updates_per_epoch
        return memory

    def _length(self, updates_per_epoch: int) -> int:
        return self.updates or (self.epochs or 0) * updates_per_epoch


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Raise the rate to `max_rate`, then lower it, over all updates (Smith and Topin 2018).

    Both phases follow a cosine, as `torch.optim.lr_scheduler.OneCycleLR` with cycle_momentum=False,
    stepped after each batch: the momentum of the optimizer is constant. Of T updates, counted from
    0, update pct_start · T - 1 has the highest rate. If that is below 0, the rate only falls.

    Parameters
    ----------
    max_rate : float
        The highest rate, above 0.
    pct_start : float
        The share of the updates in which the rate rises, in (0, 1); by default 0.3.
    div_factor : float
        The first rate is max_rate / div_factor. At least 1; by default 25.
    final_div_factor : float
        The last rate is the first rate / final_div_factor. At least 1; by default 10⁴.
    """

    max_rate: float
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        _checks.number(self.max_rate, "max_rate", above=0)
        _checks.number(self.pct_start, "pct_start", above=0, below=1)
        _checks.number(self.div_factor, "div_factor", at_least=1)
        _checks.number(self.final_div_factor, "final_div_factor", at_least=1)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rates of some updates."""
        first = self.max_rate / self.div_factor
        peak = self.pct_start * total_updates - 1  # below 0 if the rate only falls
        up = cosine(first, self.max_rate, updates / (peak or 1.0))
        share_of_fall = (updates - peak) / (total_updates - 1 - peak)
        down = cosine(self.max_rate, first / self.final_div_factor, share_of_fall)
        return np.where(updates < peak, up, down)

    def base_rate(self, updates_per_epoch: int, total_updates: int) -> float:
        """Return the rate at the end of a Warmup before this schedule: max_rate / div_factor."""
        return self.max_rate / self.div_factor


@dataclass(frozen=True)
class CosLog(Schedule):
    """Raise the rate from 0 and lower it again, several times, each time twice as long as before.

    Update t of T, counted from 0, has the rate
    rate · (1 - cos(2π log₂(1 + (2^cycles - 1) t / T))) / 2. RealMLP has this schedule for its
    learning rate (Holzmüller et al. 2024, "Better by default").

    Parameters
    ----------
    rate : float
        The highest rate, above 0.
    cycles : int
        How many times the rate rises and falls, at least 1; by default 4.
    """

    rate: float
    cycles: int = 4

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)
        _checks.integer(self.cycles, "cycles", at_least=1)
        if self.cycles > MOST_CYCLES:
            raise ValueError(f"cycles is {self.cycles}; at most {MOST_CYCLES} is wanted")

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rates of some updates."""
        turns = np.log2(1 + (2.0**self.cycles - 1) * (updates / total_updates))
        rates: Rates = self.rate * (1 - np.cos(2 * np.pi * turns)) / 2
        return rates
