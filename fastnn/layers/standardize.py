"""A layer that standardises features, so that a saved model takes the raw features."""

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
        self.n = 0
        self.least, self.greatest = np.full(n_columns, np.inf), np.full(n_columns, -np.inf)
        self._exponent = np.zeros(n_columns, np.int32)
        # all for the scaled data: the first row, the mean of the rows minus the first row, and
        # the sum of squared deviations
        self._first, self._mean, self._squares = np.zeros((3, n_columns))

    def add(self, rows: Array) -> None:
        """Add at least one row, (m, n_columns), of finite numbers."""
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
            remainder = scaled.mean(axis=0)  # the rounding error of the mean
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
    """y = (x - mean) / scale for each feature, with the Jacobian diag(1 / scale).

    Mean and scale are constants: training does not change them, and a model file holds them.
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
    in_features: int
    out_features: int
    feature_names: list[str] | None = None  # the column names of the data in `from_data`

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
        """The number subtracted from each feature, (n_features,); read-only."""
        return self._read_only_constants()[: self.in_features]

    @property
    def scale(self) -> Array:
        """The divisor of each feature, (n_features,); read-only."""
        return self._read_only_constants()[self.in_features :]

    def arrays(self) -> dict[str, Array]:
        """Return mean and scale."""
        return {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> "Standardize":
        """Return a new layer, made from the results of `config()` and `arrays()`."""
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
