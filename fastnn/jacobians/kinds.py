"""The Jacobians of the layers; each class stores only the numbers that define its structure."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.jacobians.base import Jacobian, floating, jacobians, promoted

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def _read_only_copy(value: Any, name: str, ndim: int) -> Array:
    """Return a checked, read-only copy of an array for a Jacobian to hold."""
    if type(value) is np.ndarray and value.ndim == ndim and value.dtype in FLOATS:
        copy = value.copy()
        if _checks.all_finite(copy):  # otherwise the checks below raise the error
            copy.setflags(write=False)
            return copy
    given = _checks.numeric_array(value, name)
    if given.ndim != ndim:
        wanted = "a vector" if ndim == 1 else "a matrix"
        raise ValueError(f"{name} has shape {given.shape}; {wanted} is wanted")
    array = _checks.converted(given, name, floating(given.dtype)).copy()
    array.flags.writeable = False
    return array


class Identity(Jacobian):
    """The identity of R^n.

    Parameters
    ----------
    n : int
    dtype : {"float64", "float32"}

    Raises
    ------
    ValueError, TypeError
        If n is not an integer of at least 0, or dtype is neither float64 nor float32.
    """

    def __init__(self, n: int, dtype: "DTypeLike" = "float64") -> None:
        n = _checks.integer(n, "n", at_least=0)
        self.shape, self.dtype = (n, n), _checks.floating_dtype(dtype)

    @property
    def T(self) -> Self:
        """The identity is its own transpose."""
        return self

    def _matmat(self, x: Array) -> Array:
        return x.astype(np.result_type(x, self.dtype))

    _rmatmat = _matmat

    def _times(self, right: Jacobian) -> Jacobian | None:
        return self._times_from(right)

    def _times_from(self, left: Jacobian) -> Jacobian | None:
        return left if promoted([self, left]) == left.dtype else None


class Diagonal(Jacobian):
    """diag(d), the Jacobian of an elementwise function.

    Parameters
    ----------
    diagonal : array_like (n,)
        d; it is copied.

    Raises
    ------
    ValueError, TypeError
        If `diagonal` is not a vector of finite real numbers.
    """

    def __init__(self, diagonal: Any) -> None:
        self.diagonal = _read_only_copy(diagonal, "diagonal", 1)
        self.shape, self.dtype = (self.diagonal.size,) * 2, self.diagonal.dtype

    @property
    def T(self) -> Self:
        """A diagonal matrix is its own transpose."""
        return self

    def _matmat(self, x: Array) -> Array:
        return self.diagonal[:, None] * x

    _rmatmat = _matmat

    def _times(self, right: Jacobian) -> Jacobian | None:
        d = self.diagonal
        if isinstance(right, Diagonal):
            return _if_finite(Diagonal, d * right.diagonal)
        if isinstance(right, DiagonalMinusOuter):
            return _if_finite(
                _minus_outer, d * right.diagonal, d * right.u, right.v, d * right._whole
            )
        return None


class DiagonalMinusOuter(Jacobian):
    """diag(d) - u vᵀ: diag(S) - S Sᵀ of softmax, I - 1 Sᵀ of log-softmax.

    Parameters
    ----------
    diagonal, u, v : array_like (n,)
        d, u and v; they are copied.

    Raises
    ------
    ValueError, TypeError
        If d, u and v are not vectors of finite real numbers, or their lengths differ.
    """

    def __init__(self, diagonal: Any, u: Any, v: Any, *, _whole: Array | None = None) -> None:
        self.diagonal = _read_only_copy(diagonal, "diagonal", 1)
        self.u, self.v = _read_only_copy(u, "u", 1), _read_only_copy(v, "v", 1)
        for name, vector in (("u", self.u), ("v", self.v)):
            if vector.shape != self.diagonal.shape:
                raise ValueError(
                    f"{name} has shape {vector.shape}; {self.diagonal.shape}, the shape of "
                    f"diagonal, is wanted"
                )
        self.shape = (self.diagonal.size,) * 2
        self.dtype = promoted([self.diagonal, self.u, self.v])
        # _whole is d - u v, the diagonal entries of the matrix. A caller passes them if it can
        # compute them without cancellation.
        with np.errstate(over="ignore", invalid="ignore"):
            self._whole = self.diagonal - self.u * self.v if _whole is None else _whole

    @classmethod
    def of_softmax(cls, S: Array, *, logarithm: bool) -> "DiagonalMinusOuter":
        """Return diag(S) - S Sᵀ, or I - 1 Sᵀ, without cancellation if an entry of S is nearly 1."""
        others = _sums_of_others(S[:, None])[:, 0]  # 1 - S
        if logarithm:
            return cls(np.ones_like(S), np.ones_like(S), S, _whole=others)
        return cls(S, S, S, _whole=S * others)

    @property
    def T(self) -> "DiagonalMinusOuter":
        """The transpose, diag(d) - v uᵀ."""
        return DiagonalMinusOuter(self.diagonal, self.v, self.u, _whole=self._whole)

    def _matmat(self, x: Array) -> Array:
        product: Array = self._whole[:, None] * x - self.u[:, None] * _sums_of_others(
            self.v[:, None] * x
        )
        return product

    def _rmatmat(self, x: Array) -> Array:
        product: Array = self._whole[:, None] * x - self.v[:, None] * _sums_of_others(
            self.u[:, None] * x
        )
        return product

    def _times(self, right: Jacobian) -> Jacobian | None:
        if isinstance(right, Diagonal):
            d = right.diagonal
            return _if_finite(_minus_outer, self.diagonal * d, self.u, self.v * d, self._whole * d)
        return None


def _minus_outer(d: Array, u: Array, v: Array, whole: Array) -> DiagonalMinusOuter:
    return DiagonalMinusOuter(d, u, v, _whole=whole)


def _sums_of_others(terms: Array) -> Array:
    """Return for each row the sum of all other rows, without subtraction and so no cancellation."""
    sums = np.zeros_like(terms)
    np.cumsum(terms[:-1], axis=0, out=sums[1:])
    sums[:-1] += np.cumsum(terms[:0:-1], axis=0)[::-1]
    return sums


class Dense(Jacobian):
    """A matrix.

    Parameters
    ----------
    matrix : array_like (m, n)
        It is copied.

    Raises
    ------
    ValueError, TypeError
        If `matrix` is not a matrix of finite real numbers.
    """

    def __init__(self, matrix: Any) -> None:
        self.matrix = _read_only_copy(matrix, "matrix", 2)
        self.shape, self.dtype = (self.matrix.shape[0], self.matrix.shape[1]), self.matrix.dtype

    @property
    def T(self) -> "Dense":
        """The transposed matrix."""
        return Dense(self.matrix.T)

    def to_dense(self) -> Array:
        """Return the matrix (m, n), as a new array."""
        return self.matrix.copy()

    def _matmat(self, x: Array) -> Array:
        product: Array = self.matrix @ x
        return product

    def _rmatmat(self, x: Array) -> Array:
        product: Array = self.matrix.T @ x
        return product

    def _times(self, right: Jacobian) -> Jacobian | None:
        if isinstance(right, Diagonal | DiagonalMinusOuter):
            return _if_finite(Dense, right._rmatmat(self.matrix.T).T)
        if isinstance(right, Dense):
            numbers = self.shape[0] * right.shape[1]
            if numbers <= self.matrix.size + right.matrix.size:  # no more than the factors have
                return _if_finite(Dense, self.matrix @ right.matrix)
        return None

    def _times_from(self, left: Jacobian) -> Jacobian | None:
        if isinstance(left, Diagonal | DiagonalMinusOuter):
            return _if_finite(Dense, left._matmat(self.matrix))
        return None


def _if_finite(kind: Callable[..., Jacobian], *arrays: Array) -> Jacobian | None:
    """Return the Jacobian made from the arrays, or None if one of them overflowed."""
    return kind(*arrays) if all(np.isfinite(array).all() for array in arrays) else None


class Kronecker(Jacobian):
    """A ⊗ B, the map H ↦ A H Bᵀ of matrices that are flattened row by row.

    The derivative of a linear layer by its weights is I ⊗ aᵀ, the map H ↦ H a. After a function h
    it is J_h ⊗ aᵀ, the map H ↦ J_h H a.

    Parameters
    ----------
    left, right : Jacobian or array_like (m, n)
        A and B; the shape is (m_A m_B, n_A n_B).

    Raises
    ------
    ValueError, TypeError
        If A or B is not a matrix of finite real numbers.
    """

    def __init__(self, left: Any, right: Any) -> None:
        self.left, self.right = (
            part if isinstance(part, Jacobian) else Dense(_read_only_copy(part, name, 2))
            for name, part in (("left", left), ("right", right))
        )
        (m_a, n_a), (m_b, n_b) = self.left.shape, self.right.shape
        self.shape = (m_a * m_b, n_a * n_b)
        self.dtype = promoted([self.left, self.right])

    @property
    def T(self) -> "Kronecker":
        """The transpose, Aᵀ ⊗ Bᵀ."""
        return Kronecker(self.left.T, self.right.T)

    def _matmat(self, x: Array) -> Array:
        (m_a, n_a), (m_b, n_b), k = self.left.shape, self.right.shape, x.shape[1]

        def by_left(h: Array) -> Array:  # (n_a, width, k) -> (m_a, width, k)
            width = h.shape[1]
            return self.left._matmat(h.reshape(n_a, width * k)).reshape(m_a, width, k)

        def by_right(h: Array) -> Array:  # (height, n_b, k) -> (height, m_b, k)
            height = len(h)
            columns = h.transpose(1, 0, 2).reshape(n_b, height * k)
            product = self.right._matmat(columns)
            return product.reshape(m_b, height, k).transpose(1, 0, 2)

        h = x.reshape(n_a, n_b, k)
        # the order with the smaller intermediate matrix
        h = by_right(by_left(h)) if m_a * n_b <= n_a * m_b else by_left(by_right(h))
        return h.reshape(m_a * m_b, k)

    def _rmatmat(self, x: Array) -> Array:
        return self.T._matmat(x)

    def _times_from(self, left: Jacobian) -> Jacobian | None:
        if self.right.shape[0] != 1:
            return None
        return Kronecker(left @ self.left, self.right)


class Block(Jacobian):
    """Blocks side by side, (J_1 J_2 …): the derivative with respect to several arguments.

    Parameters
    ----------
    blocks : sequence of Jacobian
        At least one; each has m outputs.

    Raises
    ------
    ValueError, TypeError
        If an item is not a Jacobian, or the numbers of outputs differ.
    """

    def __init__(self, blocks: Sequence[Jacobian]) -> None:
        self.blocks = jacobians(blocks, "blocks")
        heights = [block.shape[0] for block in self.blocks]
        if len(set(heights)) > 1:
            raise ValueError(f"blocks have {heights} outputs; the same number is wanted")
        self.shape = (heights[0], sum(block.shape[1] for block in self.blocks))
        self.dtype = promoted(self.blocks)

    def to_dense(self) -> Array:
        """Return the matrix (m, n), as a new array."""
        return np.concatenate([block.to_dense() for block in self.blocks], axis=1, dtype=self.dtype)

    def _matmat(self, x: Array) -> Array:
        total = np.zeros((self.shape[0], x.shape[1]), np.result_type(x, self.dtype))
        start = 0
        for block in self.blocks:
            stop = start + block.shape[1]
            total += block._matmat(x[start:stop])
            start = stop
        return total

    def _rmatmat(self, x: Array) -> Array:
        dtype = np.result_type(x, self.dtype)
        return np.concatenate([block._rmatmat(x) for block in self.blocks], dtype=dtype)

    def __repr__(self) -> str:
        kinds = " | ".join(type(block).__name__ for block in self.blocks)
        return f"<Block {self.shape} {self.dtype}: {kinds}>"
