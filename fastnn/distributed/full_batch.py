"""LBFGS and LevenbergMarquardt over several ranks.

Rank 0 takes the steps, as in one process. Whenever it needs a sum over all samples, it asks the
other ranks, and each adds the sum over its rows. So each decision is made once: ranks whose
processors round differently cannot take different steps.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.distributed.ranks import Ranks
from fastnn.distributed.rows import SharedData, row_shares
from fastnn.losses import is_built_in
from fastnn.model import Model
from fastnn.optimizers import OptimizerState
from fastnn.optimizers.full_batch import FullBatchOptimizer, FullBatchTrainer
from fastnn.optimizers.levenberg_marquardt import LevenbergMarquardtTrainer
from fastnn.training.settings import FitSettings


@dataclass(frozen=True)
class SharedModel(Model):
    """A model whose loss and Gauss-Newton matrix are those of the samples of all ranks.

    Rank 0 calls `loss_and_grad` and `gram`, while the other ranks are in `answer`.

    Attributes
    ----------
    ranks : Ranks
    divisor : float
        The divisor of a mean loss.
    """

    ranks: Ranks
    divisor: float

    def loss_and_grad(
        self,
        x: "Array | SparseRows",
        target: Any,
        weights: Array | None,
        loss: Any,
        n_threads: int | None,
        grads: Array | None = None,
    ) -> tuple[float, Array]:
        """Return the loss of all samples, and its gradient; the arguments are those of rank 0."""
        grads = np.empty_like(self.params) if grads is None else grads
        self._ask("loss", loss)
        value = self._add_up("loss", x, target, weights, loss, n_threads, grads)
        divisor = self.divisor if loss.reduction == "mean" else 1.0
        grads /= divisor
        return value / divisor, grads

    def gram(
        self,
        x: "Array | SparseRows",
        target: Any,
        weights: Array | None,
        loss: Any,
        n_threads: int | None,
        out: Array | None = None,
        roots: Array | None = None,
    ) -> Array:
        """Return the Gauss-Newton matrix of a summed loss of all samples."""
        matrix = np.empty((self.params.size,) * 2, self.dtype) if out is None else out
        self._ask("gram", loss)
        self._add_up("gram", x, target, weights, loss, n_threads, matrix)
        return matrix

    def answer(self, data: SharedData, n_threads: int | None) -> Any:
        """Compute what rank 0 asks for, until it calls `finish`; return what it passes there."""
        while True:
            what, given = self.ranks.comm.bcast(None)
            if what == "finish":
                return given
            self.ranks.share(self.params)
            size = self.params.size
            out = np.empty((size, size) if what == "gram" else size, self.dtype)
            self._add_up(what, data.x, data.target, data.weights, given, n_threads, out)

    def finish(self, result: Any) -> None:
        """End the calls of `answer` of the other ranks, which return the result."""
        self.ranks.comm.bcast(("finish", result))

    def _ask(self, what: str, loss: Any) -> None:
        self.ranks.comm.bcast((what, loss))
        self.ranks.share(self.params)

    def _add_up(
        self,
        what: str,
        x: "Array | SparseRows",
        target: Any,
        weights: Array | None,
        loss: Any,
        n_threads: int | None,
        out: Array,
    ) -> float:
        """Write the sum over the rows of all ranks to `out` of rank 0, and return the loss."""
        summed, value = replace(loss, reduction="sum"), np.zeros(1)
        if what == "gram":
            super().gram(x, target, weights, summed, n_threads, out)
        else:
            value[0], _ = super().loss_and_grad(x, target, weights, summed, n_threads, out)
        for own in (out, value):
            if self.ranks.is_first:
                self.ranks.comm.Reduce(self.ranks.mpi.IN_PLACE, own)
            else:
                self.ranks.comm.Reduce(own, None)
        return float(value[0])


class LedTrainer(FullBatchTrainer):
    """The trainer of one rank, which takes the steps of the trainer of rank 0."""

    def __init__(
        self,
        ranks: Ranks,
        model: Model,
        data: SharedData,
        settings: FitSettings,
        optimizer_state: OptimizerState,
    ) -> None:
        super().__init__(model, data.x, optimizer_state, settings.epochs)
        loss, optimizer = settings.loss, settings.optimizer
        assert is_built_in(loss)
        assert isinstance(optimizer, FullBatchOptimizer)
        self.ranks, self.data = ranks, data
        shares = row_shares(loss, data)
        own = float(len(data.target) if shares is None else shares.sum())
        divisor = sum(ranks.exchange("the divisor", own)) or 1.0
        arrays = model.params, model.grads, model.constants
        self.shared = SharedModel(model.plan, *arrays, ranks, divisor)
        self.steps = optimizer.trainer(
            self.shared, data.x, data.target, data.weights, loss, optimizer_state, settings.epochs
        )
        if isinstance(self.steps, LevenbergMarquardtTrainer):
            if loss.reduction == "mean":
                self.steps.factor *= loss.divisor(len(data.x), data.weights, data.target) / divisor
            counts = self.steps.n_residuals, self.steps.log_precisions
            sums = map(sum, zip(*ranks.exchange("the residuals", counts), strict=True))
            self.steps.n_residuals, self.steps.log_precisions = sums
        self.reached = model.params  # after the last iteration

    @property
    def converged(self) -> bool:
        """Whether training has converged, and no callback has changed the parameters since."""
        return self.ended and np.array_equal(self.model.params, self.reached)

    def run(self, until_epoch: int, seconds: float, n_threads: int) -> bool:
        """Take one iteration: clocks of ranks differ, so time cannot tell them when to return."""
        return super().run(until_epoch, -1.0, n_threads)

    def iterate(self, n_threads: int) -> float | None:
        """Take one iteration of the trainer of rank 0, or compute what it asks for."""
        steps = self.steps
        if self.ranks.is_first:
            loss = steps.iterate(n_threads)
            result = loss, steps.ended, steps.diverged, steps.metrics
            self.shared.finish(result)
        else:
            result = self.shared.answer(self.data, n_threads)
        loss, self.ended, self.diverged, self.metrics = result
        self.ranks.share(self.model.params, self.model.grads)
        self.reached = self.model.params.copy()
        return loss

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers and arrays from which `restore` continues bit for bit."""
        return {**self.steps.snapshot(), **super().snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a valid snapshot, after the parameters are restored."""
        super().restore(state)
        self.steps.restore(state)

    def close(self) -> None:
        """Stop the thread of LBFGS."""
        self.steps.close()
