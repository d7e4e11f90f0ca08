"""The commands `predict` and `evaluate` for the estimators of `fastnn.tabular`."""

import argparse
import csv
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn import metrics
from fastnn._checks.printing import printable
from fastnn.cli import csv_style, errors, memory, raw_tables, streams
from fastnn.cli.memory import Memory
from fastnn.files import csv_file, model_file


def is_estimator(path: str) -> bool:
    """Return whether a model file holds an estimator for tables."""
    # the key of `fastnn.tabular.model_files`, which cannot be imported without scikit-learn
    return "tabular" in model_file.read(path)[0]


def predict(args: argparse.Namespace) -> None:
    """Write predictions as CSV: classes with their probabilities, or numbers with an interval."""
    estimator, known = _estimator(args.model), memory.of(args.model)
    ids = known.ids if args.id is None else args.id
    frame = _read(args, estimator, known, ids)
    if args.id is None:
        ids = _present(frame, ids, args.data)
    else:
        ids = csv_style.names(ids, list(frame))
        raw_tables.demand(frame, ids, args.data)
    X = _features(estimator, frame, args.data)
    for name in {*ids} & {*X} - {*_categories(estimator)}:
        # IDs are read as texts, but this one is also a feature of numbers
        X = X.assign(**{name: raw_tables.target(X[[name]], name, args.data)})
    # a list of pairs, since an ID may have the name of a prediction
    columns = [(name, raw_tables.take(frame, name, args.data).fillna("")) for name in ids]
    columns.append(("prediction", _predicted(estimator, X, args.data)))
    if hasattr(estimator, "classes_"):
        if args.interval is not None:
            raise ValueError("--interval needs a model for regression")
        for label, p in zip(estimator.classes_, estimator.predict_proba(X).T, strict=True):
            columns.append((f"p_{label}", p))
    elif args.interval is not None:
        low, high = estimator.predict_interval(X, coverage=args.interval).T
        columns += [("lower", low), ("upper", high)]
    with streams.output_stream(args.output) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(name for name, _ in columns)
        # `str` of a NumPy scalar has as many digits as its dtype needs.
        writer.writerows(
            map(str, row) for row in zip(*(values for _, values in columns), strict=True)
        )


def evaluate(args: argparse.Namespace) -> None:
    """Print the accuracy and a table by class, or RMSE and R2."""
    estimator, known = _estimator(args.model), memory.of(args.model)
    name = args.target or known.target
    frame = _read(args, estimator, known, [name or ""])
    X = _features(estimator, frame, args.data)
    if args.target is None and name not in frame:
        others = [column for column in frame if column not in {*X, *known.ids}]
        if name is not None or len(others) != 1:
            choice = f"one of {csv_file.shown(others)}" if others else "but all are features"
            trained = f"; the model was trained for {name!r}" if name else ""
            raise ValueError(f"{args.data}: --target must name the target, {choice}{trained}")
        name = others[0]
        frame = _read(args, estimator, known, [name])
    assert name is not None
    classes = getattr(estimator, "classes_", None)
    of_texts = classes is not None and isinstance(classes[0], str)
    y = (raw_tables.take if of_texts else raw_tables.target)(frame, name, args.data)
    if y.isna().any():
        raise ValueError(f"{args.data}: the target {name!r} has gaps")
    predicted = _predicted(estimator, X, args.data)
    if classes is None:
        if y.dtype.kind not in "if":
            raise ValueError(f"{args.data}: the target is text, but the model predicts numbers")
        wanted = np.asarray(y, float)
        rmse, r2 = metrics.rmse(predicted, wanted), metrics.r2(predicted, wanted)
        print(f"RMSE {rmse:.5g}, R2 {r2:.5g} ({len(y)} samples)")
        return
    labels = classes.tolist()
    # booleans are texts in a CSV file, but not in a Parquet file
    if of_texts or classes.dtype.kind == "b":
        labels, y = [str(label) for label in labels], y.map(str)
        predicted = predicted.astype(str)
    place = {label: i for i, label in enumerate(labels)}
    unknown = sorted(set(y.tolist()) - set(place), key=str)
    if unknown:
        known_ones = ", ".join(map(str, labels))
        raise ValueError(
            f"{args.data}: the model does not know the class {unknown[0]!r}, only {known_ones}"
        )
    wanted = np.array([place[label] for label in y.tolist()])
    indices = np.array([place[label] for label in predicted.tolist()])
    print(f"accuracy {np.mean(indices == wanted):.5g} ({len(y)} samples)")
    print(metrics.class_report(indices, wanted, labels))


def _read(args: argparse.Namespace, estimator: Any, known: Memory, texts: Iterable[str]) -> Any:
    """Return the table. The columns `texts` and the categories are the texts in the file."""
    if args.na is None and csv_file.is_csv(args.data):
        args = argparse.Namespace(**vars(args) | {"na": known.gaps})
    return raw_tables.read(args, [*texts, *_categories(estimator)])


def _categories(estimator: Any) -> list[str]:
    return [str(found.name) for found in estimator.encoder_.columns_ if found.kind == "category"]


def _present(frame: Any, ids: list[str], path: str) -> list[str]:
    """Return the `ids` that are columns of a table. A line on standard error names the others."""
    missing = [name for name in ids if name not in frame]
    if missing:
        names = csv_file.shown(missing)
        text = f"no column {names}, which named the rows in training"
        print(f"fastnn: {printable(path)}: {text}", file=sys.stderr)
    return [name for name in ids if name in frame]


def _predicted(estimator: Any, X: Any, path: str) -> Any:
    with errors.of_file(path):
        return estimator.predict(X)


def _estimator(path: str) -> Any:
    try:
        from fastnn.tabular import load
    except ImportError as error:
        raise ImportError(raw_tables.NEEDED) from error
    return load(path)


def _features(estimator: Any, frame: Any, path: str) -> Any:
    """Return the columns that the estimator was trained on, in their order."""
    if not hasattr(estimator, "feature_names_in_"):
        raise ValueError(f"{path}: the model was trained on a table without column names")
    names = [str(name) for name in estimator.feature_names_in_]
    missing = [name for name in names if name not in frame]
    if missing:
        raise ValueError(
            f"{path}: no column {csv_file.shown(missing)}; the columns are "
            f"{csv_file.shown(list(frame))}"
        )
    return frame[names]
