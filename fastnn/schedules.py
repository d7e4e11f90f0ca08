"""The schedules to choose from, as frozen descriptions; `schedule` says what one is."""

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
    """The same rate always, for instance after a Warmup.

    Parameters
    ----------
    rate : float
        Above 0.
    """

    rate: float

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rate of each of some updates."""
        return np.full(len(updates), float(self.rate))


@dataclass(frozen=True)
class StepDecay(Schedule):
    """rate · factor^⌊epoch / every⌋, as `torch.optim.lr_scheduler.StepLR` stepped each epoch.

    Parameters
    ----------
    rate : float
        Of the first epochs, above 0.
    every : int
        Epochs between two changes.
    factor : float
        Above 0.
    """

    rate: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)
        _checks.integer(self.every, "every", at_least=1)
        _checks.number(self.factor, "factor", above=0)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rate of each of some updates."""
        changes = updates // updates_per_epoch // self.every
        return self.rate * np.power(float(self.factor), changes)


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """rate · factor^epoch, as `torch.optim.lr_scheduler.ExponentialLR` stepped each epoch.

    Parameters
    ----------
    rate : float
        Of the first epoch, above 0.
    factor : float
        Above 0.
    """

    rate: float
    factor: float

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)
        _checks.number(self.factor, "factor", above=0)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rate of each of some updates."""
        return self.rate * np.power(float(self.factor), updates // updates_per_epoch)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Half a cosine from `rate` to `final` over all updates of the fit.

    Update t of T has the rate final + (rate - final) (1 + cos(π t / T)) / 2 (Loshchilov and Hutter
    2017), as `torch.optim.lr_scheduler.CosineAnnealingLR` with T_max=T, stepped each batch.

    Parameters
    ----------
    rate : float
        Of the first update, above 0.
    final : float
        What the rate comes down to, at least 0.
    """

    rate: float
    final: float = 0.0

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)
        _checks.number(self.final, "final", at_least=0)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rate of each of some updates."""
        return _cosine(self.rate, self.final, updates / total_updates)


@dataclass(frozen=True)
class Warmup(Schedule):
    """A linear rise before another schedule, whose own time begins after it.

    With W updates of it, update t < W has (t + 1) / (W + 1) times the first rate of `then`, which
    is max_rate / div_factor for a OneCycle; as `torch.optim.lr_scheduler.LinearLR` with
    start_factor=1 / (W + 1) and total_iters=W.

    Parameters
    ----------
    then : Schedule
        `Constant(rate)` or another, but not a Warmup.
    updates, epochs : int
        How long it lasts; one of the two.
    """

    then: Schedule
    _: KW_ONLY
    updates: int | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.then, Schedule) or isinstance(self.then, Warmup):
            raise TypeError(f"then is {self.then!r}; another schedule, as Constant(0.1), is wanted")
        if (self.updates is None) == (self.epochs is None):
            raise ValueError(
                f"updates is {self.updates} and epochs {self.epochs}; one of them is wanted"
            )
        for name in ("updates", "epochs"):
            if getattr(self, name) is not None:
                _checks.integer(getattr(self, name), name, at_least=1)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rate of each of some updates."""
        length = self._length(updates_per_epoch)
        rising = updates < length
        after = np.where(rising, 0, updates - length)
        rest = max(total_updates - length, 1)
        rise = (updates + 1) / (length + 1) * self.then.base_rate(updates_per_epoch, rest)
        return np.where(rising, rise, self.then.rates(after, updates_per_epoch, rest))

    def memory(self, updates_per_epoch: int) -> Memory | None:
        """Return the memory of the schedule that follows, which the epochs of the rise pass by."""
        memory = self.then.memory(updates_per_epoch)
        if memory is not None:
            memory.epochs_to_skip = self._length(updates_per_epoch) // updates_per_epoch
        return memory

    def _length(self, updates_per_epoch: int) -> int:
        return self.updates or (self.epochs or 0) * updates_per_epoch


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to `max_rate` and down again over all updates of the fit (Smith and Topin 2018).

    Along cosines, as `torch.optim.lr_scheduler.OneCycleLR` stepped each batch, in two phases, but
    the optimizer's momentum stays as it is (there, cycle_momentum=False). Of T updates the highest
    rate is at number pct_start · T - 1, counted from 0. If that is below 0, the rate only falls.

    Parameters
    ----------
    max_rate : float
        Above 0.
    pct_start : float
        The share of the updates that goes up, in (0, 1).
    div_factor : float
        The first rate is max_rate / div_factor; at least 1.
    final_div_factor : float
        The last rate is the first one divided by it; at least 1.
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
        """Return the learning rate of each of some updates."""
        first = self.max_rate / self.div_factor
        peak = self.pct_start * total_updates - 1  # below 0 if the fit begins after it
        up = _cosine(first, self.max_rate, updates / (peak or 1.0))
        share_of_fall = (updates - peak) / (total_updates - 1 - peak)
        down = _cosine(self.max_rate, first / self.final_div_factor, share_of_fall)
        return np.where(updates < peak, up, down)

    def base_rate(self, updates_per_epoch: int, total_updates: int) -> float:
        """Return the rate that a Warmup before it rises to, which is that of PyTorch."""
        return self.max_rate / self.div_factor


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """rate / (t + 1)^power in update t, the "invscaling" of scikit-learn.

    There t counts samples and the rate changes each epoch; here it counts updates and the rate
    changes with each.

    Parameters
    ----------
    rate : float
        Of the first update, above 0.
    power : float
        At least 0.
    """

    rate: float
    power: float = 0.5

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)
        _checks.number(self.power, "power", at_least=0)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rate of each of some updates."""
        rates: Rates = self.rate * np.power(updates + 1.0, -float(self.power))
        return rates


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiply the rate by `factor` when a figure has not improved for over `patience` epochs.

    As `torch.optim.lr_scheduler.ReduceLROnPlateau` with threshold_mode="abs".

    Parameters
    ----------
    rate : float
        Of the first epochs, above 0.
    factor : float
        In (0, 1).
    patience : int
        Epochs without an improvement that are borne; at least 0.
    min_delta : float
        An improvement is one by more than this; at least 0.
    monitor : str
        The figure's name in the History. Without validation data the default, "val_loss", stands
        for "loss".
    mode : {"auto", "min", "max"}
        Whether less or more of it is better; "auto" takes "max" for an accuracy or R².
    cooldown : int
        Epochs after a change that do not count; at least 0.
    min_rate : float
        No change goes below; at least 0.
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
            raise TypeError(f"monitor is {self.monitor!r}; the name of a figure is wanted")
        _checks.choice(self.mode, "mode", ("auto", "min", "max"))
        _checks.integer(self.cooldown, "cooldown", at_least=0)
        _checks.number(self.min_rate, "min_rate", at_least=0)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rate of each of some updates, before any change."""
        return np.full(len(updates), float(self.rate))

    def memory(self, updates_per_epoch: int) -> "PlateauMemory":
        """Return a fresh memory of what training measures."""
        return PlateauMemory(self)


class PlateauMemory:
    """What ReduceOnPlateau remembers: a factor of its rate for each epoch, and the best figure.

    Attributes
    ----------
    factors : list of float
        For each epoch so far and for the one to come.
    """

    def __init__(self, schedule: ReduceOnPlateau) -> None:
        self.schedule = schedule
        self.epochs_to_skip = 0
        self.factors = [1.0]
        self.best: float | None = None
        self.bad_epochs = 0
        self.cooldown_left = 0

    def observe(self, metrics: dict[str, float]) -> None:
        """Learn an epoch's figures, and settle the next epoch's factor.

        Raises
        ------
        ValueError
            If the monitored figure is not among them.
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
        """Return all of it as plain numbers and lists, which JSON keeps exactly."""
        return {
            "factors": list(self.factors),
            "best": self.best,
            "bad_epochs": self.bad_epochs,
            "cooldown_left": self.cooldown_left,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `state` returned."""
        self.factors = list(state["factors"])
        self.best, self.bad_epochs = state["best"], state["bad_epochs"]
        self.cooldown_left = state["cooldown_left"]


def _cosine(start: float, end: float, share: NDArray[Any]) -> Rates:
    """Go from start to end along half a cosine, of which `share` is behind us."""
    return end + (start - end) * (1 + np.cos(np.pi * share)) / 2
