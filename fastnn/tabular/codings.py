"""The codings: each writes one fitted column into the output."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastnn._core.arrays import Array
from fastnn.tabular.dates import columns_of_part
from fastnn.tabular.reading import Content, as_dates, as_numbers, as_texts
from fastnn.tabular.scaling import CHUNK, Scaling, scaled_levels, write_scaled


@dataclass(frozen=True)
class NumericCoding:
    """One scaled output, and a second one that tells where gaps are unless `gap` is None.

    Attributes
    ----------
    position : int
        The place of the column in the table.
    centre, factor : float
        The scaling.
    gap : list of two floats, or None
        The scaled output for a present and for a missing value.
    at, gap_at : int
        The places of the outputs.
    """

    type: ClassVar[str] = "numeric"
    position: int
    centre: float
    factor: float
    gap: list[float] | None
    at: int = 0
    gap_at: int = 0

    @property
    def suffixes(self) -> list[str]:
        """What the names of the outputs in the numeric block add to the column's name."""
        return [""]

    def write(self, content: Content, place: str, out: Array) -> None:
        """Write the outputs of all rows of a column into `out`, or raise for a wrong value."""
        values = as_numbers(content, place)
        write_scaled(values, Scaling(self.centre, self.factor), out[:, self.at], place)
        if self.gap is not None:
            write_gaps(values, self.gap, out[:, self.gap_at])


@dataclass(frozen=True)
class DateCoding:
    """Scaled parts of a date: outputs named `names`, from `at` on. Gaps are coded as in numbers."""

    type: ClassVar[str] = "datetime"
    position: int
    parts: list[str]
    names: list[str]
    centres: list[float]
    factors: list[float]
    gap: list[float] | None
    at: int = 0
    gap_at: int = 0

    @property
    def suffixes(self) -> list[str]:
        """What the names of the outputs in the numeric block add to the column's name."""
        return [f"_{name}" for name in self.names]

    def write(self, content: Content, place: str, out: Array) -> None:
        """Write the outputs of all rows of a column into `out`, or raise for a wrong value."""
        dates = as_dates(content, place)
        for start in range(0, len(dates), CHUNK):
            rows = slice(start, start + CHUNK)
            columns = [
                column for part in self.parts for column in columns_of_part(dates[rows], part)
            ]
            scalings = map(Scaling, self.centres, self.factors)
            for i, ((_, values), scaling) in enumerate(zip(columns, scalings, strict=True)):
                write_scaled(values, scaling, out[rows, self.at + i], place)
        if self.gap is not None:
            write_gaps(dates, self.gap, out[:, self.gap_at])


@dataclass(frozen=True)
class CategoryCoding:
    """For each value the row of `table` at its code, or the code if `table` is None.

    `codes` has the code of each text, from 1 on. Other texts and gaps have the code 0.
    """

    type: ClassVar[str] = "category"
    position: int
    codes: dict[str, int]
    table: Array | None
    at: int = 0

    @property
    def suffixes(self) -> list[str]:
        """An empty list, since no output is in the numeric block."""
        return []

    def write(self, content: Content, place: str, out: Array) -> None:
        """Write the outputs of all rows of a column into `out`."""
        codes, texts = as_texts(content)
        known = np.array([*(self.codes.get(text, 0) for text in texts), 0])
        for start in range(0, len(codes), CHUNK):
            rows = slice(start, start + CHUNK)
            found = known[codes[rows]]  # a gap, -1, takes the last place
            if self.table is None:
                out[rows, self.at] = found
            else:
                out[rows, self.at : self.at + self.table.shape[1]] = self.table[found]


Coding = NumericCoding | DateCoding | CategoryCoding
CODINGS: dict[str, Any] = {c.type: c for c in (NumericCoding, DateCoding, CategoryCoding)}


def write_gaps(values: Array, gap: list[float], out: Array) -> None:
    """Write the second number of `gap` where values are missing, and the first elsewhere."""
    missing: Any = False
    if values.dtype.kind in "fM":
        missing = np.isnan(values) if values.dtype.kind == "f" else np.isnat(values)
    out[:] = np.where(missing, gap[1], gap[0])


def gap_levels(gaps: int, n_rows: int) -> list[float]:
    """Return the scaled output for a present and for a missing value of a column with gaps."""
    levels: list[float] = scaled_levels(
        np.array([0.0, 1.0]), np.array([n_rows - gaps, gaps])
    ).tolist()
    return levels


def one_hot_table(counts: Array) -> Array:
    """Return the scaled one-hot outputs of each code, given the number of rows with each code.

    Two categories share one output: 1 for the first, -1 for the second, 0 for a gap. Otherwise each
    category has an output that is 1 for it and 0 for all others. All are scaled like numbers.
    """
    n_rows, k = int(counts.sum()), len(counts) - 1
    if k == 2:
        second, missing, first = scaled_levels(np.array([-1.0, 0.0, 1.0]), counts[[2, 0, 1]])
        return np.array([[missing], [first], [second]])
    table = np.empty((k + 1, k))
    for code in range(1, k + 1):
        off, on = scaled_levels(
            np.array([0.0, 1.0]), np.array([n_rows - counts[code], counts[code]])
        )
        table[:, code - 1] = off
        table[code, code - 1] = on
    return table


def placed(codings: list[Coding]) -> tuple[list[Coding], int, int, list[int]]:
    """Give each coding its places in the output: numbers, then one-hot outputs, then codes.

    Returns
    -------
    (list, int, int, list of int)
        The codings with their places, the number of numeric outputs, the number of one-hot outputs,
        and the number of codes of each column of codes, with the code 0.
    """
    n_numeric = sum(len(coding.suffixes) for coding in codings)
    n_one_hot = sum(_n_one_hot(coding) for coding in codings)
    numeric, one_hot = 0, n_numeric
    cardinalities: list[int] = []
    found: list[Coding] = []
    for coding in codings:
        if isinstance(coding, CategoryCoding) and coding.table is None:
            at = n_numeric + n_one_hot + len(cardinalities)
            cardinalities.append(1 + max(coding.codes.values()))
            found.append(dataclasses.replace(coding, at=at))
            continue
        if isinstance(coding, CategoryCoding):
            found.append(dataclasses.replace(coding, at=one_hot))
        else:
            found.append(dataclasses.replace(coding, at=numeric, gap_at=one_hot))
            numeric += len(coding.suffixes)
        one_hot += _n_one_hot(coding)
    return found, n_numeric, n_one_hot, cardinalities


def _n_one_hot(coding: Coding) -> int:
    if isinstance(coding, CategoryCoding):
        return 0 if coding.table is None else coding.table.shape[1]
    return int(coding.gap is not None)


def outputs_of(coding: Coding) -> list[int]:
    """Return the places of a placed coding's outputs."""
    if isinstance(coding, CategoryCoding):
        width = 1 if coding.table is None else coding.table.shape[1]
        return list(range(coding.at, coding.at + width))
    numeric = list(range(coding.at, coding.at + len(coding.suffixes)))
    return numeric if coding.gap is None else [*numeric, coding.gap_at]


def names_of(coding: Coding, name: str) -> list[str]:
    """Return the names of a coding's outputs, as `outputs_of` orders them."""
    if isinstance(coding, CategoryCoding):
        if coding.table is None:
            return [name]
        texts = list(coding.codes)[: coding.table.shape[1]]
        return [f"{name}_{text}" for text in texts]
    numeric = [f"{name}{suffix}" for suffix in coding.suffixes]
    return numeric if coding.gap is None else [*numeric, f"missingindicator_{name}"]


def state_of(coding: Coding) -> dict[str, Any]:
    """Return a coding as a dict of numbers, texts, lists and arrays."""
    return {"type": coding.type} | dataclasses.asdict(coding)


def coding_from(state: dict[str, Any]) -> Coding:
    """Return the coding that `state_of` described. Arrays may be lists."""
    fields = dict(state)
    made: Any = CODINGS[fields.pop("type")]
    if fields.get("table") is not None:
        fields["table"] = np.asarray(fields["table"], np.float64)
    coding: Coding = made(**fields)
    return coding
