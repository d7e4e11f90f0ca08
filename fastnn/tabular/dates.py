"""A date as numbers: its trend, and its place in the day, the week and the year."""

import numpy as np

from fastnn._core.arrays import Array

DAY = 86_400_000_000  # microseconds
PARTS = ("trend", "hour", "weekday", "day_of_year")  # the last three have a sine and a cosine


def number_of_part(dates: Array, part: str) -> Array:
    """Return one number for each date, as float64; NaN for NaT.

    Parameters
    ----------
    dates : ndarray (n,)
        datetime64 in microseconds.
    part : {"trend", "hour", "weekday", "day_of_year"}
        "trend" is the time in days since 1970. The others are the angle, in radians, in a day, in a
        week from Monday to Sunday, and in a year of 366 days.
    """
    number: Array
    time = dates.view(np.int64)
    if part == "trend":
        number = time / DAY
    elif part == "hour":
        number = (time % DAY) * (2 * np.pi / DAY)
    elif part == "weekday":
        number = (time // DAY + 3) % 7 * (2 * np.pi / 7)  # the first of January 1970 was a Thursday
    else:
        days = dates.astype("datetime64[D]")
        number = (days - days.astype("datetime64[Y]")).astype(np.int64) * (2 * np.pi / 366)
    return np.where(np.isnat(dates), np.nan, number)


def columns_of_part(dates: Array, part: str) -> list[tuple[str, Array]]:
    """Return the names and values of the columns of a part: one of "trend", two of the others."""
    number = number_of_part(dates, part)
    if part == "trend":
        return [(part, number)]
    return [(f"{part}_sin", np.sin(number)), (f"{part}_cos", np.cos(number))]
