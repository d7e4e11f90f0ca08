"""Data for the command line: the packaged digits, CSV and npz tables, a stratified split."""

import math
import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn.files import csv_file, npz_file
from fastnn.files.csv_file import column_names

__all__ = ["Table", "column_names", "infer_task", "load_digits", "read_table", "stratified_split"]

FilePath = str | os.PathLike[str]
Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Table:
    """Samples in rows, features in columns, and perhaps a target.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), float64
        Finite feature values.
    y : ndarray of shape (n_samples,) or None
        Finite numbers, booleans or text (class names, from a CSV file as objects); None without a
        target.
    feature_names : list of str or None
        Names of the columns of `X`; None where the source has no names.
    target_name : str or None
        Name of the target; None without a target.
    labels : ndarray of shape (n_samples,) or None
        The target as class labels. From a CSV file each is its own text, so that "01", "1" and
        "1.0" are three; or an int64, if every text is what that integer is printed as. From an
        archive the target itself, whole floats as integers. None without a target.
    """

    X: NDArray[np.float64]
    y: NDArray[Any] | None
    feature_names: list[str] | None
    target_name: str | None
    labels: NDArray[Any] | None = None


def load_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return 1,797 handwritten digits, 8 x 8 pixels each; source and licence: data/README.md.

    Returns
    -------
    X : ndarray of shape (1797, 64), float64
        Ink per pixel, whole numbers from 0 to 16, row by row.
    y : ndarray of shape (1797,), int64
        The digit, 0 to 9.
    """
    source = files("fastnn").joinpath("data", "digits.npz")
    with source.open("rb") as file, np.load(file) as arrays:
        return arrays["X"].astype(np.float64), arrays["y"].astype(np.int64)


def read_table(
    path: FilePath, target: str | None = None, features: Sequence[str] | None = None
) -> Table:
    """Read a CSV file (`.csv`) or NumPy archive (`.npz`).

    A CSV file is UTF-8 text with the column names in its first line, separated by commas,
    semicolons or tabs, whichever that line has most of. All
    cells are finite numbers of decimal digits, as "-1.5e3", but those of the target may be class
    names; blank lines are skipped.
    An archive has the features in `X`, of shape (n_samples, n_features), and targets of shape
    (n_samples,).

    Parameters
    ----------
    path : str or PathLike
        The file; its suffix tells the format.
    target : str, optional
        Column (CSV) or array (npz) with the target; by default no target is read.
    features : sequence of str, optional
        The feature columns of a CSV file, in this order, other columns being ignored; by default
        all columns but the target. An archive has no column names and takes no notice.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        The content is not as described; the message names the file and the line and column.
    OSError
        The file cannot be opened.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".csv":
        return _read_csv(path, target, features)
    if suffix == ".npz":
        return _read_npz(path, target)
    raise ValueError(f"{path}: expected a .csv or .npz file")


def infer_task(y: ArrayLike) -> Task:
    """Tell from the target whether a task is classification or regression.

    Text and booleans are classes. Numbers are classes if all are whole and there are few distinct
    ones among n samples: at most sqrt(n), but two always pass, and more than 100 never.

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
    y: ArrayLike, fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split samples at random into training and validation with each class in proportion.

    A class of m samples sends `fraction * m` of them, rounded, to validation: at least one, but
    never all, so that a single sample stays in training. Equal labels give a plain random split.

    Parameters
    ----------
    y : array_like of shape (n_samples,)
        Class labels.
    fraction : float
        Share of validation, between 0 and 1, both excluded.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    train, validation : ndarray of int
        Ascending indices into `y`, which together are each index once.

    Raises
    ------
    ValueError
        `fraction` is out of range.
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


def _read_csv(path: FilePath, target: str | None, features: Sequence[str] | None) -> Table:
    names = column_names(path)
    place = {name: position for position, name in enumerate(names)}
    chosen = list(features) if features is not None else [n for n in names if n != target]
    for name in chosen if target is None else [*chosen, target]:
        if name not in place:
            shown = csv_file.shown(names)
            raise ValueError(f"{path}: no column {name!r}; the columns are {shown}")
    if not chosen:
        raise ValueError(f"{path}: no feature column beside the target {target!r}")
    positions = [place[name] for name in chosen]

    values, cells_of_target, line_numbers = array("d"), [], []
    rows = csv_file.lines(path)
    next(rows)
    for line, cells in rows:
        # With one column, a blank line is an empty cell.
        if not cells and len(names) > 1:
            continue
        if len(cells) != len(names):
            raise ValueError(
                f"{path}, line {line}: {len(cells)} cells, but there are {len(names)} columns"
            )
        values.extend([csv_file.number(cells[i], path, line, names[i]) for i in positions])
        if target is not None:
            cells_of_target.append(cells[place[target]].strip())
        line_numbers.append(line)
    if not line_numbers:
        raise ValueError(f"{path}: no data after the line with the column names")

    X = np.array(values).reshape(len(line_numbers), len(chosen))
    if target is None:
        return Table(X, None, chosen, None)
    y = _csv_target(cells_of_target, path, line_numbers, target)
    return Table(X, y, chosen, target, _csv_labels(cells_of_target))


def _csv_target(
    cells: list[str], path: FilePath, lines: list[int], column: str
) -> NDArray[np.float64] | NDArray[np.object_]:
    """Return the numbers in `cells`, or `cells` themselves if they are class names."""
    rows = list(zip(cells, lines, strict=True))
    # This refuses an empty cell and "nan" among class names, too.
    values = [
        csv_file.number(cell, path, line, column) for cell, line in rows if csv_file.is_number(cell)
    ]
    # A text among measurements is a slip, not one more class.
    if len(values) < len(cells) and infer_task(values) == "classification":
        return np.array(cells, object)
    return np.array([csv_file.number(cell, path, line, column) for cell, line in rows])


def _csv_labels(cells: list[str]) -> NDArray[Any]:
    """Return the cells as class labels: their texts, or integers if that loses no character."""
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


def _whole_as_integers(y: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers as int64, if they all are and none lies beyond it."""
    whole = np.all((y == np.round(y)) & (np.abs(y) < 2.0**63))
    return y.astype(np.int64) if whole else y


def _kind(a: NDArray[Any]) -> str:
    return f"{a.dtype} of shape {a.shape}"


def _finite(a: NDArray[Any], name: str, path: FilePath) -> NDArray[np.float64]:
    """Convert to float64, in which all numbers must be finite."""
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
