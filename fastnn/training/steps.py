"""Single steps of an optimizer, for gradients that the user computes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.layers import Layer
from fastnn.model import Model
from fastnn.optimizers import Optimizer, OptimizerState, Segments
from fastnn.optimizers.groups import Factors
from fastnn.optimizers.schedule import Schedule
from fastnn.training.rates import rates_of_steps

STEPS_AHEAD = 1024  # the number of steps whose learning rates are computed at once
SEVERAL_THREADS = 200_000  # with fewer parameters, a step uses one thread


class SingleSteps:
    """The steps of one optimizer on one network, ready to be taken.

    Attributes
    ----------
    optimizer : Optimizer
    state : OptimizerState
        Shared with the network.
    factors : list of list of (int, float, float)
        As in `OptimizerState`, for the groups of the optimizer.
    lengths : (int or None, int or None)
        The numbers of steps in total and in an epoch, for a schedule.
    """

    def __init__(
        self,
        model: Model,
        layers: Sequence[Layer],
        optimizer: Optimizer,
        state: OptimizerState,
        factors: Factors,
        lengths: tuple[int | None, int | None],
    ) -> None:
        self.optimizer, self.state, self.lengths = optimizer, state, lengths
        self.factors = factors
        self.layers = [layer for layer in layers if layer.n_params]
        self.trainable: list[bool] = []
        self.given: dict[str, Any] = {
            "learning_rate": optimizer.learning_rate,
            "weight_decay": vars(optimizer)["weight_decay"],
        }
        self.schedules = [value for value in self.given.values() if isinstance(value, Schedule)]
        self.schedule = ", ".join(map(repr, self.schedules))
        # the learning rates and weight decays of the steps from `first_row` on
        self.rows: list[tuple[float, float]] = []
        if not self.schedules:
            self.rows = [(float(self.given["learning_rate"]), float(self.given["weight_decay"]))]
        self.first_row = 0
        self.several_threads = model.params.size >= SEVERAL_THREADS
        self.engine = _core.engine.Steps(optimizer.update_rule(), model.params, state.arrays)
        self.parts: list[tuple[int, bool]] = []
        self.missed: list[int] = []
        self.segments: Segments = state.segments()

    def take(self, grads: Any, training: dict[int, object]) -> bool | None:
        """Take a step, unless a fit is in the dict `training` or `grads` must be converted.

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
        rate, decay = self._scheduled() if self.schedules else self.rows[0]
        missed = self.missed
        if self.frozen:
            missed = [m + (not t) for m, t in zip(missed, self.trainable, strict=True)]
        threads = _core.thread_count(None) if self.several_threads else 1
        done = self.engine.take(grads, rate, decay, self.segments, state, missed, training, threads)
        self.missed = state.missed
        return done

    def _read_layers(self) -> None:
        """Read which layers are trainable, and the state's counts of missed updates."""
        self.trainable = [layer.trainable for layer in self.layers]
        self.frozen = not all(self.trainable)
        sizes = (layer.n_params for layer in self.layers)
        self.parts = self.state.parts = list(zip(sizes, self.trainable, strict=True))
        self.state.factors = self.factors
        self.missed = self.state.missed
        self.segments = self.state.segments()

    def _scheduled(self) -> tuple[float, float]:
        """Return the learning rate and the weight decay of the next step."""
        state, (total, per_epoch) = self.state, self.lengths
        if state.schedule != self.schedule:
            state.schedule, state.schedule_step = self.schedule, 0
        i = state.schedule_step - self.first_row
        if not 0 <= i < len(self.rows):
            self.first_row = state.schedule_step // STEPS_AHEAD * STEPS_AHEAD
            i = state.schedule_step - self.first_row
            end = self.first_row + STEPS_AHEAD
            if total is not None and state.schedule_step >= total:
                raise ValueError(
                    f"total_steps is {total}, and the schedule {self.schedule} has done as many; a "
                    f"larger total_steps or another schedule is wanted"
                )
            steps = np.arange(self.first_row, end if total is None else min(end, total))
            columns = [
                rates_of_steps(value, steps.copy(), per_epoch, total, name).tolist()
                if isinstance(value, Schedule)
                else [float(value)] * len(steps)
                for name, value in self.given.items()
            ]
            self.rows = list(zip(*columns, strict=True))
        return self.rows[i]
