"""Checks of the targets, and their conversion to class indices or to numbers."""

from typing import Any

import numpy as np

from fastnn._core.arrays import Array, FloatArray, IntArray
from fastnn.sklearn.warning import one_column
from fastnn.tabular.reading import Content, Dates, Numbers, as_numbers, read, settled
from fastnn.tabular.tables import library


def class_labels(y: Any, n_rows: int) -> tuple[Array, IntArray]:
    """Return the sorted classes (k,), and the class of each row as an integer (n_rows,).

    Parameters
    ----------
    y : array_like (n_rows,)
        Texts, booleans, integers, or a categorical column. Whole numbers may be floats.
    n_rows : int
        The number of rows of X.

    Raises
    ------
    TypeError
        If y is a masked array, or has labels of types that cannot be ordered.
    ValueError
        If y has another length, gaps, dates, a single class, or numbers that are not whole.
    """
    content = _content(y, n_rows)
    if isinstance(content, Dates):
        raise ValueError("Unknown label type: y has dates; classes are wanted")
    if isinstance(content, Numbers):
        _demand_values(np.isnan(content.values) if content.values.dtype.kind == "f" else None)
        classes, codes = np.unique(content.values, return_inverse=True)
        if classes.dtype.kind == "f" and (classes != np.trunc(classes)).any():
            raise ValueError(
                f"Unknown label type: y has the number {classes[classes != np.trunc(classes)][0]}, "
                f"which is not whole; classes are wanted"
            )
    else:
        _demand_values(content.codes < 0)
        used = np.bincount(content.codes, minlength=len(content.labels)) > 0
        labels = [label for label, there in zip(content.labels, used, strict=True) if there]
        kinds = sorted({type(label).__name__ for label in labels})
        try:
            ordered = sorted(labels)
        except TypeError:
            raise TypeError(f"y has labels of different types: {', '.join(kinds)}") from None
        classes = np.array(ordered, dtype=bool if kinds == ["bool"] else object)
        if isinstance(y, np.ndarray | list | tuple) and set(kinds) <= {"str", "str_"}:
            classes = np.array(ordered, np.asarray(y).dtype)
        place = {label: i for i, label in enumerate(ordered)}
        codes = np.array([place.get(label, 0) for label in content.labels])[content.codes]
    if len(classes) < 2:
        raise ValueError(f"y has one class, {classes[:1].tolist()[0]!r}; at least two are wanted")
    return classes, codes.astype(np.int64)


def real_targets(y: Any, n_rows: int) -> FloatArray:
    """Return targets as float64 (n_rows,).

    Parameters
    ----------
    y : array_like (n_rows,)
        Numbers or booleans; texts only if all are numbers.
    n_rows : int
        The number of rows of X.

    Raises
    ------
    TypeError, ValueError
        If y has another length, gaps, or values other than finite numbers; the message names the
        rows.
    """
    values = as_numbers(_content(y, n_rows), "y").astype(np.float64)
    _demand_values(np.isnan(values))
    if np.isinf(values).any():
        row = int(np.argmax(np.isinf(values)))
        raise ValueError(f"y, row {row} is {values[row]}; finite numbers are wanted")
    return values


def _content(y: Any, n_rows: int) -> Content:
    if y is None:
        raise ValueError("y is None; a target for each row of X is wanted")
    if hasattr(y, "columns") or hasattr(y, "column_names"):
        y = y.to_numpy()
    if hasattr(y, "chunks") and hasattr(y, "to_pandas"):
        y = y.to_pandas()
    if library(y) not in ("pandas", "polars"):
        if isinstance(y, np.ma.MaskedArray):
            raise TypeError("y is a masked array; fill or drop the masked entries first")
        y = _array(y)
        y = one_column(y) if y.ndim == 2 else y
        if y.ndim != 1:
            raise ValueError(f"y has shape {y.shape}; (n_samples,) is wanted")
    if len(y) != n_rows:
        raise ValueError(f"y has {len(y)} values, but X has {n_rows} rows")
    return settled(read(y, "y"), "y")


def _array(y: Any) -> Array:
    """Return an array, of objects if the types of a list differ."""
    try:
        array = np.asarray(y)
    except ValueError:
        raise ValueError("y has values of different lengths; (n_samples,) is wanted") from None
    if array.dtype.kind in "US" and not isinstance(y, np.ndarray):
        return np.array(y, dtype=object)
    return array


def _demand_values(missing: Array | None) -> None:
    """Raise ValueError, naming rows, if a target is missing."""
    if missing is None or not missing.any():
        return
    rows = np.flatnonzero(missing)
    shown = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
    raise ValueError(
        f"y is missing in {len(rows)} row{'s' * (len(rows) > 1)}: {shown}; drop "
        f"{'these rows' if len(rows) > 1 else 'this row'} of X and y first"
    )
