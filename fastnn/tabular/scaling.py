"""The scaling of numbers by their median and quartiles, with a smooth clipping.

With the median m and the quartiles q1 and q3, a value x becomes z = (x - m) / (q3 - q1), and then
z / sqrt(1 + (z / 3)²), which is between -3 and 3. This is the preprocessing of RealMLP (Holzmüller,
Grinsztajn and Steinwart 2024, "Better by default"). If both quartiles are equal, half the range of
the values takes the place of their difference. A missing value becomes 0, as the median does.
"""

import sys
from dataclasses import dataclass

import numpy as np

from fastnn._core._calls import scale
from fastnn._core.arrays import Array

CHUNK = 1 << 15  # rows that are computed at a time, in double precision
LARGE = 1e150  # a scaled value this large is ±3 to the last digit, and its square is finite


@dataclass(frozen=True)
class Summary:
    """The gaps, the distinct values, the range and the quartiles of a numeric column."""

    gaps: int
    n_unique: int
    low: float
    quartile_1: float
    median: float
    quartile_3: float
    high: float


@dataclass(frozen=True)
class Scaling:
    """The scaling of a column before the clipping, `(x - centre) * factor`."""

    centre: float
    factor: float


def summary(values: Array, place: str) -> Summary:
    """Return the exact quantiles of a column, and how many gaps and distinct values it has.

    Quantiles between two values are interpolated linearly, as `numpy.quantile` does.

    Raises
    ------
    ValueError
        If a value is infinite; the message names the row.
    """
    ordered = np.sort(values)  # NaN comes last
    gaps = 0
    if ordered.dtype.kind == "f":
        demand_finite(values, ordered, place)
        gaps = int(len(ordered) - np.searchsorted(ordered, np.nan))
        ordered = ordered[: len(ordered) - gaps]
    if not ordered.size:
        return Summary(gaps, 0, *[float("nan")] * 5)
    n_unique = 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))
    return Summary(gaps, n_unique, *[quantile(ordered, k / 4) for k in range(5)])


def demand_finite(values: Array, checked: Array, place: str) -> None:
    """Raise ValueError if values are infinite. `checked` holds the same values in any order."""
    if np.isinf(checked).any():
        row = int(np.argmax(np.isinf(values)))
        raise ValueError(
            f"{place}, row {row} is {values[row]}; finite numbers, or NaN where missing, are wanted"
        )


def quantile(ordered: Array, q: float) -> float:
    """Return a quantile of sorted values, without differences, which could overflow."""
    at = q * (len(ordered) - 1)
    below = int(at)
    t = at - below
    a, b = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
    return a if a == b else a * (1 - t) + b * t


def scaling_of(found: Summary) -> Scaling:
    """Return the scaling of a column. If all values are equal, they become 0."""
    if found.low == found.high:
        return Scaling(found.median, 0.0)
    half = found.quartile_3 / 2 - found.quartile_1 / 2  # halves, since the range could overflow
    factor = 0.5 / half if half > 0 else 1 / max(found.high / 2 - found.low / 2, sys.float_info.min)
    return Scaling(found.median, min(factor, sys.float_info.max))


def scaling_arrays(scalings: list[Scaling]) -> Array:
    """Return k scalings as the rows low, high, centre and third (4, k), for `_calls.scale`.

    `low` and `high` limit the values before they are scaled, so that nothing overflows. `third` is
    a third of the factor.
    """
    largest = sys.float_info.max / 2
    found = []
    for scaling in scalings:
        limit = min(LARGE / scaling.factor, largest) if scaling.factor else largest
        centre = scaling.centre
        found.append([centre - limit, centre + limit, centre, scaling.factor / 3])
    return np.ascontiguousarray(np.array(found).T)


def write_scaled(values: Array, scaling: Scaling, out: Array, place: str) -> None:
    """Write the scaled values of one column into a column of the output; gaps become 0.

    Raises
    ------
    ValueError
        If a value is infinite; the message names the row.
    """
    if not scale(values, scaling_arrays([scaling]), out):
        demand_finite(values, values, place)


def scaled_levels(levels: Array, counts: Array) -> Array:
    """Return the scaled levels of a column that takes few values, such as 0 and 1.

    Parameters
    ----------
    levels : ndarray (k,)
        Distinct values, in ascending order.
    counts : ndarray (k,)
        The number of rows with each value. A column with one value in all rows becomes 0.
    """
    ends = np.cumsum(counts)
    there = np.flatnonzero(counts)
    found = np.zeros(len(levels))
    if len(there) < 2:
        return found
    sketch = _Repeated(levels, ends)
    quantiles = [quantile(sketch, k / 4) for k in range(5)]  # type: ignore[arg-type]
    scaling = scaling_of(Summary(0, len(there), *quantiles))
    scale(levels, scaling_arrays([scaling]), found)
    return found


@dataclass(frozen=True)
class _Repeated:
    """A sequence of sorted values that stores each distinct value once."""

    levels: Array
    ends: Array

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, i: int) -> float:
        return float(self.levels[np.searchsorted(self.ends, i, side="right")])
