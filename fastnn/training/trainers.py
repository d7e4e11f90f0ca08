"""The trainers: the interface that the fit loop uses, and which trainer a fit gets.

- The engine's trainer runs whole epochs in compiled code, on data in memory.
- `StreamingTrainer` feeds the engine's trainer from a file or an iterable, block by block.
- `StepwiseTrainer` takes the same steps in Python, for a loss written in Python.
- `SegmentedTrainer` takes them for a network with layers written in Python.
- `FullBatchTrainer` takes one step per epoch, on all samples, for LBFGS and LevenbergMarquardt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.losses import Loss, is_built_in
from fastnn.model import Model, Snapshot
from fastnn.optimizers import Optimizer, OptimizerState, Segments, UpdateRule
from fastnn.optimizers.full_batch import FullBatchOptimizer
from fastnn.segments import custom_layers, for_training
from fastnn.training import checkpoint_schema
from fastnn.training.checkpoint_schema import TrainerFields
from fastnn.training.custom_layers import SegmentedTrainer
from fastnn.training.data import TrainingData
from fastnn.training.settings import FitSettings
from fastnn.training.stepwise import StepwiseTrainer
from fastnn.training.streaming import MappedRows, StreamingTrainer

if TYPE_CHECKING:
    from fastnn._core import engine


class Trainer(Protocol):
    """The interface of a trainer, which updates the parameters of a model.

    A trainer runs for a slice of time and returns between two updates, so that the fit loop can
    handle Ctrl-C, show progress and write checkpoints.
    """

    @property
    def step(self) -> int:
        """Updates so far, including earlier fits if the optimizer continues their state."""
        ...

    @property
    def epoch(self) -> int:
        """Complete epochs of this fit."""
        ...

    @property
    def position(self) -> int:
        """Samples seen in the current epoch."""
        ...

    @property
    def diverged(self) -> bool:
        """Whether the loss or the parameters became NaN or infinite.

        If so, the parameters are those from the end of the last finite epoch.
        """
        ...

    @property
    def converged(self) -> bool:
        """Whether training has ended before the last epoch, with nothing left to improve."""
        ...

    @property
    def rates_left(self) -> int:
        """The number of next updates whose learning rate is set; `run` returns when it is 0."""
        ...

    @property
    def losses(self) -> NDArray[np.float64]:
        """The loss of each epoch; only the first `epoch` entries are set."""
        ...

    @property
    def seconds(self) -> NDArray[np.float64]:
        """The duration of each epoch in seconds; only the first `epoch` entries are set."""
        ...

    @property
    def columns(self) -> Mapping[str, list[float]]:
        """More columns of the History, which only this kind of trainer measures."""
        ...

    @property
    def running_loss(self) -> float:
        """The mean loss over the complete batches of this epoch, or the loss of the last epoch."""
        ...

    def set_segments(self, segments: Segments) -> None:
        """Replace the segments; only their counts of missed updates may differ."""
        ...

    def set_rates(self, rates: float | NDArray[np.float64]) -> None:
        """Set the learning rate of all next updates, or an array with a row for each update.

        The columns (n, 3) are the learning rate, the weight decay and the factor of dropout.
        """
        ...

    def run(self, until_epoch: int, seconds: float, n_threads: int) -> bool:
        """Train until this many epochs are complete, or for about this many seconds.

        Returns
        -------
        bool
            Whether the epochs are complete, or training has converged. False if the time or the
            learning rates ran out, or training diverged.
        """
        ...

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers and arrays from which `restore` continues bit for bit."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a valid snapshot, after the parameters are restored."""
        ...

    def publish(self) -> None:
        """Bring the model's parameters and gradient, and the optimizer's state, up to date.

        During an epoch on sparse samples, the engine holds them in another order.
        """
        ...

    def close(self) -> None:
        """Call `publish`, and stop the threads that the trainer has started."""
        ...


@dataclass
class TrainerPart:
    """A trainer as a part of checkpoints.

    Attributes
    ----------
    trainer : Trainer
    fields : function
        Returns the fields that a snapshot of this kind of trainer has.
    epoch_start : Snapshot or None
        Parameters and constants at the start of this epoch, after the callbacks wrote to them. They
        are restored if training diverges in this epoch. None if they were not finite, or without
        callbacks: then the trainer restores the values from the end of the last epoch.
    """

    trainer: Trainer
    fields: TrainerFields
    model: Model
    optimizer_state: OptimizerState
    epoch_start: Snapshot | None = None

    def keep_epoch_start(self) -> None:
        """Copy parameters and constants, to restore them if training diverges."""
        self.epoch_start = self.model.snapshot() if self.model.is_finite() else None

    def go_back(self) -> None:
        """Restore the values at the start of the epoch in which training diverged."""
        if self.epoch_start is not None:
            self.model.restore(self.epoch_start)

    def state(self) -> dict[str, Any]:
        """Return the trainer's snapshot."""
        state = self.trainer.snapshot()
        if self.epoch_start is not None and "last_good" in state:
            state["last_good"], state["last_good_constants"] = self.epoch_start
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned, after the optimizer's state is restored."""
        self.trainer.restore(state)
        self.trainer.set_segments(self.optimizer_state.segments())


def trainer_for(
    model: Model,
    data: TrainingData,
    settings: FitSettings,
    optimizer_state: OptimizerState,
    order: "np.random.Generator | None",
) -> TrainerPart:
    """Return the trainer of a fit, with the fields of its snapshots.

    `order` is the generator of the epochs' orders, or None for the order of the data.

    Raises
    ------
    TypeError
        If the optimizer is LevenbergMarquardt and the loss is not a squared error.
    ImportError
        If the optimizer is LBFGS and SciPy is not installed.
    """
    optimizer, model = settings.optimizer, for_training(model)
    if isinstance(optimizer, FullBatchOptimizer):
        trainer: Trainer = optimizer.trainer(
            model,
            data.x,
            data.target,
            data.weights,
            settings.loss,
            optimizer_state,
            settings.epochs,
        )
        fields = checkpoint_schema.full_batch_trainer_fields
    elif is_built_in(settings.loss) and not custom_layers(model):
        trainer = _engine_trainer(model, data, settings, optimizer_state, order)
        fields = checkpoint_schema.engine_trainer_fields
    else:
        kind: Any = SegmentedTrainer if custom_layers(model) else StepwiseTrainer
        trainer = kind(model, data, settings, optimizer_state, order)
        fields = checkpoint_schema.stepwise_trainer_fields
    return TrainerPart(trainer, fields, model, optimizer_state)


def _engine_trainer(
    model: Model,
    data: TrainingData,
    settings: FitSettings,
    optimizer_state: OptimizerState,
    order: "np.random.Generator | None",
) -> Trainer:
    """Return the engine's trainer, which is fed block by block unless X is an array."""
    loss, optimizer, batch_size = settings.loss, settings.optimizer, settings.batch_size
    assert is_built_in(loss)
    assert isinstance(optimizer, Optimizer)
    x, target = data.x, data.target
    streamed = not isinstance(data.x, np.ndarray | SparseRows)
    if streamed:
        x = np.empty((0, model.plan.n_in), model.params.dtype)
        target = np.empty((0, model.plan.n_out), x.dtype)
    trainer = engine_trainer(
        model,
        x,
        target,
        data.weights,
        loss,
        optimizer.update_rule(),
        optimizer_state,
        batch_size,
        settings.epochs,
        None if order is None or streamed else order.bit_generator,
        settings.n_threads,
        settings.mask_key() if model.plan.has_dropout else 0,
    )
    if not streamed:
        trainer.dropped = len(x) - settings.samples_per_epoch(len(x))
        return trainer
    if isinstance(data.x, MappedRows):
        data.x.samples_per_epoch = settings.samples_per_epoch(data.x.n_samples)
    return StreamingTrainer(trainer, data.x, loss, order, batch_size, x.itemsize * model.plan.n_in)


def engine_trainer(
    model: Model,
    x: "Array | SparseRows",
    target: Array,
    weights: Array | None,
    loss: Loss,
    rule: UpdateRule,
    optimizer_state: OptimizerState,
    batch_size: int,
    epochs: int,
    bit_generator: "np.random.BitGenerator | None",
    n_threads: int,
    mask_key: int,
) -> "engine.Trainer":
    """Return the engine's trainer for a model and arrays in memory, without checking them."""
    plan, formula = loss.under(model.plan)
    return _core.engine.Trainer(
        plan,
        model.params,
        model.grads,
        model.constants,
        x,
        *loss.engine_target(target),
        weights,
        formula,
        rule,
        optimizer_state.arrays,
        optimizer_state.segments(),
        optimizer_state.step,
        batch_size,
        epochs,
        bit_generator,
        n_threads,
        mask_key,
    )
