"""Single steps of an optimizer, for gradients that the user computes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.layers import Layer
from fastnn.model import Model
from fastnn.optimizers import Optimizer, OptimizerState, Segments
from fastnn.optimizers.schedule import Schedule
from fastnn.training.rates import rates_of_steps

STEPS_AHEAD = 1024  # the number of learning rates that are computed at once
SEVERAL_THREADS = 200_000  # parameters, from which on a step may use several threads


class SingleSteps:
    """The steps of one optimizer on one network, ready to be taken.

    Attributes
    ----------
    optimizer : Optimizer
    state : OptimizerState
        Shared with the network.
    lengths : (int or None, int or None)
        The numbers of steps in total and in an epoch, for a schedule.
    """

    def __init__(
        self,
        model: Model,
        layers: Sequence[Layer],
        optimizer: Optimizer,
        state: OptimizerState,
        lengths: tuple[int | None, int | None],
    ) -> None:
        self.optimizer, self.state, self.lengths = optimizer, state, lengths
        self.layers = [layer for layer in layers if layer.n_params]
        self.trainable: list[bool] = []
        rate = optimizer.learning_rate
        self.schedule = rate if isinstance(rate, Schedule) else None
        self.rate = 0.0 if isinstance(rate, Schedule) else float(rate)
        self.rates, self.first_rate = np.empty(0), 0
        self.several_threads = model.params.size >= SEVERAL_THREADS
        self.engine = _core.engine.Steps(optimizer.update_rule(), model.params, state.arrays)
        self.parts: list[tuple[int, bool]] = []
        self.missed: list[int] = []
        self.segments: Segments = np.empty((0, 3), np.int64)

    def take(self, grads: Any, training: Any) -> bool | None:
        """Take a step, unless another fit is in the dict `training` or `grads` must be converted.

        Returns
        -------
        bool or None
            None if nothing was done. False if the step would make a parameter NaN or infinite;
            nothing has changed then. Otherwise True.

        Raises
        ------
        ValueError
            If the schedule has no valid rate for this step.
        """
        state = self.state
        if (
            state.parts is not self.parts
            or state.missed is not self.missed
            or [layer.trainable for layer in self.layers] != self.trainable
        ):
            self._read_layers()
        rate = self.rate if self.schedule is None else self._scheduled(self.schedule)
        missed = self.missed
        if self.frozen:
            missed = [m + (not t) for m, t in zip(missed, self.trainable, strict=True)]
        threads = _core.thread_count(None) if self.several_threads else 1
        done = self.engine.take(grads, rate, self.segments, state, missed, training, threads)
        self.missed = state.missed
        return done

    def _read_layers(self) -> None:
        """Take over which layers are trainable, and the state's counts of missed updates."""
        self.trainable = [layer.trainable for layer in self.layers]
        self.frozen = not all(self.trainable)
        sizes = (layer.n_params for layer in self.layers)
        self.parts = self.state.parts = list(zip(sizes, self.trainable, strict=True))
        self.missed = self.state.missed
        self.segments = self.state.segments()

    def _scheduled(self, schedule: Schedule) -> float:
        """Return the learning rate of the next step."""
        state, (total, per_epoch) = self.state, self.lengths
        if state.schedule != repr(schedule):
            state.schedule, state.schedule_step = repr(schedule), 0
        i = state.schedule_step - self.first_rate
        if not 0 <= i < len(self.rates):
            self.first_rate = state.schedule_step // STEPS_AHEAD * STEPS_AHEAD
            i = state.schedule_step - self.first_rate
            end = self.first_rate + STEPS_AHEAD
            if total is not None and state.schedule_step >= total:
                raise ValueError(
                    f"total_steps is {total}, and the schedule {schedule!r} has done as many; a "
                    f"larger total_steps or another schedule is wanted"
                )
            steps = np.arange(self.first_rate, end if total is None else min(end, total))
            self.rates = rates_of_steps(schedule, steps, per_epoch, total)
        return float(self.rates[i])
