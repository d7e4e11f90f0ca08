"""Data for the command line: the packaged digits, CSV and npz tables, a stratified split."""

import csv
import math
import os
import tokenize
import zipfile
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
        Finite numbers, booleans or text (class names); None without a target.
    feature_names : list of str or None
        Names of the columns of `X`; None where the source has no names.
    target_name : str or None
        Name of the target; None without a target.
    """

    X: NDArray[np.float64]
    y: NDArray[Any] | None
    feature_names: list[str] | None
    target_name: str | None


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
    cells are finite numbers, but those of the target may be class names; blank lines are skipped.
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


def column_names(path: FilePath) -> list[str]:
    """Return the column names of a CSV file.

    Parameters
    ----------
    path : str or PathLike
        A CSV file.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        The first line is missing, or a name is empty or occurs twice.
    OSError
        The file cannot be opened.
    """
    _, cells = next(_csv_lines(path), (0, []))
    names = [cell.strip() for cell in cells]
    if not names:
        raise ValueError(f"{path}: expected column names in the first line, which is empty")
    for position, name in enumerate(names, start=1):
        if not name:
            raise ValueError(f"{path}, line 1: column {position} has no name")
        if name in names[: position - 1]:
            raise ValueError(f"{path}, line 1: two columns have the name {name!r}")
    return names


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
    if y.dtype.kind in "USb":
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
    chosen = list(features) if features is not None else [n for n in names if n != target]
    for name in chosen if target is None else [*chosen, target]:
        if name not in names:
            raise ValueError(f"{path}: no column {name!r}; the columns are {', '.join(names)}")
    if not chosen:
        raise ValueError(f"{path}: no feature column beside the target {target!r}")
    positions = [names.index(name) for name in chosen]

    values, labels, line_numbers = array("d"), [], []
    rows = _csv_lines(path)
    next(rows)
    for line, cells in rows:
        # With one column, a blank line is an empty cell.
        if not cells and len(names) > 1:
            continue
        if len(cells) != len(names):
            raise ValueError(
                f"{path}, line {line}: {len(cells)} cells, but there are {len(names)} columns"
            )
        values.extend([_number(cells[i], path, line, names[i]) for i in positions])
        if target is not None:
            labels.append(cells[names.index(target)].strip())
        line_numbers.append(line)
    if not line_numbers:
        raise ValueError(f"{path}: no data after the line with the column names")

    X = np.array(values).reshape(len(line_numbers), len(chosen))
    y = None if target is None else _csv_target(labels, path, line_numbers, target)
    return Table(X, y, chosen, target)


def _csv_lines(path: FilePath) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells; what is not CSV raises a ValueError that says where."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            first = file.readline()
            file.seek(0)
            separator = max(",;\t", key=first.count)
            reader = csv.reader(file, strict=True, delimiter=separator)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text ({error.reason})") from error
        try:
            for cells in reader:
                yield reader.line_num, cells
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text ({error.reason})") from error


def _number(text: str, path: FilePath, line: int, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        found = repr(text) if text.strip() else "an empty cell"
        raise ValueError(
            f"{path}, line {line}, column {column!r}: expected a finite number, found {found}"
        )
    return value


def _csv_target(
    cells: list[str], path: FilePath, lines: list[int], column: str
) -> NDArray[np.float64] | NDArray[np.str_]:
    """Return the numbers in `cells`, or `cells` themselves if they are class names."""
    rows = list(zip(cells, lines, strict=True))
    # This refuses an empty cell and "nan" among class names, too.
    values = [_number(c, path, line, column) for c, line in rows if not c or _is_float(c)]
    # A text among measurements is a slip, not one more class.
    if len(values) < len(cells) and infer_task(values) == "classification":
        return np.array(cells)
    return np.array([_number(c, path, line, column) for c, line in rows])


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_npz(path: FilePath, target: str | None) -> Table:
    wanted = ["X"] if target is None else ["X", target]
    with open(path, "rb") as file:
        # Of anything else, `np.load` says that it needs pickle.
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path}: not an .npz archive, or a damaged one")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                present = archive.files
                arrays = {name: np.asarray(archive[name]) for name in wanted if name in present}
        # encrypted, of an unknown compression, or with a header that is no header
        except (
            ValueError, EOFError, RuntimeError, SyntaxError, tokenize.TokenError,
            zipfile.BadZipFile, zlib.error,
        ) as error:  # fmt: skip
            raise ValueError(f"{path}: cannot be read as an .npz archive ({error})") from error
    for name in wanted:
        if name not in arrays:
            raise ValueError(f"{path}: no array {name!r}; the arrays are {', '.join(present)}")

    X = arrays["X"]
    if X.ndim != 2 or X.size == 0 or X.dtype.kind not in "biuf":
        raise ValueError(
            f"{path}: X must be numbers of shape (n_samples, n_features), got {_kind(X)}"
        )
    with np.errstate(over="ignore"):  # a longer number becomes infinity, which is refused
        X = X.astype(np.float64)
    _check_finite(X, "X", path)
    if target is None:
        return Table(X, None, None, None)
    y = arrays[target]
    if y.shape != X.shape[:1] or y.dtype.kind not in "biufUS":
        raise ValueError(
            f"{path}: {target} must be numbers or text of shape ({len(X)},), got {_kind(y)}"
        )
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8")
    if y.dtype.kind == "f":
        _check_finite(y, target, path)
    return Table(X, y, None, target)


def _kind(a: NDArray[Any]) -> str:
    return f"{a.dtype} of shape {a.shape}"


def _check_finite(a: NDArray[Any], name: str, path: FilePath) -> None:
    bad = np.argwhere(~np.isfinite(a))
    if len(bad):
        index = ", ".join(map(str, bad[0]))
        raise ValueError(f"{path}: {name}[{index}] is {a[tuple(bad[0])]}, not a finite number")
