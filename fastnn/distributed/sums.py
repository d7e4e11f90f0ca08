"""The sum of the gradients of all ranks."""

import math
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.distributed.batches import PARTS
from fastnn.distributed.ranks import Ranks

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
        return math.fsum(losses)


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
