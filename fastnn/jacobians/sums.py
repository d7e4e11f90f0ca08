"""Jacobians of several functions together: sums, stacked rows and block diagonals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.jacobians.base import Jacobian, jacobians, promoted


class Sum(Jacobian):
    """J_1 + J_2 + …, the Jacobian of a sum of functions; I + J for a residual block.

    Parameters
    ----------
    terms : sequence of Jacobian
        At least one; all of one shape.

    Raises
    ------
    ValueError, TypeError
        If an item is not a Jacobian, or the shapes differ.
    """

    def __init__(self, terms: Sequence[Jacobian]) -> None:
        self.terms = jacobians(terms, "terms")
        shapes = [term.shape for term in self.terms]
        if len(set(shapes)) > 1:
            raise ValueError(f"terms have the shapes {shapes}; the same shape is wanted")
        self.shape, self.dtype = shapes[0], promoted(self.terms)

    @property
    def T(self) -> "Sum":
        """The transpose: (J + K)ᵀ = Jᵀ + Kᵀ."""
        return Sum([term.T for term in self.terms])

    def to_dense(self) -> Array:
        """Return the matrix (m, n), as a new array."""
        return _added([term.to_dense() for term in self.terms]).astype(self.dtype, copy=False)

    def _matmat(self, x: Array) -> Array:
        return _added([term._matmat(x) for term in self.terms])

    def _rmatmat(self, x: Array) -> Array:
        return _added([term._rmatmat(x) for term in self.terms])

    def __repr__(self) -> str:
        return _named(self, " + ", self.terms)


class Stack(Jacobian):
    """Blocks one below the other, (J_1; J_2; …): the Jacobian of x ↦ (f_1(x), f_2(x), …).

    Parameters
    ----------
    blocks : sequence of Jacobian
        At least one; each has n inputs.

    Raises
    ------
    ValueError, TypeError
        If an item is not a Jacobian, or the numbers of inputs differ.
    """

    def __init__(self, blocks: Sequence[Jacobian]) -> None:
        self.blocks = jacobians(blocks, "blocks")
        widths = [block.shape[1] for block in self.blocks]
        if len(set(widths)) > 1:
            raise ValueError(f"blocks have {widths} inputs; the same number is wanted")
        self.shape = (sum(block.shape[0] for block in self.blocks), widths[0])
        self.dtype = promoted(self.blocks)

    def to_dense(self) -> Array:
        """Return the matrix (m, n), as a new array."""
        return np.concatenate([block.to_dense() for block in self.blocks], dtype=self.dtype)

    def _matmat(self, x: Array) -> Array:
        dtype = np.result_type(x, self.dtype)
        return np.concatenate([block._matmat(x) for block in self.blocks], dtype=dtype)

    def _rmatmat(self, x: Array) -> Array:
        parts = _split(x, [block.shape[0] for block in self.blocks])
        return _added(
            [block._rmatmat(part) for block, part in zip(self.blocks, parts, strict=True)]
        )

    def __repr__(self) -> str:
        return _named(self, " ; ", self.blocks)


class BlockDiagonal(Jacobian):
    """Blocks on the diagonal, zeros elsewhere: each function has its own arguments and outputs.

    Parameters
    ----------
    blocks : sequence of Jacobian
        At least one.

    Raises
    ------
    ValueError, TypeError
        If an item is not a Jacobian.
    """

    def __init__(self, blocks: Sequence[Jacobian]) -> None:
        self.blocks = jacobians(blocks, "blocks")
        heights, widths = ([block.shape[axis] for block in self.blocks] for axis in (0, 1))
        self.shape, self.dtype = (sum(heights), sum(widths)), promoted(self.blocks)

    @property
    def T(self) -> "BlockDiagonal":
        """The transpose, with the transposed blocks."""
        return BlockDiagonal([block.T for block in self.blocks])

    def to_dense(self) -> Array:
        """Return the matrix (m, n), as a new array."""
        matrix: Array = np.zeros(self.shape, self.dtype)
        row = column = 0
        for block in self.blocks:
            m, n = block.shape
            matrix[row : row + m, column : column + n] = block.to_dense()
            row, column = row + m, column + n
        return matrix

    def _matmat(self, x: Array) -> Array:
        return self._apart(x, 1, "_matmat")

    def _rmatmat(self, x: Array) -> Array:
        return self._apart(x, 0, "_rmatmat")

    def _apart(self, x: Array, axis: int, product: str) -> Array:
        parts = _split(x, [block.shape[axis] for block in self.blocks])
        results = [
            getattr(block, product)(part) for block, part in zip(self.blocks, parts, strict=True)
        ]
        return np.concatenate(results, dtype=np.result_type(x, self.dtype))

    def __repr__(self) -> str:
        return _named(self, " , ", self.blocks)


def _added(parts: Sequence[Array]) -> Array:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _split(x: Array, heights: Sequence[int]) -> list[Array]:
    return np.split(x, np.cumsum(heights)[:-1])


def _named(jacobian: Any, between: str, parts: Sequence[Jacobian]) -> str:
    kinds = between.join(type(part).__name__ for part in parts)
    return f"<{type(jacobian).__name__} {jacobian.shape} {jacobian.dtype}: {kinds}>"
