"""The content of a column of any library: numbers, labels or dates."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.tabular.tables import library
from fastnn.tabular.values import (
    BOOLEANS,
    DATES,
    ISO_DATE,
    NUMBERS,
    TEXTS,
    date_of,
    is_missing,
    number_of,
    text_of,
)

CHUNK = 1 << 15  # rows of texts that become Python objects at a time
FEW_ROWS = 100  # up to here, reading value by value is faster than calls of a library


@dataclass(frozen=True)
class Numbers:
    """A column of integers or floats (n,). NaN marks a gap."""

    values: Array


@dataclass(frozen=True)
class Labels:
    """A column of values that repeat: `labels[codes[i]]` is the value of row i, and -1 a gap.

    `categorical` means that the dtype is categorical; then a label may be any object. `texts` means
    that the dtype holds only texts, so texts may stand for numbers.
    """

    codes: Array
    labels: list[Any]
    categorical: bool = False
    texts: bool = False


@dataclass(frozen=True)
class Dates:
    """A column of dates (n,), datetime64 in microseconds of local time. NaT marks a gap."""

    values: Array


Content = Numbers | Labels | Dates


def read(column: Any, place: str) -> Content:
    """Return the content of a column of a `Table`; `place` names it in errors.

    Raises
    ------
    TypeError, ValueError
        If its values are other than numbers, texts, booleans, dates and categories.
    """
    if isinstance(column, np.ndarray):
        return _of_array(column, place)
    if library(column) == "polars":
        return _of_polars(column, place)
    return _of_pandas(column, place)


def _of_array(values: Array, place: str) -> Content:
    if values.ndim != 1:
        raise TypeError(f"{place} has an array of shape {values.shape[1:]} in each row")
    kind = values.dtype.kind
    if kind in "iu" or values.dtype in (np.float32, np.float64):
        return Numbers(values)
    if kind == "f":
        return Numbers(values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64))
    if kind == "b":
        return Labels(values.astype(np.int8), [False, True])
    if kind == "M":
        return Dates(_microseconds(values, place))
    if kind == "m":
        return Numbers(np.where(np.isnat(values), np.nan, values / np.timedelta64(1, "s")))
    if kind == "c":
        raise ValueError(f"Complex data not supported: {place} has dtype {values.dtype}")
    if kind in "OUST":
        codes, labels = factorized(values, place)
        return Labels(codes, labels, texts=kind != "O")
    raise TypeError(f"{place} has dtype {values.dtype}, which is not supported")


def _microseconds(dates: Array, place: str) -> Array:
    """Return dates in microseconds, or raise ValueError for a year out of their range."""
    found = dates.astype("datetime64[us]")
    if np.datetime_data(dates.dtype)[0] in ("Y", "M", "W", "D", "h", "m", "s", "ms"):
        wrong = (found.astype(dates.dtype) != dates) & ~np.isnat(dates)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"{place}, row {row} is {dates[row]}; a year between -290000 and 290000 is wanted"
            )
    return found


def _of_pandas(column: Any, place: str) -> Content:
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return _of_array(column.to_numpy(), place)
    if str(dtype) == "category":
        if len(column) <= FEW_ROWS:
            return Labels(*factorized(column.tolist(), place), categorical=True)
        return Labels(column.cat.codes.to_numpy(), list(column.cat.categories), categorical=True)
    if str(dtype).startswith("period"):
        column = column.dt.to_timestamp()
        dtype = column.dtype
    kind = getattr(dtype, "kind", "O")
    if kind == "M":
        if getattr(dtype, "tz", None) is not None or getattr(column.dt, "tz", None) is not None:
            column = column.dt.tz_localize(None)
        return Dates(column.to_numpy(dtype="datetime64[us]"))
    if kind == "m":
        return _of_array(column.to_numpy(dtype="timedelta64[us]"), place)
    if kind == "b":
        gaps = column.isna().to_numpy()
        codes = column.to_numpy(dtype=np.bool_, na_value=False).astype(np.int8)
        return Labels(np.where(gaps, np.int8(-1), codes), [False, True])
    if kind in "iuf":
        if getattr(dtype, "fill_value", None) is not None:  # a sparse column
            return _of_array(np.asarray(column), place)
        if column.isna().any():
            return Numbers(column.to_numpy(dtype=np.float64, na_value=np.nan))
        return _of_array(column.to_numpy(dtype=np.dtype(dtype.numpy_dtype)), place)
    if len(column) <= FEW_ROWS:
        return Labels(*factorized(column.tolist(), place))
    try:
        codes, labels = column.factorize()
    except TypeError:
        return Labels(*factorized(column.tolist(), place))  # it names the row that is not hashable
    return Labels(codes, list(labels))


def _of_polars(column: Any, place: str) -> Content:
    kind = str(column.dtype).partition("(")[0]
    if kind.startswith(("Int", "UInt", "Float")):
        return _of_array(column.to_numpy(), place)
    if kind == "Null":
        return Numbers(np.full(len(column), np.nan))
    if kind == "Boolean":
        codes = column.fill_null(False).to_numpy().astype(np.int8)
        gaps = column.is_null().to_numpy()
        return Labels(np.where(gaps, np.int8(-1), codes), [False, True])
    if kind in ("Date", "Datetime"):
        if getattr(column.dtype, "time_zone", None) is not None:
            column = column.dt.replace_time_zone(None)
        return Dates(column.to_numpy().astype("datetime64[us]"))
    if kind == "Duration":
        return _of_array(column.to_numpy(), place)
    categorical = kind in ("Categorical", "Enum")
    if categorical or kind in ("String", "Decimal"):
        return Labels(*factorized(_Chunks(column), place), categorical)
    if kind == "Object":
        return Labels(*factorized(column.to_list(), place))
    raise TypeError(f"{place} has dtype {column.dtype}, which is not supported")


@dataclass(frozen=True)
class _Chunks:
    """The values of a column of polars. Only a chunk at a time becomes Python objects."""

    column: Any

    def __len__(self) -> int:
        return len(self.column)

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self.column), CHUNK):
            yield from self.column[start : start + CHUNK].to_list()


def factorized(values: Any, place: str) -> tuple[Array, list[Any]]:
    """Return the code of each value, -1 for a gap, and the distinct values in the order of codes.

    Raises
    ------
    TypeError
        If a value is not hashable.
    """
    seen: dict[Any, int] = {}
    try:
        each = (seen.setdefault(value, len(seen)) for value in values)
        codes = np.fromiter(each, np.int64, len(values))
    except TypeError:
        for row, value in enumerate(values):
            if type(value).__hash__ is None:
                raise _unusable(value, place, row) from None
        raise
    labels = list(seen)
    gaps = [code for code, label in enumerate(labels) if is_missing(label)]
    if gaps:
        new = np.arange(len(labels))
        new[gaps] = -1
        codes = new[codes]
    return codes, labels


def _unusable(value: Any, place: str, row: int) -> TypeError:
    return TypeError(
        f"{place}, row {row} is {value!r:.60}, of type {type(value).__name__}; the argument must "
        f"be a string, a boolean, a date or a number"
    )


def row_of(content: Labels, code: int) -> int:
    """Return the first row with a label."""
    return int(np.argmax(content.codes == code))


def settled(content: Content, place: str) -> Content:
    """Return labels as numbers or dates if all of them are; other content is returned unchanged.

    Labels of a categorical column are unchanged. Numbers may come as texts only beside numbers, or
    in a NumPy array of texts. Dates may come as texts in ISO 8601 form. All other mixtures of
    numbers, booleans, dates and texts stay labels.

    Raises
    ------
    TypeError
        If a label is another object.
    """
    if not isinstance(content, Labels) or content.categorical:
        return content
    given = [value for value in content.labels if not is_missing(value)]
    kinds = {type(value) for value in given}
    for kind in kinds:
        if not issubclass(kind, (*TEXTS, *BOOLEANS, *NUMBERS, *DATES)):
            code = next(i for i, value in enumerate(content.labels) if type(value) is kind)
            raise _unusable(content.labels[code], place, row_of(content, code))
    if not given:
        return Numbers(np.full(len(content.codes), np.nan))
    if all(issubclass(kind, BOOLEANS) for kind in kinds):
        return content
    is_text = [issubclass(kind, TEXTS) for kind in kinds]
    if content.texts or not all(is_text):
        numbers = [number_of(value) for value in content.labels]
        if None not in numbers:
            return Numbers(_numbers_of(content, np.array(numbers, np.float64)))
    if not any(is_text) or ISO_DATE.fullmatch(text_of(given[0])):
        dates = [date_of(value) for value in content.labels]
        if None not in dates:
            missing = np.datetime64("NaT", "us")
            return Dates(_spread(content, np.array(dates, "datetime64[us]"), missing))
    return content


def _numbers_of(content: Labels, numbers: Array) -> Array:
    """Return the numbers of the rows; integers stay integers if no row has a gap."""
    whole = all(isinstance(label, int | np.integer) for label in content.labels)
    if whole and (content.codes >= 0).all() and np.abs(numbers).max() < 2**53:
        numbers = numbers.astype(np.int64)
        return numbers[content.codes]
    return _spread(content, numbers, np.nan)


def _spread(content: Labels, values: Array, missing: Any) -> Array:
    """Return the value of each row's label."""
    spread: Array = np.append(values, missing)[content.codes]  # the code -1 is the last place
    return spread


def as_numbers(content: Content, place: str) -> Array:
    """Return a column as numbers (n,); NaN marks a gap. Texts that are numbers are read as such.

    Raises
    ------
    ValueError
        If a value is no number; the message names the row.
    """
    if isinstance(content, Numbers):
        return content.values
    if isinstance(content, Dates):
        raise ValueError(f"{place} has dates; numbers are wanted")
    numbers = [number_of(value) for value in content.labels]
    for code, number in enumerate(numbers):
        if number is None and (content.codes == code).any():
            raise ValueError(
                f"{place}, row {row_of(content, code)} is {content.labels[code]!r}; a number "
                f"is wanted"
            )
    return _spread(content, np.array(numbers, np.float64), np.nan)


def as_dates(content: Content, place: str) -> Array:
    """Return a column as dates (n,); NaT marks a gap. Texts in ISO 8601 form are read as dates.

    Raises
    ------
    ValueError
        If a value is no date; the message names the row.
    """
    missing = np.datetime64("NaT", "us")
    if isinstance(content, Dates):
        return content.values
    if isinstance(content, Numbers):
        given = np.flatnonzero(~np.isnan(content.values))
        if given.size:
            row = int(given[0])
            raise ValueError(f"{place}, row {row} is {content.values[row]}; a date is wanted")
        return np.full(len(content.values), missing)
    dates = [date_of(value) for value in content.labels]
    for code, date in enumerate(dates):
        if date is None and (content.codes == code).any():
            raise ValueError(
                f"{place}, row {row_of(content, code)} is {content.labels[code]!r}; a date is "
                f"wanted"
            )
    return _spread(content, np.array(dates, "datetime64[us]"), missing)


def as_texts(content: Content) -> tuple[Array, list[str]]:
    """Return the code of each row, -1 for a gap, and the text of each code; texts may repeat."""
    if isinstance(content, Labels):
        return content.codes, [text_of(label) for label in content.labels]
    values: Any
    if len(content.values) <= FEW_ROWS:
        codes, values = np.arange(len(content.values)), list(content.values)
    else:
        values, codes = np.unique(content.values, return_inverse=True)
    gaps = np.array([is_missing(value) for value in values])
    return np.where(gaps[codes], -1, codes), [text_of(value) for value in values]
