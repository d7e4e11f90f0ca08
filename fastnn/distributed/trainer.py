"""The trainer of one rank: the gradient of its rows, the sum over the ranks, and the step."""

import math
import time
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn import _core
from fastnn._core.arrays import Array
from fastnn.distributed.ranks import Ranks
from fastnn.distributed.rows import PARTS, Block, SharedBatches, SharedData, row_shares
from fastnn.distributed.streams import StreamedBatches
from fastnn.losses import is_built_in
from fastnn.model import Model
from fastnn.optimizers import OptimizerState
from fastnn.training.python_trainer import PythonTrainer
from fastnn.training.settings import FitSettings
from fastnn.training.streaming import Batches

Node = tuple[int, int]  # of a binary tree over the parts: its level above them, and its number


class Allreduce:
    """A sum by MPI, in the gradient's own memory."""

    def __init__(self, ranks: Ranks, grads: Array) -> None:
        self.parts = [grads]
        self.losses = [0.0]
        self._sum, self._own = ranks.comm.Allreduce, (ranks.mpi.IN_PLACE, grads)

    def add_up(self) -> float:
        """Overwrite the gradient by the sum over the ranks, and return the loss of this rank."""
        self._sum(*self._own)
        return self.losses[0]


class Local:
    """No sum: each rank takes its steps by the gradient of its own rows."""

    def __init__(self, ranks: Ranks, grads: Array) -> None:
        self.parts = [grads]
        self.losses = [0.0]

    def add_up(self) -> float:
        """Return the loss of this rank."""
        return self.losses[0]


class FixedOrder:
    """A sum in an order that does not depend on the number of ranks.

    The parts of a batch are the leaves of a binary tree. A rank adds up the subtrees whose leaves
    it has. Each rank gets the sums of all these subtrees, and adds them up.

    Attributes
    ----------
    parts : list of ndarray (n_params,)
        The gradients of the parts of this rank, to be written before `add_up`.
    losses : list of float
        Their losses.
    """

    def __init__(self, ranks: Ranks, grads: Array) -> None:
        self.ranks, self.grads = ranks, grads
        leaves = [rank * PARTS // ranks.size for rank in range(ranks.size + 1)]
        self.leaves = range(leaves[ranks.rank], leaves[ranks.rank + 1])
        self.parts = [np.empty_like(grads) for _ in self.leaves]
        self.losses = [0.0] * len(self.leaves)
        self.counts = [b - a for a, b in pairwise(leaves)]
        self.roots: list[list[Node]] = [
            list(folded({(0, i): None for i in range(a, b)})) for a, b in pairwise(leaves)
        ]
        self.sums = np.empty((sum(map(len, self.roots)), len(grads)), grads.dtype)

    def add_up(self) -> float:
        """Overwrite the gradient by the sum over all parts, and return their loss."""
        own = folded({(0, i): part for i, part in zip(self.leaves, self.parts, strict=True)})
        sent = np.concatenate(list(own.values()))
        sizes = [len(roots) * len(self.grads) for roots in self.roots]
        comm = self.ranks.comm
        comm.Allgatherv(sent, (self.sums, sizes))
        nodes = [node for roots in self.roots for node in roots]
        self.grads[...] = folded(dict(zip(nodes, self.sums, strict=True)))[
            PARTS.bit_length() - 1, 0
        ]
        losses = np.empty(PARTS)
        comm.Allgatherv(np.array(self.losses), (losses, self.counts))
        return sum(losses.tolist())


def demand_parts(n_ranks: int) -> None:
    """Raise ValueError if there are fewer parts than ranks."""
    if n_ranks > PARTS:
        raise ValueError(
            f"deterministic is True, and comm has {n_ranks} ranks; at most {PARTS} are wanted, "
            f"since each computes one or more of {PARTS} parts of a batch"
        )


def folded(nodes: dict[Node, Any]) -> dict[Node, Any]:
    """Return the nodes of a tree after siblings were added to their parents, in place.

    The values are arrays, or None for their places alone.
    """
    pending = sorted(nodes)
    for level, i in pending:  # it grows
        pair = (level, i - i % 2), (level, i - i % 2 + 1)
        if all(node in nodes for node in pair):
            left, right = (nodes.pop(node) for node in pair)
            if left is not None:
                left += right
            nodes[level + 1, i // 2] = left
            pending.append((level + 1, i // 2))
    return {node: nodes[node] for node in sorted(nodes, key=lambda n: (n[1] << n[0], n[0]))}


class DistributedTrainer(PythonTrainer):
    """Takes the steps of one process on the rows of all ranks.

    With `sync_every` above 1, the ranks take so many steps on their own, and then the parameters
    and the state of the optimizer become their means over the ranks. The gradient of the own rows
    is multiplied by the number of ranks, so that the mean over the ranks is the gradient of all.
    """

    def __init__(
        self,
        ranks: Ranks,
        model: Model,
        data: SharedData,
        settings: FitSettings,
        optimizer_state: OptimizerState,
        order: "np.random.Generator | None",
        deterministic: bool,
        sync_every: int,
    ) -> None:
        loss = settings.loss
        assert is_built_in(loss)
        super().__init__(model, data.n_samples or 0, settings, optimizer_state, order)
        self.ranks, self.takes_labels = ranks, loss.takes_labels
        self.plan, self.formula = loss.under(model.plan)
        self.is_special = model.plan.has_dropout or model.plan.has_batch_norm
        row_bytes = model.dtype.itemsize * model.plan.n_in
        self.batches: SharedBatches | StreamedBatches
        if isinstance(data.x, Batches):
            self.batches = StreamedBatches(ranks, data.x, loss, self.batch_size, row_bytes)
        else:
            self.batches = SharedBatches(
                ranks, data, row_shares(loss, data), self.batch_size, row_bytes, deterministic,
                self.is_special,
            )  # fmt: skip
        kind = FixedOrder if deterministic else Local if sync_every > 1 else Allreduce
        self.sums = kind(ranks, model.grads)
        self.deterministic, self.sync_every = deterministic, sync_every
        self.is_local = kind is Local
        self.ahead = 0  # updates since the ranks had the same parameters
        self.steps = 1  # of the next slice of time
        self.own_loss = 0.0  # of this epoch, on this rank
        self.block: Block | None = None
        self.error: BaseException | None = None  # of a sum for BatchNorm

    def run(self, until_epoch: int, seconds: float, n_threads: int) -> bool:
        """Train until this many epochs are complete, or for about this many seconds.

        All ranks take the same number of steps.
        """
        start, steps = time.monotonic(), 0
        while (steps < self.steps or self.ahead) and self.advance(until_epoch, n_threads):
            steps += 1
        if self.ahead:  # there are no more learning rates
            self._average()
        if self.position:
            self._share_loss()
        if steps >= self.steps:
            took = max(self.ranks.exchange("a slice of time", time.monotonic() - start))
            self.steps = max(1, int(steps * min(seconds / max(took, 1e-9), 10.0)))
        return self.epoch >= until_epoch

    def take_step(self, n_threads: int) -> None:
        """Take the next step."""
        block, numbers = self._block(), self.numbers()
        batch = (self.position - block.first) // block.batch_size
        divisor = block.divisors[batch]
        scale = 1 / divisor if self.mean and divisor > 0 else 1.0
        if self.is_local:
            scale *= self.ranks.size
        training = None
        if self.is_special:
            training = (self.mask_key, self.epoch, self.position, numbers[2])
        self.position += block.batch_size
        sums, offset = self.sums, batch * block.own
        for i, (start, end) in enumerate(block.cuts):
            rows = slice(offset + start, offset + end)
            x, grads = block.x[rows], sums.parts[i]
            value = 0.0
            numbers_of_rows = None if block.numbers is None else block.numbers[rows]
            if len(x):
                target = block.target[rows]
                value = _core.engine.loss_and_grad(
                    self.plan,
                    self.model.params,
                    self.model.constants,
                    x,
                    None if self.takes_labels else target,
                    target if self.takes_labels else None,
                    None if block.weights is None else block.weights[rows],
                    self.formula,
                    grads,
                    n_threads,
                    (scale, training, numbers_of_rows, self._add, block.batch_size),
                )
                if not math.isfinite(value):
                    grads.fill(np.nan)  # so that all ranks notice it
            else:
                grads.fill(0)
            sums.losses[i] = value / scale
        if self.error is not None:
            raise self.error
        loss = sums.add_up()
        if not self.is_local and self._is_nan(self.model.grads):
            return self.diverge()
        self.update(*numbers[:2])
        self.own_loss += loss
        self.epoch_weight += divisor
        if self.is_local:
            self.ahead += 1
            if self.ahead == self.sync_every:
                self._average()

    def end_epoch(self) -> None:
        """Check and copy the parameters, and record the loss of the epoch."""
        if self.ahead:
            self._average()
        self._share_loss()
        if not self.diverged:
            super().end_epoch()
        self.own_loss = 0.0

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a valid snapshot, after the parameters are restored."""
        super().restore(state)
        self.block = None
        counts = self.position and (self.ranks.is_first or self.deterministic)
        self.own_loss = self.epoch_loss if counts else 0.0

    def close(self) -> None:
        """Release what MPI holds, and stop the thread that reads an iterable."""
        self.batches.close()

    def _block(self) -> Block:
        """Return the block that the next batch is in."""
        block, position = self.block, self.position
        if position == 0 or block is None or position == block.end:
            block = self.batches.block(self.order, position, self.samples_per_epoch)
            self.block, self.samples_per_epoch = block, block.epoch_end
        return block

    def _average(self) -> None:
        """Replace what the updates have changed by its mean over the ranks."""
        for array in (self.model.params, *self.optimizer_state.arrays):
            for first, size, *_ in self.segments.tolist():
                part = array[first : first + size]
                self.ranks.comm.Allreduce(self.ranks.mpi.IN_PLACE, part)
                part /= self.ranks.size
        self.ahead = 0
        if self._is_nan(self.model.params):
            self.diverge()

    def _is_nan(self, array: Array) -> bool:
        """Whether the first trained entry is not finite, as after a loss that is not finite."""
        return bool(len(self.segments)) and not math.isfinite(array[self.segments["first"][0]])

    def _add(self, sums: Any) -> None:
        try:
            self.ranks.comm.Allreduce(self.ranks.mpi.IN_PLACE, sums)
        except BaseException as error:  # the engine cannot raise it
            self.error = error

    def _share_loss(self) -> None:
        """Set the loss of this epoch so far, which is the same on all ranks."""
        self.epoch_loss = self.own_loss
        if not self.deterministic:
            self.epoch_loss = sum(self.ranks.comm.allgather(self.own_loss))
