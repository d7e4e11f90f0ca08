"""The schedule that follows a metric."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn.metrics import larger_is_better
from fastnn.optimizers.schedule import Rates, Schedule, Updates


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
        Whether a smaller or a larger metric is better. "auto", the default, means "max" for
        accuracy, R², D² and the evidence, and "min" for all others.
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
            value = metrics[name]
            if larger_is_better(name, schedule.mode):
                value = -value
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
