"""A fit in several processes: each method does for all ranks what that of `Alone` does for one."""

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from fastnn import _checks
from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.batch import InputChecks
from fastnn.callbacks import Callback
from fastnn.distributed.agreement import demand_agreement, demand_distributable
from fastnn.distributed.data import SharedData, hold_out_shared, shared_data
from fastnn.distributed.loop import DistributedLoop, SharedCheckpoints
from fastnn.distributed.ranks import Ranks
from fastnn.distributed.sums import demand_parts
from fastnn.losses import Loss
from fastnn.training import History
from fastnn.training.alone import Alone
from fastnn.training.checkpoints import CheckpointFile, Checkpoints
from fastnn.training.data import TrainingData, training_data
from fastnn.training.loop import finished
from fastnn.training.settings import FitSettings
from fastnn.training.validation import Validation

T = TypeVar("T")


class Team(Alone):
    """The ranks of a communicator, from the point of view of one of them.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
    deterministic : bool
        Whether the order of summation does not depend on the number of ranks.
    given : dict
        Arguments of `fit` that must be the same on all ranks, and are not in the settings.

    Raises
    ------
    ImportError, TypeError, ValueError
        If mpi4py is missing, or `comm` is no communicator, or has too many ranks.
    """

    def __init__(self, comm: Any, deterministic: Any, given: dict[str, Any]) -> None:
        self.deterministic = _checks.boolean(deterministic, "deterministic")
        self.given = {**given, "deterministic": self.deterministic}
        self.ranks = Ranks(comm)
        if self.deterministic:
            demand_parts(self.ranks.size)

    def together(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which an error on one rank ends the fit on all of them."""
        return self.ranks.together()

    def first(self, what: str, work: Callable[[], T]) -> T:
        """Return what `work()` returns on rank 0."""
        return self.ranks.first(what, work)

    def training_data(
        self, inputs: InputChecks, X: Any, y: Any, weights: tuple[Any, Any], *others: Any
    ) -> SharedData:
        """Return the samples of this rank; class weights depend on the classes of all ranks."""
        loss, optimizer = others[:2]
        demand_distributable(inputs.model, loss, optimizer, self.given)
        data = training_data(inputs, X, y, weights[0], None, *others)
        return shared_data(self.ranks, data, weights[1], loss, inputs.model)

    def hold_out(
        self, inputs: InputChecks, data: Any, validation_data: Any, loss: Loss, entropy: Any
    ) -> tuple[SharedData, Validation | None]:
        """Return the samples of this rank to train on, and those to hold out."""
        return hold_out_shared(self.ranks, inputs, data, validation_data, loss, entropy)

    def settings(
        self, net: Any, data: TrainingData, held_out: Validation | None, settings: FitSettings
    ) -> FitSettings:
        """Return the settings of this rank, once all ranks agree on them."""
        assert isinstance(data, SharedData)
        demand_agreement(self.ranks, net, data, settings, held_out, self.given, self.deterministic)
        n_callbacks = self.ranks.exchange("the callbacks", len(settings.callbacks))[0]
        callbacks = settings.callbacks
        if not self.ranks.is_first:
            callbacks = tuple(Callback() for _ in range(n_callbacks))
        return replace(
            settings,
            callbacks=callbacks,
            progress=settings.progress and self.ranks.is_first,
            n_threads=self.ranks.thread_count(self.given["n_threads"]),
        )

    def checkpoints(
        self,
        file: CheckpointFile,
        identity: dict[str, Any],
        epochs: int,
        data: TrainingData,
        held_out: Validation | None,
    ) -> Checkpoints:
        """Return the checkpoints of rank 0; the identity is that of the rows of all ranks."""
        assert isinstance(data, SharedData)
        ranks = self.ranks
        identity["data"][0] = identity["targets"][0] = data.n_samples
        identity["X"] = None if data.from_file else self._digest(data.x, data.first)
        identity["y"] = self._digest(data.target, data.first)
        identity["weights"] = self._digest(data.weights, data.first)
        identity["deterministic"] = self.deterministic
        if held_out is not None:
            identity["validation_data"][0] = sum(ranks.exchange("held out", len(held_out.x)))
        identity = ranks.exchange("the identity", identity)[0]
        return SharedCheckpoints(ranks, file, identity, epochs)

    def fit(self, *arguments: Any) -> History:
        """Train on the rows of all ranks."""
        return finished(DistributedLoop(self.ranks, self.deterministic, *arguments))

    def _digest(self, rows: "Array | SparseRows | None", first: int) -> str | None:
        """Return a hash of the rows of all ranks that does not depend on how they are shared."""
        if rows is None:
            return None
        total = 0
        for i in range(len(rows)):
            part = rows[i : i + 1]
            arrays = (part.data, part.indices) if isinstance(part, SparseRows) else (part,)
            found = hashlib.blake2b(digest_size=16, salt=(first + i).to_bytes(16, "little"))
            for array in arrays:
                found.update(np.ascontiguousarray(array).view(np.uint8).data)
            total += int.from_bytes(found.digest(), "little")
        return f"{sum(self.ranks.exchange('hashes', total)) % 2**128:032x}"
