"""The rows of all ranks: which rank holds which, and what `fit` must know of all of them.

The rows are numbered through the ranks: first those of rank 0, then those of rank 1, and so on.
"""

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
from fastnn.training.streaming import Batches, MappedRows
from fastnn.training.validation import Validation


@dataclass(frozen=True)
class SharedData(TrainingData):
    """The rows of one rank.

    Attributes
    ----------
    counts : tuple of int
        The number of rows of each rank.
    first : int
        The number of the first row of this rank.
    """

    counts: tuple[int, ...] = ()
    first: int = 0

    @property
    def n_samples(self) -> int:
        """The number of rows of all ranks."""
        return sum(self.counts)

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
        If X is an iterable, or a class weight is invalid.
    """
    if isinstance(data.x, Batches):
        raise ValueError(
            "X is an iterable of batches, and comm is given; an array or a memmap with the rows of "
            "this rank is wanted"
        )
    given: dict[str, Any] = {name: getattr(data, name) for name in TrainingData.__annotations__}
    counts = tuple(ranks.exchange("the number of rows", len(data.target)))
    first = sum(counts[: ranks.rank])
    if class_weight is not None:
        if isinstance(data.x, MappedRows):
            raise ValueError(
                "class_weight is given; X must be in memory, or a memmap of the network's dtype"
            )
        targets = np.concatenate(ranks.exchange("the classes", data.target))
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
    targets = np.concatenate(ranks.exchange("the classes", labels))
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
