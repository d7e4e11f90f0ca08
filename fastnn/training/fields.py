"""Fields of a checkpoint: a field says which values it allows.

A field is a predicate, which returns whether a value is allowed, and a text for the error message,
which says what is allowed. The functions here make fields; `demand_fields` checks a part of a
checkpoint against the fields that it must have.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import numpy as np

from fastnn._core.arrays import Array

State = dict[str, Any]
Field = tuple[Callable[[Any], bool], str]

LARGEST_COUNT = 2**62  # of samples, updates and epochs that the engine can count


def demand_fields(part: str, state: State, fields: Mapping[str, Field]) -> None:
    """Check the values of one part of a checkpoint, in the order of the fields.

    Raises
    ------
    ValueError
        If a value is missing, not allowed, or has no field. The message names it.
    """
    for name, (is_allowed, allowed) in fields.items():
        if name not in state:
            raise ValueError(f"{part}.{name} is missing; {allowed} is wanted")
        if not is_allowed(state[name]):
            value = state[name]
            shown = f"of shape {value.shape}, {value.dtype}" if is_array(value) else repr(value)
            raise ValueError(f"{part}.{name} is {shown[:200]}; {allowed} is wanted")
    if unknown := sorted(state.keys() - fields.keys()):
        raise ValueError(f"{part} has unknown values {unknown}")


# ---------------------------------------------------------------------- fields


def anything() -> Field:
    """Return a field that allows every value."""
    return (lambda value: True), "anything"


def same(expected: Any) -> Field:
    """Return a field that allows one value, of the same type."""
    return (lambda v: type(v) is type(expected) and v == expected), repr(expected)


def boolean() -> Field:
    """Return a field that allows True and False."""
    return (lambda v: isinstance(v, bool)), "True or False"


def integer(least: int, most: int, unit: int = 1) -> Field:
    """Return a field that allows the multiples of `unit` from `least` to `most`."""
    multiple = f", a multiple of {unit}," if unit > 1 else ""
    return (
        lambda v: is_integer(v) and least <= v <= most and v % unit == 0,
        f"an integer{multiple} from {least} to {most}",
    )


def number(least: float = -math.inf, most: float = math.inf) -> Field:
    """Return a field that allows the finite numbers from `least` to `most`."""
    return (
        lambda v: is_number(v) and abs(v) < math.inf and least <= v <= most,
        f"a finite number from {least:g} to {most:g}",
    )


def list_of(item: Field, n: int) -> Field:
    """Return a field that allows lists of n values that `item` allows."""
    return (
        lambda v: isinstance(v, list) and len(v) == n and all(map(item[0], v)),
        f"a list of {n}, each {item[1]},",
    )


def array(
    dtype: Any,
    shape: tuple[Any, ...],
    is_allowed: Callable[[Any], bool] = lambda array: True,
    entries: str = "",
) -> Field:
    """Return a field that allows arrays of this dtype and shape for which `is_allowed` is true.

    `entries` describes to the user what `is_allowed` demands.
    """
    wanted = np.dtype(dtype)
    return (
        lambda v: is_array(v) and v.dtype == wanted and v.shape == shape and is_allowed(v),
        f"an array {shape} of {wanted}{' with ' if entries else ''}{entries}",
    )


def finite_array(dtype: Any, shape: tuple[Any, ...]) -> Field:
    """Return a field that allows arrays of finite numbers."""
    return array(dtype, shape, is_finite, "finite numbers")


def pcg64() -> Field:
    """Return a field that allows the state of `numpy.random.default_rng`'s bit generator."""
    return _is_pcg64, "the state of a PCG64"


# ---------------------------------------------------------------------- predicates


def is_array(value: Any) -> bool:
    """Whether a value is a NumPy array."""
    return isinstance(value, np.ndarray)


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether a value is an int, and not a bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is a float, or an int that a float can hold."""
    return isinstance(value, float) or (is_integer(value) and abs(value) < 2**63)


def is_finite(array: Array) -> bool:
    """Whether an array holds no NaN and no infinity."""
    return bool(np.isfinite(array).all())


def is_order(order: Array, shuffled: bool) -> bool:
    """Whether an array holds each index once; in ascending order unless it is shuffled."""
    n = len(order)
    if not shuffled:
        return bool((order == np.arange(n)).all())
    if n and not 0 <= order.min() <= order.max() < n:
        return False
    return bool((np.bincount(order, minlength=n) == 1).all())


def _is_pcg64(state: Any) -> bool:
    if not isinstance(state, dict) or state.keys() != {
        "bit_generator",
        "state",
        "has_uint32",
        "uinteger",
    }:
        return False
    inner = state["state"]
    return (
        state["bit_generator"] == "PCG64"
        and isinstance(inner, dict)
        and inner.keys() == {"state", "inc"}
        and all(is_integer(value) and 0 <= value < 2**128 for value in inner.values())
        and inner["inc"] % 2 == 1
        and is_integer(state["has_uint32"])
        and state["has_uint32"] in (0, 1)
        and is_integer(state["uinteger"])
        and 0 <= state["uinteger"] < 2**32
    )
