"""Checks of numbers, choices, flags and lists that a user passes."""

import contextlib
import os
import re
from numbers import Integral, Real
from typing import Any

import numpy as np

from fastnn import _core


def integer(value: Any, name: str, *, at_least: int) -> int:
    """Return a checked integer, at least `at_least` and below 2**62; a bool is not accepted."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; an integer is wanted")
    found = int(value)
    if not at_least <= found < 2**62:
        # Python refuses to print an integer of thousands of digits
        sign, power = "-" if found < 0 else "", found.bit_length()
        shown = f"about {sign}2**{power}" if power > 256 else found
        limit = " and below 2**62" if found >= 2**62 else ""
        raise ValueError(f"{name} is {shown}; an integer of at least {at_least}{limit} is wanted")
    return found


def demand_memory(n_numbers: int, value: int, name: str) -> None:
    """Raise ValueError if there is no memory for the float64 numbers that an argument needs."""
    try:
        np.empty(n_numbers)
    except (MemoryError, ValueError, OverflowError):
        raise ValueError(
            f"{name} is {value}; fewer are wanted: there is no memory for {n_numbers:.2g} numbers"
        ) from None


def thread_count(n_threads: Any) -> int:
    """Return the checked number of threads; by default as many as are useful."""
    if n_threads is not None:
        n_threads = integer(n_threads, "n_threads", at_least=1)
    return _core.thread_count(n_threads)


def seed(value: Any) -> int | None:
    """Return a checked seed: an integer of at least 0, or None for fresh entropy."""
    return None if value is None else integer(value, "seed", at_least=0)


def choice(value: Any, name: str, choices: tuple[str, ...]) -> str:
    """Return a text that is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        wanted = " or ".join(map(repr, choices))
        raise ValueError(f"{name} is {value!r}; {wanted} is wanted")
    return value


def file_path(path: Any) -> str:
    """Return a checked path as a str; bytes and the numbers of open files are not accepted."""
    found = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(found, str):
        raise TypeError(f"path is {path!r}; a str or a PathLike of str is wanted")
    return found


def boolean(value: Any, name: str) -> bool:
    """Return a checked bool of Python or NumPy, as a bool of Python."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r}; True or False is wanted")
    return bool(value)


def pair(value: Any, name: str) -> tuple[Any, Any]:
    """Return a checked pair (X, y)."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name} is a {type(value).__name__}; a pair (X, y) is wanted")
    return value[0], value[1]


def held_out(value: Any, name: str) -> tuple[Any, Any, Any]:
    """Return (X, y, sample_weight), from a pair or a triple; sample_weight is None for a pair."""
    if not isinstance(value, tuple | list) or len(value) not in (2, 3):
        raise TypeError(
            f"{name} is a {type(value).__name__}; a pair (X, y), or a triple (X, y, sample_weight),"
            f" is wanted"
        )
    return value[0], value[1], value[2] if len(value) == 3 else None


def share(value: Any, name: str, otherwise: str) -> float:
    """Return a checked share, above 0 and below 1.

    The error message also names `otherwise`, the other type that the argument accepts.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        kind = type(value).__name__
        raise TypeError(f"{name} is a {kind}; {otherwise} or a share below 1 is wanted")
    return number(value, name, above=0, below=1)


def epochs_or_time(value: Any, name: str) -> tuple[int | None, float | None]:
    """Return (epochs, None) for an integer, or (None, seconds) for a time such as "10min"."""
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
    """Return a checked list of instances of a class, as a tuple."""
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
    """Return a checked finite number with above < value < below and at_least <= value."""
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
    """Return a dtype that is float32 or float64, in native byte order.

    A text is looked up in a table, because it may come from a file: NumPy parses such a text, and
    some texts crash the interpreter.
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
    """Return a checked list of n names of the given types, or None."""
    if value is None:
        return None
    items = list(value) if isinstance(value, list | tuple | np.ndarray) else []
    items = [item.item() if isinstance(item, np.generic) else item for item in items]
    if len(items) != n or not all(isinstance(item, types) for item in items):
        wanted = " or ".join(t.__name__ for t in types)
        raise ValueError(f"{name} is {value!r}; a list of {n} names of type {wanted} is wanted")
    return items


def optional_text(value: Any, name: str) -> str | None:
    """Return a checked text, or None."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}; a text is wanted")
    return value
