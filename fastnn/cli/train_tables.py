"""The command `train` for the estimators of `fastnn.tabular`."""

import argparse
from collections.abc import Callable
from typing import Any

from fastnn import datasets
from fastnn.cli import csv_style, errors, memory, raw_tables
from fastnn.files import csv_file

# Arguments that describe a network. They are errors with an estimator, which has its own values.
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
OF_TABLES = ("preset", "metric", "na", "drop", "id", "categorical", "numeric")


def is_wanted(args: argparse.Namespace) -> bool:
    """Return whether the arguments ask for an estimator for tables."""
    return raw_tables.is_parquet(args.data) or any(getattr(args, name) for name in OF_TABLES)


def demand_no_network(args: argparse.Namespace) -> None:
    """Raise ValueError if an argument describes a network."""
    for name in OF_NETWORKS:
        if getattr(args, name) is not None:
            asking = [f"--{other}" for other in OF_TABLES if getattr(args, other)]
            reason = asking[0] if asking else "a table that has texts or gaps"
            raise ValueError(
                f"--{name.replace('_', '-')} describes a network; it does not go with {reason}"
            )


def train(args: argparse.Namespace, output: str, say: Callable[[str], None]) -> None:
    """Train an estimator on a table, say how it read the columns, and write it to a file."""
    demand_no_network(args)
    path = args.data
    frame = raw_tables.read(args, [*([args.target] if args.target else []), *args.categorical])
    try:
        from sklearn.utils._param_validation import InvalidParameterError

        from fastnn.tabular import TabularClassifier, TabularRegressor, model_files
    except ImportError as error:
        raise ImportError(raw_tables.NEEDED) from error
    columns = list(frame)
    named = {
        option: csv_style.names(getattr(args, option), columns)
        for option in ("id", "drop", "categorical", "numeric")
    }
    for option, names in named.items():
        raw_tables.demand(frame, names, path)
        if args.target in names:
            raise ValueError(f"{path}: --{option} names the target {args.target!r}")
    frame = frame.drop(columns=[*named["id"], *named["drop"]])
    target = args.target or _only_target(frame, path)
    texts = frame.get(target)
    y = raw_tables.target(frame, target, path)
    if not len(frame.columns):
        raise ValueError(f"{path}: no feature column besides the target")
    roles = {option: named[option] or None for option in ("categorical", "numeric")}
    for option, role in roles.items():
        for name in role or ():
            if name not in frame:
                raise ValueError(
                    f"{path}: --{option} names the column {name!r}, but so does --id or --drop"
                )
    task = args.task or _task(y, target, frame.attrs.get("decimal", "."), path)
    classes: Any = TabularClassifier if task == "classification" else TabularRegressor
    if task == "classification" and y.dtype.kind == "f":
        y = texts  # a label is the text in the file
    say(f"data: {path}, {len(frame)} samples, {len(frame.columns)} columns")
    say(f"task: {task}" + ("" if args.task else " (inferred from the target; see --task)"))
    estimator = classes(
        args.preset or "default",
        metric=args.metric or "auto",
        epochs=args.epochs,
        random_state=args.seed,
        verbose=not args.quiet,
        n_jobs=args.threads,
        **roles,
    )
    with errors.of_file(path, besides=(InvalidParameterError,)):
        estimator.fit(frame, y)
    remembered = memory.Memory(target, named["id"], csv_style.gaps(args.na))
    model_files.save(output, estimator, remembered.described())
    say(repr(estimator.report_))
    say(f"model: {output}")


def _task(y: Any, name: str, decimal: str, path: str) -> str:
    """Return the task that a target is for.

    Raises
    ------
    ValueError
        If it has dates, or is mostly numbers but also has texts.
    """
    if y.dtype.kind in "mM":
        raise ValueError(f"{path}: the target {name!r} has dates; numbers or classes are wanted")
    task = datasets.infer_task(y)
    if y.dtype.kind in "iufb" or task == "regression":
        return task
    texts = [cell for cell in y if isinstance(cell, str)]
    plain = [csv_file.with_point(text.strip(), decimal) for text in texts]
    numbers = [float(text) for text in plain if csv_file.NUMBER.fullmatch(text)]
    if len(numbers) > len(texts) / 2 and datasets.infer_task(numbers) == "regression":
        wrong = next(
            text
            for text, number in zip(texts, plain, strict=True)
            if not csv_file.NUMBER.fullmatch(number)
        )
        raise ValueError(
            f"{path}: the target {name!r} has numbers, but also {wrong!r}; --na names cells "
            f"without a value, and --task classification takes all cells as classes"
        )
    return task


def _only_target(frame: Any, path: str) -> str:
    if len(frame.columns) == 1:
        return str(frame.columns[0])
    raise ValueError(
        f"{path}: --target must name the target, one of {csv_file.shown(list(frame.columns))}"
    )
