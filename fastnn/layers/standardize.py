"""A fixed layer that standardises features, so that a saved model takes raw ones."""

from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, jacobians
from fastnn.layers.base import Array, Layer


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

    def __init__(self, mean: Any, scale: Any) -> None:
        float64 = np.dtype(np.float64)
        mean = _checks.real_array(mean, "mean", float64)
        if mean.ndim != 1 or mean.size == 0:
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

        A column that is constant gets the scale 1.

        Raises
        ------
        ValueError, TypeError
            If X is not a matrix of finite real numbers with at least one row and column.
        """
        data = _checks.real_array(X, "X", np.dtype(np.float64))
        if data.ndim != 2 or data.size == 0:
            raise ValueError(f"X has shape {data.shape}; (n, n_features) is wanted")
        # sums and squares of numbers up to 2 do not overflow; what underflows does not matter
        unit = _power_of_two(np.abs(data).max(axis=0))
        mean = (data / unit).mean(axis=0) * unit
        centred = data - mean
        spread = _power_of_two(np.abs(centred).max(axis=0))
        centred /= spread
        deviation = centred.std(axis=0) * spread
        constant = data.max(axis=0) == data.min(axis=0)
        return cls(mean, np.where(constant | (deviation == 0), 1.0, deviation))

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

    def _by_input(self, x: Array) -> jacobians.Diagonal:
        return jacobians.Diagonal(1 / self.scale.astype(x.dtype))

    def _dtype(self) -> np.dtype[Any] | None:
        return self._constants.dtype if self._in_network else None


def _power_of_two(largest: Array) -> Array:
    """Return the power of two at or below each number, which divides without rounding."""
    unit: Array = np.ldexp(1.0, np.frexp(largest)[1] - 1)
    return unit
