"""The embedding of columns of categories."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, jacobians
from fastnn._core.arrays import Array
from fastnn.initializers import Initializer
from fastnn.jacobians import Jacobian
from fastnn.layers.base import Operation
from fastnn.layers.column_embedding import demand_width
from fastnn.layers.weighted import Parametrized, Shapes

MOST_CATEGORIES = 2**24  # float32 holds the whole numbers up to it


class CategoricalEmbedding(Parametrized):
    """Replace columns of codes by learned vectors, one for each category.

    The last columns have the codes 0, 1, … of categories, as numbers. Each is replaced by the row
    of its table at the code. All other columns stay in front, unchanged. A code that is no
    category becomes zeros, such as -1 for a missing or unknown category. Codes are rounded to whole
    numbers.

    Parameters
    ----------
    in_features : int
        The width of the input, with the columns of codes.
    cardinalities : sequence of int
        The number of categories in each column of codes; at most 16,777,216.
    size : int or sequence of int
        How many numbers replace a code: one for all columns, or one for each. By default 8.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or of the wrong type, or there are more columns of codes than
        `in_features`.

    Notes
    -----
    The parameter is `weight`, the tables one after the other as a flat array; `tables` has a view
    (cardinality, size) of each. It starts as N(0, 1), as in PyTorch. The derivative by a code is 0.

    A minibatch touches few rows of the tables, but the gradient is a dense array, and an optimizer
    updates all rows. Rows without a gradient move too: by Adam's momentum, and by weight decay. So
    an update takes time in proportion to the number of categories.
    """

    kind: ClassVar[str] = "categorical_embedding"
    in_features: int
    out_features: int

    def __init__(
        self, in_features: int, cardinalities: "Sequence[int]", size: "int | Sequence[int]" = 8
    ) -> None:
        self.in_features = _checks.integer(in_features, "in_features", at_least=1)
        self.cardinalities = _integers(cardinalities, "cardinalities")
        for i, count in enumerate(self.cardinalities):
            if count > MOST_CATEGORIES:
                raise ValueError(
                    f"cardinalities[{i}] is {count:,}; at most {MOST_CATEGORIES:,} is wanted"
                )
        n = len(self.cardinalities)
        if n > self.in_features:
            raise ValueError(
                f"cardinalities has {n} numbers; at most {self.in_features}, the value of "
                f"in_features, is wanted"
            )
        if isinstance(size, list | tuple | np.ndarray):
            self.size = _integers(size, "size")
            if len(self.size) != n:
                raise ValueError(
                    f"size has {len(self.size)} numbers; one number, or {n}, one for each column "
                    f"of codes, is wanted"
                )
        else:
            self.size = (_checks.integer(size, "size", at_least=1),) * n
        self._others = self.in_features - n
        self.out_features = self._others + sum(self.size)
        self._count_parameters()
        demand_width(self)

    def parameter_shapes(self) -> Shapes:
        """Return the shape of each parameter by its name, in the order of the flat arrays."""
        pairs = zip(self.cardinalities, self.size, strict=True)
        return {"weight": (sum(count * size for count, size in pairs),)}

    def new_values(self, rng: "np.random.Generator", default: "Initializer") -> Sequence[Array]:
        """Return initial values of the parameters, in their order."""
        return [rng.standard_normal(self.n_params)]

    @property
    def weight(self) -> Array:
        """The tables one after the other, flat and writable; assigning copies into it."""
        return self._parameter("weight")

    @weight.setter
    def weight(self, value: Any) -> None:
        self._set_parameter("weight", value)

    @property
    def weight_grad(self) -> Array | None:
        """The gradient with respect to the weight, in its shape; None outside a network."""
        return self._gradient("weight")

    @property
    def tables(self) -> list[Array]:
        """Views of each column's table, (cardinality, size): writable."""
        found, first = [], 0
        for count, size in zip(self.cardinalities, self.size, strict=True):
            found.append(self.weight[first : first + count * size].reshape(count, size))
            first += count * size
        return found

    def operation(self, in_features: int) -> Operation:
        """Return the engine's description of the layer."""
        pairs = zip(self.cardinalities, self.size, strict=True)
        sizes = [number for pair in pairs for number in pair]
        return (self.kind, self.in_features, self.out_features, len(self.size), sizes)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as a model file stores them."""
        return {
            "in_features": self.in_features,
            "cardinalities": list(self.cardinalities),
            "size": list(self.size),
        }

    def _by_input(self, x: Array) -> Jacobian:
        zeros = np.zeros((sum(self.size), len(self.size)), x.dtype)
        identity = jacobians.Identity(self._others, x.dtype)
        return jacobians.BlockDiagonal([identity, jacobians.Dense(zeros)])

    def _by_params(self, x: Array) -> Jacobian:
        blocks: list[Jacobian] = [jacobians.Dense(np.empty((self._others, 0), x.dtype))]
        codes = np.floor(x[self._others :].astype(np.float64) + 0.5)
        for code, count, size in zip(codes, self.cardinalities, self.size, strict=True):
            chosen = (np.arange(count) == code).astype(x.dtype)[np.newaxis]
            blocks.append(jacobians.Kronecker(chosen, jacobians.Identity(size, x.dtype)))
        return jacobians.BlockDiagonal(blocks)


def _integers(value: Any, name: str) -> tuple[int, ...]:
    """Return checked positive integers, at least one."""
    if not isinstance(value, list | tuple | np.ndarray) or np.ndim(value) != 1:
        raise TypeError(f"{name} is {value!r}; a list of integers is wanted")
    if len(value) == 0:
        raise ValueError(f"{name} is empty; at least one integer is wanted")
    return tuple(_checks.integer(item, f"{name}[{i}]", at_least=1) for i, item in enumerate(value))
