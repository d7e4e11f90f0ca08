"""Column names and nullable dtypes of data frames of pandas and Polars.

The attributes of an object tell whether it is a data frame; neither library is imported.
"""

from typing import Any

import numpy as np

from fastnn._core.arrays import Array


def column_names(value: Any) -> list[str] | None:
    """Return the column names of a data frame, or of one of its rows; None if it has no names.

    Only names that are text count. An array has no names.

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


def demand_names(X: Any, names: "list[str] | None") -> None:
    """Check that a data frame has the columns `names`, if there are any."""
    if names is not None and type(X) is not np.ndarray:
        found = column_names(X)
        if found is not None:
            same_names(found, names)


def same_names(found: list[str], wanted: list[str]) -> None:
    """Raise ValueError unless the column names equal those in training, in the same order.

    Raises
    ------
    ValueError
        If they differ; the message is scikit-learn's.
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


def of_nullable_columns(value: Any, array: Array, name: str, missing: bool = False) -> Array:
    """Return a data frame or column with nullable numeric dtypes as a numeric array.

    `array` is the object array that NumPy made of it. It is returned unchanged if `value` is not a
    data frame or column, or a dtype is not numeric. With `missing`, missing values become NaN.
    """
    try:
        columns = [value.iloc[:, i] for i in range(array.shape[1])] if array.ndim == 2 else [value]
        numeric = all(getattr(column.dtype, "kind", "O") in "biuf" for column in columns)
    except (AttributeError, TypeError, IndexError):  # neither a frame nor a column
        return array
    if not numeric:
        return array
    parts = []
    for column in columns:
        if not column.isna().any():
            parts.append(column.to_numpy(np.dtype(_numpy_dtype(column.dtype))))
        elif missing:
            parts.append(column.to_numpy(np.dtype(np.float64), na_value=np.nan))
        else:
            place = name if array.ndim == 1 else f"{name}, column {column.name!r},"
            raise ValueError(f"{place} has missing values; fill or drop them first")
    return parts[0] if array.ndim == 1 else np.column_stack(parts)


def _numpy_dtype(dtype: Any) -> Any:
    """Return the NumPy dtype of a column with a NumPy, nullable or Arrow dtype."""
    return getattr(dtype, "numpy_dtype", dtype)
