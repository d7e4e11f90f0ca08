"""The method of a network that draws its initial weights from data."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.layers import Layer, Linear
from fastnn.network.base import NetworkBase
from fastnn.optimizers import OptimizerState

MOST_ROWS = 10_000  # the error of a standard deviation of so many rows is below 1 %
ROWS_OF_BIAS = 5
UNITS, BLOCK = 64, 1024  # units, and rows, that are computed at a time, to save memory


class Initialization(NetworkBase):
    """The method of `Network` that initialises it from data."""

    _optimizer_state: OptimizerState
    _refuse_while_training: Callable[[], None]

    def initialize(self, X: Any, seed: int | None = None) -> None:
        """Draw the weights and biases of the linear layers anew, to suit the data.

        The layers are initialised from the first to the last. Each weight is drawn from N(0, 1),
        and each unit's weights are divided by the standard deviation of its pre-activation W a on
        the rows of X, where a is the output of the layers before. So every unit starts with
        pre-activations of variance 1. The bias is minus a convex combination of the unit's
        pre-activations on 5 random rows, with weights in proportion to draws from the exponential
        distribution. So the kinks of the units are spread over the data. This is "he+5" of RealMLP
        (Holzmüller et al. 2024).

        Parameters
        ----------
        X : array_like or sparse matrix (n, in_features)
            The training samples, at least one. Of more than 10,000, a random 10,000 are used.
        seed : int, optional
            The seed of all random numbers, at least 0. By default they differ in each call.

        Raises
        ------
        RuntimeError
            If `fit` is training the network.
        ValueError, TypeError
            If X is empty, has another shape, or holds anything but finite real numbers; or if the
            pre-activations overflow. The network is then unchanged.

        Notes
        -----
        If a pre-activation is the same on all rows, its weights are divided by √in_features. Frozen
        layers and all other parameters stay as they are; the linear layers inside blocks are
        initialised too. The state of the optimizer is reset.
        """
        self._refuse_while_training()
        rng = np.random.default_rng(_checks.seed(seed))
        x = self._some_rows(X, rng)
        before = self._model.params.copy()
        try:
            _initialize(self._layers, x, rng)
        except BaseException:
            self._model.params[...] = before
            raise
        self._optimizer_state = OptimizerState()

    def _some_rows(self, X: Any, rng: "np.random.Generator") -> Array:
        """Return at most `MOST_ROWS` rows of X in the network's dtype."""
        x: Any
        if _checks.is_sparse(X):
            x, _ = self._inputs.sparse_samples(X)
        else:
            given, single = self._inputs.samples(X)
            x = _checks.converted(given, "X", self.dtype, single)
        if not len(x):
            raise ValueError("X has no samples; at least one is wanted")
        rows: Any = slice(None)
        if len(x) > MOST_ROWS:
            rows = np.sort(rng.choice(len(x), MOST_ROWS, replace=False))
        some: Array = x.dense(rows) if _checks.is_sparse(X) else x[rows]
        return some


def _initialize(layers: Sequence[Layer], x: Array, rng: "np.random.Generator") -> None:
    """Initialise layers, one after the other, whose input is x (n, in_features)."""
    for layer in layers:
        for _, inner in layer.inner_layers():
            _initialize(inner, x, rng)
        if isinstance(layer, Linear) and layer.trainable:
            _initialize_linear(layer, x, rng)
        x = layer(x)
        if not np.isfinite(x).all():
            raise ValueError(f"X leads to outputs of {layer!r} that overflow")


def _initialize_linear(layer: Linear, x: Array, rng: "np.random.Generator") -> None:
    n_units = layer.out_features
    weight = rng.standard_normal((n_units, layer.in_features))
    if layer.bias is not None:
        rows = rng.integers(len(x), size=(ROWS_OF_BIAS, n_units))
        shares = rng.standard_exponential(rows.shape)
        shares /= shares.sum(axis=0)
    factor = np.full(n_units, layer.in_features**-0.5)
    centre = np.empty(n_units)
    blocks = [x[start : start + BLOCK] for start in range(0, len(x), BLOCK)]
    for first in range(0, n_units, UNITS):
        units = slice(first, first + UNITS)
        with np.errstate(over="ignore", invalid="ignore"):
            z = np.concatenate([block.astype(np.float64) @ weight[units].T for block in blocks])
        if not np.isfinite(z).all():
            raise ValueError(f"X leads to pre-activations of {layer!r} that overflow")
        if layer.bias is not None:
            some = np.take_along_axis(z, rows[:, units], axis=0)
            centre[units] = (shares[:, units] * some).sum(axis=0)
        largest = np.maximum(z.max(axis=0), -z.min(axis=0))
        unit = np.where(largest > 0, largest, 1)  # the squares of z might overflow
        z /= unit
        deviation = z.std(axis=0)
        varies = deviation > 16 * np.finfo(x.dtype).eps  # else these are rounding errors
        factor[units][varies] = 1 / (deviation * unit)[varies]
    layer.weight = weight * factor[:, np.newaxis]
    if layer.bias is not None:
        layer.bias = -factor * centre
