"""The base class of the embeddings of numeric columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.initializers import Initializer
from fastnn.jacobians import Jacobian
from fastnn.layers.base import Layer, Operation
from fastnn.layers.weighted import Parametrized, Shapes


class ColumnEmbedding(Parametrized):
    """The base class of the embeddings of numeric columns; use one of its subclasses.

    A subclass computes some features φ(x) of each column x. The embedding of the column is
    W φ(x) + b. Each column has its own weight W and bias b. All other columns follow unchanged.
    """

    in_features: int
    out_features: int
    columns: int
    size: int
    _features: int  # of each column
    _joined: bool

    def _set_widths(self, in_features: Any, columns: Any, size: Any) -> None:
        self.in_features = _checks.integer(in_features, "in_features", at_least=1)
        self.size = _checks.integer(size, "size", at_least=1)
        if columns is None:
            columns = self.in_features
        self.columns = _checks.integer(columns, "columns", at_least=1)
        if self.columns > self.in_features:
            raise ValueError(
                f"columns is {self.columns}; at most {self.in_features}, the value of in_features, "
                f"is wanted"
            )

    def _set_features(self, features: int, joined: bool) -> None:
        self._features, self._joined = features, joined
        self._others = self.in_features - self.columns
        self.out_features = self.columns * (joined + self.size) + self._others
        self._count_parameters()
        demand_width(self, self.columns * (joined + features) + self._others)

    def parameter_shapes(self) -> Shapes:
        """Return the shape of each parameter by its name, in the order of the flat arrays."""
        return {
            "weight": (self.columns, self.size, self._features),
            "bias": (self.columns, self.size),
        }

    def new_values(self, rng: "np.random.Generator", default: "Initializer") -> Sequence[Array]:
        """Return initial values: weight and bias are uniform, as those of PyTorch's `Linear`."""
        bound = 1 / np.sqrt(self._features)
        shapes = ColumnEmbedding.parameter_shapes(self)
        return [rng.uniform(-bound, bound, shape) for shape in shapes.values()]

    @property
    def weight(self) -> Array:
        """The weight of each column, (columns, size, features of a column); writable."""
        return self._parameter("weight")

    @weight.setter
    def weight(self, value: Any) -> None:
        self._set_parameter("weight", value)

    @property
    def bias(self) -> Array:
        """The bias of each column, (columns, size), writable; assigning copies into it."""
        return self._parameter("bias")

    @bias.setter
    def bias(self, value: Any) -> None:
        self._set_parameter("bias", value)

    @property
    def weight_grad(self) -> Array | None:
        """The gradient with respect to the weight, in its shape; None outside a network."""
        return self._gradient("weight")

    @property
    def bias_grad(self) -> Array | None:
        """The gradient with respect to the bias, in its shape; None outside a network."""
        return self._gradient("bias")

    def operation(self, in_features: int) -> Operation:
        """Return the engine's description of the layer."""
        sizes = (self._features, self.size, self._joined)
        return (self.kind, self.in_features, self.out_features, self.columns, sizes)

    def _by_input(self, x: Array) -> Jacobian:
        weight = self.split(self._flat_params(x.dtype))["weight"]
        slopes = np.einsum("cof,cf->co", weight, self._slopes(x[: self.columns]))
        if self._joined:
            slopes = np.insert(slopes, 0, 1, axis=1)
        blocks: list[Jacobian] = [jacobians.Dense(slope[:, np.newaxis]) for slope in slopes]
        return jacobians.BlockDiagonal([*blocks, jacobians.Identity(self._others, x.dtype)])

    def _by_weight_and_bias(self, x: Array) -> list[Jacobian]:
        identity = jacobians.Identity(self.size, x.dtype)
        features = self._values_of_features(x[: self.columns])
        by_weight = [jacobians.Kronecker(identity, row[np.newaxis]) for row in features]
        return [self._of_columns(by_weight, x), self._of_columns([identity] * self.columns, x)]

    def _of_columns(self, blocks: Sequence[Jacobian], x: Array) -> Jacobian:
        """Return the blocks on a diagonal, with a row of zeros for each x that is joined."""
        if self._joined:
            zeros = [jacobians.Dense(np.zeros((1, block.shape[1]), x.dtype)) for block in blocks]
            blocks = [jacobians.Stack(pair) for pair in zip(zeros, blocks, strict=True)]
        return jacobians.BlockDiagonal(
            [*blocks, jacobians.Dense(np.empty((self._others, 0), x.dtype))]
        )

    def _values_of_features(self, x: Array) -> Array:
        """Return φ(x), (columns, features), for the embedded columns x (columns,)."""
        raise NotImplementedError

    def _slopes(self, x: Array) -> Array:
        """Return φ'(x), (columns, features)."""
        raise NotImplementedError


def demand_width(layer: Layer, inner: int = 0) -> None:
    """Raise ValueError if the output or the `inner` features are too many for the engine."""
    width = max(layer.width_after(0), inner)
    if width >= 2**31:
        raise ValueError(f"{layer!r} would have {width:,} features: too many")
