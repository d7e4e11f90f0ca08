"""The periodic embedding of numeric columns."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.initializers import Initializer
from fastnn.layers.column_embedding import ColumnEmbedding
from fastnn.layers.weighted import Shapes


class PeriodicEmbedding(ColumnEmbedding):
    """Replace columns x by W cos(2π f x + p) + b, with learned frequencies f and phases p.

    The first `columns` columns are embedded, each on its own. An embedded column x is replaced by
    the numbers of its embedding; if `joined`, x stands in front of them. All other columns follow
    unchanged. Networks learn functions with fast changes better from such features. With x joined
    this is the embedding PBLD of RealMLP (Holzmüller et al. 2024). Gorishniy et al. (2022) proposed
    periodic embeddings.

    Parameters
    ----------
    in_features : int
        The width of the input.
    columns : int, optional
        How many columns are embedded, from the first one; by default all of them.
    frequencies : int
        How many frequencies each column has; by default 16.
    size : int
        How many numbers the embedding of a column has, without x; by default 3.
    sigma : float
        The standard deviation of the initial frequencies, at least 0; by default 0.1, which suits
        columns of about unit size.
    joined : bool
        Whether x stands in front of its embedding; by default True.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or of the wrong type.

    Notes
    -----
    The parameters are `frequency` and `phase`, both (columns, frequencies), `weight`
    (columns, size, frequencies) and `bias` (columns, size). Initial frequencies are normal with
    mean 0, phases uniform in (-π, π), and weights and biases uniform in ±1/√frequencies.

    The cosine is accurate to the last bits while the angle 2π f x + p is below about 1e4 in
    float32, or 1e6 in float64. From 4e6 or 1e15 on it is constant.
    """

    kind: ClassVar[str] = "periodic_embedding"

    def __init__(
        self,
        in_features: int,
        columns: int | None = None,
        frequencies: int = 16,
        size: int = 3,
        sigma: float = 0.1,
        joined: bool = True,
    ) -> None:
        self._set_widths(in_features, columns, size)
        self.frequencies = _checks.integer(frequencies, "frequencies", at_least=1)
        self.sigma = _checks.number(sigma, "sigma", at_least=0)
        self.joined = _checks.boolean(joined, "joined")
        self._set_features(self.frequencies, self.joined)

    def parameter_shapes(self) -> Shapes:
        """Return the shape of each parameter by its name, in the order of the flat arrays."""
        shape = (self.columns, self.frequencies)
        return {"frequency": shape, "phase": shape, **super().parameter_shapes()}

    def new_values(self, rng: "np.random.Generator", default: "Initializer") -> Sequence[Array]:
        """Return initial values of the parameters, in their order."""
        shape = (self.columns, self.frequencies)
        frequency = self.sigma * rng.standard_normal(shape)
        phase = rng.uniform(-np.pi, np.pi, shape)
        return [frequency, phase, *super().new_values(rng, default)]

    @property
    def frequency(self) -> Array:
        """The frequencies of each column, (columns, frequencies); writable."""
        return self._parameter("frequency")

    @frequency.setter
    def frequency(self, value: Any) -> None:
        self._set_parameter("frequency", value)

    @property
    def phase(self) -> Array:
        """The phases in radians, (columns, frequencies), writable; assigning copies into them."""
        return self._parameter("phase")

    @phase.setter
    def phase(self, value: Any) -> None:
        self._set_parameter("phase", value)

    @property
    def frequency_grad(self) -> Array | None:
        """The gradient with respect to the frequencies; None outside a network."""
        return self._gradient("frequency")

    @property
    def phase_grad(self) -> Array | None:
        """The gradient with respect to the phases; None outside a network."""
        return self._gradient("phase")

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        return {
            "in_features": self.in_features,
            "columns": self.columns,
            "frequencies": self.frequencies,
            "size": self.size,
            "sigma": self.sigma,
            "joined": self.joined,
        }

    def _angles(self, x: Array) -> tuple[Array, Array]:
        """Return the angles and the frequencies, both (columns, frequencies)."""
        own = self.split(self._flat_params(x.dtype))
        turn = x.dtype.type(2 * np.pi) * x[:, np.newaxis]
        return turn * own["frequency"] + own["phase"], own["frequency"]

    def _values_of_features(self, x: Array) -> Array:
        return np.cos(self._angles(x)[0])

    def _slopes(self, x: Array) -> Array:
        angles, frequency = self._angles(x)
        slopes: Array = -np.sin(angles) * (x.dtype.type(2 * np.pi) * frequency)
        return slopes

    def _by_params(self, x: Array) -> jacobians.Block:
        embedded = x[: self.columns]
        weight = self.split(self._flat_params(x.dtype))["weight"]
        by_phase = weight * -np.sin(self._angles(embedded)[0])[:, np.newaxis]
        turn = x.dtype.type(2 * np.pi) * embedded
        by_frequency = by_phase * turn[:, np.newaxis, np.newaxis]
        blocks = [
            self._of_columns([jacobians.Dense(matrix) for matrix in matrices], x)
            for matrices in (by_frequency, by_phase)
        ]
        return jacobians.Block([*blocks, *self._by_weight_and_bias(x)])
