"""The rows of all ranks, and the minibatches that are split over them.

The rows are numbered through the ranks: first those of rank 0, then those of rank 1, and so on.

A minibatch has the rows that one process would take. Each rank computes on as many of them as the
others, up to one. A row stays on the rank that holds it, unless that rank has more than its number;
then the surplus goes to ranks that have fewer. All ranks draw the same order, so each of them knows
who sends what. Rows for many batches are sent at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks
from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.batch import InputChecks
from fastnn.distributed.ranks import Ranks
from fastnn.losses import Loss, allows_negative_weights, class_weights
from fastnn.model import Model
from fastnn.training import validation
from fastnn.training.data import SPLIT, TrainingData, hold_out
from fastnn.training.standardization import block_rows
from fastnn.training.streaming import BLOCK_BYTES, Batches, MappedRows, Order
from fastnn.training.validation import Validation


@dataclass(frozen=True)
class SharedData(TrainingData):
    """The rows of one rank.

    Attributes
    ----------
    counts : tuple of int
        The number of rows of each rank; empty for iterables.
    first : int
        The number of the first row of this rank.
    """

    counts: tuple[int, ...] = ()
    first: int = 0

    @property
    def n_samples(self) -> int | None:
        """The number of rows of all ranks, or None for iterables."""
        return sum(self.counts) if self.counts else None

    def part(self, rows: NDArray[np.int64]) -> TrainingData:
        """Return the data of some rows, and only their targets, also if X is a file."""
        return replace(super().part(rows), target=self.target[rows])

    def rows(self, places: NDArray[np.int64], memory: Array | None = None) -> Array:
        """Return some rows of this rank as a dense matrix of the network's dtype.

        They may be written to the memory of a result that is no longer needed.
        """
        if isinstance(self.x, SparseRows):
            return self.x.dense(places)
        if isinstance(self.x, MappedRows):
            places = places if self.x.rows is None else self.x.rows[places]
            return np.require(self.x.x[places], self.x.dtype, ["C"])
        if memory is None or len(memory) != len(places):
            memory = np.empty((len(places), self.x.shape[1]), self.x.dtype)
        found: Array = self.x.take(places, axis=0, out=memory, mode="clip")  # "raise" would copy
        return found


def shared_data(
    ranks: Ranks, data: TrainingData, class_weight: Any, loss: Any, model: Model
) -> SharedData:
    """Return the data of this rank as a part of the data of all ranks.

    `data` lacks the class weights, which depend on the classes of all ranks.

    Raises
    ------
    ValueError
        If a class weight is invalid.
    """
    given: dict[str, Any] = {name: getattr(data, name) for name in TrainingData.__annotations__}
    if class_weight is not None and isinstance(data.x, MappedRows | Batches):
        raise ValueError(
            "class_weight is given; X must be in memory, or a memmap of the network's dtype"
        )
    if isinstance(data.x, Batches):
        ranks.exchange("the rows of an iterable", None)
        return SharedData(**given)
    counts = tuple(ranks.exchange("the number of rows", len(data.target)))
    first = sum(counts[: ranks.rank])
    if class_weight is not None:
        targets = ranks.rows_of_all("the targets", data.target)
        own = slice(first, first + counts[ranks.rank])
        weights = class_weights.sample_weights(class_weight, loss, targets, model.plan.n_out)[own]
        if data.weights is not None:
            weights = weights * data.weights
        given["weights"] = _checks.sample_weight(
            weights, "sample_weight times class_weight", model.dtype, len(weights),
            allows_negative_weights(loss),
        )  # fmt: skip
    return SharedData(**given, counts=counts, first=first)


def hold_out_shared(
    ranks: Ranks,
    inputs: InputChecks,
    data: SharedData,
    validation_data: Any,
    loss: Loss,
    entropy: Any,
) -> tuple[SharedData, Validation | None]:
    """Return the samples of this rank to train on, and those to hold out.

    A share is held out of the rows of all ranks, the same rows as in one process.
    """
    if not isinstance(validation_data, Real) or isinstance(validation_data, bool):
        found, held_out = hold_out(inputs, data, validation_data, loss, entropy)
        assert isinstance(found, SharedData)
        return found, held_out
    share = _checks.share(validation_data, "validation_data", "a pair (X, y)")
    labels = data.target if loss.takes_labels else np.zeros(len(data.target), np.int8)
    targets = ranks.rows_of_all("the targets", labels)
    rng = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(SPLIT,)))
    parts: list[SharedData] = []
    for rows in validation.split(share, targets, loss, rng):
        own = rows[(rows >= data.first) & (rows < data.first + len(data.target))] - data.first
        if not len(own):
            raise ValueError(
                f"validation_data is {share:g}, and none of the {len(data.target)} rows of rank "
                f"{ranks.rank} is {'held out' if parts else 'left'}; more rows on each rank are "
                f"wanted"
            )
        part = data.part(own)
        assert isinstance(part, SharedData)
        counts = tuple(ranks.exchange("the number of rows", len(own)))
        parts.append(replace(part, counts=counts, first=sum(counts[: ranks.rank])))
    training, others = parts
    x = others.x if isinstance(others.x, SparseRows) else others.rows(np.arange(len(others.target)))
    return training, Validation(x, others.target, others.sample_weight, loss)


def blocks_of_all(
    ranks: Ranks, data: SharedData, weights: Array | None, n_in: int
) -> Iterator[tuple[Array, Array, Array | None]]:
    """Yield the rows of all ranks, in blocks that do not depend on the number of ranks."""
    size, n = block_rows(n_in), len(data.target)
    for start in range(0, sum(data.counts), size):
        first, end = (min(max(place - data.first, 0), n) for place in (start, start + size))
        places = np.arange(first, end)
        own = data.rows(places), data.target[places], None if weights is None else weights[places]
        x, y, w = zip(*ranks.exchange("the rows of a block", own), strict=True)
        yield np.concatenate(x), np.concatenate(y), None if weights is None else np.concatenate(w)


def row_shares(loss: Loss, data: SharedData) -> Any:
    """Return what each row of this rank adds to the divisor of a mean, or None if it adds 1."""
    weights = None if loss.negative_weights else data.weights
    if weights is None and not loss.ignore_nan:
        return None
    shares = loss.observed_shares(data.target) if loss.ignore_nan else 1.0
    return np.multiply(shares, 1.0 if weights is None else weights, dtype=np.float64)


PARTS = 8  # of a batch, if the order of summation is fixed
PLACE_BYTES = 64  # of a row's numbers and ranks while a block is prepared


@dataclass
class Block:
    """The rows of this rank in some batches of equal size.

    Attributes
    ----------
    first, end : int
        The places of the block in the epoch.
    batch_size, own : int
        The rows of a batch, and how many of them this rank has. The last batches of iterables may
        have fewer: then `x` ends earlier.
    x, target : ndarray
        The rows of the batches, one batch after the other.
    weights : ndarray, or None
    numbers : ndarray of int64, or None
        The number of each row in its batch.
    divisors : list of float
        The divisor of the mean loss of each batch.
    cuts : list of (int, int)
        The parts of this rank in the rows of a batch.
    epoch_end : int
        The place where the epoch ends; 0 if it is not known yet.
    """

    first: int
    end: int
    batch_size: int
    own: int
    x: Array
    target: Array
    weights: Array | None
    numbers: NDArray[np.int64] | None
    divisors: list[float]
    cuts: list[tuple[int, int]]
    epoch_end: int


class SharedBatches:
    """Prepares the rows of this rank, block by block.

    Parameters
    ----------
    ranks : Ranks
    data : SharedData
    shares : ndarray (n,) of float64, or None
        What each row of this rank adds to the divisor of a mean loss; None means 1.
    batch_size : int
    row_bytes : int
        The bytes of a row of X.
    fixed_parts : bool
        Whether a batch consists of PARTS parts at fixed places.
    numbered : bool
        Whether the blocks need `numbers`.
    """

    def __init__(
        self,
        ranks: Ranks,
        data: SharedData,
        shares: Array | None,
        batch_size: int,
        row_bytes: int,
        fixed_parts: bool,
        numbered: bool,
    ) -> None:
        self.ranks, self.data, self.batch_size = ranks, data, batch_size
        self.numbered = numbered
        self.x: Array | None = None  # the memory of the last block's rows
        self.shares: Array | None = None
        if shares is not None:
            self.shares = ranks.rows_of_all("the weights", shares)
        kind = np.min_scalar_type(ranks.size)
        self.owner_of = np.repeat(np.arange(ranks.size, dtype=kind), data.counts)
        # a block has the same batches on all ranks
        batch_bytes = batch_size * (row_bytes + PLACE_BYTES)
        self.batches = max(BLOCK_BYTES * ranks.size // batch_bytes, 1)
        self.fixed_parts = fixed_parts
        self.types: dict[int, Any] = {}  # of MPI, by the bytes of a row

    def block(self, order: Order, first: int, end: int) -> Block:
        """Return the block at this place of an epoch that ends at `end`."""
        n = min(self.batches, (end - first) // self.batch_size)
        size = self.batch_size if n else end - first
        n = max(n, 1)
        rows = order[first : first + n * size]
        owner = self.owner_of[rows]
        goes_to, cuts = self._places(size) if self.fixed_parts else (None, None)
        goes_to = self._balanced(owner, n, size) if goes_to is None else np.tile(goes_to, n)
        me = self.ranks.rank
        mine = np.flatnonzero(goes_to == me)
        own = len(mine) // n
        divisors = [float(size)] * n
        if self.shares is not None:
            divisors = self.shares[rows].reshape(n, size).sum(axis=1).tolist()
        places, foreign = rows[mine] - self.data.first, np.flatnonzero(owner[mine] != me)
        places[foreign] = 0  # overwritten below
        leaving = np.flatnonzero((owner == me) & (goes_to != me))
        leaving = leaving[np.argsort(goes_to[leaving], kind="stable")]
        sources = owner[mine[foreign]]
        foreign = foreign[np.argsort(sources, kind="stable")]
        counts = [
            np.bincount(of, minlength=self.ranks.size)
            for of in (goes_to[leaving], sources)
        ]  # fmt: skip
        sent = rows[leaving] - self.data.first
        moves = bool((owner != goes_to).any())
        x = self.x = self.data.rows(places, self.x)
        target = self.data.target.take(places, axis=0)
        weights = None if self.data.weights is None else self.data.weights.take(places)
        if moves:
            x[foreign] = self._moved(self.data.rows(sent), len(foreign), counts)
            target[foreign] = self._moved(self.data.target[sent], len(foreign), counts)
            if weights is not None:
                assert self.data.weights is not None
                weights[foreign] = self._moved(self.data.weights[sent], len(foreign), counts)
        return Block(
            first,
            first + n * size,
            size,
            own,
            x,
            target,
            weights,
            mine % size if self.numbered else None,
            divisors,
            cuts or [(0, own)],
            end,
        )

    def close(self) -> None:
        """Release the types of MPI."""
        for of_row in self.types.values():
            of_row.Free()
        self.types = {}

    def _balanced(self, owner: Array, n: int, size: int) -> Array:
        """Return the rank that computes each row, for n batches of `size` rows."""
        n_ranks = self.ranks.size
        quota = np.full(n_ranks, size // n_ranks)
        quota[: size % n_ranks] += 1
        goes_to, by_batch = owner.copy(), owner.reshape(n, size)
        surplus, room = [], np.zeros((n, n_ranks), np.int64)
        for rank in range(n_ranks):
            held = np.count_nonzero(by_batch == rank, axis=1)
            over = held - quota[rank]
            room[:, rank] = np.maximum(-over, 0)
            over = np.maximum(over, 0)
            if over.any():  # the last `over` rows of the rank in each batch
                ends, starts = np.cumsum(held), np.cumsum(over) - over
                places = np.repeat(ends - over - starts, over) + np.arange(over.sum())
                surplus.append(np.flatnonzero(owner == rank)[places])
        if surplus:
            free = np.tile(np.arange(n_ranks, dtype=owner.dtype), n)
            goes_to[np.sort(np.concatenate(surplus))] = np.repeat(free, room.ravel())
        return goes_to

    def _places(self, size: int) -> tuple[Array, list[tuple[int, int]]]:
        """Return the rank for each place of a batch, and where the parts of this rank are."""
        n_ranks, me = self.ranks.size, self.ranks.rank
        ends = [size * part // PARTS for part in range(PARTS + 1)]
        first = [rank * PARTS // n_ranks for rank in range(n_ranks + 1)]
        lengths = [ends[first[rank + 1]] - ends[first[rank]] for rank in range(n_ranks)]
        goes_to = np.repeat(np.arange(n_ranks, dtype=self.owner_of.dtype), lengths)
        start = ends[first[me]]
        parts = range(first[me], first[me + 1])
        return goes_to, [(ends[part] - start, ends[part + 1] - start) for part in parts]

    def _moved(self, sent: Array, n_received: int, counts: list[Array]) -> Array:
        """Send rows to the ranks in turn; return those that come, one rank after the other."""
        sent = np.ascontiguousarray(sent)
        received = np.empty((n_received, *sent.shape[1:]), sent.dtype)
        size = sent.itemsize * int(np.prod(sent.shape[1:]))
        if size not in self.types:
            self.types[size] = self.ranks.mpi.BYTE.Create_contiguous(size).Commit()
        ours, theirs = (
            (array, number.tolist(), self.types[size])
            for array, number in zip((sent, received), counts, strict=True)
        )
        self.ranks.comm.Alltoallv(ours, theirs)
        return received
