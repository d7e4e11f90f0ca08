"""The command `train` for tables as they come: from a data frame to a tabular estimator."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastnn import datasets
from fastnn.cli import raw_tables

# Arguments that describe a network; a preset has its own.
OF_NETWORKS = (
    "hidden",
    "activation",
    "optimizer",
    "learning_rate",
    "momentum",
    "weight_decay",
    "batch_size",
    "validation_fraction",
    "dtype",
    "plot",
)
OF_TABLES = ("preset", "metric", "sep", "decimal", "na", "drop", "id")


def is_wanted(args: argparse.Namespace) -> bool:
    """Return whether the arguments ask for an estimator for tables."""
    return raw_tables.is_parquet(args.data) or any(getattr(args, name) for name in OF_TABLES)


def demand_no_network(args: argparse.Namespace) -> None:
    """Raise ValueError if an argument describes a network."""
    for name in OF_NETWORKS:
        if getattr(args, name) is not None:
            raise ValueError(
                f"--{name.replace('_', '-')} describes a network; it does not go with --preset, or "
                f"with a table that has texts or gaps"
            )


def train(args: argparse.Namespace, output: str, say: Callable[[str], None]) -> None:
    """Train an estimator on a table, say how it read the columns, and write it to a file."""
    demand_no_network(args)
    frame = raw_tables.read(args)
    try:
        from fastnn.tabular import TabularClassifier, TabularRegressor
    except ImportError as error:
        raise ImportError(raw_tables.NEEDED) from error
    for name in [*args.drop, *args.id]:
        raw_tables.take(frame, name, args.data)
    y = raw_tables.take(frame, args.target or _only_target(frame, args.data), args.data)
    if not len(frame.columns):
        raise ValueError(f"{args.data}: no feature column besides the target")
    task = args.task or datasets.infer_task(y)
    classes: Any = TabularClassifier if task == "classification" else TabularRegressor
    say(f"data: {args.data}, {len(frame)} samples, {len(frame.columns)} columns")
    say(f"task: {task}" + ("" if args.task else " (inferred from the target; see --task)"))
    estimator = classes(
        args.preset or "default",
        metric=args.metric or "auto",
        epochs=args.epochs,
        random_state=args.seed,
        verbose=not args.quiet,
        n_jobs=args.threads,
    ).fit(frame, y)
    estimator.save(output)
    say(repr(estimator.report_))
    say(f"model: {output}")


def _only_target(frame: Any, path: str) -> str:
    if len(frame.columns) == 1:
        return str(frame.columns[0])
    names = ", ".join(map(str, frame.columns))
    raise ValueError(f"{Path(path)}: --target must name the target, one of {names}")
