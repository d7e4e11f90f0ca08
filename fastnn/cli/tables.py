"""The numeric data that a command reads."""

import argparse
from collections.abc import Sequence

import fastnn as fn
from fastnn import datasets
from fastnn.files import csv_file


def read(
    args: argparse.Namespace, target: str | None, features: Sequence[str] | None = None
) -> datasets.Table:
    """Return the table in the file `args.data`, or the built-in digits.

    Parameters
    ----------
    args : Namespace
        The data, a path or "digits", and how a CSV file is written: `sep` and `decimal`.
    target, features : optional
        As for `datasets.read_table`.
    """
    if args.data == "digits":
        X, y = datasets.load_digits()
        return datasets.Table(X, y, None, "digit", y)
    return datasets.read_table(
        args.data, target, features, separator=args.sep, decimal=args.decimal or "."
    )


def default_target(args: argparse.Namespace, net: fn.Network | None) -> str:
    """Return the name of the target that a model was trained for, or the only possible one.

    Raises
    ------
    ValueError
        If several columns are possible, or none.
    """
    if not csv_file.is_csv(args.data):
        return "y"
    names = datasets.column_names(args.data, args.sep)
    trained_for = net.target_name if net else None
    if trained_for in names:
        return str(trained_for)
    features = set((net and net.feature_names) or ())
    others = [name for name in names if name not in features]
    if net and trained_for is None and len(others) == 1:
        return others[0]
    missing = f"; the model was trained for {trained_for!r}" if trained_for else ""
    choice = f"one of {csv_file.shown(others)}" if others else "but all columns are features"
    raise ValueError(f"{args.data}: --target must name the target, {choice}{missing}")
