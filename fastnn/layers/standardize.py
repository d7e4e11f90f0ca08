"""A fixed layer that standardises features, so that a saved model takes raw ones."""

from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, jacobians
from fastnn._checks import frames
from fastnn._core.arrays import Array
from fastnn.layers.base import Layer


class Moments:
    """Mean and standard deviation of each column of data that come a block of rows at a time.

    The first row is subtracted from all, so that a large offset cancels nothing; the blocks' sums
    of squared deviations are joined by the formula of Chan, Golub and LeVeque. A column is divided
    by a power of two, which is exact, that brings its largest entry below 1: no square overflows,
    and none that matters underflows.
    """

    def __init__(self, n_columns: int) -> None:
        self.n = 0
        self.least, self.greatest = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)
        self._exponent = np.zeros(n_columns, np.int32)
        # of the scaled data: the first row, the mean without it, the sum of squared deviations
        self._first, self._mean, self._squares = np.zeros((3, n_columns))

    def add(self, rows: Array) -> None:
        """Take in some rows (m, n_columns) of finite numbers, at least one."""
        m = len(rows)
        self.least = np.minimum(self.least, rows.min(axis=0))
        self.greatest = np.maximum(self.greatest, rows.max(axis=0))
        exponent = np.frexp(np.maximum(self.greatest, -self.least))[1]
        with np.errstate(under="ignore"):
            shift = self._exponent - exponent
            self._first = np.ldexp(self._first, shift)
            self._mean = np.ldexp(self._mean, shift)
            self._squares = np.ldexp(self._squares, 2 * shift)
            self._exponent = exponent
            scaled = np.ldexp(rows, -exponent)
            if not self.n:
                self._first = scaled[0].copy()
            scaled -= self._first
            mean = scaled.mean(axis=0)
            scaled -= mean
            remainder = scaled.mean(axis=0)  # what rounding left of the mean
            mean += remainder
            squares = np.einsum("ij,ij->j", scaled, scaled) - m * remainder**2
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


class Standardize(Layer):
    """y = (x - mean) / scale, feature by feature, of Jacobian diag(1 / scale).

    Mean and scale are constants: training does not change them, and a model file holds them.
    Features are rounded to the network's dtype first: those that vary little about a large mean,
    such as time stamps, want dtype="float64".

    Parameters
    ----------
    mean, scale : array_like (n_features,)
        Scales are positive.

    Raises
    ------
    ValueError, TypeError
        If they are not two vectors of one length, finite and with positive scales.
    """

    kind: ClassVar[str] = "standardize"
    in_features: int
    out_features: int
    feature_names: list[str] | None = None  # of the frame that `from_data` took

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

    @classmethod
    def from_data(cls, X: Any) -> "Standardize":
        """Take mean and standard deviation of each column of X (n, n_features).

        A column that is constant gets the scale 1. X is read once, a block of rows at a time, so
        that it may be a `numpy.memmap` that is larger than memory. The layer keeps the column
        names of a data frame as its `feature_names`, for a network that begins with it; later
        frames must have the same.

        Raises
        ------
        ValueError, TypeError
            If X is not a matrix of finite real numbers with at least one row and column.
        """
        data = _checks.numeric_array(X, "X")
        if data.ndim != 2 or data.size == 0:
            raise ValueError(f"X has shape {data.shape}; (n, n_features) is wanted")
        moments = Moments(data.shape[1])
        for block in _checks.row_blocks(data, "X", np.dtype(np.float64)):
            moments.add(block)
        deviation = moments.deviation()
        constant = moments.greatest == moments.least
        layer = cls(moments.mean(), np.where(constant | (deviation == 0), 1.0, deviation))
        layer.feature_names = frames.column_names(X)
        return layer

    @property
    def mean(self) -> Array:
        """Subtracted from each feature, (n_features,); read-only."""
        return self._read_only_constants()[: self.in_features]

    @property
    def scale(self) -> Array:
        """Divides each feature, (n_features,); read-only."""
        return self._read_only_constants()[self.in_features :]

    def arrays(self) -> dict[str, Array]:
        """Return mean and scale."""
        return {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> "Standardize":
        """Make the layer that `config()` and `arrays()` came from."""
        return cls(**config, **arrays)

    def __repr__(self) -> str:
        return f"Standardize({self.in_features} features)"

    def _prepare(self, x: Any) -> tuple[Any, Array, bool]:
        if self.feature_names is not None and (found := frames.column_names(x)) is not None:
            frames.same_names(found, self.feature_names)
        return super()._prepare(x)

    def _by_input(self, x: Array) -> jacobians.Diagonal:
        return jacobians.Diagonal(1 / self.scale.astype(x.dtype))

    def _dtype(self) -> np.dtype[Any] | None:
        return self._constants.dtype if self._in_network else None
