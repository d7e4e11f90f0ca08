"""What a fit finds out about each column: its kind, its gaps, and its coding."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.tabular import reading
from fastnn.tabular.codings import (
    CategoryCoding,
    Coding,
    DateCoding,
    NumericCoding,
    gap_levels,
    one_hot_table,
)
from fastnn.tabular.dates import PARTS, columns_of_part
from fastnn.tabular.reading import Content, Dates, Labels, Numbers
from fastnn.tabular.scaling import scaling_of, summary
from fastnn.tabular.values import BOOLEANS, is_missing

FEWEST_IDS = 20  # a column with fewer values is never an ID


@dataclass(frozen=True)
class Column:
    """What a `TableEncoder` found out about a column.

    Attributes
    ----------
    name : str or int
        Its name, or its position in a table without names.
    kind : str
        "numeric", "category", "boolean" or "datetime"; or, for a column without outputs,
        "constant", "duplicate", "id" or "dropped".
    gaps : int
        The number of rows in which its value is missing.
    n_unique : int
        The number of distinct values, without gaps.
    reading : str
        How it was read, or why it has no outputs.
    outputs : tuple of int
        The places of its outputs among the encoder's outputs.
    """

    name: str | int
    kind: str
    gaps: int
    n_unique: int
    reading: str
    outputs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Found:
    """A column, its coding if it has outputs, and a key that equal columns have in common."""

    column: Column
    coding: Coding | None = None
    key: Any = None

    def without_outputs(self, kind: str, reason: str) -> "Found":
        """Return the column without outputs, as another kind and for a reason."""
        return Found(dataclasses.replace(self.column, kind=kind, reading=reason))


def examine(
    content: Content, position: int, name: Any, place: str, role: str, max_one_hot: int, gaps: bool
) -> Found:
    """Return the kind of a column, and its coding.

    Parameters
    ----------
    content : Numbers, Labels or Dates
    position : int
        The place of the column in the table.
    name : str or int
    place : str
        The column's name in errors.
    role : {"auto", "numeric", "categorical"}
        How the user wants the column to be read.
    max_one_hot : int
        The largest number of categories, with the gap, that are coded one-hot.
    gaps : bool
        Whether a column of numbers or dates with gaps has an output that tells where they are.

    Raises
    ------
    TypeError, ValueError
        If a value cannot be used. The message names the column and the row.
    """
    if role == "categorical":
        return _category(content, position, name, max_one_hot, ids=False)
    if role == "numeric":
        values = reading.as_numbers(content, place)
        return _numeric(values, position, name, place, gaps, ids=False)
    content = reading.settled(content, place)
    if isinstance(content, Numbers):
        return _numeric(content.values, position, name, place, gaps, ids=True)
    if isinstance(content, Dates):
        return _dates(content.values, position, name, place, gaps)
    return _category(content, position, name, max_one_hot, ids=True)


def _numeric(values: Array, position: int, name: Any, place: str, gaps: bool, ids: bool) -> Found:
    found = summary(values, place)
    column = Column(name, "numeric", found.gaps, found.n_unique, "")
    if found.n_unique == 0 or (found.n_unique == 1 and not (gaps and found.gaps)):
        return _constant(column, f"{found.median:g}")
    scaling = scaling_of(found)
    gap = gap_levels(found.gaps, len(values)) if gaps and found.gaps else None
    how = f"numbers from {found.low:g} to {found.high:g}, median {found.median:g}"
    if found.gaps:
        how += ", gaps: the median" + (" and an indicator" if gap else "")
    is_id = (
        ids
        and values.dtype.kind in "iu"
        and found.n_unique == len(values) >= FEWEST_IDS
        and found.high - found.low < 2 * len(values)
    )
    if is_id:
        how = "a different integer in each row"
    return Found(
        dataclasses.replace(column, kind="id" if is_id else "numeric", reading=how),
        NumericCoding(position, scaling.centre, scaling.factor, gap),
        found,
    )


def _dates(dates: Array, position: int, name: Any, place: str, gaps: bool) -> Found:
    present = dates[~np.isnat(dates)]
    missing = len(dates) - len(present)
    column = Column(name, "datetime", missing, len(np.unique(present)), "")
    if column.n_unique == 0 or (column.n_unique == 1 and not (gaps and missing)):
        return _constant(column, str(present[0]) if present.size else "")
    parts, names, scalings = [], [], []
    for part in PARTS:
        columns = [(n, v, summary(v, place)) for n, v in columns_of_part(dates, part)]
        if part != "trend" and all(found.n_unique < 2 for _, _, found in columns):
            continue
        parts.append(part)
        for output, _, found in columns:
            names.append(output)
            scalings.append(scaling_of(found))
    how = f"dates from {present.min()} to {present.max()}: {', '.join(parts)}"
    if missing:
        how += "; gaps: the medians" + (" and an indicator" if gaps else "")
    coding = DateCoding(
        position,
        parts,
        names,
        [scaling.centre for scaling in scalings],
        [scaling.factor for scaling in scalings],
        gap_levels(missing, len(dates)) if gaps and missing else None,
    )
    key = ("dates", missing, column.n_unique, str(present.min()), str(present.max()))
    return Found(dataclasses.replace(column, reading=how), coding, key)


def _category(content: Content, position: int, name: Any, max_one_hot: int, ids: bool) -> Found:
    given, texts = reading.as_texts(content)
    used = np.bincount(given[given >= 0], minlength=len(texts)) > 0
    codes = {
        text: code
        for code, text in enumerate(
            sorted({text for text, there in zip(texts, used, strict=True) if there}), 1
        )
    }
    known = np.array([*(codes.get(text, 0) for text in texts), 0])
    counts = np.bincount(known[given], minlength=len(codes) + 1)
    missing, k = int(counts[0]), len(codes)
    labels = content.labels if isinstance(content, Labels) else []
    boolean = bool(labels) and all(isinstance(v, BOOLEANS) or is_missing(v) for v in labels)
    column = Column(name, "boolean" if boolean else "category", missing, k, "")
    if k == 0 or (k == 1 and not missing):
        return _constant(column, repr(next(iter(codes), "")))
    if ids and not boolean and k == len(given) - missing and k >= FEWEST_IDS:
        return Found(column).without_outputs("id", "a different text in each row")
    if k + 1 <= max_one_hot:
        table = one_hot_table(counts)
        how = "one output, 1 and -1" if k == 2 else "one-hot"
    else:
        table, how = None, "codes"
    key = ("category", tuple(codes), counts.tobytes())
    if boolean:  # a table for prediction may have 0 and 1 for False and True
        codes |= {"0": codes.get("False", 0), "1": codes.get("True", 0)}
    coding = CategoryCoding(position, codes, table)
    return Found(
        dataclasses.replace(column, reading=f"{k} categor{'y' if k == 1 else 'ies'}: {how}"),
        coding,
        key,
    )


def _constant(column: Column, value: str) -> Found:
    reason = f"one value in all rows: {value}" if column.n_unique else "no values"
    if column.n_unique and column.gaps:
        reason = f"one value in all rows with a value: {value}"
    return Found(dataclasses.replace(column, kind="constant", reading=reason))


def equal(first: Content, second: Content, place: str) -> bool:
    """Return whether two columns with the same key hold the same values in all rows."""
    first, second = reading.settled(first, place), reading.settled(second, place)
    if isinstance(first, Labels) or isinstance(second, Labels):
        (codes, texts), (others, other_texts) = reading.as_texts(first), reading.as_texts(second)
        index = {text: i for i, text in enumerate(dict.fromkeys([*texts, *other_texts]))}
        own = np.array([*(index[text] for text in texts), -1])[codes]
        other = np.array([*(index[text] for text in other_texts), -1])[others]
        return bool(np.array_equal(own, other))
    if isinstance(first, Dates) != isinstance(second, Dates):
        return False
    return bool(np.array_equal(first.values, second.values, equal_nan=True))
