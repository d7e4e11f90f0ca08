"""The class labels of a table, and their indices among the classes of a model."""

import contextlib
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.files import csv_file


def distinct(given: NDArray[Any] | None) -> list[Any]:
    """Return the distinct labels, sorted by value if all are numbers, else as texts.

    Raises
    ------
    ValueError
        If there are fewer than two labels.
    """
    assert given is not None
    labels = sorted(set(given.tolist()))
    if len(labels) < 2:
        raise ValueError(f"classification needs two classes, but all targets are {labels[0]}")
    try:
        return sorted(labels, key=_number)
    except ArithmeticError:
        return labels


def indices(given: NDArray[Any] | None, labels: Sequence[Any]) -> NDArray[np.int64]:
    """Return the index of each given label among the model's labels.

    A label of the model that is a number is compared by value, so "1.0" equals 1. A label that is a
    text is compared as text.

    Raises
    ------
    ValueError
        If the model does not have a label.
    """
    assert given is not None
    index_of: dict[Any, int] = {}
    for index, label in enumerate(labels):
        index_of.setdefault(label if isinstance(label, str) else _number(label), index)
    of_floats = any(isinstance(label, float) for label in labels)
    place_of: dict[Any, int | None] = {}
    for label in set(given.tolist()):
        place_of[label] = index_of.get(str(label))
        if place_of[label] is None:
            with contextlib.suppress(ArithmeticError):
                value = _number(label)
                place_of[label] = index_of.get(float(value) if of_floats else value)
    unknown = sorted(label for label, index in place_of.items() if index is None)
    if unknown:
        known = ", ".join(map(str, labels))
        raise ValueError(f"the model does not know the class {unknown[0]!r}, only {known}")
    return np.array([place_of[label] for label in given.tolist()], dtype=np.int64)


def _number(label: Any) -> Decimal | float:
    """Return the exact value of a label, or raise ArithmeticError if it is not a number."""
    if isinstance(label, float):
        return label
    if isinstance(label, str) and not csv_file.NUMBER.fullmatch(label):
        raise InvalidOperation
    return Decimal(label)
