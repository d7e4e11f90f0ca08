"""Numbers, choices, flags and lists that a user hands in, checked at the public door."""

import contextlib
import re
from numbers import Integral, Real
from typing import Any

import numpy as np

from fastnn import _core


def integer(value: Any, name: str, *, at_least: int) -> int:
    """Check a whole number below 2**62; bool is not one."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; an integer is wanted")
    found = int(value)
    if not at_least <= found < 2**62:
        # of thousands of digits, Python refuses to print it
        sign, power = "-" if found < 0 else "", found.bit_length()
        shown = f"about {sign}2**{power}" if power > 256 else found
        limit = " and below 2**62" if found >= 2**62 else ""
        raise ValueError(f"{name} is {shown}; an integer of at least {at_least}{limit} is wanted")
    return found


def demand_memory(n_numbers: int, value: int, name: str) -> None:
    """See that an argument does not ask for more float64 numbers than could be had."""
    try:
        np.empty(n_numbers)
    except (MemoryError, ValueError, OverflowError):
        raise ValueError(
            f"{name} is {value}; fewer are wanted: there is no memory for {n_numbers:.2g} numbers"
        ) from None


def thread_count(n_threads: Any) -> int:
    """Check `n_threads`, and return how many to use; by default as many as are useful."""
    if n_threads is not None:
        n_threads = integer(n_threads, "n_threads", at_least=1)
    return _core.thread_count(n_threads)


def seed(value: Any) -> int | None:
    """Check a seed: an integer of at least 0, or None for fresh entropy."""
    return None if value is None else integer(value, "seed", at_least=0)


def choice(value: Any, name: str, choices: tuple[str, ...]) -> str:
    """Check that a text is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        wanted = " or ".join(map(repr, choices))
        raise ValueError(f"{name} is {value!r}; {wanted} is wanted")
    return value


def boolean(value: Any, name: str) -> bool:
    """Check a truth value, Python's or NumPy's."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r}; True or False is wanted")
    return bool(value)


def pair(value: Any, name: str) -> tuple[Any, Any]:
    """Check a pair (X, y)."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name} is a {type(value).__name__}; a pair (X, y) is wanted")
    return value[0], value[1]


def held_out(value: Any, name: str) -> tuple[Any, Any, Any]:
    """Check a pair (X, y), or a triple (X, y, sample_weight); without weights the last is None."""
    if not isinstance(value, tuple | list) or len(value) not in (2, 3):
        raise TypeError(
            f"{name} is a {type(value).__name__}; a pair (X, y), or a triple (X, y, sample_weight),"
            f" is wanted"
        )
    return value[0], value[1], value[2] if len(value) == 3 else None


def share(value: Any, name: str, otherwise: str) -> float:
    """Check a share, above 0 and below 1; the error speaks of what else is taken."""
    if not isinstance(value, Real) or isinstance(value, bool):
        kind = type(value).__name__
        raise TypeError(f"{name} is a {kind}; {otherwise} or a share below 1 is wanted")
    return number(value, name, above=0, below=1)


def epochs_or_time(value: Any, name: str) -> tuple[int | None, float | None]:
    """Check a number of epochs, or a time as in "30s", "10min", "2h", of which one is returned."""
    if not isinstance(value, str):
        return integer(value, name, at_least=1), None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", value, re.ASCII)
    if match is None or not 0 < float(match[1]) < 1e9:
        raise ValueError(
            f"{name} is {value!r}; a number of epochs, or a time such as '30s', '10min' or '2h', "
            f"is wanted"
        )
    return None, float(match[1]) * {"s": 1, "min": 60, "h": 3600}[match[2]]


def sequence_of(value: Any, name: str, kind: type) -> tuple[Any, ...]:
    """Check a list or tuple of instances of a class."""
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name} is {value!r}; a list of {kind.__name__} objects is wanted")
    for i, item in enumerate(value):
        if not isinstance(item, kind):
            raise TypeError(f"{name}[{i}] is {item!r}; a {kind.__name__} object is wanted")
    return tuple(value)


def number(
    value: Any,
    name: str,
    *,
    above: float = -np.inf,
    at_least: float = -np.inf,
    below: float = np.inf,
) -> float:
    """Check a finite real number with above < value < below and at_least <= value."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; a real number is wanted")
    try:
        found = float(value)
    except OverflowError:
        found = np.inf
    if not (above < found < below and at_least <= found):  # NaN and infinities fail here too
        limits = [
            f"{word} {limit:g}"
            for word, limit in (("above", above), ("at least", at_least), ("below", below))
            if np.isfinite(limit)
        ]
        wanted = " and ".join(["a finite number", *limits])
        raise ValueError(f"{name} is {found:g}; {wanted} is wanted")
    return found


FLOATING = {
    text: np.dtype(kind)
    for kind, texts in (
        (np.float32, ("float32", "single", "f", "f4", "<f4", "=f4")),
        (np.float64, ("float64", "double", "float", "d", "f8", "<f8", "=f8")),
    )
    for text in texts
}


def floating_dtype(value: Any) -> np.dtype[Any]:
    """Check that a dtype is float32 or float64, in native byte order.

    A text, which may come from a file, is looked up: NumPy evaluates those it is given, and some of
    them end the interpreter.
    """
    found: np.dtype[Any] | None = None
    if isinstance(value, str):
        found = FLOATING.get(value)
    elif isinstance(value, np.dtype | type):
        with contextlib.suppress(TypeError, ValueError):
            found = np.dtype(value)
    for wanted in (np.dtype(np.float32), np.dtype(np.float64)):
        if found is not None and found == wanted:
            return wanted
    raise ValueError(f"dtype is {value!r}; 'float32' or 'float64' is wanted")


def names(value: Any, name: str, n: int, types: tuple[type, ...]) -> list[Any] | None:
    """Check a list of n names of those types, or None."""
    if value is None:
        return None
    items = list(value) if isinstance(value, list | tuple | np.ndarray) else []
    items = [item.item() if isinstance(item, np.generic) else item for item in items]
    if len(items) != n or not all(isinstance(item, types) for item in items):
        wanted = " or ".join(t.__name__ for t in types)
        raise ValueError(f"{name} is {value!r}; a list of {n} of type {wanted} is wanted")
    return items


def optional_text(value: Any, name: str) -> str | None:
    """Check a text, or None."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}; a text is wanted")
    return value
