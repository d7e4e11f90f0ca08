"""The trainer of one rank: the gradient of its rows, and the same update as on all ranks."""

import math
import time
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.distributed.batches import Block, SharedBatches
from fastnn.distributed.data import SharedData
from fastnn.distributed.ranks import Ranks
from fastnn.distributed.sums import Allreduce, FixedOrder
from fastnn.losses import Loss, is_built_in
from fastnn.model import Model
from fastnn.optimizers import OptimizerState
from fastnn.training.python_trainer import PythonTrainer
from fastnn.training.settings import FitSettings


class DistributedTrainer(PythonTrainer):
    """Takes the steps of one process on the rows of all ranks."""

    def __init__(
        self,
        ranks: Ranks,
        model: Model,
        data: SharedData,
        settings: FitSettings,
        optimizer_state: OptimizerState,
        order: "np.random.Generator | None",
        deterministic: bool,
    ) -> None:
        loss = settings.loss
        assert is_built_in(loss)
        super().__init__(model, data.n_samples, settings, optimizer_state, order)
        self.ranks, self.takes_labels = ranks, loss.takes_labels
        self.plan, self.formula = loss.under(model.plan)
        self.is_special = model.plan.has_dropout or model.plan.has_batch_norm
        row_bytes = model.dtype.itemsize * model.plan.n_in
        self.batches = SharedBatches(
            ranks, data, _shares(loss, data), self.batch_size, row_bytes, deterministic,
            self.is_special,
        )  # fmt: skip
        self.sums = (FixedOrder if deterministic else Allreduce)(ranks, model.grads)
        self.deterministic = deterministic
        self.steps = 1  # of the next slice of time
        self.own_loss = 0.0  # of this epoch, on this rank
        self.block: Block | None = None
        self.others: Any = None

    def run(self, until_epoch: int, seconds: float, n_threads: int) -> bool:
        """Train until this many epochs are complete, or for about this many seconds.

        All ranks take the same number of steps.
        """
        start, steps = time.monotonic(), 0
        while steps < self.steps and self.advance(until_epoch, n_threads):
            steps += 1
        if self.position:
            self._share_loss()
        if steps == self.steps:
            took = max(self.ranks.exchange("a slice of time", time.monotonic() - start))
            self.steps = max(1, int(steps * min(seconds / max(took, 1e-9), 10.0)))
        return self.epoch >= until_epoch

    def take_step(self, n_threads: int) -> None:
        """Take the next step."""
        block, numbers = self._block(), self.numbers()
        batch = (self.position - block.first) // block.batch_size
        divisor = block.divisors[batch]
        scale = 1 / divisor if self.mean and divisor > 0 else 1.0
        training = None
        if self.is_special:
            training = (self.mask_key, self.epoch, self.position, numbers[2])
        self.position += block.batch_size
        sums, offset = self.sums, batch * block.own
        for i, (start, end) in enumerate(block.cuts):
            rows = slice(offset + start, offset + end)
            grads = sums.parts[i]
            value = 0.0
            if end > start:
                target = block.target[rows]
                value = _core.engine.loss_and_grad(
                    self.plan,
                    self.model.params,
                    self.model.constants,
                    block.x[rows],
                    None if self.takes_labels else target,
                    target if self.takes_labels else None,
                    None if block.weights is None else block.weights[rows],
                    self.formula,
                    grads,
                    n_threads,
                    scale,
                    training,
                    None if block.numbers is None else block.numbers[rows],
                    self.others,
                )
                if not math.isfinite(value):
                    grads.fill(np.nan)  # so that all ranks notice it
            else:
                grads.fill(0)
            sums.losses[i] = value / scale
        if self.others is not None and self.others.error is not None:
            raise self.others.error
        loss = sums.add_up()
        grads = self.model.grads
        if len(self.segments) and not math.isfinite(grads[self.segments["first"][0]]):
            return self.diverge()
        self.update(*numbers[:2])
        self.own_loss += loss
        self.epoch_weight += divisor

    def end_epoch(self) -> None:
        """Check and copy the parameters, and record the loss of the epoch."""
        self._share_loss()
        super().end_epoch()
        self.own_loss = 0.0

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a valid snapshot, after the parameters are restored."""
        super().restore(state)
        self.block = None
        counts = self.position and (self.ranks.is_first or self.deterministic)
        self.own_loss = self.epoch_loss if counts else 0.0

    def close(self) -> None:
        """Release what MPI holds."""
        self.batches.close()

    def _block(self) -> Block:
        """Return the block that the next batch is in."""
        block, position = self.block, self.position
        if position == 0 or block is None or position == block.end:
            block = self.batches.block(self.order, position, self.samples_per_epoch)
            self.block = block
            if self.plan.has_batch_norm:
                self.others = _core.engine.OtherRows(self._add, block.batch_size)
        return block

    def _add(self, sums: Any) -> None:
        self.ranks.comm.Allreduce(self.ranks.mpi.IN_PLACE, sums)

    def _share_loss(self) -> None:
        """Set the loss of this epoch so far, which is the same on all ranks."""
        self.epoch_loss = self.own_loss
        if not self.deterministic:
            self.epoch_loss = math.fsum(self.ranks.comm.allgather(self.own_loss))


def _shares(loss: Loss, data: SharedData) -> Any:
    """Return what each row of this rank adds to the divisor of a mean, or None if it adds 1."""
    weights = None if loss.negative_weights else data.weights
    if weights is None and not loss.ignore_nan:
        return None
    shares = loss.observed_shares(data.target) if loss.ignore_nan else 1.0
    return np.multiply(shares, 1.0 if weights is None else weights, dtype=np.float64)
