"""Schedules: frozen dataclasses that describe how the learning rate changes during a fit."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks
from fastnn.optimizers.schedule import Memory, Rates, Schedule, Updates

__all__ = [
    "Constant",
    "CosineDecay",
    "ExponentialDecay",
    "InverseScaling",
    "OneCycle",
    "ReduceOnPlateau",
    "Schedule",
    "StepDecay",
    "Warmup",
]


@dataclass(frozen=True)
class Constant(Schedule):
    """A constant rate, for instance after a Warmup.

    Parameters
    ----------
    rate : float
        Above 0.
    """

    rate: float

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rates of some updates."""
        return np.full(len(updates), float(self.rate))


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Multiply the rate by a factor each time that `every` epochs are complete.

    Epoch e, counted from 0, has the rate rate · factor^⌊e / every⌋, as
    `torch.optim.lr_scheduler.StepLR` stepped after each epoch.

    Parameters
    ----------
    rate : float
        The rate of the first epochs, above 0.
    every : int
        The number of epochs between two changes, at least 1.
    factor : float
        Above 0; by default 0.1.
    """

    rate: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)
        _checks.integer(self.every, "every", at_least=1)
        _checks.number(self.factor, "factor", above=0)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rates of some updates."""
        changes = updates // updates_per_epoch // self.every
        return self.rate * np.power(float(self.factor), changes)


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """Multiply the rate by a factor after each epoch.

    Epoch e, counted from 0, has the rate rate · factorᵉ, as
    `torch.optim.lr_scheduler.ExponentialLR` stepped after each epoch.

    Parameters
    ----------
    rate : float
        The rate of the first epoch, above 0.
    factor : float
        Above 0.
    """

    rate: float
    factor: float

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)
        _checks.number(self.factor, "factor", above=0)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rates of some updates."""
        return self.rate * np.power(float(self.factor), updates // updates_per_epoch)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Lower the rate along half a cosine over all updates of the fit (Loshchilov and Hutter 2017).

    Update t of T, counted from 0, has the rate final + (rate - final) (1 + cos(π t / T)) / 2, as
    `torch.optim.lr_scheduler.CosineAnnealingLR` with T_max=T, stepped after each batch.

    Parameters
    ----------
    rate : float
        The rate of the first update, above 0.
    final : float
        The rate that the schedule falls to, at least 0; by default 0.
    """

    rate: float
    final: float = 0.0

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)
        _checks.number(self.final, "final", at_least=0)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rates of some updates."""
        return _cosine(self.rate, self.final, updates / total_updates)


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
        up = _cosine(first, self.max_rate, updates / (peak or 1.0))
        share_of_fall = (updates - peak) / (total_updates - 1 - peak)
        down = _cosine(self.max_rate, first / self.final_div_factor, share_of_fall)
        return np.where(updates < peak, up, down)

    def base_rate(self, updates_per_epoch: int, total_updates: int) -> float:
        """Return the rate that a Warmup before this schedule rises to: max_rate / div_factor."""
        return self.max_rate / self.div_factor


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """Divide the rate by a power of the number of the update.

    Update t, counted from 0, has the rate rate / (t + 1)^power. scikit-learn's "invscaling" is
    similar, but there t counts samples, and the rate changes only after each epoch.

    Parameters
    ----------
    rate : float
        The rate of the first update, above 0.
    power : float
        At least 0; by default 0.5.
    """

    rate: float
    power: float = 0.5

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)
        _checks.number(self.power, "power", at_least=0)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rates of some updates."""
        rates: Rates = self.rate * np.power(updates + 1.0, -float(self.power))
        return rates


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiply the rate by a factor when a metric has stopped improving.

    This is `torch.optim.lr_scheduler.ReduceLROnPlateau` with threshold_mode="abs".

    Parameters
    ----------
    rate : float
        The rate of the first epochs, above 0.
    factor : float
        In (0, 1); by default 0.1.
    patience : int
        The number of epochs in a row without an improvement after which the rate is still
        unchanged, at least 0. The next such epoch changes it. By default 10.
    min_delta : float
        The metric has improved if it is better than the best by more than this; at least 0. By
        default 10⁻⁴.
    monitor : str
        The name of the metric in the History. The default, "val_loss", means "loss" if there is no
        validation data.
    mode : {"auto", "min", "max"}
        Whether a smaller or a larger metric is better. "auto", the default, means "max" for an
        accuracy or R², and "min" for all others.
    cooldown : int
        The number of epochs after a change that do not count as epochs without an improvement; at
        least 0. By default 0.
    min_rate : float
        The smallest rate that a change leads to, at least 0; by default 0.
    """

    rate: float
    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    monitor: str = "val_loss"
    mode: str = "auto"
    cooldown: int = 0
    min_rate: float = 0.0

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)
        _checks.number(self.factor, "factor", above=0, below=1)
        _checks.integer(self.patience, "patience", at_least=0)
        _checks.number(self.min_delta, "min_delta", at_least=0)
        if not isinstance(self.monitor, str):
            raise TypeError(f"monitor is {self.monitor!r}; the name of a metric is wanted")
        _checks.choice(self.mode, "mode", ("auto", "min", "max"))
        _checks.integer(self.cooldown, "cooldown", at_least=0)
        _checks.number(self.min_rate, "min_rate", at_least=0)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rates of some updates, before any reduction."""
        return np.full(len(updates), float(self.rate))

    def memory(self, updates_per_epoch: int) -> "PlateauMemory":
        """Return a new memory for one fit."""
        return PlateauMemory(self)


class PlateauMemory:
    """The memory of ReduceOnPlateau during one fit.

    Attributes
    ----------
    factors : list of float
        Factors of the rate, for each complete epoch and for the next one.
    epochs_to_skip : int
        The number of first epochs that are ignored, since they belong to a Warmup.
    best : float or None
        The best metric so far.
    bad_epochs, cooldown_left : int
        Epochs without an improvement so far, and epochs of the cooldown that remain.
    """

    def __init__(self, schedule: ReduceOnPlateau) -> None:
        self.schedule = schedule
        self.epochs_to_skip = 0
        self.factors = [1.0]
        self.best: float | None = None
        self.bad_epochs = 0
        self.cooldown_left = 0

    def observe(self, metrics: dict[str, float]) -> None:
        """Take the metrics of a complete epoch, and append the factor of the next epoch.

        Raises
        ------
        ValueError
            If the monitored metric is not among the metrics.
        """
        schedule = self.schedule
        name = schedule.monitor
        if name == "val_loss" and name not in metrics:
            name = "loss"
        if name not in metrics:
            raise ValueError(f"monitor is {name!r}; one of {sorted(metrics)} is wanted")
        factor = self.factors[-1]
        if len(self.factors) > self.epochs_to_skip:
            more = schedule.mode == "max" or (
                schedule.mode == "auto" and name.endswith(("accuracy", "r2"))
            )
            value = -metrics[name] if more else metrics[name]
            if value < (np.inf if self.best is None else self.best - schedule.min_delta):
                self.best, self.bad_epochs = float(value), 0
            else:
                self.bad_epochs += 1
            if self.cooldown_left:
                self.cooldown_left -= 1
                self.bad_epochs = 0
            if self.bad_epochs > schedule.patience:
                least = min(schedule.min_rate / schedule.rate, factor)
                factor = max(factor * schedule.factor, least)
                self.cooldown_left, self.bad_epochs = schedule.cooldown, 0
        self.factors.append(factor)

    def state(self) -> dict[str, Any]:
        """Return everything as plain numbers and lists, which JSON keeps exactly."""
        return {
            "factors": list(self.factors),
            "best": self.best,
            "bad_epochs": self.bad_epochs,
            "cooldown_left": self.cooldown_left,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.factors = list(state["factors"])
        self.best, self.bad_epochs = state["best"], state["bad_epochs"]
        self.cooldown_left = state["cooldown_left"]


def _cosine(start: float, end: float, share: NDArray[Any]) -> Rates:
    """Return values on half a cosine from `start`, at share 0, to `end`, at share 1."""
    return end + (start - end) * (1 + np.cos(np.pi * share)) / 2
