"""One view of every kind of table: its column names, its number of rows, and its columns.

The attributes of an object tell which kind it is, so that pandas, polars and pyarrow need not be
imported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn._checks import frames


@dataclass(frozen=True)
class Table:
    """A table whose columns are read one at a time.

    `names` has a text for each column if `named` is True, and otherwise the column's position.
    `column(i)` returns the i-th column as an object of the table's library.
    """

    names: list[Any]
    named: bool
    n_rows: int
    column: Callable[[int], Any]


def library(value: Any) -> str:
    """Return the name of the package that an object's class comes from."""
    return type(value).__module__.partition(".")[0]


def place(name: Any) -> str:
    """Return the name of a column for error messages."""
    return f"X, column {name!r}"


def table_of(X: Any) -> Table:
    """Return the view of a data frame, an Arrow table, an array, or a list of rows.

    Raises
    ------
    TypeError
        If X is sparse, masked, lazy, or no table.
    ValueError
        If X does not have two dimensions, has no column, no row, rows of different lengths, or two
        columns with the same name.
    """
    if hasattr(X, "toarray"):
        raise TypeError("Sparse data was passed for X, but dense data is required: X.toarray()")
    if isinstance(X, np.ma.MaskedArray):
        raise TypeError("X is a masked array; fill the masked entries first, such as with NaN")
    if library(X) == "polars" and hasattr(X, "collect"):
        raise TypeError("X is a LazyFrame; a DataFrame is wanted: X.collect()")
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        table = _of_frame(X)
    elif hasattr(X, "column_names") and hasattr(X, "to_pandas"):
        names = list(X.column_names)
        table = Table(
            names, True, X.num_rows, lambda i: X.column(i).to_pandas(date_as_object=False)
        )
    else:
        table = _of_array(X)
    if table.named and len(set(table.names)) < len(table.names):
        twice = sorted({name for name in table.names if table.names.count(name) > 1})
        raise ValueError(f"X has more than one column named {', '.join(map(repr, twice))}")
    for count, what in ((table.n_rows, "sample"), (len(table.names), "feature")):
        if count == 0:
            raise ValueError(
                f"X has 0 {what}(s) (shape=({table.n_rows}, {len(table.names)})) while a minimum "
                f"of 1 is required."
            )
    return table


def _of_frame(X: Any) -> Table:
    names = frames.column_names(X)
    if names is None:
        return Table(list(range(X.shape[1])), False, X.shape[0], lambda i: X.iloc[:, i])
    return Table(names, True, X.shape[0], lambda i: X[names[i]])


def _of_array(X: Any) -> Table:
    array = np.array(X, dtype=object) if isinstance(X, list | tuple) else np.asarray(X)
    if array.dtype.names is not None and array.ndim == 1:
        fields = list(array.dtype.names)
        return Table(fields, True, len(array), lambda i: array[fields[i]])
    if array.ndim == 0:
        raise TypeError(
            f"X is a {type(X).__name__}; a data frame, an array or a list of rows is wanted"
        )
    if array.ndim == 1 and array.dtype == object and isinstance(next(iter(array), 0), list | tuple):
        raise ValueError("X has rows of different lengths; a table is wanted")
    if array.ndim != 2:
        raise ValueError(
            f"X has shape {array.shape}; a table (n_samples, n_features) is wanted. Reshape your "
            f"data, with X.reshape(-1, 1) for one feature and X.reshape(1, -1) for one sample"
        )
    return Table(list(range(array.shape[1])), False, len(array), lambda i: array[:, i])


def positions_of(named: Any, table: Table, argument: str) -> list[int]:
    """Return the positions of the columns that an argument names, by their name or position.

    Raises
    ------
    ValueError
        If there is no such column, or `named` is a text.
    """
    if named is None:
        return []
    if isinstance(named, str):
        raise ValueError(f"{argument} is {named!r}; a list of columns is wanted: [{named!r}]")
    found = []
    for name in named:
        if isinstance(name, str) and table.named and name in table.names:
            found.append(table.names.index(name))
        elif (
            isinstance(name, int | np.integer)
            and not isinstance(name, bool)
            and 0 <= name < len(table.names)
        ):
            found.append(int(name))
        else:
            raise ValueError(f"{argument} names {name!r}, which is no column of X")
    return found
