"""The commands `predict` and `evaluate` for the estimators of `fastnn.tabular`."""

import argparse
import csv
from typing import Any

import numpy as np

from fastnn import metrics
from fastnn.cli import raw_tables, streams
from fastnn.files import csv_file, model_file


def is_estimator(path: str) -> bool:
    """Return whether a model file holds an estimator for tables."""
    return "tabular" in model_file.read(path)[0]


def predict(args: argparse.Namespace) -> None:
    """Write predictions as CSV: classes with their probabilities, or numbers with an interval."""
    estimator, frame = _estimator(args.model), raw_tables.read(args)
    X = _features(estimator, frame, args.data)
    columns = {name: raw_tables.take(frame, name, args.data) for name in args.id}
    columns["prediction"] = estimator.predict(X)
    if hasattr(estimator, "classes_"):
        if args.interval is not None:
            raise ValueError("--interval needs a model for regression")
        for label, p in zip(estimator.classes_, estimator.predict_proba(X).T, strict=True):
            columns[f"p_{label}"] = p
    elif args.interval is not None:
        low, high = estimator.predict_interval(X, coverage=args.interval).T
        columns |= {"lower": low, "upper": high}
    with streams.output_stream(args.output) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        # `str` of a NumPy scalar has as many digits as its dtype needs.
        writer.writerows(map(str, row) for row in zip(*columns.values(), strict=True))


def evaluate(args: argparse.Namespace) -> None:
    """Print the accuracy and a table by class, or RMSE and R2."""
    estimator, frame = _estimator(args.model), raw_tables.read(args)
    X = _features(estimator, frame, args.data)
    others = [name for name in frame if name not in set(X)]
    if args.target is None and len(others) != 1:
        choice = f"one of {csv_file.shown(others)}" if others else "but all columns are features"
        raise ValueError(f"{args.data}: --target must name the target, {choice}")
    y = raw_tables.take(frame, args.target or others[0], args.data)
    if y.isna().any():
        raise ValueError(f"{args.data}: the target {y.name!r} has gaps")
    predicted = estimator.predict(X)
    if not hasattr(estimator, "classes_"):
        wanted = np.asarray(y, float)
        found = (
            f"RMSE {metrics.rmse(predicted, wanted):.5g}, R2 {metrics.r2(predicted, wanted):.5g}"
        )
        print(f"{found} ({len(y)} samples)")
        return
    labels = estimator.classes_.tolist()
    place = {label: i for i, label in enumerate(labels)}
    unknown = set(y.tolist()) - set(place)
    if unknown:
        known = ", ".join(map(str, labels))
        raise ValueError(f"the model does not know the class {min(unknown)!r}, only {known}")
    wanted = np.array([place[label] for label in y.tolist()])
    indices = np.array([place[label] for label in predicted.tolist()])
    print(f"accuracy {np.mean(indices == wanted):.5g} ({len(y)} samples)")
    print(metrics.class_report(indices, wanted, labels))


def _estimator(path: str) -> Any:
    try:
        from fastnn.tabular import load
    except ImportError as error:
        raise ImportError(raw_tables.NEEDED) from error
    return load(path)


def _features(estimator: Any, frame: Any, path: str) -> Any:
    """Return the columns that the estimator was trained on; others are ignored."""
    names = [str(name) for name in estimator.feature_names_in_]
    missing = [name for name in names if name not in frame]
    if missing:
        raise ValueError(
            f"{path}: no column {csv_file.shown(missing)}; the columns are "
            f"{csv_file.shown(list(frame))}"
        )
    return frame[names]
