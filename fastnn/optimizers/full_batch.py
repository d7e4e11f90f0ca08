"""Training on all samples at once: what second-order optimizers and their trainers share."""

import time
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastnn.model import Model
from fastnn.optimizers.state import OptimizerState, Segments

Array = NDArray[Any]


class FullBatchOptimizer:
    """What these optimizers have in common; use LBFGS or LevenbergMarquardt."""

    kind: ClassVar[str]
    state_names: ClassVar[tuple[str, ...]] = ()  # each fit starts afresh
    learning_rate: ClassVar[float] = 1.0  # they find the lengths of their steps themselves

    def trainer(
        self,
        model: Model,
        x: Array,
        target: Any,
        weights: Array | None,
        loss: Any,
        state: OptimizerState,
        epochs: int,
    ) -> "FullBatchTrainer":
        """Return what the fit loop runs."""
        raise NotImplementedError


class FullBatchTrainer:
    """Takes one iteration an epoch, and shows the face of the engine's Trainer to the fit loop.

    A subclass says what an iteration is. The loss of an epoch is the one after it.

    Attributes
    ----------
    trained : ndarray (n_trained,) of int
        Which parameters are not frozen.
    ended : bool
        Set by an iteration that found nothing to improve, or after which there is nothing.
    figures : dict of str to float
        What else an iteration wants to be in the history.
    """

    rates_left = 1  # the learning rate is never asked for

    def __init__(self, model: Model, x: Array, state: OptimizerState, epochs: int) -> None:
        self.model, self.x = model, x
        runs = [np.arange(first, first + size) for first, size, _ in state.segments()]
        self.trained = np.concatenate(runs) if runs else np.empty(0, np.int64)
        self.step, self.epoch, self.position = state.step, 0, 0
        self.losses, self.seconds = np.empty(epochs), np.empty(epochs)
        self.figures: dict[str, float] = {}
        self.columns: dict[str, list[float]] = {}
        self.diverged = self.ended = False

    @property
    def converged(self) -> bool:
        """Whether no epoch is to follow; `run` then says that it is done, maybe with fewer."""
        return self.ended

    @property
    def running_loss(self) -> float:
        """The loss after the last iteration."""
        return float(self.losses[self.epoch - 1]) if self.epoch else float("nan")

    def run(self, until_epoch: int, seconds: float, n_threads: int) -> bool:
        """Train until that many epochs are complete, or about that much time has passed."""
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
                for name, value in self.figures.items():
                    self.columns.setdefault(name, []).append(value)
                self.step += 1
                self.epoch += 1
            if time.monotonic() > deadline:
                break
        return self.epoch >= until_epoch or self.converged

    def snapshot(self) -> dict[str, Any]:
        """Return what `restore` needs to go on from here, bit for bit: numbers, and arrays."""
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
        """Go on from what `snapshot` returned, with the parameters of then; trusted."""
        self.step, self.epoch = state["step"], state["epoch"]
        self.ended = bool(state["converged"])
        self.losses[: self.epoch], self.seconds[: self.epoch] = state["losses"], state["seconds"]
        for key, value in state.items():
            if key.startswith("column."):
                self.columns[key.removeprefix("column.")] = value.tolist()

    def close(self) -> None:
        """End what an iteration has begun and not finished."""

    def set_segments(self, segments: Segments) -> None:
        """Do nothing: how many updates a part has missed means nothing here."""

    def iterate(self, n_threads: int) -> float | None:
        """Improve the parameters, and return the loss there; None if they could not be."""
        raise NotImplementedError
