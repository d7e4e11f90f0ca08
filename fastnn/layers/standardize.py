"""Layers that standardise features and undo it for targets, so that a model uses raw units."""

from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, jacobians
from fastnn._checks import frames
from fastnn._core.arrays import Array
from fastnn.layers.base import Layer


class Moments:
    """Mean and standard deviation of each column, accumulated over blocks of rows.

    The first row is subtracted from all rows, so that a large common offset costs no accuracy. The
    sums of squared deviations of two blocks are joined by the formula of Chan, Golub and LeVeque.
    Each column is divided by a power of two that brings its largest entry below 1. The division is
    exact, no square overflows, and a square that underflows is too small to change the sum.
    """

    def __init__(self, n_columns: int) -> None:
        self.n: float = 0  # the number of rows, or the sum of their weights
        self.least, self.greatest = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)
        self._exponent = np.zeros(n_columns, np.int32)
        # all for the scaled data: the first row, the mean of the rows minus the first row, and
        # the sum of squared deviations
        self._first, self._mean, self._squares = np.zeros((3, n_columns))

    def add(self, rows: Array, weights: Array | None = None) -> None:
        """Add at least one row, (m, n_columns), of finite numbers.

        A row with the weight w counts as w rows; rows without a positive weight are left out.
        """
        m = len(rows)
        if weights is not None:
            counted = weights > 0
            if not counted.any():
                return
            rows, weights = rows[counted], weights[counted].astype(np.float64)
            m = weights.sum()
        with np.errstate(under="ignore"):
            self._widen(rows.min(axis=0), rows.max(axis=0))
            scaled = np.ldexp(rows, -self._exponent)
            if not self.n:
                self._first = scaled[0].copy()
            scaled -= self._first
            mean = _mean(scaled, weights)
            scaled -= mean
            remainder = _mean(scaled, weights)  # the rounding error of the mean
            mean += remainder
            if weights is None:
                squares = np.einsum("ij,ij->j", scaled, scaled) - m * remainder**2
            else:
                squares = np.einsum("i,ij,ij->j", weights, scaled, scaled) - m * remainder**2
            self._count(m, mean, squares)

    def join(self, other: "Moments") -> None:
        """Add the rows of another object, which may have none."""
        if not other.n:
            return
        with np.errstate(under="ignore"):
            self._widen(other.least, other.greatest)
            other._widen(self.least, self.greatest)
            if not self.n:
                self._first = other._first.copy()
            mean = other._first - self._first + other._mean
            self._count(other.n, mean, other._squares)

    def _widen(self, least: Array, greatest: Array) -> None:
        """Extend the range of the columns, and scale them for it."""
        self.least = np.minimum(self.least, least)
        self.greatest = np.maximum(self.greatest, greatest)
        exponent = np.frexp(np.maximum(self.greatest, -self.least))[1]
        shift = self._exponent - exponent
        self._first = np.ldexp(self._first, shift)
        self._mean = np.ldexp(self._mean, shift)
        self._squares = np.ldexp(self._squares, 2 * shift)
        self._exponent = exponent

    def _count(self, m: float, mean: Array, squares: Array) -> None:
        """Add m rows, of which the mean minus the first row and the squares are given."""
        difference, share = mean - self._mean, m / (self.n + m)
        self._mean += difference * share
        self._squares += squares + difference**2 * (self.n * share)
        self.n += m

    def mean(self) -> Array:
        """Return each column's mean."""
        scaled: Array = np.ldexp(self._first + self._mean, self._exponent)
        return np.clip(scaled, self.least, self.greatest)

    def deviation(self) -> Array:
        """Return each column's standard deviation, √(Σ (x - mean)² / n)."""
        deviation: Array = np.ldexp(np.sqrt(np.maximum(self._squares, 0) / self.n), self._exponent)
        return deviation

    def scale(self) -> Array:
        """Return each column's standard deviation, or 1 if the column is constant."""
        deviation = self.deviation()
        constant = (self.greatest == self.least) | (deviation == 0)
        return np.where(constant, 1.0, deviation)


def _mean(rows: Array, weights: Array | None) -> Array:
    mean: Array = rows.mean(axis=0) if weights is None else weights @ rows / weights.sum()
    return mean


class FixedScaling(Layer):
    """The base class of the layers that scale and shift each feature by constants.

    Attributes
    ----------
    feature_names : list of str, or None
        The column names of the data in `Standardize.from_data`.
    """

    in_features: int
    out_features: int
    feature_names: list[str] | None = None

    def __init__(self, mean: Any, scale: Any) -> None:
        float64 = np.dtype(np.float64)
        mean = _checks.real_array(mean, "mean", float64, 1)
        if mean.size == 0:
            raise ValueError(f"mean has shape {mean.shape}; (n_features,) is wanted")
        scale = _checks.shaped_array(scale, "scale", float64, mean.shape)
        if scale.min() <= 0:
            place = int(np.argmin(scale))
            raise ValueError(f"scale[{place}] is {scale[place]:g}; positive numbers are wanted")
        self.in_features = self.out_features = mean.size
        self.n_constants = 2 * mean.size
        self._constants = np.concatenate([mean, scale])

    @property
    def mean(self) -> Array:
        """The mean of each feature, (n_features,); read-only."""
        return self._read_only_constants()[: self.in_features]

    @property
    def scale(self) -> Array:
        """The scale of each feature, (n_features,); read-only."""
        return self._read_only_constants()[self.in_features :]

    def demand_dtype(self, dtype: np.dtype[Any]) -> None:
        """Raise ValueError if a scale is 0 in this dtype."""
        if not self.scale.astype(dtype).all():
            raise ValueError(f"a scale is out of the range of {dtype}")

    def set_constants(self, constants: Array) -> None:
        """Overwrite mean and scale by checked values (2 n_features,)."""
        self._constants[...] = constants

    def arrays(self) -> dict[str, Array]:
        """Return mean and scale."""
        return {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> "FixedScaling":
        """Return a new layer, made from the results of `config()` and `arrays()`."""
        return cls(**config, **arrays)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.in_features} features)"

    def _dtype(self) -> np.dtype[Any] | None:
        return self._constants.dtype if self._in_network else None


class Standardize(FixedScaling):
    """y = (x - mean) / scale for each feature, with the Jacobian diag(1 / scale).

    Mean and scale are constants: training does not change them, and a model file holds them. If it
    is the first layer of a network, `fit(…, standardize="X")` sets them from the training rows.
    Features are first rounded to the network's dtype. Use a network with dtype="float64" if a
    feature varies little about a large mean, as time stamps do.

    Parameters
    ----------
    mean, scale : array_like (n_features,)
        All scales must be positive.

    Raises
    ------
    ValueError, TypeError
        If mean and scale differ in length, are not finite, or a scale is not positive.
    """

    kind: ClassVar[str] = "standardize"

    @classmethod
    def from_data(cls, X: Any) -> "Standardize":
        """Return a layer with the mean and standard deviation of each column of X (n, n_features).

        A constant column gets the scale 1. X is read once, in blocks of rows, so it may be a
        `numpy.memmap` larger than memory. If X is a data frame, its column names become the layer's
        `feature_names`, and those of a network whose first layer this is. Later data frames must
        have the same names.

        Raises
        ------
        ValueError, TypeError
            If X is not a matrix of finite real numbers with at least one row and column.
        """
        data = _checks.numeric_array(X, "X")
        if data.ndim != 2 or data.size == 0:
            raise ValueError(f"X has shape {data.shape}; (n, n_features) is wanted")
        layer = cls(*_mean_and_scale(data, "X"))
        layer.feature_names = frames.column_names(X)
        return layer

    def _prepare(self, x: Any) -> tuple[Any, Array, bool]:
        if self.feature_names is not None and (found := frames.column_names(x)) is not None:
            frames.same_names(found, self.feature_names)
        return super()._prepare(x)

    def _by_input(self, x: Array) -> jacobians.Diagonal:
        return jacobians.Diagonal(1 / self.scale.astype(x.dtype))


class Unstandardize(FixedScaling):
    """y = x * scale + mean for each output, with the Jacobian diag(scale).

    It undoes a Standardize with the same mean and scale. As the last layer of a network for
    regression, it returns predictions in the units of the targets, while the layers before it
    compute numbers of about unit size. `fit` then trains those layers on (y - mean) / scale, so
    that learning rates and tolerances do not depend on the units. `standardize="y"` sets mean and
    scale from the targets of the training rows.

    Mean and scale are constants: training does not change them, and a model file holds them.

    Parameters
    ----------
    mean, scale : array_like (n_features,)
        All scales must be positive.

    Raises
    ------
    ValueError, TypeError
        If mean and scale differ in length, are not finite, or a scale is not positive.
    """

    kind: ClassVar[str] = "unstandardize"

    @classmethod
    def from_data(cls, y: Any) -> "Unstandardize":
        """Return a layer with the mean and standard deviation of targets (n, n_outputs) or (n,).

        A constant column gets the scale 1. y is read once, in blocks of rows.

        Raises
        ------
        ValueError, TypeError
            If y does not hold finite real numbers in at least one row and column.
        """
        data = _checks.numeric_array(y, "y")
        if data.ndim not in (1, 2) or data.size == 0:
            raise ValueError(f"y has shape {data.shape}; (n, n_outputs) or (n,) is wanted")
        return cls(*_mean_and_scale(data.reshape(len(data), -1), "y"))

    def _by_input(self, x: Array) -> jacobians.Diagonal:
        return jacobians.Diagonal(self.scale.astype(x.dtype))


def _mean_and_scale(data: Array, name: str) -> tuple[Array, Array]:
    moments = Moments(data.shape[1])
    for block in _checks.row_blocks(data, name, np.dtype(np.float64)):
        moments.add(block)
    return moments.mean(), moments.scale()
