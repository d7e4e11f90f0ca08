"""The fit loop: epochs of a Plan over arrays, their history, and what happens between them.

The loop runs a trainer: the engine's, which goes from epoch to epoch in compiled code, or, for a
loss written in Python, one of the same face that takes a step at a time. A trainer works for a
slice of time and comes back, so that Ctrl-C, the progress bar and other threads get their turn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn._core import background
from fastnn.callbacks import Callback
from fastnn.losses import CustomLoss, Loss, is_built_in
from fastnn.model import Model
from fastnn.optimizers import Optimizer, OptimizerState
from fastnn.optimizers.full_batch import FullBatchOptimizer, FullBatchTrainer
from fastnn.optimizers.schedule import Schedule
from fastnn.training.advice import after_divergence
from fastnn.training.checkpoint_schema import Facts
from fastnn.training.checkpoints import Checkpoints
from fastnn.training.history import DivergenceError, History
from fastnn.training.progress import progress_bar
from fastnn.training.rates import RateFeed
from fastnn.training.stepwise import StepwiseTrainer
from fastnn.training.streaming import Source, StreamingTrainer
from fastnn.training.validation import Validation

Array = NDArray[Any]

SLICE_SECONDS = 0.1


def fit(
    net: Any,
    model: Model,
    x: Array | Source,
    target: Any,
    weights: Array | None,
    loss: Loss | CustomLoss,
    optimizer: Optimizer | FullBatchOptimizer,
    state: OptimizerState,
    *,
    epochs: int,
    batch_size: int,
    rng: "np.random.Generator | None",
    mask_key: int,
    validation: Validation | None,
    callbacks: Sequence[Callback],
    progress: bool,
    n_threads: int,
    checkpoints: Checkpoints | None,
) -> History:
    """Train `model` in place, and `state` with it; all arguments are checked already.

    `net` is the network itself, for the callbacks.
    """
    segments = state.segments()
    trainer: Any
    n_samples = len(x) if isinstance(x, np.ndarray) else x.n_samples
    if isinstance(optimizer, FullBatchOptimizer):
        assert isinstance(x, np.ndarray)
        trainer = optimizer.trainer(model, x, target, weights, loss, state, epochs)
    elif is_built_in(loss):
        source = None
        if not isinstance(x, np.ndarray):
            source, x = x, np.empty((0, model.plan.n_in), model.params.dtype)
            target = np.empty((0, model.plan.n_out), x.dtype)
        shuffled = rng is not None and source is None
        plan, formula = loss.under(model.plan)
        trainer = _core.engine.Trainer(
            plan,
            model.params,
            model.grads,
            model.constants,
            x,
            *loss.engine_target(target),
            weights,
            formula,
            optimizer.update_rule(),
            state.arrays,
            segments,
            state.step,
            batch_size,
            epochs,
            rng.bit_generator if rng is not None and shuffled else None,
            n_threads,
        )
        trainer.mask_key = mask_key
        if source is not None:
            trainer = StreamingTrainer(
                trainer, source, loss, rng, batch_size, x.itemsize * model.plan.n_in
            )
    else:
        assert isinstance(x, np.ndarray)
        trainer = StepwiseTrainer(
            model,
            x,
            target,
            weights,
            loss,
            optimizer.update_rule(),
            state,
            segments,
            batch_size,
            epochs,
            rng,
        )
        trainer.mask_key = mask_key
    rates = RateFeed(optimizer.learning_rate, -(-(n_samples or 0) // batch_size), epochs)
    course = Course(rng)
    columns = course.columns
    resumed = False
    placed = Placed(trainer, model, state)
    if checkpoints:
        named = {f"callbacks.{i}": callback for i, callback in enumerate(callbacks)}
        checkpoints.parts = {
            "optimizer": state,
            "trainer": placed,
            "course": course,
            "rates": rates,
            **named,
        }
        inner = trainer.trainer if isinstance(trainer, StreamingTrainer) else trainer
        facts = Facts(
            model,
            net.layers,
            inner,
            state,
            rates,
            named,
            epochs,
            n_samples,
            batch_size,
            weights is not None,
            rng is not None,
            () if validation is None else validation.names,
        )
        resumed = checkpoints.restore(net, facts)
        rates.go_to(trainer.epoch * rates.updates_per_epoch + trainer.position // batch_size)
    show: Callable[[Any, dict[str, list[float]]], None] | None = None
    by_epoch = validation is not None or bool(callbacks) or rates.by_epoch

    def train() -> None:
        nonlocal show
        if progress:
            show = progress_bar(epochs, n_samples, trainer)
        if not resumed:
            for callback in callbacks:
                callback.fit_begin(net)
        saved_at = trainer.epoch if resumed and not trainer.position else None
        while trainer.epoch < epochs and not (course.stopped or has_converged(trainer)):
            background.stop_if_interrupted()
            if not trainer.position:
                for callback in callbacks:
                    callback.epoch_begin(net, trainer.epoch)
                if callbacks:
                    placed.keep_arrays()
            until_epoch = trainer.epoch + 1 if by_epoch else epochs
            if checkpoints:
                until_epoch = checkpoints.until(trainer.epoch, until_epoch)
            rates.supply(trainer)
            while not trainer.run(until_epoch, SLICE_SECONDS, _core.thread_count(n_threads)):
                background.stop_if_interrupted()
                if trainer.diverged:
                    placed.go_back()
                    step = (trainer.position - 1) // batch_size
                    history = history_of(trainer, columns, rates)
                    advice = after_divergence(x, target, optimizer)
                    raise DivergenceError(trainer.epoch, step, history, advice)
                rates.supply(trainer)
                if show:
                    show(trainer, columns)
                if checkpoints and checkpoints.due(None):
                    checkpoints.write(net)
            if trainer.epoch < until_epoch:
                break  # it found nothing to improve
            if validation is not None:
                for name, value in validation.measure(model, n_threads).items():
                    columns.setdefault(name, []).append(value)
            if rates.by_epoch:
                measured = {name: column[-1] for name, column in columns.items()}
                rates.observe({"loss": float(trainer.losses[trainer.epoch - 1]), **measured})
            if show:
                show(trainer, columns)
            for callback in callbacks:
                measured = last_epoch(trainer, columns)
                course.stopped |= bool(callback.epoch_end(net, trainer.epoch - 1, measured))
            if checkpoints and checkpoints.due(trainer.epoch):
                checkpoints.write(net)
                saved_at = trainer.epoch
        if checkpoints and saved_at != trainer.epoch:
            checkpoints.write(net)
        for callback in callbacks:
            callback.fit_end(net)

    def end() -> None:
        if isinstance(trainer, StreamingTrainer | FullBatchTrainer):
            trainer.close()
        if show:
            show(None, columns)
        state.advance(trainer.step)
        if trainer.diverged:
            state.forget()

    background.ending(end, train)
    return history_of(trainer, columns, rates)


class Course:
    """What the fit loop itself remembers: the epochs' figures, the random stream, whether to stop.

    A part of a checkpoint, as `Placed` is.
    """

    def __init__(self, rng: "np.random.Generator | None") -> None:
        self.rng = rng
        self.columns: dict[str, list[float]] = {}
        self.stopped = False

    def state(self) -> dict[str, Any]:
        """Return it as plain values and arrays."""
        return {
            "stopped": self.stopped,
            "rng": None if self.rng is None else self.rng.bit_generator.state,
            "names": list(self.columns),
            **{f"column.{i}": np.array(c) for i, c in enumerate(self.columns.values())},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""
        if self.rng is not None:
            self.rng.bit_generator.state = state["rng"]
        self.stopped = bool(state["stopped"])
        for i, name in enumerate(state["names"]):
            self.columns[name] = state[f"column.{i}"].tolist()


@dataclass
class Placed:
    """A trainer as a part of a checkpoint.

    Attributes
    ----------
    kept : (ndarray, ndarray), or None
        Parameters and constants as the callbacks left them before this epoch, for which a trainer
        has no eye: it goes back to those of its own last epoch, which are right where this is None.
    """

    trainer: Any
    model: Model
    optimizer_state: OptimizerState
    kept: tuple[Array, Array] | None = None

    def keep_arrays(self) -> None:
        """Keep parameters and constants, if they are finite, to go back to from this epoch."""
        arrays = self.model.params, self.model.constants
        finite = all(_core.engine.all_finite(array) for array in arrays)
        self.kept = (arrays[0].copy(), arrays[1].copy()) if finite else None

    def go_back(self) -> None:
        """Bring back what was kept."""
        if self.kept is not None:
            self.model.params[...], self.model.constants[...] = self.kept

    def state(self) -> dict[str, Any]:
        """Return the trainer's."""
        state: dict[str, Any] = self.trainer.snapshot()
        if self.kept is not None and "last_good" in state:
            state["last_good"], state["last_good_constants"] = self.kept
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Give the trainer what `state` returned, which is checked already."""
        self.trainer.restore(state)
        self.trainer.set_segments(self.optimizer_state.segments())  # restored before


def last_epoch(trainer: Any, columns: dict[str, list[float]]) -> dict[str, float]:
    """Return what the epoch before measured."""
    epoch = trainer.epoch - 1
    measured = {name: column[-1] for name, column in {**own_columns(trainer), **columns}.items()}
    seconds = float(trainer.seconds[epoch])
    return {"loss": float(trainer.losses[epoch]), **measured, "seconds": seconds}


def history_of(
    trainer: Any, validation_columns: dict[str, list[float]], rates: RateFeed
) -> History:
    """Gather what has been measured so far."""
    done = trainer.epoch
    scheduled = isinstance(rates.learning_rate, Schedule)
    return History(
        {
            "loss": trainer.losses[:done].tolist(),
            **own_columns(trainer),
            **validation_columns,
            **({"learning_rate": rates.of_epochs(done)} if scheduled else {}),
            "seconds": trainer.seconds[:done].tolist(),
        }
    )


def own_columns(trainer: Any) -> dict[str, list[float]]:
    """Return the figures that only this kind of trainer has."""
    columns: dict[str, list[float]] = getattr(trainer, "columns", {})
    return columns


def has_converged(trainer: Any) -> bool:
    """Whether it is of a kind that knows when there is nothing left to improve, and that is so."""
    converged: bool = getattr(trainer, "converged", False)
    return converged
