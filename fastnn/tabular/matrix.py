"""The fast way for arrays of numbers: all columns of a block of rows in one expression."""

from dataclasses import dataclass

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.tabular.codings import Coding, NumericCoding
from fastnn.tabular.scaling import limit_of, scaled

BLOCK = 1 << 16  # values that are computed at a time, in double precision


@dataclass(frozen=True)
class MatrixPlan:
    """The codings of columns that are all numeric, as arrays.

    `positions` has the columns with outputs, or is None if all have one. `gaps` has the places
    among these of the columns whose gaps have an output; `absent` and `present` are these outputs
    for a missing and for a present value.
    """

    positions: Array | None
    factor: Array
    shift: Array
    limit: Array
    gaps: Array
    present: Array
    absent: Array

    def encoded(self, X: Array, n_features: int, dtype: str) -> Array | None:
        """Return the outputs of all rows of X, or None if X must go the other way.

        That is so if it has another shape or dtype or an infinite value. The other way raises
        the error.
        """
        if X.ndim != 2 or X.shape[1] != n_features or not len(X):
            return None
        if X.dtype not in (np.float32, np.float64):
            return None
        rows = max(BLOCK // n_features, 1)
        if len(X) <= rows:
            return self._block(X, dtype)
        out = np.empty((len(X), len(self.factor) + len(self.gaps)), dtype)
        for start in range(0, len(X), rows):
            part = self._block(X[start : start + rows], dtype)
            if part is None:
                return None
            out[start : start + rows] = part
        return out

    def _block(self, X: Array, dtype: str) -> Array | None:
        if self.positions is not None:
            X = X[:, self.positions]
        z = scaled(X, self.factor, self.shift, self.limit)
        missing = None
        if not _checks.all_finite(np.ascontiguousarray(X)):
            missing = np.isnan(X)
            if np.isinf(X).any():
                return None
            z[missing] = 0
        if not len(self.gaps):
            return z.astype(dtype)
        out = np.empty((len(X), len(self.factor) + len(self.gaps)), dtype)
        out[:, : len(self.factor)] = z
        out[:, len(self.factor) :] = self.present
        if missing is not None:
            out[:, len(self.factor) :] = np.where(missing[:, self.gaps], self.absent, self.present)
        return out


def plan_of(codings: list[Coding], n_features: int) -> MatrixPlan | None:
    """Return the plan of placed codings, or None if some are not numeric."""
    numeric = [coding for coding in codings if isinstance(coding, NumericCoding)]
    if len(numeric) < len(codings):
        return None
    positions = np.array([coding.position for coding in numeric])
    gaps = [(i, *coding.gap) for i, coding in enumerate(numeric) if coding.gap is not None]
    return MatrixPlan(
        None if len(positions) == n_features else positions,
        np.array([coding.factor for coding in numeric]),
        np.array([coding.shift for coding in numeric]),
        np.array([limit_of(coding.factor) for coding in numeric]),
        np.array([i for i, _, _ in gaps], np.int64),
        np.array([present for _, present, _ in gaps]),
        np.array([absent for _, _, absent in gaps]),
    )
