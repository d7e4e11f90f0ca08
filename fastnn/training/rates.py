"""The learning rates, weight decays and factors of dropout that a trainer gets.

Each comes from a number or a schedule.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.optimizers.schedule import Rates, Schedule, Updates

UPDATES_AHEAD = 100_000  # the number of rates that a trainer gets at once
FAR = 1 << 20  # a number of steps that stands for an unknown one


def depends_on_epochs(schedule: Schedule, updates_per_epoch: int, epochs: int) -> bool:
    """Whether the rates depend on the number of epochs, as with CosineDecay."""
    total = updates_per_epoch * epochs
    if total == 0:
        return False
    updates = np.unique(np.linspace(0, total - 1, min(total, 1000)).astype(np.int64))
    with np.errstate(over="ignore", under="ignore"):
        now, longer = (
            schedule.rates(updates.copy(), updates_per_epoch, total_updates)
            for total_updates in (total, total + updates_per_epoch)
        )
    return not np.array_equal(now, longer)


def checked_rates(
    schedule: Schedule,
    updates: Updates,
    updates_per_epoch: int,
    total_updates: int,
    name: str = "learning_rate",
) -> Rates:
    """Return the rates of a schedule for some updates; messages give them this name.

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
            f"{name}: {schedule!r} gave {rates} for {len(updates)} updates; "
            f"a finite number of at least 0 for each is wanted"
        )
    return rates


def rates_of_steps(
    schedule: Schedule,
    steps: Updates,
    steps_per_epoch: int | None,
    total_steps: int | None,
    name: str = "learning_rate",
) -> Rates:
    """Return the rates of some single steps, for which the numbers of steps may be unknown.

    `name` is the name of the rates in messages.

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
    # the rates of late steps are compared too: a schedule may use a number only after a warmup
    probes = steps
    if total_steps is None:
        total += int(steps[-1])
        far = [*2 ** np.arange(FAR.bit_length() - 1), total - 1]
        probes = np.unique(np.append(steps, far))
    expected = checked_rates(schedule, probes.copy(), per_epoch, total, name)
    others = {
        "total_steps": (total_steps, per_epoch, 3 * total),
        "steps_per_epoch": (steps_per_epoch, 1000 * per_epoch, total),
    }
    for count, (given, epoch, end) in others.items():
        if given is None and not np.array_equal(
            checked_rates(schedule, probes.copy(), epoch, end, name), expected
        ):
            wanted = "in all" if count == "total_steps" else "that count as an epoch"
            raise ValueError(
                f"{count} is None, and the schedule {schedule!r} depends on it; the number of "
                f"steps {wanted} is wanted"
            )
    return expected if probes is steps else checked_rates(schedule, steps, per_epoch, total, name)


class RateFeed:
    """Supplies a trainer with the learning rates of the next updates. Checkpoints save its state.

    Parameters
    ----------
    learning_rate : float or Schedule
    updates_per_epoch, epochs : int
    weight_decay : float or Schedule
    dropout_factor : Schedule or None
        The factor of the probabilities of dropout; None means 1.
    largest_p : float
        The largest probability of a Dropout in the network.

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
        self,
        learning_rate: float | Schedule,
        updates_per_epoch: int,
        epochs: int,
        weight_decay: float | Schedule = 0.0,
        dropout_factor: Schedule | None = None,
        largest_p: float = 0.0,
    ) -> None:
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.dropout_factor, self.largest_p = dropout_factor, largest_p
        self.is_constant = not any(
            isinstance(number, Schedule) for number in (learning_rate, weight_decay, dropout_factor)
        )
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
            If a schedule does not return one finite number of at least 0 for each update, or a
            probability of dropout would reach 1.
        """
        if trainer.rates_left:
            return
        if self.is_constant:
            assert not isinstance(self.learning_rate, Schedule)
            trainer.set_rates(float(self.learning_rate))
            return
        # a resumed fit gets rates at the same places, where several processes average parameters
        end = min((self.given // UPDATES_AHEAD + 1) * UPDATES_AHEAD, self.total_updates)
        if self.by_epoch:
            end = min(end, (self.given // self.updates_per_epoch + 1) * self.updates_per_epoch)
        trainer.set_rates(self._numbers(np.arange(self.given, end)))
        self.given = end

    def _numbers(self, updates: Updates) -> NDArray[np.float64]:
        """Return learning rates, weight decays and factors of dropout as an array (n, 3)."""
        numbers = np.ones((len(updates), 3))
        numbers[:, 0] = self.at(updates.copy())  # a user's schedule may write to its argument
        others = {"weight_decay": self.weight_decay, "dropout_factor": self.dropout_factor}
        for column, (name, given) in enumerate(others.items(), start=1):
            if isinstance(given, Schedule):
                numbers[:, column] = checked_rates(
                    given, updates.copy(), self.updates_per_epoch, self.total_updates, name
                )
            elif given is not None:
                numbers[:, column] = given
        largest = numbers[:, 2].max(initial=0) * self.largest_p
        if largest >= 1:
            raise ValueError(
                f"dropout_factor: {self.dropout_factor!r} makes the probability {self.largest_p:g} "
                f"of a Dropout {largest:g}; below 1 is wanted"
            )
        return numbers

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
