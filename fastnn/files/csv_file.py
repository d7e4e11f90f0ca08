"""CSV files: cells, column names and numbers. Errors name the line and the column.

A number has decimal digits, and optionally a sign, a point and an exponent, as in a spreadsheet.
"1_0", "٣" and "nan", which Python accepts, are not numbers here, and neither is "1,000".
"""

import csv
import math
import os
import re
from collections.abc import Iterator

from fastnn._checks.printing import printable

FilePath = str | os.PathLike[str]

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
MISSING = re.compile(r"[+-]?(nan|inf|infinity)|", re.IGNORECASE)
CANONICAL_INTEGER = re.compile(r"0|-?[1-9]\d{0,18}", re.ASCII)


class CellError(ValueError):
    """A cell holds no finite number."""


def separator(path: FilePath) -> str:
    """Return the separator of a CSV file: the comma, semicolon or tab, the most in the first line.

    Raises
    ------
    ValueError
        If the file is not UTF-8.
    OSError
        If the file cannot be opened.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            return max(",;\t", key=file.readline().count)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text ({error.reason})") from error


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
        If the file is not CSV or not UTF-8. It names the line.
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
        If the first line is missing, or a name is empty or occurs twice.
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


def number(text: str, path: FilePath, line: int, column: str) -> float:
    """Return the number in a cell.

    Raises
    ------
    CellError
        If the cell is not a number, or is too large for float64.
    """
    stripped = text.strip()
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


def shown(names: list[str]) -> str:
    """Return column names as a text for an error message."""
    return ", ".join(map(printable, names))
