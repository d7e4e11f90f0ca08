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
    estimator, frame = _estimator(args.model), raw_tables.read(args, args.id)
    X = _features(estimator, frame, args.data)
    # a list of pairs, since an ID may have the name of a prediction
    columns = [(name, raw_tables.take(frame, name, args.data).fillna("")) for name in args.id]
    columns.append(("prediction", estimator.predict(X)))
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
    estimator, frame = _estimator(args.model), raw_tables.read(args, [args.target or ""])
    X = _features(estimator, frame, args.data)
    name = args.target
    if name is None:
        others = [column for column in frame if column not in set(X)]
        if len(others) != 1:
            choice = f"one of {csv_file.shown(others)}" if others else "but all are features"
            raise ValueError(f"{args.data}: --target must name the target, {choice}")
        name = others[0]
        frame = raw_tables.read(args, [name])
    classes = getattr(estimator, "classes_", None)
    of_texts = classes is not None and isinstance(classes[0], str)
    y = (raw_tables.take if of_texts else raw_tables.target)(frame, name, args.data)
    if y.isna().any():
        raise ValueError(f"{args.data}: the target {name!r} has gaps")
    predicted = estimator.predict(X)
    if classes is None:
        if y.dtype.kind not in "if":
            raise ValueError(f"{args.data}: the target is text, but the model predicts numbers")
        wanted = np.asarray(y, float)
        rmse, r2 = metrics.rmse(predicted, wanted), metrics.r2(predicted, wanted)
        print(f"RMSE {rmse:.5g}, R2 {r2:.5g} ({len(y)} samples)")
        return
    labels = classes.tolist()
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
