"""Minibatches of the rows of an iterable on each rank.

A minibatch takes the same number of rows from each iterable, up to one, in their order: first those
of rank 0. It is smaller once an iterable has ended. The epoch ends when all of them have.
"""

from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.distributed.ranks import Ranks
from fastnn.distributed.rows import PLACE_BYTES, Block
from fastnn.losses import Loss
from fastnn.training.streaming import BLOCK_BYTES, Ahead, Batches, no_batches


class StreamedBatches:
    """Prepares the rows of this rank, block by block, while the last block is trained on.

    Parameters
    ----------
    ranks : Ranks
    source : Batches
        The iterable of this rank.
    loss : Loss
    batch_size : int
        The rows of a batch of all ranks.
    row_bytes : int
        The bytes of a row of X.
    """

    def __init__(
        self, ranks: Ranks, source: Batches, loss: Loss, batch_size: int, row_bytes: int
    ) -> None:
        self.ranks, self.source, self.loss, self.batch_size = ranks, source, loss, batch_size
        # the rows of each rank in a batch
        self.quotas = batch_size // ranks.size + (np.arange(ranks.size) < batch_size % ranks.size)
        self.quota = int(self.quotas[ranks.rank])
        # a block has the same batches on all ranks
        self.batches = max(BLOCK_BYTES * ranks.size // (batch_size * (row_bytes + PLACE_BYTES)), 1)
        self.ahead: Ahead | None = None
        self.has_ended = False
        self.x = self.target = np.empty(0)

    def block(self, order: Any, first: int, end: int) -> Block:
        """Return the block at this place of an epoch; a batch counts as `batch_size` places.

        Raises
        ------
        ValueError
            If no rank has a row.
        Exception
            What the iterable of this rank raised.
        RuntimeError
            If that of another rank raised an error.
        """
        if self.ahead is None:
            skipped = first // self.batch_size * self.quota
            self.ahead = Ahead(self.source.blocks_if_any(skipped, self.batches * self.quota))
            self.has_ended = False
        found = self.ranks.each("the next rows of an iterable", self._read)
        counts, ended, shares = zip(*found, strict=True)
        if not any(counts):
            self.ranks.agree(no_batches(first))
        if all(ended):
            self.close()
        n = int(max(-(-np.array(counts) // self.quotas)))
        # the rows of each rank in each batch
        held = np.array(counts)[:, np.newaxis] - np.arange(n) * self.quotas[:, np.newaxis]
        held = np.clip(held, 0, self.quotas[:, np.newaxis])
        batch, place = np.divmod(np.arange(len(self.x)), self.quota)
        last = first + n * self.batch_size
        return Block(
            first,
            last,
            self.batch_size,
            self.quota,
            self.x,
            self.target,
            None,
            held[: self.ranks.rank].sum(axis=0)[batch] + place,
            np.sum(shares, axis=0)[:n].tolist(),
            [(0, self.quota)],
            last if all(ended) else 0,
        )

    def close(self) -> None:
        """Stop the thread that prepares blocks; the next epoch starts another."""
        if self.ahead is not None:
            self.ahead.close()
        self.ahead = None

    def _read(self) -> tuple[int, bool, Array]:
        """Read the next rows of this rank.

        Returns
        -------
        (int, bool, ndarray)
            Their number, whether they are the last, and the divisor of a mean loss of each batch.
        """
        self.x, self.target = self.x[:0], self.target[:0]
        if not self.has_ended:
            assert self.ahead is not None
            try:
                self.x, self.target, self.has_ended = self.ahead.take()
            except StopIteration:
                self.has_ended = True
        n = len(self.x)
        shares = np.ones(n)
        if n and self.loss.ignore_nan:
            shares = self.loss.observed_shares(self.target)
        return n, self.has_ended, np.bincount(np.arange(n) // self.quota, shares, self.batches)
