"""Schedules that start at the highest rate."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks
from fastnn.optimizers.schedule import Rates, Schedule, Updates


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
        return cosine(self.rate, self.final, updates / total_updates)


@dataclass(frozen=True)
class FlatCosine(Schedule):
    """Keep the rate, then lower it to 0 along half a cosine.

    Update t of T, counted from 0, has the rate `rate` up to the share `flat` of the updates. Then
    it has rate · (1 + cos(π s)) / 2, where s = (t / T - flat) / (1 - flat). RealMLP (Holzmüller et
    al. 2024) has this schedule for its weight decay and its dropout.

    Parameters
    ----------
    rate : float
        The rate of the first update, above 0.
    flat : float
        The share of the updates that have this rate, at least 0 and below 1; by default 0.5.
    """

    rate: float
    flat: float = 0.5

    def __post_init__(self) -> None:
        _checks.number(self.rate, "rate", above=0)
        _checks.number(self.flat, "flat", at_least=0, below=1)

    def rates(self, updates: Updates, updates_per_epoch: int, total_updates: int) -> Rates:
        """Return the learning rates of some updates."""
        share = (updates / total_updates - self.flat) / (1 - self.flat)
        return cosine(self.rate, 0.0, np.maximum(share, 0))


def cosine(start: float, end: float, share: NDArray[Any]) -> Rates:
    """Return values on half a cosine from `start`, at share 0, to `end`, at share 1."""
    return end + (start - end) * (1 + np.cos(np.pi * share)) / 2
