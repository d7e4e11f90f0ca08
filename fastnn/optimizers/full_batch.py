"""The base classes of the optimizers that take each step on all samples, and of their trainers."""

import time
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.model import Model
from fastnn.optimizers.state import OptimizerState, Segments


class FullBatchOptimizer:
    """The base class of LBFGS and LevenbergMarquardt."""

    kind: ClassVar[str]
    state_names: ClassVar[tuple[str, ...]] = ()  # no state outlives a fit
    learning_rate: ClassVar[float] = 1.0  # unused: each step finds its own length

    def trainer(
        self,
        model: Model,
        x: "Array | SparseRows",
        target: Any,
        weights: Array | None,
        loss: Any,
        state: OptimizerState,
        epochs: int,
    ) -> "FullBatchTrainer":
        """Return the trainer of one fit."""
        raise NotImplementedError


class FullBatchTrainer:
    """Takes one iteration per epoch, which a subclass defines by `iterate`.

    `fastnn.training.trainers.Trainer` documents the interface. The loss of an epoch is the loss
    after its iteration.

    Attributes
    ----------
    trained : ndarray (n_trained,) of int
        Indices of the parameters that are not frozen.
    ended : bool
        Whether training has converged; set by `iterate`.
    metrics : dict of str to float
        Further metrics of an iteration for the History; set by `iterate`.
    """

    rates_left = 1  # above 0, so that the fit loop supplies no learning rates

    def __init__(
        self, model: Model, x: "Array | SparseRows", state: OptimizerState, epochs: int
    ) -> None:
        self.model, self.x = model, x
        runs = [np.arange(first, first + size) for first, size, *_ in state.segments()]
        self.trained = np.concatenate(runs) if runs else np.empty(0, np.int64)
        self.step, self.epoch, self.position = state.step, 0, 0
        self.losses, self.seconds = np.empty(epochs), np.empty(epochs)
        self.metrics: dict[str, float] = {}
        self.columns: dict[str, list[float]] = {}
        self.diverged = self.ended = False

    @property
    def converged(self) -> bool:
        """Whether training has ended before the last epoch, with nothing left to improve."""
        return self.ended

    @property
    def running_loss(self) -> float:
        """The loss after the last iteration."""
        return float(self.losses[self.epoch - 1]) if self.epoch else float("nan")

    def run(self, until_epoch: int, seconds: float, n_threads: int) -> bool:
        """Train until this many epochs are complete, or for about this many seconds."""
        deadline = time.monotonic() + seconds
        while self.epoch < until_epoch and not (self.converged or self.diverged):
            start = time.monotonic()
            loss = self.iterate(n_threads)
            if self.diverged:
                self.position = len(self.x)
                return False
            if loss is not None:
                self.losses[self.epoch] = loss
                self.seconds[self.epoch] = time.monotonic() - start
                for name, value in self.metrics.items():
                    self.columns.setdefault(name, []).append(value)
                self.step += 1
                self.epoch += 1
            if time.monotonic() > deadline:
                break
        return self.epoch >= until_epoch or self.converged

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers and arrays from which `restore` continues bit for bit."""
        done = self.epoch
        return {
            "step": self.step,
            "epoch": done,
            "position": 0,
            "converged": self.converged,
            "losses": self.losses[:done].copy(),
            "seconds": self.seconds[:done].copy(),
            **{f"column.{name}": np.array(column) for name, column in self.columns.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a valid snapshot, after the parameters are restored."""
        self.step, self.epoch = state["step"], state["epoch"]
        self.ended = bool(state["converged"])
        self.losses[: self.epoch], self.seconds[: self.epoch] = state["losses"], state["seconds"]
        for key, value in state.items():
            if key.startswith("column."):
                self.columns[key.removeprefix("column.")] = value.tolist()

    def publish(self) -> None:
        """Do nothing: the arrays of the model are always up to date."""

    def close(self) -> None:
        """Stop the threads that `iterate` has started."""

    def set_segments(self, segments: Segments) -> None:
        """Do nothing: there is no running mean that depends on missed updates."""

    def set_rates(self, rates: float | NDArray[np.float64]) -> None:
        """Do nothing: there is no learning rate."""

    def iterate(self, n_threads: int) -> float | None:
        """Take one iteration; return the loss after it, or None if nothing improved."""
        raise NotImplementedError
