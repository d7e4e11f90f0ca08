"""Training on all samples at once: what the trainers of second-order optimizers share."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.model import Model
from fastnn.optimizers import OptimizerState

Array = NDArray[Any]


class FullBatchTrainer:
    """Takes one iteration an epoch, and shows the face of the engine's Trainer to the fit loop.

    A subclass says what an iteration is. The loss of an epoch is the one after it.

    Attributes
    ----------
    converged : bool
        Set by an iteration that found nothing to improve; `run` then says that it is done, with
        fewer epochs than it was asked for.
    figures : dict of str to float
        What else an iteration wants to be in the history.
    """

    def __init__(self, model: Model, x: Array, state: OptimizerState, epochs: int) -> None:
        self.model, self.x = model, x
        self.step, self.epoch, self.position = state.step, 0, 0
        self.losses, self.seconds = np.empty(epochs), np.empty(epochs)
        self.figures: dict[str, float] = {}
        self.columns: dict[str, list[float]] = {}
        self.diverged = self.converged = False

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

    def iterate(self, n_threads: int) -> float | None:
        """Improve the parameters, and return the loss there; None if they could not be."""
        raise NotImplementedError
