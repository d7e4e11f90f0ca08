"""The fit loop: it runs a trainer, and between epochs the validation, callbacks and checkpoints.

The trainer also returns within an epoch, after a slice of time. Then the loop handles Ctrl-C, the
progress bar, and checkpoints that are due by time.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import _core
from fastnn._core import background
from fastnn.callbacks import Callback
from fastnn.layers import Dropout
from fastnn.layers.composition import leaves
from fastnn.model import Model
from fastnn.optimizers import OptimizerState
from fastnn.optimizers.schedule import Schedule
from fastnn.segments import trouble
from fastnn.training.advice import after_divergence
from fastnn.training.checkpoint_schema import Facts
from fastnn.training.checkpoints import Checkpoints, Part
from fastnn.training.data import TrainingData
from fastnn.training.history import DivergenceError, History
from fastnn.training.progress import progress_bar
from fastnn.training.rates import RateFeed
from fastnn.training.settings import FitSettings
from fastnn.training.trainers import TrainerPart, trainer_for
from fastnn.training.validation import Validation

SLICE_SECONDS = 0.1


def fit(
    net: Any,
    model: Model,
    data: TrainingData,
    settings: FitSettings,
    optimizer_state: OptimizerState,
    validation: Validation | None,
    checkpoints: Checkpoints | None,
) -> History:
    """Train `net` and `optimizer_state` in place, and return the metrics of each epoch.

    `model` computes what is compared with the targets, from the network's arrays. All arguments
    have been checked.

    Raises
    ------
    DivergenceError
        If the loss or a parameter becomes NaN or infinite.
    ModelFileError
        If the contents of the checkpoint file are invalid.
    """
    return finished(FitLoop(net, model, data, settings, optimizer_state, validation, checkpoints))


def finished(loop: "FitLoop") -> History:
    """Run a loop to its end, and return the metrics of each epoch."""
    background.ending(loop.end, loop.run)
    return loop.history()


class LoopState:
    """The fit loop's own state. Checkpoints save it as the part "course".

    Attributes
    ----------
    generator : numpy.random.Generator or None
        Draws the order of each epoch; None without shuffling.
    columns : dict of str to list of float
        The validation metrics by their names, one number per epoch.
    stopped : bool
        Whether a callback has stopped training.
    """

    def __init__(self, generator: "np.random.Generator | None") -> None:
        self.generator = generator
        self.columns: dict[str, list[float]] = {}
        self.stopped = False

    def state(self) -> dict[str, Any]:
        """Return everything as plain values and arrays."""
        return {
            "stopped": self.stopped,
            "rng": None if self.generator is None else self.generator.bit_generator.state,
            "names": list(self.columns),
            **{f"column.{i}": np.array(c) for i, c in enumerate(self.columns.values())},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        if self.generator is not None:
            self.generator.bit_generator.state = state["rng"]
        self.stopped = bool(state["stopped"])
        for i, name in enumerate(state["names"]):
            self.columns[name] = state[f"column.{i}"].tolist()


class FitLoop:
    """One fit, from its first epoch or from a checkpoint to its end."""

    def __init__(
        self,
        net: Any,
        model: Model,
        data: TrainingData,
        settings: FitSettings,
        optimizer_state: OptimizerState,
        validation: Validation | None,
        checkpoints: Checkpoints | None,
    ) -> None:
        self.net, self.model, self.data, self.settings = net, model, data, settings
        self.optimizer_state, self.validation = optimizer_state, validation
        self.checkpoints = checkpoints
        self.state = LoopState(settings.order_generator())
        self.trainer_part = self.make_trainer()
        self.trainer = self.trainer_part.trainer
        self.rates = RateFeed(
            settings.optimizer.learning_rate,
            settings.updates_per_epoch(data.n_samples),
            settings.epochs,
            getattr(settings.optimizer, "weight_decay", 0.0),
            settings.dropout_factor,
            max((leaf.p for leaf in leaves(net.layers) if isinstance(leaf, Dropout)), default=0.0),
        )
        self.parts: dict[str, Part] = {
            "optimizer": optimizer_state,
            "trainer": self.trainer_part,
            "course": self.state,
            "rates": self.rates,
            **{f"callbacks.{i}": callback for i, callback in enumerate(settings.callbacks)},
        }
        self.stops_each_epoch = bool(
            validation is not None or settings.callbacks or self.rates.by_epoch
        )
        self.paused = False  # by a callback; a resumed fit goes on
        self.resumed = self._resume()
        self.show: Callable[[Any, dict[str, list[float]]], None] | None = None

    def make_trainer(self) -> TrainerPart:
        """Return the trainer of this fit."""
        return trainer_for(
            self.model, self.data, self.settings, self.optimizer_state, self.state.generator
        )

    def run(self) -> None:
        """Train until the epochs are complete, training has converged, or a callback stops it."""
        net, settings, trainer = self.net, self.settings, self.trainer
        if settings.progress:
            samples = settings.samples_per_epoch(self.data.n_samples or 0)
            self.show = progress_bar(settings.epochs, samples, trainer)
        if not self.resumed:
            self.call_each(lambda callback: callback.fit_begin(net))
        saved_at = trainer.epoch if self.resumed and not trainer.position else None
        while trainer.epoch < settings.epochs and not (
            self.state.stopped or self.paused or trainer.converged
        ):
            background.stop_if_interrupted()
            if settings.callbacks and not trainer.position:
                self.call_each(lambda callback: callback.epoch_begin(net, trainer.epoch))
                self.trainer_part.keep_epoch_start()
            until_epoch = self._next_stop()
            self._train(until_epoch)
            if trainer.epoch < until_epoch:
                break  # converged: this epoch found nothing to improve
            self._end_epoch()
            if self.checkpoints and self.checkpoints.due(trainer.epoch):
                self.checkpoints.write(net, self.parts)
                saved_at = trainer.epoch
        if self.checkpoints and saved_at != trainer.epoch:
            self.checkpoints.write(net, self.parts)
        self.call_each(lambda callback: callback.fit_end(net))

    def call_each(self, call: Callable[[Callback], bool | None]) -> None:
        """Call each callback, in their order; the result True stops training."""
        for callback in self.settings.callbacks:
            if call(callback):
                self.paused |= callback.pauses
                self.state.stopped |= not callback.pauses

    def end(self) -> None:
        """Stop the trainer's threads, update the optimizer's state, close the bar and callbacks."""
        self.trainer.close()
        if self.show:
            self.show(None, self.state.columns)
        self.optimizer_state.advance(self.trainer.step)
        if self.trainer.diverged:
            self.optimizer_state.forget()
        with contextlib.ExitStack() as closing:  # closes all, even if one raises
            for callback in self.settings.callbacks:
                closing.callback(callback.close)

    def history(self) -> History:
        """Return the metrics of the complete epochs."""
        trainer, done = self.trainer, self.trainer.epoch
        scheduled = isinstance(self.rates.learning_rate, Schedule)
        return History(
            {
                "loss": trainer.losses[:done].tolist(),
                **trainer.columns,
                **self.state.columns,
                **({"learning_rate": self.rates.of_epochs(done)} if scheduled else {}),
                "seconds": trainer.seconds[:done].tolist(),
            }
        )

    def _resume(self) -> bool:
        """Restore the fit of the checkpoint file; return whether there is one."""
        if self.checkpoints is None:
            return False
        facts = Facts(
            self.model,
            self.net.layers,
            self.settings,
            self.data.n_samples,
            self.data.weights is not None or getattr(self.settings.loss, "ignore_nan", False),
            () if self.validation is None else self.validation.names,
            self.optimizer_state,
            self.rates,
            self.trainer_part.fields,
        )
        resumed = self.checkpoints.restore(self.net, self.parts, facts)
        updates = self.trainer.position // self.settings.batch_size
        self.rates.go_to(self.trainer.epoch * self.rates.updates_per_epoch + updates)
        return resumed

    def _next_stop(self) -> int:
        """Return the epoch up to which the trainer runs without a stop."""
        epoch = self.trainer.epoch
        last = epoch + 1 if self.stops_each_epoch else self.settings.epochs
        return self.checkpoints.next_stop(epoch, last) if self.checkpoints else last

    def _train(self, until_epoch: int) -> None:
        """Run the trainer, slice by slice, until this many epochs are complete or it converges."""
        trainer, n_threads = self.trainer, self.settings.n_threads
        self.rates.supply(trainer)
        while not trainer.run(until_epoch, SLICE_SECONDS, _core.thread_count(n_threads)):
            background.stop_if_interrupted()
            if trainer.diverged:
                self._raise_divergence()
            self.rates.supply(trainer)
            if self.show:
                self.show(trainer, self.state.columns)
            if self.checkpoints and self.checkpoints.due(None):
                self.checkpoints.write(self.net, self.parts)

    def _raise_divergence(self) -> None:
        self.trainer_part.go_back()
        step = (self.trainer.position - 1) // self.settings.batch_size
        advice = after_divergence(self.data.x, self.data.target, self.settings.optimizer)
        advice = ". ".join([*trouble(self.trainer_part.model), advice])
        raise DivergenceError(self.trainer.epoch, step, self.history(), advice)

    def _end_epoch(self) -> None:
        """Measure the validation data, and tell rates, progress bar and callbacks the metrics."""
        columns = self.state.columns
        if self.validation is not None or self.settings.callbacks:
            self.trainer.publish()
        if self.validation is not None:
            model = self.trainer_part.model
            metrics = self.validation.measure(model, self.settings.n_threads)
            for name, value in metrics.items():
                columns.setdefault(name, []).append(value)
        if self.rates.by_epoch:
            validated = {name: column[-1] for name, column in columns.items()}
            last_loss = float(self.trainer.losses[self.trainer.epoch - 1])
            self.rates.observe({"loss": last_loss, **validated})
        if self.show:
            self.show(self.trainer, columns)
        epoch = self.trainer.epoch - 1
        self.call_each(lambda callback: callback.epoch_end(self.net, epoch, self._last_metrics()))

    def _last_metrics(self) -> dict[str, float]:
        """Return the metrics of the last complete epoch, by their names in the History."""
        trainer, epoch = self.trainer, self.trainer.epoch - 1
        columns = {**trainer.columns, **self.state.columns}
        return {
            "loss": float(trainer.losses[epoch]),
            **{name: column[-1] for name, column in columns.items()},
            "seconds": float(trainer.seconds[epoch]),
        }
