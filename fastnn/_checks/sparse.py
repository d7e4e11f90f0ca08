"""Checks of sparse matrices, which the engine reads as rows of stored elements.

The attributes of an object tell whether it is sparse; SciPy is not imported.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn._checks import arrays
from fastnn._core.arrays import Array


class SparseRows:
    """The rows of a checked matrix in the format CSR, of any numeric dtype until `converted`.

    Indexing by a slice or by row numbers returns some of the rows.

    Attributes
    ----------
    data : ndarray (nnz,)
        The stored elements, row by row.
    indices : ndarray (nnz,) of int32
        Their columns.
    indptr : ndarray (n + 1,) of int64
        The elements of row i lie from indptr[i] to indptr[i + 1].
    shape : (int, int)
    """

    def __init__(
        self, data: Array, indices: NDArray[np.int32], indptr: NDArray[np.int64], n_features: int
    ) -> None:
        self.data, self.indices, self.indptr = data, indices, indptr
        self.shape = (len(indptr) - 1, n_features)

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The dtype of the elements."""
        return self.data.dtype

    @property
    def nnz(self) -> int:
        """The number of stored elements of these rows."""
        return int(self.indptr[-1] - self.indptr[0])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: "slice | NDArray[np.int64]") -> "SparseRows":
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            indptr = self.indptr[start : max(start, stop) + 1]
            return SparseRows(self.data, self.indices, indptr, self.shape[1])
        counts = np.diff(self.indptr)[rows]
        indptr = np.concatenate([[0], np.cumsum(counts)])
        # the place of each element: where its row begins, and how far it is from there
        places = np.arange(indptr[-1]) + np.repeat(self.indptr[rows] - indptr[:-1], counts)
        return SparseRows(self.data[places], self.indices[places], indptr, self.shape[1])

    def blocks(self) -> Iterator[slice]:
        """Yield slices of rows whose dense form has a few megabytes."""
        rows = max(arrays.BLOCK_BYTES // (self.shape[1] * self.dtype.itemsize), 64)
        for start in range(0, len(self), rows):
            yield slice(start, start + rows)

    def dense(self, rows: "slice | NDArray[np.int64]" = slice(None)) -> Array:
        """Return some rows as a dense matrix, once the rows are `converted`."""
        order, (start, stop, _) = None, slice(None).indices(len(self))
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            n = max(stop - start, 0)
        else:
            order, n = np.ascontiguousarray(rows, np.int64), len(rows)
        out: Array = np.empty((n, self.shape[1]), self.dtype)
        _core.engine.dense_of_sparse(self, start, start + n, order, out, 1)
        return out

    def converted(self, name: str, dtype: "np.dtype[Any]") -> "SparseRows":
        """Return rows of finite numbers of this dtype; they share `data` if it has this dtype.

        Raises
        ------
        ValueError
            If an element is NaN, infinite, or too large for the dtype.
        """
        place = slice(int(self.indptr[0]), int(self.indptr[-1]))
        given = self.data[place]
        with np.errstate(over="ignore", under="ignore"):
            data: Array = np.require(given, dtype, ["C", "A"])
        if not arrays.all_finite(data):
            i = int(np.argmin(np.isfinite(data)))
            row = int(np.searchsorted(self.indptr, place.start + i, "right")) - 1
            reason = f", too large for {dtype}" if np.isfinite(given[i]) else ""
            raise ValueError(
                f"{name}[{row}, {self.indices[place][i]}] is {given[i]}{reason}; finite numbers "
                f"are wanted"
            )
        return SparseRows(data, self.indices[place], self.indptr - place.start, self.shape[1])


def is_sparse(value: Any) -> bool:
    """Return whether a value is a sparse matrix or array that can be converted to CSR."""
    return not isinstance(value, np.ndarray) and callable(getattr(value, "tocsr", None))


def sparse_matrix(value: Any, name: str, n_features: int) -> SparseRows:
    """Return the rows of a sparse matrix (n, n_features), n at least 1, not yet `converted`."""
    shape = tuple(value.shape)
    if len(shape) != 2 or shape[1] != n_features:
        raise ValueError(f"{name} has shape {shape}; (n, {n_features}) is wanted")
    if shape[0] == 0:
        raise ValueError(f"{name} is empty; at least one row is wanted")
    return _rows(value, name, n_features)


def one_or_more_sparse(value: Any, name: str, n_features: int) -> tuple[SparseRows, bool]:
    """Return the rows of sparse samples, and whether the value is one sample (n_features,)."""
    shape = tuple(value.shape)
    if len(shape) not in (1, 2) or shape[-1] != n_features:
        raise ValueError(
            f"{name} has shape {shape}; (n, {n_features}) or ({n_features},) is wanted"
        )
    return _rows(value, name, n_features), len(shape) == 1


def _rows(value: Any, name: str, n_features: int) -> SparseRows:
    if np.dtype(value.dtype).kind not in "biuf":
        raise TypeError(f"{name} has dtype {value.dtype}; real numbers are wanted")
    return csr_rows(value.tocsr(), name, n_features)


def csr_rows(matrix: Any, name: str, n_features: int) -> SparseRows:
    """Return the rows of a CSR matrix. Indices ascend in each row; duplicates are summed.

    The indices are copied before they are checked, so that no other thread can change one after
    the check.

    Raises
    ------
    ValueError
        If the index arrays are damaged, or too large for the engine.
    """
    data, given = np.asarray(matrix.data), np.array(matrix.indices)
    indptr = np.array(matrix.indptr, np.int64)
    n = matrix.shape[0] if len(matrix.shape) == 2 else 1
    if (
        indptr.shape != (n + 1,)
        or data.ndim != 1
        or given.ndim != 1
        or given.dtype.kind not in "iu"
        or indptr[0] != 0
        or indptr[-1] > min(len(data), len(given))
        or (np.diff(indptr) < 0).any()
    ):
        raise ValueError(f"{name} is a damaged sparse matrix: its indptr does not fit its indices")
    nnz = int(indptr[-1])
    data, given = data[:nnz], given[:nnz]
    if n_features > np.iinfo(np.int32).max:
        raise ValueError(f"{name} has {n_features} columns; at most {2**31 - 1} are wanted")
    if nnz and not 0 <= given.min() <= given.max() < n_features:
        raise ValueError(
            f"{name} is a damaged sparse matrix: its indices lie in [{given.min()}, "
            f"{given.max()}]; 0 to {n_features - 1} are wanted"
        )
    indices = given.astype(np.int32, order="C", copy=False)
    ascends = np.diff(indices) > 0
    starts = indptr[1:-1]
    ascends[starts[(starts > 0) & (starts < nnz)] - 1] = True  # the first element of a row
    if not ascends.all():
        data, indices, indptr = _summed(data, indices, indptr)
    return SparseRows(data, indices, indptr, n_features)


def _summed(
    data: Array, indices: NDArray[np.int32], indptr: NDArray[np.int64]
) -> tuple[Array, NDArray[np.int32], NDArray[np.int64]]:
    """Return the arrays with ascending indices in each row, and duplicates summed."""
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    order = np.lexsort((indices, row))
    row, indices = row[order], indices[order]
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(row) != 0) | (np.diff(indices) != 0)]))
    counts = np.bincount(row[starts], minlength=len(indptr) - 1)
    summed = np.add.reduceat(data[order], starts)
    return summed, indices[starts], np.concatenate([[0], np.cumsum(counts)])
