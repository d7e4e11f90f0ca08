"""All numeric columns of a few rows, or of an array of numbers, encoded in one call."""

from dataclasses import dataclass

import numpy as np

from fastnn._core._calls import scale
from fastnn._core.arrays import Array
from fastnn.tabular.codings import Coding, NumericCoding
from fastnn.tabular.scaling import Scaling, scaling_arrays

BLOCK = 1 << 16  # values that are computed at a time


@dataclass(frozen=True)
class MatrixPlan:
    """The codings of all numeric columns, as arrays.

    Attributes
    ----------
    positions : ndarray (k,) of int
        The columns of the table.
    scalings : ndarray (4, k)
        The argument of `_calls.scale`.
    outputs : ndarray (k,) of int, or None
        The places of the scaled numbers in the output; None if the output has nothing else.
    gaps : ndarray (m,) of int
        Which of the k columns have an output that tells where gaps are.
    gap_outputs : ndarray (m,) of int
        The places of these outputs.
    present, absent : ndarray (m,)
        The values of these outputs for a present and for a missing value.
    every_column : bool
        Whether the columns are all columns of the table, in their order.
    alone : bool
        Whether no other column of the table has an output.
    """

    positions: Array
    scalings: Array
    outputs: Array | None
    gaps: Array
    gap_outputs: Array
    present: Array
    absent: Array
    every_column: bool
    alone: bool

    def encoded(self, X: Array, n_features: int, dtype: str) -> Array | None:
        """Return the outputs of all rows of a matrix. Only the k columns may have outputs.

        None is returned if X has another shape or dtype, or an infinite value. Then the caller
        reads the table by columns, which succeeds or raises the error.
        """
        shape = X.shape
        if len(shape) != 2 or shape[1] != n_features or not shape[0] or X.dtype.char not in "fd":
            return None
        out = np.empty((shape[0], len(self.positions) + len(self.gaps)), dtype)
        rows = max(BLOCK // n_features, 1)
        if shape[0] <= rows:
            return out if self.write(X, out) else None
        for start in range(0, shape[0], rows):
            if not self.write(X[start : start + rows], out[start : start + rows]):
                return None
        return out

    def write(self, X: Array, out: Array) -> bool:
        """Write the outputs of rows of the table; return False if a number is infinite."""
        return self.write_columns(X if self.every_column else X[:, self.positions], out)

    def write_columns(self, X: Array, out: Array) -> bool:
        """Write the outputs of the k columns (n, k); return False if a number is infinite."""
        if self.outputs is None:
            return scale(X, self.scalings, out)
        scaled = np.empty(X.shape, out.dtype)
        finite = scale(X, self.scalings, scaled)
        out[:, self.outputs] = scaled
        if len(self.gaps):
            missing = np.isnan(X[:, self.gaps])
            out[:, self.gap_outputs] = np.where(missing, self.absent, self.present)
        return finite


def plan_of(codings: list[Coding], n_features: int) -> MatrixPlan | None:
    """Return the plan of placed codings, or None if none is numeric."""
    numeric = [coding for coding in codings if isinstance(coding, NumericCoding)]
    if not numeric:
        return None
    gaps = [(i, c.gap_at, *c.gap) for i, c in enumerate(numeric) if c.gap is not None]
    alone = len(numeric) == len(codings)
    return MatrixPlan(
        positions=np.array([coding.position for coding in numeric]),
        scalings=scaling_arrays([Scaling(coding.centre, coding.factor) for coding in numeric]),
        outputs=None if alone and not gaps else np.array([coding.at for coding in numeric]),
        gaps=np.array([i for i, _, _, _ in gaps], np.int64),
        gap_outputs=np.array([at for _, at, _, _ in gaps], np.int64),
        present=np.array([present for _, _, present, _ in gaps]),
        absent=np.array([absent for _, _, _, absent in gaps]),
        every_column=len(numeric) == n_features,
        alone=alone,
    )
