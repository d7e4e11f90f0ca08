"""The learning rates of one fit, which a trainer gets from a number or a schedule."""

from typing import Any

import numpy as np

from fastnn.optimizers.schedule import Rates, Schedule, Updates

UPDATES_AHEAD = 100_000  # the number of rates that a trainer gets at once
FAR = 1 << 20  # a number of steps that stands for an unknown one


def depends_on_epochs(learning_rate: float | Schedule, updates_per_epoch: int, epochs: int) -> bool:
    """Whether the rates depend on the number of epochs, as with CosineDecay."""
    total = updates_per_epoch * epochs
    if not isinstance(learning_rate, Schedule) or total == 0:
        return False
    updates = np.unique(np.linspace(0, total - 1, min(total, 1000)).astype(np.int64))
    with np.errstate(over="ignore", under="ignore"):
        now, longer = (
            learning_rate.rates(updates.copy(), updates_per_epoch, total_updates)
            for total_updates in (total, total + updates_per_epoch)
        )
    return not np.array_equal(now, longer)


def checked_rates(
    schedule: Schedule, updates: Updates, updates_per_epoch: int, total_updates: int
) -> Rates:
    """Return the rates of a schedule for some updates.

    Raises
    ------
    ValueError
        If the schedule does not return one finite number of at least 0 for each update.
    """
    with np.errstate(over="ignore", under="ignore"):
        found = schedule.rates(updates, updates_per_epoch, total_updates)
    rates: Rates = np.require(found, np.float64, ["C", "A"])
    if rates.shape != updates.shape or not (np.isfinite(rates) & (rates >= 0)).all():
        raise ValueError(
            f"learning_rate: {schedule!r} gave {rates} for {len(updates)} updates; "
            f"a finite number of at least 0 for each is wanted"
        )
    return rates


def rates_of_steps(
    schedule: Schedule, steps: Updates, steps_per_epoch: int | None, total_steps: int | None
) -> Rates:
    """Return the rates of some single steps, which need not belong to epochs or have an end.

    Raises
    ------
    ValueError
        If a number of steps is None, and the rates depend on it. If the rates are invalid, or
        depend on metrics.
    """
    if schedule.memory(steps_per_epoch or 1) is not None:
        raise ValueError(
            f"optimizer has the schedule {schedule!r}, which follows a metric of the epochs; "
            f"single steps have none, so another schedule or a number is wanted"
        )
    total = total_steps or FAR + len(steps)
    per_epoch = steps_per_epoch or 1
    # a schedule may begin to depend on a number only later, for instance after a warmup
    probes = steps
    if total_steps is None:
        probes = np.unique(np.append(steps, 2 ** np.arange(FAR.bit_length() - 1)))
        total += int(steps[-1])
    expected = checked_rates(schedule, probes.copy(), per_epoch, total)
    others = {
        "total_steps": (total_steps, per_epoch, 3 * total),
        "steps_per_epoch": (steps_per_epoch, 1000 * per_epoch, total),
    }
    for name, (given, *numbers) in others.items():
        if given is None and not np.array_equal(
            checked_rates(schedule, probes.copy(), *numbers), expected
        ):
            raise ValueError(
                f"{name} is None, and the schedule {schedule!r} depends on it; the number of steps "
                f"{'in all' if name == 'total_steps' else 'that count as an epoch'} is wanted"
            )
    return expected if probes is steps else checked_rates(schedule, steps, per_epoch, total)


class RateFeed:
    """Supplies a trainer with the learning rates of the next updates. Checkpoints save its state.

    Parameters
    ----------
    learning_rate : float or Schedule
    updates_per_epoch, epochs : int

    Attributes
    ----------
    by_epoch : bool
        Whether the rates depend on the metrics of the epochs, which `observe` receives.
    memory : Memory or None
        The memory of the schedule, if the rates depend on metrics.
    given : int
        The number of updates whose rates were given to the trainer.
    """

    def __init__(
        self, learning_rate: float | Schedule, updates_per_epoch: int, epochs: int
    ) -> None:
        self.learning_rate = learning_rate
        self.updates_per_epoch = updates_per_epoch
        self.total_updates = epochs * updates_per_epoch
        self.given = 0
        self.memory = (
            learning_rate.memory(updates_per_epoch) if isinstance(learning_rate, Schedule) else None
        )
        self.by_epoch = self.memory is not None

    def supply(self, trainer: Any) -> None:
        """Give the trainer the rates of the next updates, if it has none left.

        Raises
        ------
        ValueError
            If a schedule does not return one finite number of at least 0 for each update.
        """
        if trainer.rates_left:
            return
        if not isinstance(self.learning_rate, Schedule):
            trainer.set_rates(float(self.learning_rate))
            return
        end = min(self.given + UPDATES_AHEAD, self.total_updates)
        if self.by_epoch:
            end = min(end, (self.given // self.updates_per_epoch + 1) * self.updates_per_epoch)
        trainer.set_rates(self.at(np.arange(self.given, end)))
        self.given = end

    def at(self, updates: Updates) -> Rates:
        """Return the learning rates of updates up to the end of the current epoch."""
        if not isinstance(self.learning_rate, Schedule):
            return np.full(len(updates), float(self.learning_rate))
        rates = checked_rates(
            self.learning_rate, updates, self.updates_per_epoch, self.total_updates
        )
        if self.memory is not None:
            rates = rates * np.array(self.memory.factors)[updates // self.updates_per_epoch]
        return rates

    def of_epochs(self, epochs: int) -> list[float]:
        """Return the rate of the last update in each of the first epochs, for the History."""
        return [
            float(rate) for rate in self.at((np.arange(epochs) + 1) * self.updates_per_epoch - 1)
        ]

    def observe(self, metrics: dict[str, float]) -> None:
        """Take the metrics of a complete epoch, by their names in the History."""
        if self.memory is not None:
            self.memory.observe(metrics)

    def state(self) -> dict[str, Any]:
        """Return what the schedule remembers, as plain numbers and lists."""
        return {} if self.memory is None else self.memory.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned; `go_to` restores the number of updates."""
        if self.memory is not None:
            self.memory.restore(state)

    def go_to(self, updates: int) -> None:
        """Continue after this many updates of the fit."""
        self.given = updates
