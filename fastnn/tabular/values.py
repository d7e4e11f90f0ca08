"""Single values of a table: which are missing, and their reading as text, number or date."""

import datetime
import re
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

BOOLEANS = (bool, np.bool_)
NUMBERS = (Real, Decimal, np.number)
TEXTS = (str, bytes)
DATES = (datetime.date, np.datetime64)  # `datetime.datetime` and pandas' Timestamp are dates too

ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?")


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or pandas' NA."""
    if isinstance(value, str):
        return False
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # a comparison with no truth value, such as an array's
        return False


def text_of(value: Any) -> str:
    """Return the text of a category. Equal numbers of different types have the same text."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float | np.floating):
        number = float(value)
        return str(int(number)) if number.is_integer() else str(number)
    return str(value)


def number_of(value: Any) -> float | None:
    """Return a number, a boolean, or a text that is a number, as a float; None for another value.

    A missing value and an empty text are NaN.
    """
    if is_missing(value):
        return np.nan
    if isinstance(value, TEXTS):
        text = text_of(value).strip()
        if not text:
            return np.nan
        try:
            return float(text)
        except ValueError:
            return None
    if isinstance(value, (*NUMBERS, *BOOLEANS)) and not isinstance(value, np.complexfloating):
        try:
            return float(value)
        except OverflowError:  # an integer beyond the range of float64
            return np.inf if value > 0 else -np.inf  # type: ignore[operator]
    return None


def date_of(value: Any) -> np.datetime64 | None:
    """Return a date or a text in ISO 8601 form as a NumPy date; None for another value.

    A time with a zone keeps its local time.
    """
    if is_missing(value):
        return np.datetime64("NaT", "us")
    if isinstance(value, TEXTS):
        text = text_of(value).strip()
        if not ISO_DATE.fullmatch(text):
            return None
        try:
            return np.datetime64(text, "us")
        except ValueError:  # such as the 30th of February
            return None
    if isinstance(value, datetime.datetime):
        value = value.replace(tzinfo=None)
    date: Any = value  # the types of NumPy's constructor do not know every date
    return np.datetime64(date, "us") if isinstance(value, DATES) else None
