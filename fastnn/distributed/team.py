"""A fit in several processes: each method does for all ranks what that of `Alone` does for one."""

import contextlib
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from fastnn import _checks, _core, _version
from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.batch import InputChecks
from fastnn.callbacks import Callback
from fastnn.distributed.loop import DistributedLoop, SharedCheckpoints
from fastnn.distributed.ranks import Ranks
from fastnn.distributed.rows import SharedData, blocks_of_all, hold_out_shared, shared_data
from fastnn.distributed.trainer import demand_parts
from fastnn.losses import Loss, is_built_in
from fastnn.model import Model, model_of
from fastnn.optimizers.full_batch import FullBatchOptimizer
from fastnn.segments import custom_layers
from fastnn.training import History
from fastnn.training.alone import Alone
from fastnn.training.checkpoints import CheckpointFile, Checkpoints
from fastnn.training.data import TrainingData, training_data
from fastnn.training.loop import finished
from fastnn.training.settings import FitSettings
from fastnn.training.standardization import Totals, blocks_of
from fastnn.training.validation import Validation

ADDRESS = re.compile(" at 0x[0-9a-f]+")  # in the repr of an object without a repr of its own


def demand_agreement(
    ranks: Ranks,
    net: Any,
    data: SharedData,
    settings: FitSettings,
    validation: Validation | None,
    others: dict[str, Any],
    deterministic: bool,
) -> None:
    """Raise ValueError on all ranks if one differs from rank 0, with its name and what differs.

    `others` are further arguments of `fit` by their names.
    """
    _demand_rows_for_batch_norm(ranks, net, data, settings, deterministic)
    if data.n_samples is None and settings.batch_size < ranks.size:
        raise ValueError(
            f"batch_size is {settings.batch_size}, and X is an iterable; {ranks.size} or more are "
            f"wanted, a row of each rank"
        )
    layers = net._describe()[0]["layers"]
    own = {
        "version of fastnn": _version.__version__,
        "instruction set (FASTNN_ISA)": _core.isa,
        "dtype": str(net.dtype),
        "number of layers": len(layers),
        **{f"layer {i}": repr(layer) for i, layer in enumerate(layers)},
        "number of parameters": net.n_params,
        "frozen layers": [i for i, layer in enumerate(net.layers) if not layer.trainable],
        "loss": repr(settings.loss),
        "optimizer": repr(settings.optimizer),
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "shuffle": settings.shuffle,
        "drop_last": settings.drop_last,
        "dropout_factor": repr(settings.dropout_factor),
        "shape of a target": list(data.target.shape[1:]),
        "sample_weight or class_weight": "given" if data.weights is not None else None,
        "sample_weight": "given" if data.sample_weight is not None else None,
        "validation_data": "given" if validation is not None else None,
        "weights of validation_data": getattr(validation, "weights", None) is not None,
        "metrics": None if validation is None else list(validation.names),
        **others,
    }
    own = {name: ADDRESS.sub("", str(value)) for name, value in own.items()}
    found = ranks.exchange("the settings", own)
    for rank, theirs in enumerate(found):
        for name, value in found[0].items():
            if theirs.get(name) != value:
                ranks.agree(
                    ValueError(
                        f"the ranks differ in the {name}: {value} on rank 0, {theirs.get(name)} "
                        f"on rank {rank} of {ranks.size}; the same on all is wanted"
                    )
                )


def demand_distributable(model: Model, loss: Any, optimizer: Any, given: dict[str, Any]) -> None:
    """Raise ValueError or TypeError if several processes cannot train like this.

    `given` has further arguments of `fit`.
    """
    if not is_built_in(loss):
        raise TypeError(
            f"comm is given, and loss is {loss!r}; a loss of fastnn is wanted, since a loss "
            f"written in Python need not be a sum over the rows"
        )
    if custom := custom_layers(model):
        raise TypeError(
            f"comm is given, and the network has the custom layer {custom[0]!r}; layers of fastnn "
            f"are wanted"
        )
    if isinstance(optimizer, FullBatchOptimizer) and given["deterministic"]:
        raise ValueError(
            f"deterministic is True, and optimizer is {optimizer!r}, whose sums have the order of "
            f"the ranks; False is wanted, or SGD(…), Adam(…) or another"
        )
    if given["sync_every"] > 1 and (
        given["deterministic"]
        or isinstance(optimizer, FullBatchOptimizer)
        or model.plan.has_batch_norm
    ):
        raise ValueError(
            f"sync_every is {given['sync_every']}; 1 is wanted with deterministic=True, with "
            f"LBFGS and LevenbergMarquardt, and with BatchNorm, which need the sums of each update"
        )


def _demand_rows_for_batch_norm(
    ranks: Ranks, net: Any, data: SharedData, settings: FitSettings, deterministic: bool
) -> None:
    if not model_of(net).plan.has_batch_norm:
        return
    if deterministic:
        raise ValueError(
            "deterministic is True, and the network has BatchNorm, whose statistics are sums over "
            "the ranks; False is wanted, or a network without BatchNorm"
        )
    assert data.n_samples is not None
    last = settings.samples_per_epoch(data.n_samples) % settings.batch_size
    smallest = last or settings.batch_size
    if smallest < ranks.size:
        raise ValueError(
            f"batch_size is {settings.batch_size}, so one batch of the {data.n_samples} samples "
            f"has {smallest}; BatchNorm needs one or more on each of {ranks.size} ranks"
        )


T = TypeVar("T")


class Team(Alone):
    """The ranks of a communicator, from the point of view of one of them.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
    deterministic : bool
        Whether the order of summation does not depend on the number of ranks. This and the next
        are checked in `together`, so that an invalid one on one rank is an error on all.
    sync_every : int
        The number of updates after which the parameters are averaged; 1 if gradients are added up.
    given : dict
        Arguments of `fit` that must be the same on all ranks, and are not in the settings.

    Raises
    ------
    ImportError, TypeError
        If mpi4py is missing, or `comm` is no communicator.
    """

    def __init__(
        self, comm: Any, deterministic: Any, sync_every: Any, given: dict[str, Any]
    ) -> None:
        self.ranks = Ranks(comm)
        self.deterministic = deterministic
        self.sync_every = sync_every
        self.given = {**given, "deterministic": deterministic, "sync_every": sync_every}

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
        self.deterministic = _checks.boolean(self.deterministic, "deterministic")
        self.sync_every = _checks.integer(self.sync_every, "sync_every", at_least=1)
        if self.deterministic:
            demand_parts(self.ranks.size)
        loss, optimizer = others[:2]
        demand_distributable(inputs.model, loss, optimizer, self.given)
        data = training_data(inputs, X, y, weights[0], None, *others)
        if self.deterministic and data.n_samples is None:
            raise ValueError(
                "deterministic is True, and X is an iterable, whose rows are not numbered through "
                "the ranks; False is wanted, or an array X"
            )
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
        if data.n_samples is None:
            identity["ranks"] = ranks.size  # each has other rows of a batch
        else:
            identity["data"][0] = identity["targets"][0] = data.n_samples
            identity["X"] = None if data.from_file else self._digest(data.x, data.first)
            identity["y"] = self._digest(data.target, data.first)
            identity["weights"] = self._digest(data.weights, data.first)
        identity |= {"deterministic": self.deterministic, "sync_every": self.sync_every}
        if held_out is not None:
            identity["validation_data"][0] = sum(ranks.exchange("held out", len(held_out.x)))
        identity = ranks.exchange("the identity", identity)[0]
        return SharedCheckpoints(ranks, file, identity, epochs)

    def add_up(self, totals: Totals, data: TrainingData, weights: Array | None) -> Totals:
        """Return the totals of the training rows of all ranks.

        In a fixed order, all ranks take the blocks of one process, one after the other.
        """
        assert isinstance(data, SharedData)
        if self.deterministic:
            totals.add(blocks_of_all(self.ranks, data, weights, totals.n_in))
            return totals
        totals.add(blocks_of(data, weights, totals.n_in))
        found, *others = self.ranks.exchange("the means and scales", totals)
        for other in others:
            found.join(other)
        return found

    def fit(self, *arguments: Any) -> History:
        """Train on the rows of all ranks."""
        how = self.ranks, self.deterministic, self.sync_every
        return finished(DistributedLoop(*how, *arguments))

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
