"""The part of a trainer that is common to those whose updates are a series of calls from Python."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn.model import Model, Snapshot
from fastnn.optimizers import Optimizer, OptimizerState, Segments
from fastnn.training.settings import FitSettings


class PythonTrainer:
    """Takes the same steps as the engine's trainer, one at a time.

    A derived class has a method `take_step`, which adds to `epoch_loss` and `epoch_weight`.
    """

    converged = False

    def __init__(
        self,
        model: Model,
        n_samples: int,
        settings: FitSettings,
        optimizer_state: OptimizerState,
        order: "np.random.Generator | None",
    ) -> None:
        optimizer = settings.optimizer
        assert isinstance(optimizer, Optimizer)
        self.model = model
        self.rule = optimizer.update_rule()
        self.optimizer_state, self.segments = optimizer_state, optimizer_state.segments()
        self.batch_size = settings.batch_size
        self.samples_per_epoch = settings.samples_per_epoch(n_samples)
        self.rates: float | NDArray[np.float64] = np.empty((0, 3))
        self.rates_left = 0
        self.generator = order
        self.mean = getattr(settings.loss, "reduction", "mean") == "mean"
        self.step, self.epoch, self.position = optimizer_state.step, 0, 0
        self.losses, self.seconds = np.empty(settings.epochs), np.empty(settings.epochs)
        self.columns: dict[str, list[float]] = {}
        self.order = np.arange(n_samples)
        self.epoch_loss = self.epoch_weight = 0.0
        self.diverged = False
        self.mask_key = settings.mask_key() if model.plan.has_dropout else 0
        self.last_good = model.snapshot()

    @property
    def running_loss(self) -> float:
        """The mean loss over the complete batches of this epoch, or the loss of the last epoch."""
        if self.position == 0 or self.epoch_weight == 0:
            return float(self.losses[self.epoch - 1]) if self.epoch else float("nan")
        return self.epoch_loss / self.epoch_weight if self.mean else self.epoch_loss

    def set_segments(self, segments: Segments) -> None:
        """Replace the segments; only their counts of missed updates may differ."""
        self.segments = segments

    def set_rates(self, rates: float | NDArray[np.float64]) -> None:
        """Set the learning rate of all next updates, or an array (n, 3) as `Trainer` describes."""
        self.rates = rates
        self.rates_left = 1 if isinstance(rates, float) else len(rates)

    def run(self, until_epoch: int, seconds: float, n_threads: int) -> bool:
        """Train until this many epochs are complete, or for about this many seconds."""
        deadline = time.monotonic() + seconds
        while self.advance(until_epoch, n_threads):
            if time.monotonic() > deadline:
                break
        return self.epoch >= until_epoch

    def advance(self, until_epoch: int, n_threads: int) -> bool:
        """Take a step, unless the epochs are complete; return whether one was taken."""
        if self.epoch >= until_epoch or not self.rates_left or self.diverged:
            return False
        if self.position == 0:
            self.epoch_start = time.monotonic()
            self.epoch_loss = self.epoch_weight = 0.0
            if self.generator is not None:
                _core.engine.draw_permutation(self.generator.bit_generator, self.order)
        self.take_step(n_threads)
        if self.position == self.samples_per_epoch and not self.diverged:
            self.end_epoch()
        return True

    def take_step(self, n_threads: int) -> None:
        """Take the next step."""
        raise NotImplementedError

    def publish(self) -> None:
        """Do nothing: the arrays of the model are always up to date."""

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers and arrays from which `restore` continues bit for bit."""
        state: dict[str, Any] = {
            "step": self.step,
            "epoch": self.epoch,
            "position": self.position,
            "epoch_loss": self.epoch_loss,
            "epoch_weight": self.epoch_weight,
            "elapsed": 0.0,
            "losses": self.losses[: self.epoch].copy(),
            "seconds": self.seconds[: self.epoch].copy(),
        }
        if self.position:
            state["elapsed"] = time.monotonic() - self.epoch_start
            params, constants = self.last_good
            state |= {"last_good": params, "last_good_constants": constants}
            state["order"] = self.order.copy()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a valid snapshot, after the parameters are restored."""
        self.step, self.epoch, self.position = state["step"], state["epoch"], state["position"]
        self.epoch_loss, self.epoch_weight = state["epoch_loss"], state["epoch_weight"]
        self.epoch_start = time.monotonic() - state["elapsed"]
        self.losses[: self.epoch], self.seconds[: self.epoch] = state["losses"], state["seconds"]
        self.last_good = self.model.snapshot()
        if "last_good" in state:
            self.last_good = Snapshot(state["last_good"], state["last_good_constants"])
        self.order = state.get("order", self.order)

    def close(self) -> None:
        """Do nothing: there is no thread to stop."""

    def update(self, rate: float, weight_decay: float) -> None:
        """Change the parameters by the gradient."""
        self.step += 1
        self.rates_left -= not isinstance(self.rates, float)
        self.rule["weight_decay"] = weight_decay
        _core.engine.optimizer_step(
            self.rule,
            rate,
            self.model.params,
            self.model.grads,
            self.optimizer_state.arrays,
            self.segments,
            self.step,
        )

    def numbers(self) -> tuple[float, float, float]:
        """Return learning rate, weight decay and factor of dropout of the next update."""
        if isinstance(self.rates, float):
            return self.rates, self.rule["weight_decay"], 1.0
        rate, weight_decay, dropout_factor = self.rates[len(self.rates) - self.rates_left].tolist()
        return rate, weight_decay, dropout_factor

    def end_epoch(self) -> None:
        """Check and copy the parameters, and record the loss of the epoch."""
        if not (np.isfinite(self.epoch_loss) and self.model.is_finite()):
            return self.diverge()
        self.last_good = self.model.snapshot()
        divisor = self.epoch_weight if self.mean else 1
        self.losses[self.epoch] = self.epoch_loss / divisor
        self.seconds[self.epoch] = time.monotonic() - self.epoch_start
        self.epoch += 1
        self.position = 0

    def diverge(self) -> None:
        """Restore the parameters of the last finite epoch."""
        self.diverged = True
        self.model.restore(self.last_good)
