"""Data frames, pandas' and Polars', known by what they have: column names and nullable dtypes.

Neither library is imported.
"""

from typing import Any

import numpy as np

from fastnn._core.arrays import Array


def column_names(value: Any) -> list[str] | None:
    """Return the names of a frame's columns, or of the entries of one of its rows, if it has any.

    pandas' and Polars' frames have names where they are text; an array has none.

    Raises
    ------
    TypeError
        If some names are text and others are not.
    """
    if isinstance(value, np.ndarray | list | tuple):
        return None
    if hasattr(value, "columns") and hasattr(value, "dtypes"):
        found = list(value.columns)
    elif hasattr(value, "iloc") and hasattr(value, "index") and np.ndim(value) == 1:
        found = list(value.index)
    else:
        return None
    kinds = sorted({"str" if isinstance(name, str) else type(name).__name__ for name in found})
    if "str" not in kinds:
        return None
    if len(kinds) > 1:
        raise TypeError(
            f"Feature names are only supported if all input features have string names, but your "
            f"input has {kinds} as feature name / column name types. With all names numbers or "
            f"with an array instead of a frame, there are no feature names."
        )
    return [str(name) for name in found]


def same_names(found: list[str], wanted: list[str]) -> None:
    """See that a frame's columns are those of training, in their order.

    Raises
    ------
    ValueError
        If they are not, in scikit-learn's words.
    """
    if found == wanted:
        return
    lines = ["The feature names should match those that were passed during fit."]
    for what, names in (
        ("Feature names unseen at fit time:", sorted(set(found) - set(wanted))),
        ("Feature names seen at fit time, yet now missing:", sorted(set(wanted) - set(found))),
    ):
        if names:
            shown = [f"- {name}" for name in names[:5]] + (["- ..."] if len(names) > 5 else [])
            lines += [what, *shown]
    if len(lines) == 1:
        lines.append("Feature names must be in the same order as they were in fit.")
    raise ValueError("\n".join(lines) + "\n")


def of_nullable_columns(value: Any, array: Array, name: str) -> Array:
    """Convert a frame or a column, of which NumPy has made objects, if its dtypes are numeric."""
    try:
        columns = [value.iloc[:, i] for i in range(array.shape[1])] if array.ndim == 2 else [value]
        numeric = all(getattr(column.dtype, "kind", "O") in "biuf" for column in columns)
    except (AttributeError, TypeError, IndexError):  # neither a frame nor a column
        return array
    if not numeric:
        return array
    for column in columns:
        if column.isna().any():
            place = name if array.ndim == 1 else f"{name}, column {column.name!r},"
            raise ValueError(f"{place} has missing values; fill or drop them first")
    parts = [column.to_numpy(np.dtype(_numpy_dtype(column.dtype))) for column in columns]
    return parts[0] if array.ndim == 1 else np.column_stack(parts)


def _numpy_dtype(dtype: Any) -> Any:
    """Return NumPy's dtype of a nullable or Arrow column's, or its own where it is NumPy's."""
    return getattr(dtype, "numpy_dtype", dtype)
