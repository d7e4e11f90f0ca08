"""Training with a loss written in Python, which is called once for each update."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn.losses import allows_negative_weights, is_built_in
from fastnn.losses.custom import checked, value_and_grad, with_value
from fastnn.model import Model
from fastnn.optimizers import Optimizer, OptimizerState, Segments
from fastnn.training.data import TrainingData
from fastnn.training.settings import FitSettings


class StepwiseTrainer:
    """Calls the loss between the two halves of each update, which the engine's trainer computes."""

    converged = False
    columns: dict[str, list[float]] = {}  # noqa: RUF012

    def __init__(
        self,
        model: Model,
        data: TrainingData,
        settings: FitSettings,
        optimizer_state: OptimizerState,
        order: "np.random.Generator | None",
    ) -> None:
        loss, optimizer = settings.loss, settings.optimizer
        assert not is_built_in(loss)
        assert isinstance(optimizer, Optimizer)
        self.loss, self.y, self.weights = with_value(loss), data.target, data.weights
        self.negative_weights = allows_negative_weights(loss)
        mean = getattr(loss, "reduction", "mean") == "mean"
        self.engine = _core.engine.Trainer(
            model.plan,
            model.params,
            model.grads,
            model.constants,
            data.x,
            None,
            None,
            None,
            # the engine uses only the reduction
            {"kind": "half_squared_error", "reduction": "mean" if mean else "sum"},
            optimizer.update_rule(),
            optimizer_state.arrays,
            optimizer_state.segments(),
            optimizer_state.step,
            settings.batch_size,
            settings.epochs,
            None if order is None else order.bit_generator,
            settings.n_threads,
            settings.mask_key() if model.plan.has_dropout else 0,
        )
        self.engine.dropped = len(data.x) - settings.samples_per_epoch(len(data.x))

    @property
    def step(self) -> int:
        """Updates so far, including earlier fits if the optimizer continues their state."""
        return self.engine.step

    @property
    def epoch(self) -> int:
        """Complete epochs of this fit."""
        return self.engine.epoch

    @property
    def position(self) -> int:
        """Samples seen in the current epoch."""
        return self.engine.position

    @property
    def diverged(self) -> bool:
        """Whether the outputs, the loss or the parameters became NaN or infinite."""
        return self.engine.diverged

    @property
    def rates_left(self) -> int:
        """The number of next updates whose learning rate is set."""
        return self.engine.rates_left

    @property
    def losses(self) -> NDArray[np.float64]:
        """The loss of each epoch."""
        return self.engine.losses

    @property
    def seconds(self) -> NDArray[np.float64]:
        """The duration of each epoch in seconds."""
        return self.engine.seconds

    @property
    def running_loss(self) -> float:
        """The mean loss over the complete batches of this epoch, or the loss of the last epoch."""
        return self.engine.running_loss

    def set_segments(self, segments: Segments) -> None:
        """Replace the segments; only their counts of missed updates may differ."""
        self.engine.set_segments(segments)

    def set_rates(self, rates: float | NDArray[np.float64]) -> None:
        """Set the learning rate of all next updates, or an array (n, 3) as `Trainer` describes."""
        self.engine.set_rates(rates)

    def run(self, until_epoch: int, seconds: float, n_threads: int) -> bool:
        """Train until this many epochs are complete, or for about this many seconds."""
        engine, loss, y, weights = self.engine, self.loss, self.y, self.weights
        deadline = time.monotonic() + seconds
        while engine.epoch < until_epoch and engine.rates_left and not engine.diverged:
            outputs = engine.begin_batch(_core.thread_count(n_threads))
            if outputs is None:
                break
            end = engine.position
            rows = engine.rows[end - len(outputs) : end]
            if weights is None:
                shape = outputs.shape
                returned = loss.value_and_grad(outputs, y[rows])
                # the loss may have forked this process, which changes the number of threads
                threads = _core.thread_count(n_threads)
                if not engine.end_batch(returned, len(rows), threads):  # it needs a conversion
                    engine.end_batch(checked(returned, shape, outputs.dtype), len(rows), threads)
            else:
                part = weights[rows]
                pair = value_and_grad(loss, outputs, y[rows], part)
                weight = len(rows) if self.negative_weights else part.sum(dtype=np.float64)
                engine.end_batch(pair, weight, _core.thread_count(n_threads))
            if time.monotonic() > deadline:
                break
        return engine.epoch >= until_epoch

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers and arrays from which `restore` continues bit for bit."""
        state = self.engine.snapshot()
        del state["batch_loss"], state["batch_weight"]  # a batch is never interrupted
        if self.position:
            state["order"] = self.engine.rows.copy()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a valid snapshot, after the parameters are restored."""
        self.engine.restore({**state, "batch_loss": 0.0, "batch_weight": 0.0})

    def publish(self) -> None:
        """Do nothing: the arrays of the model are always up to date."""

    def close(self) -> None:
        """Do nothing: there is no thread to stop."""
