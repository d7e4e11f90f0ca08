"""The decimal sign of a CSV file, from its cells."""

import itertools
import re
from collections.abc import Collection, Iterable

from fastnn.files import csv_file
from fastnn.files.csv_file import FilePath

SAMPLED_ROWS = 1000  # rows that are read first; most files show their decimal sign there
FRACTION = re.compile(r"[+-]?\d+([.,])\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
SOME_COMMA = re.compile(rb"\d,\d")


def decimal_sign(path: FilePath, separator: str, gaps: Collection[str]) -> str:
    """Return the decimal sign of a CSV file: the one that most columns with fractions have.

    A column counts if all its fractions have the same sign, and all its other cells are integers or
    gaps. The first rows are read. If no column has decimal commas there, the whole file is read.

    Parameters
    ----------
    path : str or PathLike
    separator : str
        If it is the comma, the decimal sign is the point.
    gaps : collection of str
        Cells without a value.

    Raises
    ------
    ValueError
        If as many columns have commas as have points, or the file is not CSV.
    OSError
        If the file cannot be opened.
    """
    if separator == ",":
        return "."
    with open(path, "rb") as file:
        if not any(map(SOME_COMMA.search, file)):
            return "."
    names = csv_file.column_names(path, separator)
    width = len(names)
    first = itertools.islice(csv_file.rows(path, width, separator), SAMPLED_ROWS)
    found = _fractions(first, width, gaps)
    if not any("," in cell for _, cell in found.values()):
        if not _has_commas(csv_file.rows(path, width, separator), width):
            return "."
        found = _fractions(csv_file.rows(path, width, separator), width, gaps)
    commas = [i for i, (_, cell) in found.items() if "," in cell]
    points = [i for i, (_, cell) in found.items() if "." in cell]
    if commas and len(commas) == len(points):
        (line, cell), (other_line, other) = found[commas[0]], found[points[0]]
        raise ValueError(
            f"{path}: column {names[commas[0]]!r} has decimal commas ({cell!r} in line {line}), "
            f"but column {names[points[0]]!r} has points ({other!r} in line {other_line}); "
            f"--decimal , or --decimal . is wanted"
        )
    return "," if len(commas) > len(points) else "."


def _has_commas(rows: Iterable[tuple[int, list[str]]], width: int) -> bool:
    """Return whether some column has commas in fractions only. Cells without commas are skipped."""
    alive, seen = list(range(width)), set()
    for _, cells in rows:
        for i in [i for i in alive if "," in cells[i]]:
            if FRACTION.fullmatch(cells[i].strip()):
                seen.add(i)
            else:
                alive.remove(i)
    return not seen.isdisjoint(alive)


def _fractions(
    rows: Iterable[tuple[int, list[str]]], width: int, gaps: Collection[str]
) -> dict[int, tuple[int, str]]:
    """Return the line and the text of the first fraction of each column that counts."""
    first: dict[int, tuple[int, str]] = {}
    signs: dict[int, str] = {}
    alive = list(range(width))
    for line, cells in rows:
        broken = []
        for i in alive:
            text = cells[i].strip()
            if text in gaps or csv_file.CANONICAL_INTEGER.fullmatch(text):
                continue
            match = FRACTION.fullmatch(text)
            if match and signs.setdefault(i, match[1]) == match[1]:
                first.setdefault(i, (line, text))
            else:
                broken.append(i)
        if broken:
            alive = [i for i in alive if i not in broken]
    return {i: first[i] for i in alive if i in first}
