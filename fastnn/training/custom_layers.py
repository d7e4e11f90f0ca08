"""Training with layers written in Python: each update is a series of calls from Python."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn.losses import allows_negative_weights
from fastnn.model import Model, Snapshot
from fastnn.optimizers import Optimizer, OptimizerState, Segments
from fastnn.segments import with_loss
from fastnn.training.data import TrainingData
from fastnn.training.settings import FitSettings


class SegmentedTrainer:
    """Takes the same steps as the engine's trainer, one at a time."""

    converged = False

    def __init__(
        self,
        model: Model,
        data: TrainingData,
        settings: FitSettings,
        optimizer_state: OptimizerState,
        order: "np.random.Generator | None",
    ) -> None:
        loss, optimizer = settings.loss, settings.optimizer
        assert isinstance(optimizer, Optimizer)
        self.model, self.evaluate = with_loss(model, loss)
        self.rule = optimizer.update_rule()
        self.x, self.y, self.weights = data.x, data.target, data.weights
        self.optimizer_state, self.segments = optimizer_state, optimizer_state.segments()
        self.batch_size = settings.batch_size
        self.samples_per_epoch = settings.samples_per_epoch(len(data.x))
        self.rates: float | NDArray[np.float64] = np.empty((0, 3))
        self.rates_left = 0
        self.generator = order
        self.negative_weights = allows_negative_weights(loss)
        self.mean = getattr(loss, "reduction", "mean") == "mean"
        self.step, self.epoch, self.position = optimizer_state.step, 0, 0
        self.losses, self.seconds = np.empty(settings.epochs), np.empty(settings.epochs)
        self.columns: dict[str, list[float]] = {}
        self.order = np.arange(len(self.x))
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
        while self.epoch < until_epoch and self.rates_left and not self.diverged:
            if self.position == 0:
                self.epoch_start = time.monotonic()
                self.epoch_loss = self.epoch_weight = 0.0
                if self.generator is not None:
                    self.order = self.generator.permutation(len(self.x))
            rows = self.order[self.position : self.position + self.batch_size]
            self._step(rows, n_threads)
            if self.position == self.samples_per_epoch and not self.diverged:
                self._end_epoch()
            if time.monotonic() > deadline:
                break
        return self.epoch >= until_epoch

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

    def _step(self, rows: NDArray[np.int64], n_threads: int) -> None:
        model, x = self.model, self.x[rows]
        rate, weight_decay, dropout_factor = self._numbers()
        training = (self.mask_key, self.epoch, self.position, dropout_factor)
        self.position += len(x)
        activations, outputs = model.forward(x, n_threads, training)
        if not np.isfinite(outputs).all():
            return self._diverge()
        weights = None if self.weights is None else self.weights[rows]
        value, gradient = self.evaluate(outputs, self.y[rows], weights)
        if not np.isfinite(value):
            return self._diverge()
        model.backward(x, activations, gradient, model.grads, n_threads, training=True)
        self.step += 1
        self.rates_left -= not isinstance(self.rates, float)
        _core.engine.optimizer_step(
            {**self.rule, "weight_decay": weight_decay},
            rate,
            model.params,
            model.grads,
            self.optimizer_state.arrays,
            self.segments,
            self.step,
        )
        weight: float = len(x)
        if not (weights is None or self.negative_weights):
            weight = float(weights.sum(dtype=np.float64))
        self.epoch_loss += value * weight if self.mean else value
        self.epoch_weight += weight

    def _numbers(self) -> tuple[float, float, float]:
        """Return learning rate, weight decay and factor of dropout of the next update."""
        if isinstance(self.rates, float):
            return self.rates, self.rule["weight_decay"], 1.0
        rate, weight_decay, dropout_factor = self.rates[len(self.rates) - self.rates_left].tolist()
        return rate, weight_decay, dropout_factor

    def _end_epoch(self) -> None:
        if not (np.isfinite(self.epoch_loss) and self.model.is_finite()):
            return self._diverge()
        self.last_good = self.model.snapshot()
        divisor = self.epoch_weight if self.mean else 1
        self.losses[self.epoch] = self.epoch_loss / divisor
        self.seconds[self.epoch] = time.monotonic() - self.epoch_start
        self.epoch += 1
        self.position = 0

    def _diverge(self) -> None:
        self.diverged = True
        self.model.restore(self.last_good)
