"""The data for training and validation, made from `fit`'s arguments after checking them.

X has one of four forms: an array, either in memory or a memmap of the network's dtype, which the
engine reads directly; the rows of a sparse matrix; a memmap that is converted block by block; or an
iterable of batches.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks
from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.batch import InputChecks
from fastnn.losses import CustomLoss, Loss, allows_negative_weights, class_weights, is_built_in
from fastnn.model import Model
from fastnn.optimizers import Optimizer
from fastnn.optimizers.full_batch import FullBatchOptimizer
from fastnn.optimizers.schedule import Schedule
from fastnn.segments import custom_layers
from fastnn.training import streaming, validation
from fastnn.training.streaming import Batches, MappedRows
from fastnn.training.validation import Validation

SPLIT = 1  # the number of the random stream for held-out samples


@dataclass(frozen=True)
class TrainingData:
    """The samples to train on.

    Attributes
    ----------
    x : ndarray (n, in_features), SparseRows, MappedRows or Batches
    target : ndarray
        The targets in the form that the loss takes. With MappedRows, the targets of all rows in the
        file; with Batches, an empty array.
    sample_weight : ndarray (n,), or None
        The user's weights.
    weights : ndarray (n,), or None
        The user's weights times the weights of the classes.
    from_file : bool
        Whether the user's X is a memmap.
    """

    x: Any
    target: Any
    sample_weight: Array | None = None
    weights: Array | None = None
    from_file: bool = False

    @property
    def n_samples(self) -> int | None:
        """The number of samples, or None for an iterable."""
        in_memory = isinstance(self.x, np.ndarray | SparseRows)
        n: int | None = len(self.x) if in_memory else self.x.n_samples
        return n

    def features(self, rows: NDArray[np.int64]) -> "Array | SparseRows":
        """Return some rows of X, in the dtype in which they are stored."""
        found: Array | SparseRows = (self.x.x if isinstance(self.x, MappedRows) else self.x)[rows]
        return found

    def part(self, rows: NDArray[np.int64]) -> "TrainingData":
        """Return the data of some rows."""
        if isinstance(self.x, MappedRows):
            return replace(self, x=MappedRows(self.x.x, self.target, self.x.dtype, rows))
        given = None if self.sample_weight is None else self.sample_weight[rows]
        weights = _part(self.weights, rows, "trained on")
        return replace(
            self, x=self.x[rows], target=self.target[rows], sample_weight=given, weights=weights
        )


def training_data(
    inputs: InputChecks,
    X: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Any,
    loss: Loss | CustomLoss,
    optimizer: Optimizer | FullBatchOptimizer,
    epochs: int | None,
    validation_data: Any,
) -> TrainingData:
    """Check X, y and their weights, and return them as data to train on.

    The other arguments are needed for the checks; `validation_data` is checked by `hold_out`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit the network, the loss, or the other arguments.
    """
    streams = y is None and not (isinstance(X, np.ndarray) or _checks.is_sparse(X))
    mapped = (
        isinstance(X, np.memmap)
        and is_built_in(loss)
        and not custom_layers(inputs.model)
        and not isinstance(optimizer, FullBatchOptimizer)
        and (X.dtype != inputs.model.dtype or isinstance(validation_data, Real))
    )  # the engine itself reads a memmap of the network's dtype
    if (streams or mapped) and not (sample_weight is None and class_weight is None):
        raise ValueError(
            "sample_weight or class_weight is given; X must be in memory, or a memmap of the "
            "network's dtype with validation_data that is not a share"
        )
    if streams:
        return _of_batches(inputs, X, loss, optimizer, epochs, validation_data)
    if mapped:
        inputs.sample_matrix(X, "X")
        target = inputs.target(loss, y, len(X), "y")
        streaming.check_mapped(X, "X", inputs.model.dtype, inputs.model.plan.n_in)
        return TrainingData(MappedRows(X, target, inputs.model.dtype, None), target, from_file=True)
    x, target, given = inputs.batch_or_sparse(X, y, loss, sample_weight)
    weights = _times_class_weights(inputs.model, given, class_weight, loss, target)
    return TrainingData(x, target, given, weights, from_file=isinstance(X, np.memmap))


def _of_batches(
    inputs: InputChecks,
    X: Any,
    loss: Loss | CustomLoss,
    optimizer: Optimizer | FullBatchOptimizer,
    epochs: int | None,
    validation_data: Any,
) -> TrainingData:
    for name in ("learning_rate", "weight_decay"):
        given = getattr(optimizer, name, None)
        if isinstance(given, Schedule):
            raise ValueError(
                f"optimizer has the schedule {given!r}, which needs the number of updates in an "
                f"epoch; X is an iterable, so a constant {name} is wanted"
            )
    if isinstance(optimizer, FullBatchOptimizer):
        raise ValueError(
            f"X is an iterable, and optimizer is {optimizer!r}, which takes all samples at once; "
            f"an array X, or another optimizer such as Adam(…), is wanted"
        )
    if not hasattr(X, "__iter__") or isinstance(X, str):
        raise TypeError(f"y is None and X is {X!r}; an iterable of pairs (X, y) is wanted")
    if not is_built_in(loss):
        raise TypeError(f"loss is {loss!r}; with an iterable of batches a loss of fastnn is wanted")
    if custom := custom_layers(inputs.model):
        raise TypeError(
            f"X is an iterable, and the network has the custom layer {custom[0]!r}; an array X is "
            f"wanted"
        )
    if inputs.model.plan.has_batch_norm:
        raise ValueError(
            "X is an iterable, whose last batch may have one sample; BatchNorm needs two"
        )
    if isinstance(validation_data, Real):
        raise ValueError("validation_data is a share, and X is an iterable; (X, y) is wanted")
    if epochs != 1 and iter(X) is X:
        raise ValueError(
            f"X is {X!r}, which is exhausted after one epoch; an object whose iter() starts "
            f"anew is wanted, such as a list of batches or a class with __iter__"
        )

    def check(batch: Any, name: str) -> tuple[Any, Any]:
        given_x, given_y = _checks.pair(batch, name)
        given = inputs.sample_matrix(given_x, f"{name}[0]")
        inputs.keep_names(given_x)
        target = inputs.target(loss, given_y, len(given), f"{name}[1]")
        return _checks.converted(given, f"{name}[0]", inputs.model.dtype), target

    return TrainingData(Batches(X, check), np.empty(0))


def _times_class_weights(
    model: Model,
    weights: Array | None,
    class_weight: Mapping[int, float] | str | None,
    loss: Loss | CustomLoss,
    target: Any,
) -> Array | None:
    if class_weight is None:
        return weights
    by_class = class_weights.sample_weights(class_weight, loss, target, model.plan.n_out)
    product = by_class if weights is None else weights * by_class
    name = "sample_weight times class_weight"
    negative = allows_negative_weights(loss)
    return _checks.sample_weight(product, name, model.dtype, len(target), negative)


def hold_out(
    inputs: InputChecks,
    data: TrainingData,
    validation_data: Any,
    loss: Loss | CustomLoss,
    entropy: Any,
) -> tuple[TrainingData, Validation | None]:
    """Return the samples to train on, and the Validation, or None without validation data.

    If `validation_data` is a share, the held-out samples are taken from `data`.

    Raises
    ------
    ValueError, TypeError
        If `validation_data` is invalid.
    """
    name, dtype = "validation_data", inputs.model.dtype
    if validation_data is None:
        _demand_observed(loss, data)
        return data, None
    if isinstance(validation_data, tuple | list):
        X, y, sample_weight = _checks.held_out(validation_data, name)
        x: Array | SparseRows
        names = (f"{name}[0]", f"{name}[1]", f"{name}[2]")
        if isinstance(X, np.memmap) and X.dtype != dtype:
            streaming.check_mapped(X, names[0], dtype, inputs.model.plan.n_in)
            inputs.demand_probabilities(loss, np.require(X[:256], dtype, ["C", "A"]))
            x = X
            target = inputs.target(loss, y, len(X), names[1])
            weights = inputs.weights(loss, sample_weight, len(X), names[2])
        else:
            x, target, weights = inputs.batch_or_sparse(X, y, loss, sample_weight, names)
        _demand_observed(loss, data)
        if is_built_in(loss):
            loss.demand_observed(target, weights, names[1])
        return data, Validation(x, target, weights, loss)
    share = _checks.share(validation_data, name, "a pair (X, y)")
    # a stream of its own, so that the epochs have the same orders as in a fit on `rows` alone
    rng = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(SPLIT,)))
    rows, rows_held_out = validation.split(share, data.target, loss, rng)
    x = data.features(rows_held_out)
    if isinstance(x, np.ndarray):
        x = np.require(x, dtype, ["C", "A"])
    weights = _part(data.sample_weight, rows_held_out, "held out")
    part, held_out = data.part(rows), data.target[rows_held_out]
    _demand_observed(loss, part)
    if is_built_in(loss):
        loss.demand_observed(held_out, weights, "y, of the samples that are held out,")
    return part, Validation(x, held_out, weights, loss)


def _demand_observed(loss: Loss | CustomLoss, data: TrainingData) -> None:
    """Raise ValueError if all targets to train on are missing."""
    if is_built_in(loss):
        rows = data.x.rows if isinstance(data.x, MappedRows) else None
        target = data.target if rows is None else data.target[rows]
        loss.demand_observed(target, data.weights, "y")


def _part(weights: Array | None, rows: NDArray[np.int64], what: str) -> Array | None:
    if weights is None:
        return None
    part = weights[rows]
    if not part.any():
        raise ValueError(f"sample_weight is 0 for all samples that are {what}")
    return part


def refuse_batches_of_one(
    model: Model, n_samples: int, batch_size: int, given: Any, drop_last: bool = False
) -> None:
    """Raise ValueError if BatchNorm would get a batch of one sample.

    `given` is the batch size that the user passed.
    """
    last = batch_size if drop_last else n_samples % batch_size
    if model.plan.has_batch_norm and 1 in (batch_size, last):
        raise ValueError(
            f"batch_size is {given!r}, so one batch of the {n_samples} samples has one sample; "
            f"BatchNorm needs two or more"
        )
