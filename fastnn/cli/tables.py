"""The data that a command reads."""

from collections.abc import Sequence
from pathlib import Path

import fastnn as fn
from fastnn import datasets


def read(data: str, target: str | None, features: Sequence[str] | None = None) -> datasets.Table:
    """Return the table in a file, or the built-in digits.

    Parameters
    ----------
    data : str
        A path, or "digits".
    target, features : optional
        As for `datasets.read_table`.
    """
    if data == "digits":
        X, y = datasets.load_digits()
        return datasets.Table(X, y, None, "digit", y)
    return datasets.read_table(data, target, features)


def default_target(data: str, net: fn.Network | None) -> str:
    """Return the name of the target that a model was trained for, or the only possible one.

    Raises
    ------
    ValueError
        If several columns are possible, or none.
    """
    if Path(data).suffix.lower() != ".csv":
        return "y"
    names = datasets.column_names(data)
    trained_for = net.target_name if net else None
    if trained_for in names:
        return str(trained_for)
    features = set((net and net.feature_names) or ())
    others = [name for name in names if name not in features]
    if net and trained_for is None and len(others) == 1:
        return others[0]
    missing = f"; the model was trained for {trained_for!r}" if trained_for else ""
    choice = f"one of {', '.join(others)}" if others else "but all columns are features"
    raise ValueError(f"{data}: --target must name the target, {choice}{missing}")
