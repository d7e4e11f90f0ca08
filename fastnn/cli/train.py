"""The command `train`: from a table to a model file."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastnn as fn
from fastnn import _checks, datasets, plots
from fastnn.cli import class_labels, csv_style, errors, streams, tables, train_tables
from fastnn.cli.arguments import ACTIVATIONS, PLOT_FORMATS, with_defaults
from fastnn.cli.predict import scores
from fastnn.files import csv_file
from fastnn.training import defaults

Array = NDArray[Any]


def train(args: argparse.Namespace) -> None:
    """Train a network on a table, report how well it predicts, and write it to a file."""
    say = streams.silent if args.quiet else streams.say
    output = args.output or f"{Path(args.data).stem}.safetensors"
    # Wrong outputs are reported before the training.
    streams.check_destinations([args.data], [output, args.plot])
    for option in ("epochs", "threads"):
        given_number = getattr(args, option)
        if given_number is not None and given_number < 1:
            raise ValueError(f"--{option} is {given_number}; at least 1 is wanted")
    if train_tables.is_wanted(args):
        train_tables.train(args, output, say)
        return
    given = csv_style.recognised(args)
    args = with_defaults(given)
    axes = _plot_axes(args.plot) if args.plot else None
    optimizer = optimizer_of(args)

    try:
        table = tables.read(args, args.target or tables.default_target(args, None))
    except csv_file.CellError as error:
        say(f"note: {error}; the preset 'default' for tables is trained instead")
        train_tables.train(given, output, say)
        return
    X = table.X
    y, labels = _target(table, args, say)
    training, validation = _split(y, labels, args)
    say(f"split: {training.size} for training, {validation.size} for validation")
    with errors.of_file(args.data):
        net = _network(X[training], len(labels) if labels else 1, args)
        # One learning rate suits all regression tasks if the target has mean 0 and scale 1.
        mean, scale = (0.0, 1.0) if labels else _standardisation(y, training, net.dtype)
    say(net.summary())
    fit_y = y if labels else (y - mean) / scale
    _note_large_means(net, None if labels else abs(mean) / scale, say)
    start = time.perf_counter()
    history = net.fit(
        X[training],
        fit_y[training],
        loss=fn.SoftmaxCrossEntropy() if labels else fn.MeanSquaredError(),
        optimizer=optimizer,
        epochs=args.epochs,
        batch_size=args.batch_size,
        seed=args.seed,
        validation_data=(X[validation], fit_y[validation]) if validation.size else None,
        progress=False if args.quiet else None,
        n_threads=args.threads,
    )
    seconds = time.perf_counter() - start
    if not labels:
        _unstandardise_output(net.layers[-1], mean, scale)

    net.class_labels = labels
    net.feature_names = table.feature_names
    net.target_name = table.target_name
    net.save(output)
    epochs = len(history["loss"])
    say(f"training: {scores(net.predict(X[training]), y[training], labels)}")
    if validation.size:
        say(f"validation: {scores(net.predict(X[validation]), y[validation], labels)}")
    say(
        f"throughput: {training.size * epochs / seconds:,.0f} samples/s "
        f"({epochs} epochs in {seconds:.2f} s)"
    )
    say(f"model: {output}")
    if args.plot:
        plots.LearningCurveDisplay.from_history(history, ax=axes).figure_.savefig(args.plot)
        say(f"learning curve: {args.plot}")


def optimizer_of(args: argparse.Namespace) -> fn.optimizers.Optimizer:
    """Return the optimizer that the arguments choose.

    Raises
    ------
    ValueError, TypeError
        If they do not fit together, or the learning rate is not above 0.
    """
    rate, decay, momentum = args.learning_rate, args.weight_decay, args.momentum
    if momentum is not None and args.optimizer != "sgd":
        raise ValueError("--momentum needs --optimizer sgd")
    if rate is not None:
        _checks.number(rate, "learning_rate", above=0)
    if args.optimizer == "adamw":
        rate = fn.schedules.CosineDecay(defaults.RATE if rate is None else rate)
        return fn.AdamW(rate, weight_decay=defaults.WEIGHT_DECAY if decay is None else decay)
    decay = 0.0 if decay is None else decay
    if args.optimizer == "adam":
        return fn.Adam(0.001 if rate is None else rate, weight_decay=decay)
    return fn.SGD(
        0.01 if rate is None else rate,
        momentum=0.9 if momentum is None else momentum,
        weight_decay=decay,
    )


def _plot_axes(path: str) -> Any:
    if Path(path).suffix.lower() not in PLOT_FORMATS:
        raise ValueError(f"--plot {path}: expected a {', '.join(PLOT_FORMATS)} file")
    return plots.new_axes()


def _target(
    table: datasets.Table, args: argparse.Namespace, say: Callable[[str], None]
) -> tuple[Array, list[Any] | None]:
    """Return the target as class indices with the class labels, or as numbers with None."""
    y = table.y
    assert y is not None
    n_samples, n_features = table.X.shape
    task = args.task or datasets.infer_task(y)
    labels = None
    if task == "classification":
        with errors.of_file(args.data):
            labels = class_labels.distinct(table.labels)
        y = class_labels.indices(table.labels, labels)
        if len(labels) > n_samples / 2:
            say(f"note: {len(labels)} classes for {n_samples} samples; maybe --task regression?")
    elif y.dtype.kind in "UO":
        raise ValueError(f"{args.data}: the target is text, but regression needs numbers")
    classes = f", {len(labels)} classes" if labels else ""
    say(f"data: {args.data}, {n_samples} samples, {n_features} features{classes}")
    say(f"task: {task}" + ("" if args.task else " (inferred from the target; see --task)"))
    return y, labels


def _split(y: Array, labels: list[Any] | None, args: argparse.Namespace) -> tuple[Array, Array]:
    """Return the indices of the training and of the validation samples."""
    if not args.validation_fraction:
        return np.arange(y.size), np.arange(0)
    strata = y if labels else np.zeros(y.size)
    rng = np.random.default_rng(args.seed)
    return datasets.stratified_split(strata, args.validation_fraction, rng)


def _network(X: Array, n_outputs: int, args: argparse.Namespace) -> fn.Network:
    standardize = fn.Standardize.from_data(X)
    least = float(standardize.scale.min())
    if least < float(np.finfo(args.dtype).tiny):
        raise ValueError(f"a feature varies by {least:.3g}, too little for {args.dtype}")
    layers: list[Any] = [standardize]
    width = X.shape[1]
    for hidden in args.hidden:
        layers += [fn.Linear(width, hidden), ACTIVATIONS[args.activation]()]
        width = hidden
    layers.append(fn.Linear(width, n_outputs))
    return fn.Network(layers, dtype=args.dtype, seed=args.seed)


def _note_large_means(
    net: fn.Network, target_offset: float | None, say: Callable[[str], None]
) -> None:
    """Recommend float64 if float32 loses digits, since a mean is large relative to its scale."""
    standardize: Any = net.layers[0]
    offset = float((np.abs(standardize.mean) / standardize.scale).max())
    if net.dtype == np.float32 and max(offset, target_offset or 0.0) > 1e5:
        say("note: a column varies little around a large mean; --dtype float64 keeps more digits")


def _standardisation(y: Array, training: Array, dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return mean and scale of the training targets.

    Raises
    ------
    ValueError
        If the dtype cannot hold the parameters of a network with such outputs.
    """
    layer = fn.Standardize.from_data(y[training, np.newaxis])
    mean, scale = float(layer.mean[0]), float(layer.scale[0])
    # The margins leave room for weights times the scale, and for sums of such products.
    limits, largest = np.finfo(dtype), float(np.abs(y).max())
    hint = "; --dtype float64 or another unit is wanted" if dtype == np.float32 else ""
    if largest > 1e-4 * float(limits.max):
        raise ValueError(f"the target reaches {largest:.3g}, too large for {dtype}{hint}")
    if scale < 1e6 * float(limits.tiny):
        raise ValueError(f"the target varies by {scale:.3g}, too little for {dtype}{hint}")
    return mean, scale


def _unstandardise_output(linear: Any, mean: float, scale: float) -> None:
    """Change the last layer, which returns (target - mean) / scale, to return the target."""
    linear.weight = linear.weight.astype(float) * scale
    linear.bias = linear.bias.astype(float) * scale + mean
