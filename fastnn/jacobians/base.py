"""The base class of all Jacobians, and products of Jacobians: the chain rule.

The public methods check their arguments once. The subclasses implement `_matmat` and `_rmatmat` for
matrices whose shapes fit.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array


class Jacobian(ABC):
    """A real linear map R^n -> R^m; use one of its subclasses.

    `J @ h` and `J @ H` apply the map to a vector or to the columns of a matrix. `c @ J` applies the
    transpose. `J @ K` with another Jacobian K is the chain rule; the product is simplified if the
    structures allow it. The dtype of a result follows NumPy's promotion rules.

    Attributes
    ----------
    shape : (int, int)
        (m, n): the numbers of outputs and inputs.
    dtype : numpy.dtype
        float32 or float64.
    """

    __array_ufunc__ = None  # makes NumPy call `__rmatmul__` for `array @ J`

    shape: tuple[int, int]
    dtype: np.dtype[Any]

    @abstractmethod
    def _matmat(self, x: Array) -> Array:
        """J x, for a matrix x (n, k)."""

    @abstractmethod
    def _rmatmat(self, x: Array) -> Array:
        """Jᵀ x, for a matrix x (m, k)."""

    @property
    def T(self) -> "Jacobian":
        """The transpose, (n, m)."""
        return _Transposed(self)

    def to_dense(self) -> Array:
        """Return the matrix (m, n), as a new array."""
        m, n = self.shape
        if m <= n:  # by rows or by columns, whichever are fewer
            return np.ascontiguousarray(self._rmatmat(np.eye(m, dtype=self.dtype)).T)
        return self._matmat(np.eye(n, dtype=self.dtype))

    def matvec(self, x: Any) -> Array:
        """Return the Jacobian-vector product J x: the total derivative in the direction x.

        Parameters
        ----------
        x : array_like (n,), or a column (n, 1)

        Returns
        -------
        ndarray (m,), or (m, 1)

        Raises
        ------
        ValueError, TypeError
            If x has another shape, or holds anything but finite real numbers.
        """
        return _of_vector(self._matmat, self._operand(x, "x"), self.shape[1])

    def rmatvec(self, x: Any) -> Array:
        """Return the vector-Jacobian product Jᵀ x: the transpose applied to a cotangent x.

        Parameters
        ----------
        x : array_like (m,), or a column (m, 1)

        Returns
        -------
        ndarray (n,), or (n, 1)

        Raises
        ------
        ValueError, TypeError
            As `matvec`.
        """
        return _of_vector(self._rmatmat, self._operand(x, "x"), self.shape[0])

    def matmat(self, x: Any) -> Array:
        """Return J x (m, k), the `matvec` of each column of x (n, k)."""
        return _of_matrix(self._matmat, self._operand(x, "x"), self.shape[1])

    def rmatmat(self, x: Any) -> Array:
        """Return Jᵀ x (n, k), the `rmatvec` of each column of x (m, k)."""
        return _of_matrix(self._rmatmat, self._operand(x, "x"), self.shape[0])

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, Jacobian):
            return _compose([self, other])
        array = self._operand(other, "the right operand of @")
        n = self.shape[1]
        if array.ndim not in (1, 2) or array.shape[0] != n:
            raise ValueError(
                f"the right operand of @ has shape {array.shape}; ({n},) or ({n}, k) is wanted "
                f"by {self!r}"
            )
        return self._matmat(array[:, None])[:, 0] if array.ndim == 1 else self._matmat(array)

    def __rmatmul__(self, other: Any) -> Array:
        array = self._operand(other, "the left operand of @")
        m = self.shape[0]
        if array.ndim not in (1, 2) or array.shape[-1] != m:
            raise ValueError(
                f"the left operand of @ has shape {array.shape}; ({m},) or (k, {m}) is wanted "
                f"by {self!r}"
            )
        return self._rmatmat(array[:, None])[:, 0] if array.ndim == 1 else self._rmatmat(array.T).T

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shape} {self.dtype}>"

    def _factors(self) -> "tuple[Jacobian, ...]":
        """Return the factors of a product, or else this Jacobian alone."""
        return (self,)

    def _times(self, right: "Jacobian") -> "Jacobian | None":
        """Return self @ right as one structured Jacobian, or None if this class cannot."""
        return None

    def _times_from(self, left: "Jacobian") -> "Jacobian | None":
        """Return left @ self as one structured Jacobian, or None if this class cannot."""
        return None

    def _operand(self, value: Any, name: str) -> Array:
        given = _checks.numeric_array(value, name)
        return _checks.real_array(given, name, floating(np.result_type(given, self.dtype)))


def _of_vector(product: Callable[[Array], Array], x: Array, n: int) -> Array:
    if x.shape not in ((n,), (n, 1)):
        raise ValueError(f"x has shape {x.shape}; ({n},) is wanted")
    column = product(x.reshape(n, 1))
    return column if x.ndim == 2 else column[:, 0]


def _of_matrix(product: Callable[[Array], Array], x: Array, n: int) -> Array:
    if x.ndim != 2 or x.shape[0] != n:
        raise ValueError(f"x has shape {x.shape}; ({n}, k) is wanted")
    return product(x)


def floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return float32 for the dtypes float32 and float16, else float64."""
    return np.dtype(np.float32 if dtype in (np.float32, np.float16) else np.float64)


def promoted(parts: Iterable[Array | Jacobian]) -> np.dtype[Any]:
    """Return the dtype of a result that is computed from all parts."""
    dtypes = {part.dtype for part in parts}
    return dtypes.pop() if len(dtypes) == 1 else np.result_type(*dtypes)


def jacobians(value: Any, name: str) -> tuple[Jacobian, ...]:
    """Return the checked list of at least one Jacobian, as a tuple."""
    if not isinstance(value, list | tuple):
        raise TypeError(f"{name} is {value!r}; a list of Jacobians is wanted")
    if not value:
        raise ValueError(f"{name} is empty; at least one Jacobian is wanted")
    for i, item in enumerate(value):
        if not isinstance(item, Jacobian):
            raise TypeError(f"{name}[{i}] is {item!r}; a Jacobian is wanted")
    return tuple(value)


class _Transposed(Jacobian):
    """The transpose of a Jacobian, for classes that cannot represent their own transpose."""

    def __init__(self, jacobian: Jacobian) -> None:
        self.shape, self.dtype = jacobian.shape[::-1], jacobian.dtype
        self._jacobian = jacobian

    @property
    def T(self) -> Jacobian:
        return self._jacobian

    def to_dense(self) -> Array:
        return np.ascontiguousarray(self._jacobian.to_dense().T)

    def _matmat(self, x: Array) -> Array:
        return self._jacobian._rmatmat(x)

    def _rmatmat(self, x: Array) -> Array:
        return self._jacobian._matmat(x)

    def __repr__(self) -> str:
        return f"<transpose of {self._jacobian!r}>"


# The chain rule ------------------------------------------------------------------------------


class Composed(Jacobian):
    """A product J_f J_g … of Jacobians (the chain rule), kept as factors.

    It is applied factor by factor. `@` returns a Composed if the product does not simplify.

    Parameters
    ----------
    factors : sequence of Jacobian
        At least one, starting with the outermost function. The order matters.

    Attributes
    ----------
    factors : tuple of Jacobian
        The factors; a composed factor is replaced by its own factors.
    """

    def __init__(self, factors: Sequence[Jacobian]) -> None:
        self.factors = _flattened(jacobians(factors, "factors"))
        self.shape = (self.factors[0].shape[0], self.factors[-1].shape[1])
        self.dtype = promoted(self.factors)

    @property
    def T(self) -> "Composed":
        """The transpose: (J K)ᵀ = Kᵀ Jᵀ."""
        return Composed([factor.T for factor in reversed(self.factors)])

    def to_dense(self) -> Array:
        """Return the matrix (m, n); the order of multiplication keeps the products small."""
        return _product(self.factors).astype(self.dtype, copy=False)

    def _matmat(self, x: Array) -> Array:
        for factor in reversed(self.factors):
            x = factor._matmat(x)
        return x

    def _rmatmat(self, x: Array) -> Array:
        for factor in self.factors:
            x = factor._rmatmat(x)
        return x

    def _factors(self) -> tuple[Jacobian, ...]:
        return self.factors

    def __repr__(self) -> str:
        kinds = " @ ".join(type(factor).__name__ for factor in self.factors)
        return f"<Composed {self.shape} {self.dtype}: {kinds}>"


def _compose(factors: Sequence[Jacobian]) -> Jacobian:
    """Return the product of the factors; neighbours are merged if the result has a structure."""
    left: list[Jacobian] = []
    for right in _flattened(factors):
        # factors whose product overflows are not merged
        with np.errstate(over="ignore", invalid="ignore"):
            while left and (single := left[-1]._times(right) or right._times_from(left[-1])):
                left.pop()
                right = single
        left.append(right)
    return left[0] if len(left) == 1 else Composed(left)


def _flattened(factors: Sequence[Jacobian]) -> tuple[Jacobian, ...]:
    """Return the factors, with each composed factor replaced by its own; check their shapes."""
    for left, right in itertools.pairwise(factors):
        if left.shape[1] != right.shape[0]:
            raise ValueError(
                f"{left!r} @ {right!r}: shapes {left.shape} and {right.shape} do not compose, "
                f"since {left.shape[1]} inputs meet {right.shape[0]} outputs; the order matters: "
                f"the chain rule is J_f(g(x)) @ J_g(x)"
            )
    return tuple(single for factor in factors for single in factor._factors())


def _product(factors: Sequence[Jacobian]) -> Array:
    """Return the product as a matrix: split at the narrowest width, else start at the short end."""
    if len(factors) == 1:
        return factors[0].to_dense()
    m, n = factors[0].shape[0], factors[-1].shape[1]
    widths = [factor.shape[1] for factor in factors[:-1]]
    width, i = min((width, i) for i, width in enumerate(widths, 1))
    if width < min(m, n):
        product: Array = _product(factors[:i]) @ _product(factors[i:])
        return product
    if m <= n:
        rows = factors[0].to_dense().T
        for factor in factors[1:]:
            rows = factor._rmatmat(rows)
        return np.ascontiguousarray(rows.T)
    columns = factors[-1].to_dense()
    for factor in reversed(factors[:-1]):
        columns = factor._matmat(columns)
    return columns
