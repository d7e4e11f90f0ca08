"""The commands `predict`, `evaluate` and `info`."""

import argparse
import csv
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastnn as fn
from fastnn import metrics
from fastnn.cli import class_labels, csv_style, errors, predict_tables, streams, tables

Array = NDArray[Any]


def predict(args: argparse.Namespace) -> None:
    """Write a model's predictions as CSV: classes with their probabilities, or targets."""
    streams.check_destinations([args.model, args.data], [args.output])
    if predict_tables.is_estimator(args.model):
        predict_tables.predict(args)
        return
    _demand_no_table_options(args, ["na", "id", "interval"])
    net = fn.load(args.model)
    args = csv_style.recognised(args)
    table = tables.read(args, None, net.feature_names)
    labels = net.class_labels
    with errors.of_file(args.data):
        outputs = _outputs(net, table.X)
    rows: Iterable[Iterable[Any]]
    if labels is not None:
        header = ["prediction", *(f"p_{label}" for label in labels)]
        p = _probabilities(net, outputs)
        rows = ([labels[best], *row] for best, row in zip(p.argmax(axis=1), p, strict=True))
    else:
        k = outputs.shape[1]
        header = ["prediction"] if k == 1 else [f"prediction_{i}" for i in range(k)]
        rows = outputs
    with streams.output_stream(args.output) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        # `str` of a NumPy scalar has as many digits as its dtype needs.
        writer.writerows(map(str, row) for row in rows)


def evaluate(args: argparse.Namespace) -> None:
    """Print a model's accuracy and a table by class, or its RMSE and R2."""
    if predict_tables.is_estimator(args.model):
        predict_tables.evaluate(args)
        return
    _demand_no_table_options(args, ["na"])
    net = fn.load(args.model)
    args = csv_style.recognised(args)
    target = args.target or tables.default_target(args, net)
    table = tables.read(args, target, net.feature_names)
    y, labels = table.y, net.class_labels
    assert y is not None
    with errors.of_file(args.data):
        outputs = _outputs(net, table.X)
        if labels is not None:
            y = class_labels.indices(table.labels, labels)
    if labels is None and y.dtype.kind in "UO":
        raise ValueError(f"{args.data}: the target is text, but the model predicts numbers")
    print(f"{scores(outputs, y, labels)} ({y.size} samples)")
    if labels is not None:
        print(metrics.class_report(outputs.argmax(axis=1), y, labels))


def info(_: argparse.Namespace) -> None:
    """Print the version, instruction set, threads and compiler flags of this build."""
    for key, value in fn.build_info().items():
        text = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
        print(f"{key}: {text}")


def _demand_no_table_options(args: argparse.Namespace, names: Sequence[str]) -> None:
    """Raise ValueError if an option is given that needs a model of a preset."""
    for name in names:
        if getattr(args, name) not in (None, []):
            raise ValueError(f"--{name} needs a model that was trained with a preset")


def scores(outputs: Array, y: Array, labels: Sequence[Any] | None) -> str:
    """Return a text with the accuracy, or with RMSE and R2.

    Parameters
    ----------
    outputs : ndarray (n, out_features)
        The outputs of the model.
    y : ndarray (n,)
        Class indices, or targets.
    labels : sequence or None
        The class labels of a classifier.
    """
    if labels is not None:
        found = {"accuracy": metrics.accuracy(outputs, y)}
    elif outputs.shape[1] != 1:
        raise ValueError(f"the model has {outputs.shape[1]} outputs, but there is one target")
    else:
        found = {"RMSE": metrics.rmse(outputs[:, 0], y), "R2": metrics.r2(outputs[:, 0], y)}
    return ", ".join(f"{name} {value:.5g}" for name, value in found.items())


def _outputs(net: fn.Network, X: Array) -> Array:
    """Return the outputs, with one column for each class if the model has classes."""
    outputs = net.predict(X)
    if net.class_labels is not None and outputs.shape[1] == 1:
        # A single output is the second class's logit minus the first's, or its probability.
        first = 1 - outputs if isinstance(net.layers[-1], fn.Sigmoid) else np.zeros_like(outputs)
        outputs = np.hstack([first, outputs])
    return outputs


def _probabilities(net: fn.Network, outputs: Array) -> Array:
    if isinstance(net.layers[-1], fn.Softmax | fn.Sigmoid):
        return outputs
    exp = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    p: Array = exp / exp.sum(axis=1, keepdims=True)
    return p
