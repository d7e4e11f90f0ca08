"""CSV files: cells, column names and numbers. Errors name the line and the column.

A number has decimal digits, and optionally a sign, a point and an exponent, as in a spreadsheet.
"1_0", "٣" and "nan", which Python accepts, are not numbers here, and neither is "1,000". A file
whose decimal sign is the comma has commas in place of the points.
"""

import csv
import difflib
import math
import os
import re
from collections.abc import Iterator, Sequence

from fastnn._checks.printing import printable

FilePath = str | os.PathLike[str]

SUFFIXES = (".csv", ".tsv")
MOST_SHOWN = 50  # column names in a message
SWAPPED = str.maketrans(",.", ".,")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
MISSING = re.compile(r"[+-]?(nan|inf|infinity)|", re.IGNORECASE)
CANONICAL_INTEGER = re.compile(r"0|-?[1-9]\d{0,18}", re.ASCII)


class CellError(ValueError):
    """A cell holds no finite number."""


def is_csv(path: FilePath) -> bool:
    """Return whether a file is a CSV file, by its name."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def separator(path: FilePath) -> str:
    """Return the separator of a CSV file: the one that occurs most often in the first line.

    It is the comma, the semicolon or the tab, and always the tab if the name ends in ".tsv".

    Raises
    ------
    ValueError
        If the file is not UTF-8.
    OSError
        If the file cannot be opened.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            first = file.readline()
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text ({error.reason})") from error
    if os.path.splitext(path)[1].lower() == ".tsv":
        return "\t"
    return max(",;\t", key=first.count)


def lines(path: FilePath, separated_by: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of each line.

    Parameters
    ----------
    path : str or PathLike
    separated_by : str, optional
        By default what `separator` returns.

    Raises
    ------
    ValueError
        If the file is not CSV, naming the line, or not UTF-8.
    OSError
        If the file cannot be opened.
    """
    delimiter = separated_by or separator(path)
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True, delimiter=delimiter)
        try:
            for cells in reader:
                yield reader.line_num, cells
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text ({error.reason})") from error


def column_names(path: FilePath, separated_by: str | None = None) -> list[str]:
    """Return the column names of a CSV file.

    Parameters
    ----------
    path : str or PathLike
        A CSV file.
    separated_by : str, optional
        By default what `separator` returns.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If the first line is missing, a name is empty or occurs twice, or `lines` raises.
    OSError
        If the file cannot be opened.
    """
    _, cells = next(lines(path, separated_by), (0, []))
    names = [cell.strip() for cell in cells]
    if not names:
        raise ValueError(f"{path}: expected column names in the first line, which is empty")
    seen: set[str] = set()
    for position, name in enumerate(names, start=1):
        if not name:
            raise ValueError(f"{path}, line 1: column {position} has no name")
        if name in seen:
            raise ValueError(f"{path}, line 1: two columns have the name {name!r}")
        seen.add(name)
    return names


def rows(
    path: FilePath, n_columns: int, separated_by: str | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of each row after the column names.

    Blank lines are skipped, except in a file of one column.

    Raises
    ------
    ValueError
        If a row has too few or too many cells, naming the line, or `lines` raises.
    OSError
        If the file cannot be opened.
    """
    found = lines(path, separated_by)
    next(found, None)
    for line, cells in found:
        if not cells and n_columns > 1:
            continue
        if len(cells) != n_columns:
            raise ValueError(
                f"{path}, line {line}: {len(cells)} cells, but there are {n_columns} columns"
            )
        yield line, cells


def with_point(text: str, decimal: str) -> str:
    """Return a cell with its points and commas exchanged if the decimal sign is the comma."""
    return text if decimal == "." else text.translate(SWAPPED)


def number(text: str, path: FilePath, line: int, column: str, decimal: str = ".") -> float:
    """Return the number in a cell.

    Raises
    ------
    CellError
        If the cell is not a number, or is too large for float64.
    """
    stripped = with_point(text.strip(), decimal)
    value = float(stripped) if NUMBER.fullmatch(stripped) else math.nan
    if not math.isfinite(value):
        found = repr(text) if stripped else "an empty cell"
        raise CellError(
            f"{path}, line {line}, column {column!r}: expected a finite number, found {found}"
        )
    return value


def is_number(text: str) -> bool:
    """Return whether a stripped cell is a number, empty, NaN or infinity."""
    return bool(NUMBER.fullmatch(text) or MISSING.fullmatch(text))


def is_canonical_integer(text: str) -> bool:
    """Return whether a cell is exactly the text that Python prints for an int64."""
    return bool(CANONICAL_INTEGER.fullmatch(text)) and -(2**63) <= int(text) < 2**63


def shown(names: Sequence[str]) -> str:
    """Return column names as a text for an error message."""
    text = ", ".join(map(printable, names[:MOST_SHOWN]))
    more = len(names) - MOST_SHOWN
    return text if more <= 0 else f"{text} and {more} more"


def no_column(path: FilePath, name: str, names: Sequence[str]) -> str:
    """Return the message for a column that does not exist, with similar names or with all names."""
    folded: dict[str, str] = {}
    for there in names:
        folded.setdefault(there.casefold(), there)
    near = difflib.get_close_matches(name.casefold(), folded, n=3)
    if not near:
        return f"{path}: no column {name!r}; the columns are {shown(names)}"
    choice = " or ".join(repr(folded[text]) for text in near)
    return f"{path}: no column {name!r} (did you mean {choice}?)"
