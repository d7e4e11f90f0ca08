"""Standardisation in a fit: means and scales from the training rows, and targets in their units.

A network that ends in Unstandardize trains in standardised units: the targets are (y - mean) /
scale, and the loss compares them with the outputs of the layers before. The network's own outputs,
its derivatives and the validation metrics keep the units of y.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from fastnn import _checks
from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.batch import InputChecks
from fastnn.layers import FixedScaling, Layer, Standardize, Unstandardize
from fastnn.layers.standardize import Moments
from fastnn.losses import CustomLoss, Loss, allows_negative_weights, is_built_in
from fastnn.model import Model
from fastnn.training.data import TrainingData
from fastnn.training.streaming import BLOCK_BYTES, Batches, MappedRows, no_batches
from fastnn.training.validation import Validation

FLOAT64 = np.dtype(np.float64)


@dataclass
class GivenTargets(InputChecks):
    """Checks of a fit whose targets are standardised later: they stay in float64 and in y's units.

    Attributes
    ----------
    network : InputChecks
        The network's own checks, which keep the names of the features.
    """

    network: InputChecks | None = None

    def demand_names(self, X: Any) -> None:
        """Check that a data frame has the network's columns."""
        assert self.network is not None
        self.network.demand_names(X)

    def keep_names(self, X: Any) -> None:
        """Set the network's `feature_names`, if unset."""
        assert self.network is not None
        self.network.keep_names(X)

    def few(self, *arguments: Any) -> None:
        """Return None: the compiled code would round the targets to the network's dtype."""

    def target(self, loss: Loss | CustomLoss, y: Any, n_samples: int, name: str) -> Array:
        """Return real targets (n, n_out); for your own loss and one output also (n,)."""
        shape = (n_samples, self.model.plan.n_out)
        if is_built_in(loss):
            return loss.check_target(y, shape, FLOAT64, name)
        target = super().target(loss, y, n_samples, name)
        checked = _checks.real_targets(target, name, FLOAT64, shape)
        return checked.reshape(target.shape)


class Columns:
    """Mean and scale of each column, where NaN is left out if numbers may be missing."""

    def __init__(self, width: int, may_be_missing: bool) -> None:
        self.may_be_missing = may_be_missing
        places = [slice(j, j + 1) for j in range(width)] if may_be_missing else [slice(0, width)]
        self.parts = [(place, Moments(place.stop - place.start)) for place in places]

    def add(self, rows: Array, weights: Array | None) -> None:
        """Add rows (m, width) with weights (m,) or None."""
        for place, moments in self.parts:
            part, own = rows[:, place], weights
            if self.may_be_missing:
                observed = ~np.isnan(part[:, 0])
                part, own = part[observed], None if own is None else own[observed]
            if len(part):
                moments.add(part, own)

    def join(self, other: "Columns") -> None:
        """Add the rows of another object."""
        for (_, moments), (_, others) in zip(self.parts, other.parts, strict=True):
            moments.join(others)

    def mean_and_scale(self) -> Array:
        """Return the means and scales (2 width,); 0 and 1 for a column without numbers."""
        pairs = [
            (moments.mean(), moments.scale()) if moments.n else (np.zeros(1), np.ones(1))
            for _, moments in self.parts
        ]
        return np.concatenate([part for parts in zip(*pairs, strict=True) for part in parts])


class Totals:
    """The columns of X and of y; None if their means and scales are not wanted."""

    def __init__(self, n_in: int, x: Columns | None, y: Columns | None) -> None:
        self.n_in, self.columns, self.n_rows = n_in, (x, y), 0

    def add(self, blocks: Iterable[tuple[Array, Array, Array | None]]) -> None:
        """Add blocks of rows: features, targets in y's units, and weights or None."""
        for x, y, weights in blocks:
            self.n_rows += len(x)
            for columns, rows in zip(self.columns, (x, y), strict=True):
                if columns is not None:
                    columns.add(rows.reshape(len(rows), -1).astype(FLOAT64), weights)

    def join(self, other: "Totals") -> None:
        """Add the rows of another object."""
        self.n_rows += other.n_rows
        for columns, others in zip(self.columns, other.columns, strict=True):
            if columns is not None and others is not None:
                columns.join(others)


class Processes(Protocol):
    """What the values need of the processes that train together."""

    def add_up(self, totals: Totals, data: TrainingData, weights: Array | None) -> Totals:
        """Return the totals of the rows of all processes."""
        ...

    def first(self, what: str, work: Callable[[], Array]) -> Array:
        """Return what `work()` returns in the first process; `what` is its name in messages."""
        ...


class Standardization:
    """What one fit standardises.

    Parameters
    ----------
    standardize : None, "X", "y" or "both"
        Which means and scales to set from the training rows.
    layers : sequence of Layer
    model : Model
    operations : list
        The engine's descriptions of the layers.
    inputs : InputChecks
    loss : Loss or CustomLoss

    Attributes
    ----------
    model : Model
        What the fit trains: the network, without Unstandardize as its last layer.
    inputs : InputChecks
        The checks of the fit's data.

    Raises
    ------
    ValueError, TypeError
        If `standardize` is invalid, the layer that it needs is missing, or the loss does not suit a
        network that ends in Unstandardize.
    """

    def __init__(
        self,
        standardize: Any,
        layers: Sequence[Layer],
        model: Model,
        operations: list[Any],
        inputs: InputChecks,
        loss: Any,
    ) -> None:
        self.given = standardize
        if standardize is not None:
            self.given = _checks.choice(standardize, "standardize", ("X", "y", "both"))
        first, last = layers[0], layers[-1]
        self._first: FixedScaling | None = None
        self._last = last if isinstance(last, Unstandardize) else None
        wanted = []
        if self.given in ("X", "both") and not isinstance(first, Standardize):
            n = model.plan.n_in
            wanted.append(f"    fn.Standardize(np.zeros({n}), np.ones({n})),  # the first layer")
        if self.given in ("y", "both") and not isinstance(last, Unstandardize):
            n = model.plan.n_out
            wanted.append(f"    fn.Unstandardize(np.zeros({n}), np.ones({n})),  # the last layer")
        if wanted:
            raise ValueError(
                f"standardize is {self.given!r}, but the network lacks the layers that keep the "
                f"means and scales; add them to its list of layers:\n" + "\n".join(wanted)
            )
        if isinstance(first, Standardize) and self.given in ("X", "both"):
            self._first = first
        self._sets_y = self.given in ("y", "both")
        self._constants = model.constants
        # with negative weights, a mean would have no meaning
        self._ignores_weights = allows_negative_weights(loss)
        self._may_be_missing = bool(getattr(loss, "ignore_nan", False))  # a target that is NaN
        self.model, self.inputs = model, inputs
        if self._last is not None:
            _demand_loss(loss)
            n = model.plan.n_out
            self.model = model.with_operations(
                operations[:-1] or [("identity", n, n, False, 0.0, 0.0)]
            )
            self.inputs = GivenTargets(model, network=inputs)

    def values(
        self, data: TrainingData, saved: Sequence[Layer] | None, processes: Processes
    ) -> list[Array | None]:
        """Return what `write` stores: means and scales of the first and of the last layer.

        None leaves a layer as it is. `saved` are the layers of a checkpoint that the fit resumes,
        or None. Their values are used again. The values are the same in all processes.

        Raises
        ------
        ValueError
            If a mean or scale is out of the range of the dtype, or the data can be read only once.
        """
        if saved is not None:
            own = self._first, self._last
            return [_values_of(*pair) for pair in zip(own, (saved[0], saved[-1]), strict=True)]
        plan = self.model.plan
        totals = Totals(
            plan.n_in,
            Columns(plan.n_in, False) if self._first is not None else None,
            Columns(plan.n_out, self._may_be_missing) if self._sets_y else None,
        )
        if any(totals.columns):
            given = None if self._ignores_weights else data.sample_weight
            totals = processes.add_up(totals, data, given)
            if not totals.n_rows:
                raise no_batches(0)
        found = [
            None if columns is None else self._checked(columns, name)
            for columns, name in zip(totals.columns, ("X", "y"), strict=True)
        ]
        last = self._last
        if last is not None and found[1] is None:  # each process standardises its targets by it
            found[1] = processes.first("the last layer", lambda: _constants_of(last))
        return found

    def _checked(self, columns: Columns, name: str) -> Array:
        dtype = self._constants.dtype
        with np.errstate(over="ignore", under="ignore"):
            values = columns.mean_and_scale().astype(dtype)
        if not (np.isfinite(values).all() and values[len(values) // 2 :].all()):
            raise ValueError(
                f"{name} has a column whose mean or standard deviation is out of the range of "
                f"{dtype}; other units, or a network of float64, are wanted"
            )
        return values

    def write(self, values: list[Array | None]) -> list[tuple[FixedScaling, Array]]:
        """Store the result of `values` in the layers; return their former values for `undo`."""
        before = []
        for layer, new in zip((self._first, self._last), values, strict=True):
            if layer is not None and new is not None:
                before.append((layer, _constants_of(layer)))
                layer.set_constants(new)
        return before

    def undo(self, before: list[tuple[FixedScaling, Array]]) -> None:
        """Restore the values from before `write`."""
        for layer, values in before:
            layer.set_constants(values)

    def in_training_units(
        self, data: TrainingData, held_out: Validation | None
    ) -> tuple[TrainingData, Validation | None]:
        """Return the data with standardised targets, if the network ends in Unstandardize."""
        if self._last is None:
            return data, held_out
        source, target = data.x, data.target
        if isinstance(source, Batches):
            check = source.check

            def standardized(batch: Any, name: str) -> tuple[Any, Any]:
                x, y = check(batch, name)
                return x, self._standardized(y)

            data = replace(data, x=Batches(source.given, standardized))
        else:
            target = self._standardized(data.target)
            if isinstance(source, MappedRows):
                source = MappedRows(source.x, target, source.dtype, source.rows)
            data = replace(data, x=source, target=target)
        if held_out is not None:
            given = held_out.target
            held_out = replace(
                held_out,
                target=self._standardized(given),
                given=given.astype(self._constants.dtype),
                last=self._last,
            )
        return data, held_out

    def _standardized(self, target: Array) -> Array:
        """Return (y - mean) / scale, computed in float64 and rounded to the network's dtype."""
        assert self._last is not None
        mean, scale = self._last.mean.astype(FLOAT64), self._last.scale.astype(FLOAT64)
        with np.errstate(over="ignore", under="ignore"):
            standardized: Array = ((target - mean) / scale).astype(self._constants.dtype)
        if np.isinf(standardized).any():
            raise ValueError(
                f"y is too far from the mean of {self._last!r} for {self._constants.dtype}, "
                f'counted in its scales; standardize="y" sets both from the training rows'
            )
        return standardized


def _constants_of(layer: FixedScaling) -> Array:
    return np.concatenate([layer.mean, layer.scale])


def _values_of(own: Layer | None, saved: Layer) -> Array | None:
    """Return mean and scale of a saved layer, if it corresponds to a layer of the network."""
    if own is None or type(saved) is not type(own) or saved.in_features != own.in_features:
        return None
    assert isinstance(saved, FixedScaling)
    return _constants_of(saved)


def _demand_loss(loss: Any) -> None:
    """Check that a loss can compare outputs and targets in standardised units."""
    if is_built_in(loss) and not loss.of_errors:
        raise ValueError(
            f"loss is {loss!r}, and the network ends in Unstandardize, which trains on (y - mean) "
            f"/ scale; a loss of the error, such as MeanSquaredError(), is wanted, or a network "
            f"without this layer"
        )


def block_rows(n_in: int) -> int:
    """Return the number of rows in a block."""
    return max(BLOCK_BYTES // (8 * n_in), 1)


def blocks_of(data: TrainingData, sample_weight: Array | None, n_in: int) -> Any:
    """Yield the training rows in blocks: features, targets in y's units, and weights or None."""
    rows = block_rows(n_in)
    source = data.x
    if isinstance(source, SparseRows):
        for part in source.blocks():
            weights = None if sample_weight is None else sample_weight[part]
            yield source.dense(part), data.target[part], weights
        return
    if isinstance(source, np.ndarray):
        for start in range(0, len(source), rows):
            part = slice(start, start + rows)
            weights = None if sample_weight is None else sample_weight[part]
            yield source[part], data.target[part], weights
        return
    if isinstance(source, Batches) and isinstance(source.given, Iterator):
        raise ValueError(
            f"X is {source.given!r}, which can be read only once; standardize reads it before the "
            f"first epoch, so an object whose iter() starts anew is wanted"
        )
    is_iterable = isinstance(source, Batches)  # of one process of several, it may be empty
    blocks = source.blocks_if_any(0, rows) if is_iterable else source.blocks(None, 0, rows)
    for x, y, _ in blocks:
        yield x, y, None
