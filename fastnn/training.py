"""The fit loop: epochs of a Plan over arrays, their history, and what happens between them.

The loop runs a trainer: the engine's, which goes from epoch to epoch in compiled code, or, for a
loss written in Python, one of the same face that takes a step at a time. A trainer works for a
slice of time and comes back, so that Ctrl-C, the progress bar and other threads get their turn.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn.full_batch import FullBatchOptimizer
from fastnn.losses import CustomLoss, Loss, is_built_in
from fastnn.model import Model
from fastnn.optimizers import Optimizer, OptimizerState
from fastnn.rate_feed import RateFeed
from fastnn.schedules import Schedule
from fastnn.stepwise import StepwiseTrainer, value_and_grad

Array = NDArray[Any]

SLICE_SECONDS = 0.1

# When set, the fit loops in this context stop as on Ctrl-C, which only the main thread hears.
INTERRUPT: ContextVar[Event | None] = ContextVar("interrupt", default=None)


class DivergenceError(ArithmeticError):
    """Training stopped because the loss or the parameters were no longer finite.

    The network's parameters are those after its last finite epoch, and its optimizer starts afresh.

    Attributes
    ----------
    epoch, step : int
        The epoch, from 0, and the minibatch in it, from 0, where it was noticed.
    history : History
        Of the epochs before.
    """

    def __init__(self, epoch: int, step: int, history: "History") -> None:
        super().__init__(
            f"the loss became NaN or infinite in epoch {epoch}, step {step} (both from 0); the "
            f"parameters of the last finite epoch remain. A smaller learning rate or standardised "
            f"features usually help"
        )
        self.epoch, self.step, self.history = epoch, step, history

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.epoch, self.step, self.history)


class History(Mapping[str, list[float]]):
    """What `fit` measured: a mapping from names to lists of one number an epoch.

    "loss" is the training loss over the epoch, each sample's taken before the update of its batch,
    or with LBFGS and LevenbergMarquardt after the epoch's step; "seconds" the epoch's duration.
    With validation data, "val_loss" and "val_accuracy", "val_rmse" or "val_coverage_error" are
    those after the epoch; with a schedule, "learning_rate" is its last update's.
    LevenbergMarquardt adds figures of its own.
    """

    def __init__(self, columns: dict[str, list[float]]) -> None:
        self._columns = columns

    def __getitem__(self, name: str) -> list[float]:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        epochs = len(self._columns["seconds"])
        last = ", ".join(f"{name}={c[-1]:.6g}" for name, c in self._columns.items() if c)
        return f"History({epochs} epochs; last: {last})"


@dataclass
class Validation:
    """Held-out samples and the figures that each epoch takes from them."""

    x: Array
    target: Any
    weights: Array | None
    loss: Loss | CustomLoss

    def measure(self, model: Model, n_threads: int) -> dict[str, float]:
        """Return the loss, and the metric of a built-in loss, by their names in the History."""
        outputs = model.predict(self.x, n_threads)
        if not is_built_in(self.loss):
            return {"val_loss": value_and_grad(self.loss, outputs, self.target, self.weights)[0]}
        return {
            "val_loss": self.loss.evaluate(outputs, self.target, self.weights)[0],
            f"val_{self.loss.metric_name}": self.loss.metric(outputs, self.target, self.weights),
        }


def fit(
    model: Model, x: Array, target: Any, weights: Array | None, loss: Loss | CustomLoss,
    optimizer: Optimizer | FullBatchOptimizer, state: OptimizerState, *, epochs: int,
    batch_size: int, rng: "np.random.Generator | None", validation: Validation | None,
    progress: bool, n_threads: int, mask_key: int,
) -> History:  # fmt: skip
    """Train `model` in place, and `state` with it; all arguments are checked already."""
    rates = RateFeed(optimizer.learning_rate, -(-len(x) // batch_size), epochs)
    segments = state.segments()
    trainer: Any
    if isinstance(optimizer, FullBatchOptimizer):
        trainer = optimizer.trainer(model, x, target, weights, loss, state, epochs)
    elif is_built_in(loss):
        trainer = _core.engine.Trainer(
            model.plan, model.params, model.grads, model.constants, x, *loss.engine_target(target),
            weights, loss.formula(), optimizer.update_rule(), state.arrays, segments, state.step,
            batch_size, epochs, None if rng is None else rng.bit_generator, n_threads,
        )  # fmt: skip
    else:
        trainer = StepwiseTrainer(
            model, x, target, weights, loss, optimizer.update_rule(), state, segments, batch_size,
            epochs, rng,
        )  # fmt: skip
    trainer.mask_key = mask_key
    columns: dict[str, list[float]] = {}
    show = progress_bar(epochs, len(x)) if progress else None
    interrupt = INTERRUPT.get()
    try:
        while trainer.epoch < epochs:
            stop_if(interrupt)
            by_epoch = validation is not None or rates.by_epoch
            until_epoch = trainer.epoch + 1 if by_epoch else epochs
            rates.supply(trainer)
            while not trainer.run(until_epoch, SLICE_SECONDS, _core.thread_count(n_threads)):
                stop_if(interrupt)
                if trainer.diverged:
                    step = (trainer.position - 1) // batch_size
                    raise DivergenceError(trainer.epoch, step, history_of(trainer, columns))
                rates.supply(trainer)
                if show:
                    show(trainer, columns)
            if trainer.epoch < until_epoch:
                break  # converged
            if validation is not None:
                for name, value in validation.measure(model, n_threads).items():
                    columns.setdefault(name, []).append(value)
            if rates.by_epoch:
                measured = {name: column[-1] for name, column in columns.items()}
                rates.observe({"loss": trainer.losses[trainer.epoch - 1], **measured})
            if show:
                show(trainer, columns)
    finally:
        state.advance(trainer.step)
        if trainer.diverged:
            state.forget()
        if show:
            show(None, columns)
    if isinstance(optimizer.learning_rate, Schedule):
        columns["learning_rate"] = rates.of_epochs(epochs)
    return history_of(trainer, columns)


def stop_if(interrupt: Event | None) -> None:
    """Raise KeyboardInterrupt if another thread has said so."""
    if interrupt is not None and interrupt.is_set():
        raise KeyboardInterrupt


def history_of(trainer: Any, validation_columns: dict[str, list[float]]) -> History:
    """Gather what has been measured so far."""
    done = trainer.epoch
    return History({
        "loss": trainer.losses[:done].tolist(),
        **getattr(trainer, "columns", {}),
        **validation_columns,
        "seconds": trainer.seconds[:done].tolist(),
    })  # fmt: skip


def in_terminal() -> bool:
    """Whether there is a terminal to show a progress bar in."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # none, another object, or closed
        return False


def progress_bar(epochs: int, n_samples: int) -> Callable[[Any, dict[str, list[float]]], None]:
    """Make a function that shows a trainer's progress in samples, or closes the bar for None."""
    from tqdm import tqdm

    bar = tqdm(total=epochs * n_samples, unit="sample", unit_scale=True)

    def show(trainer: Any, columns: dict[str, list[float]]) -> None:
        if trainer is None:
            bar.close()
            return
        latest = {"loss": trainer.running_loss} | {name: c[-1] for name, c in columns.items()}
        bar.set_description(f"epoch {min(trainer.epoch + 1, epochs)}/{epochs}", refresh=False)
        bar.set_postfix({name: f"{value:.4g}" for name, value in latest.items()}, refresh=False)
        bar.update(trainer.epoch * n_samples + trainer.position - bar.n)

    return show
