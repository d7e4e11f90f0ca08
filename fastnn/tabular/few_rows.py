"""A few rows of a data frame, encoded from Python objects.

For few rows this is faster than calls of the frame's library for each column.
"""

from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.tabular.codings import CategoryCoding, Coding, NumericCoding
from fastnn.tabular.matrix import MatrixPlan
from fastnn.tabular.reading import FEW_ROWS, Labels, factorized
from fastnn.tabular.tables import library
from fastnn.tabular.values import is_missing, text_of


def cells_of(X: Any, names: list[str]) -> Array | None:
    """Return a frame of pandas or polars with these columns and few rows as an object array.

    None is returned for any other table.
    """
    frames = library(X)
    if frames not in ("pandas", "polars") or type(X).__name__ != "DataFrame":
        return None
    if not 0 < len(X) <= FEW_ROWS or list(X.columns) != names:
        return None
    if frames == "pandas":
        return np.asarray(X.to_numpy(dtype=object))
    rows = X.rows()
    cells = np.empty((len(rows), len(names)), dtype=object)
    for i, row in enumerate(rows):
        cells[i] = row
    return cells


def write_cells(cells: Array, codings: list[Coding], plan: MatrixPlan | None, out: Array) -> bool:
    """Write the outputs of the rows; return False if a cell cannot be read by itself.

    Then the caller reads the table by columns, which succeeds or raises the error.
    """
    numbers = plan is not None and _write_numbers(cells, plan, out)
    for coding in codings:
        column = cells[:, coding.position]
        if isinstance(coding, CategoryCoding):
            _write_categories(column, coding, out)
        elif not (numbers and isinstance(coding, NumericCoding)):
            try:
                coding.write(Labels(*factorized(column, "")), "", out)
            except (TypeError, ValueError):
                return False
    return True


def _write_numbers(cells: Array, plan: MatrixPlan, out: Array) -> bool:
    """Write the outputs of all numeric columns; return False if a cell is no finite number."""
    try:
        X = (cells if plan.every_column else cells[:, plan.positions]).astype(np.float64)
    except (TypeError, ValueError, OverflowError):  # such as None, or a text
        return False
    return plan.write_columns(X, out)


def _write_categories(column: Array, coding: CategoryCoding, out: Array) -> None:
    codes = [0 if is_missing(value) else coding.codes.get(text_of(value), 0) for value in column]
    if coding.table is None:
        out[:, coding.at] = codes
    else:
        out[:, coding.at : coding.at + coding.table.shape[1]] = coding.table[codes]
