"""A fit in one process. `fastnn.distributed.team` has the same methods for several processes."""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from fastnn._core.arrays import Array
from fastnn.batch import InputChecks
from fastnn.training import loop
from fastnn.training.checkpoints import CheckpointFile, Checkpoints
from fastnn.training.data import TrainingData, hold_out, training_data
from fastnn.training.history import History
from fastnn.training.settings import FitSettings
from fastnn.training.standardization import Totals, blocks_of
from fastnn.training.validation import Validation

T = TypeVar("T")


class Alone:
    """The parts of `fit` that depend on the number of processes."""

    def together(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context of the whole fit."""
        return contextlib.nullcontext()

    def first(self, what: str, work: Callable[[], T]) -> T:
        """Return what `work()` returns; `what` is its name in messages of several processes."""
        return work()

    def training_data(
        self, inputs: InputChecks, X: Any, y: Any, weights: tuple[Any, Any], *others: Any
    ) -> TrainingData:
        """Return the samples to train on, with the weights of samples and of classes."""
        return training_data(inputs, X, y, *weights, *others)

    def hold_out(self, *arguments: Any) -> tuple[TrainingData, Validation | None]:
        """Return the samples to train on, and those to hold out."""
        return hold_out(*arguments)

    def settings(
        self, net: Any, data: TrainingData, held_out: Validation | None, settings: FitSettings
    ) -> FitSettings:
        """Return the settings of this process."""
        return settings

    def checkpoints(
        self,
        file: CheckpointFile,
        identity: dict[str, Any],
        epochs: int,
        data: TrainingData,
        held_out: Validation | None,
    ) -> Checkpoints:
        """Return the checkpoints of a fit with this identity."""
        return Checkpoints(file, identity, epochs)

    def add_up(self, totals: Totals, data: TrainingData, weights: Array | None) -> Totals:
        """Return the totals of the training rows, from which means and scales are computed."""
        totals.add(blocks_of(data, weights, totals.n_in))
        return totals

    def fit(self, *arguments: Any) -> History:
        """Train, as `loop.fit` does."""
        return loop.fit(*arguments)
