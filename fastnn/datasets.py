"""Data sets: the packaged digits, tables in CSV and npz files, and stratified splits."""

import math
import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn._core.arrays import Array, FloatArray, IntArray
from fastnn.files import csv_file, npz_file
from fastnn.files.csv_file import column_names

__all__ = ["Table", "column_names", "infer_task", "load_digits", "read_table", "stratified_split"]

FilePath = str | os.PathLike[str]
Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Table:
    """Samples with their features, and optionally a target.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), float64
        Finite feature values.
    y : ndarray of shape (n_samples,) or None
        Finite numbers, booleans, or class names (objects if they come from a CSV file). None
        without a target.
    feature_names : list of str or None
        Names of the columns of `X`. None if the source has no names.
    target_name : str or None
        Name of the target. None without a target.
    labels : ndarray of shape (n_samples,) or None
        The target as class labels. None without a target. Labels from a CSV file are the texts of
        the cells, so that "01", "1" and "1.0" are three labels. If all texts are integers as Python
        prints them, the labels are int64. Labels from an archive are the target itself; if all are
        whole floats, they are int64.
    """

    X: FloatArray
    y: Array | None
    feature_names: list[str] | None
    target_name: str | None
    labels: Array | None = None


def load_digits() -> tuple[FloatArray, IntArray]:
    """Return 1,797 handwritten digits of 8 x 8 pixels. `data/README.md` names their source.

    Returns
    -------
    X : ndarray of shape (1797, 64), float64
        Ink of each pixel, row by row: whole numbers from 0 to 16.
    y : ndarray of shape (1797,), int64
        The digits, 0 to 9.

    Examples
    --------
    >>> X, y = fn.datasets.load_digits()
    >>> X.shape, int(X.max()), y[:5].tolist()
    ((1797, 64), 16, [0, 1, 2, 3, 4])
    """
    source = files("fastnn").joinpath("data", "digits.npz")
    with source.open("rb") as file, np.load(file) as arrays:
        return arrays["X"].astype(np.float64), arrays["y"].astype(np.int64)


def read_table(
    path: FilePath,
    target: str | None = None,
    features: Sequence[str] | None = None,
    *,
    separator: str | None = None,
    decimal: str = ".",
) -> Table:
    """Return the table in a CSV file (`*.csv`, `*.tsv`) or a NumPy archive (`*.npz`).

    A CSV file is UTF-8 text. The first line has the column names. Cells are finite decimal numbers
    such as "-1.5e3". Cells of the target may also be class names. Blank lines are skipped.
    An archive has the features in the array `X` (n_samples, n_features), and the target in another
    array (n_samples,).

    Parameters
    ----------
    path : str or PathLike
        The file. Its suffix determines the format.
    target : str, optional
        Column (CSV) or array (npz) with the target. By default no target is read.
    features : sequence of str, optional
        The feature columns of a CSV file in the wanted order. Other columns are ignored. By default
        all columns except the target. Ignored for an archive, which has no column names.
    separator : str, optional
        The separator of the cells of a CSV file. By default the tab for `*.tsv`; else the comma,
        the semicolon or the tab, whichever occurs most in the first line.
    decimal : {".", ","}
        The decimal sign of a CSV file.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        If the content is not as described. The message names the file, the line and the column.
    OSError
        If the file cannot be opened.
    """
    if decimal not in (".", ","):
        raise ValueError(f"decimal is {decimal!r}; '.' or ',' is wanted")
    if csv_file.is_csv(path):
        return _read_csv(path, target, features, separator, decimal)
    if os.path.splitext(path)[1].lower() == ".npz":
        return _read_npz(path, target)
    raise ValueError(f"{path}: expected a .csv, .tsv or .npz file")


def infer_task(y: "ArrayLike") -> Task:
    """Return the task that a target is for: "classification" or "regression".

    Text and booleans are classes. Numbers are classes if all are whole and there are few
    distinct ones: at most 2, or at most sqrt(n) for n samples, but never more than 100.

    Parameters
    ----------
    y : array_like of shape (n_samples,)
        Target values.

    Returns
    -------
    "classification" or "regression"
    """
    y = np.asarray(y)
    if y.dtype.kind in "USbO":
        return "classification"
    if np.any(y != np.round(y)):
        return "regression"
    few = max(2, min(math.isqrt(y.size), 100))
    return "classification" if np.unique(y).size <= few else "regression"


def stratified_split(
    y: "ArrayLike", fraction: float, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Return a random split into training and validation samples, in proportion for each class.

    In a class with m samples, `fraction * m` (rounded) become validation samples: at least one, but
    never all. The only sample of a class becomes a training sample. If all labels are equal, the
    split is a plain random split.

    Parameters
    ----------
    y : array_like of shape (n_samples,)
        Class labels.
    fraction : float
        Share of the validation samples, between 0 and 1, both excluded.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    train, validation : ndarray of int
        Ascending indices into `y`. Each index is in one of the two.

    Raises
    ------
    ValueError
        If `fraction` is out of range.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: expected a number between 0 and 1, got {fraction!r}")
    y = np.asarray(y)
    in_validation = np.zeros(y.size, dtype=bool)
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        share = min(max(round(fraction * members.size), 1), members.size - 1)
        in_validation[members[:share]] = True
    return np.flatnonzero(~in_validation), np.flatnonzero(in_validation)


def _read_csv(
    path: FilePath,
    target: str | None,
    features: Sequence[str] | None,
    separator: str | None,
    decimal: str,
) -> Table:
    names = column_names(path, separator)
    place = {name: position for position, name in enumerate(names)}
    chosen = list(features) if features is not None else [n for n in names if n != target]
    for name in chosen if target is None else [*chosen, target]:
        if name not in place:
            raise ValueError(csv_file.no_column(path, name, names))
    if not chosen:
        raise ValueError(f"{path}: no feature column besides the target {target!r}")
    positions = [place[name] for name in chosen]

    values, cells_of_target, line_numbers = array("d"), [], []
    for line, cells in csv_file.rows(path, len(names), separator):
        values.extend([csv_file.number(cells[i], path, line, names[i], decimal) for i in positions])
        if target is not None:
            cells_of_target.append(cells[place[target]].strip())
        line_numbers.append(line)
    if not line_numbers:
        raise ValueError(f"{path}: no data after the line with the column names")

    X = np.array(values).reshape(len(line_numbers), len(chosen))
    if target is None:
        return Table(X, None, chosen, None)
    y = _csv_target(cells_of_target, path, line_numbers, target, decimal)
    return Table(X, y, chosen, target, _csv_labels(cells_of_target))


def _csv_target(
    cells: list[str], path: FilePath, lines: list[int], column: str, decimal: str
) -> FloatArray | NDArray[np.object_]:
    """Return the numbers in `cells`, or `cells` themselves if they are class names."""
    rows = list(zip(cells, lines, strict=True))
    # An empty cell and "nan" raise an error among class names, too.
    values = [
        csv_file.number(cell, path, line, column, decimal)
        for cell, line in rows
        if csv_file.is_number(csv_file.with_point(cell, decimal))
    ]
    # A text among real numbers is an error and not another class.
    if len(values) < len(cells) and infer_task(values) == "classification":
        return np.array(cells, object)
    return np.array([csv_file.number(cell, path, line, column, decimal) for cell, line in rows])


def _csv_labels(cells: list[str]) -> Array:
    """Return class labels: integers if Python would print them like all the cells, else texts."""
    if all(map(csv_file.is_canonical_integer, cells)):
        return np.array(list(map(int, cells)), np.int64)
    return np.array(cells, object)


def _read_npz(path: FilePath, target: str | None) -> Table:
    arrays = npz_file.read(path, ["X"] if target is None else ["X", target])
    X = arrays["X"]
    if X.ndim != 2 or X.size == 0 or X.dtype.kind not in "biuf":
        raise ValueError(
            f"{path}: X must be numbers of shape (n_samples, n_features), got {_kind(X)}"
        )
    X = _finite(X, "X", path)
    if target is None:
        return Table(X, None, None, None)
    y = arrays[target]
    if y.shape != X.shape[:1]:
        raise ValueError(
            f"{path}: {target} must be numbers or text of shape ({len(X)},), got {_kind(y)}"
        )
    if y.dtype.kind == "S":
        try:
            y = np.char.decode(y, "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: {target} is not UTF-8 text ({error.reason})") from error
    if y.dtype.kind == "f":
        y = _finite(y, target, path)
    return Table(X, y, None, target, _whole_as_integers(y) if y.dtype.kind == "f" else y)


def _whole_as_integers(y: Array) -> Array:
    """Return the numbers as int64 if all are whole and in its range, else as they are."""
    whole = np.all((y == np.round(y)) & (np.abs(y) < 2.0**63))
    return y.astype(np.int64) if whole else y


def _kind(a: Array) -> str:
    return f"{a.dtype} of shape {a.shape}"


def _finite(a: Array, name: str, path: FilePath) -> FloatArray:
    """Return an array as float64, or raise ValueError if a number is not finite in float64."""
    with np.errstate(over="ignore"):
        converted = a.astype(np.float64)
    bad = np.argwhere(~np.isfinite(converted))
    if len(bad):
        place = tuple(int(i) for i in bad[0])
        index = ", ".join(map(str, place))
        found = f"{a[place]}, not a finite number"
        if np.isfinite(a[place]):
            found = f"{a[place]!s}, too large for float64"
        raise ValueError(f"{path}: {name}[{index}] is {found}")
    return converted
