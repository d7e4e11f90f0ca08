"""The program `fastnn`: train, predict and evaluate without writing Python.

A trained model takes raw features and gives logits of the classes, or the target in its own
units: the scaling of the data is part of the network, so the model file is all that a user needs.
"""

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import fastnn as fn
from fastnn import _checks, datasets, metrics, plots
from fastnn.cli import class_labels, streams
from fastnn.layers import LAYERS, Activation
from fastnn.training import defaults

ACTIVATIONS = {
    kind: layer
    for kind, layer in LAYERS.items()
    if issubclass(layer, Activation) and layer is not fn.Identity
}
PLOT_FORMATS = (".png", ".svg", ".pdf")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments, by default those of the process.

    Returns
    -------
    int
        Exit status: 0, 2 for bad input (one line on stderr says what), 130 after Ctrl-C,
        1 if the reader of the output went away.
    """
    try:
        args = _parser().parse_args(argv)
        # An overflow is reported by whoever checks the result.
        with np.errstate(all="ignore"):
            args.run(args)
        print(end="", flush=True)
    except BrokenPipeError:
        # The interpreter flushes stdout once more at exit, and must not fail then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        lost = "; no model was written" if "train" in (argv or sys.argv) else ""
        print(f"fastnn: interrupted{lost}", file=sys.stderr)
        return 130
    except fn.DivergenceError as error:
        print(
            f"fastnn: error: training diverged in epoch {error.epoch + 1}, and no model was "
            f"written. {error.advice}; the option is --learning-rate",
            file=sys.stderr,
        )
        return 2
    # ArithmeticError: a number too large for the machine.
    except (ValueError, TypeError, ArithmeticError, OSError, ImportError, MemoryError) as error:
        print(f"fastnn: error: {streams.one_line(error)}", file=sys.stderr)
        return 2
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are reported like all others."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fastnn", description="Multi-layer perceptrons on the CPU.")
    parser.add_argument("--version", action="version", version=f"fastnn {fn.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], purpose: str) -> Any:
        added = commands.add_parser(name, help=purpose, description=purpose)
        added.set_defaults(run=run)
        return added.add_argument

    model = "model file that train has written"
    data = "a .csv file with column names, a .npz file with X and y, or 'digits' (built in)"
    target = "target column of a .csv, or target array of a .npz (default: y)"

    add = command("train", _train, "train a network and write it to a file")
    add("data", metavar="DATA", help=data)
    add("--target", metavar="NAME", help=target)
    add(
        "--task",
        choices=["classification", "regression"],
        help="default: classification if the target is text or a few whole numbers",
    )
    add(
        "--hidden",
        type=int,
        nargs="*",
        default=[128],
        metavar="WIDTH",
        help="widths of the hidden layers (default: 128; none for a linear model)",
    )
    add("--activation", choices=ACTIVATIONS, default="relu", help="default: relu")
    add(
        "--optimizer",
        choices=["adamw", "adam", "sgd"],
        default="adamw",
        help="default: adamw, whose rate falls along a cosine",
    )
    add(
        "--learning-rate",
        type=float,
        help=f"default: {defaults.RATE} for adamw, 0.001 for adam, 0.01 for sgd",
    )
    add("--momentum", type=float, help="of sgd (default: 0.9)")
    add(
        "--weight-decay",
        type=float,
        help=f"default: {defaults.WEIGHT_DECAY} for adamw, 0 for the others",
    )
    add(
        "--epochs",
        type=int,
        help=f"default: as many as make {defaults.UPDATES} updates, at least {defaults.EPOCHS}",
    )
    add("--batch-size", type=int, default=32, help="default: 32")
    add(
        "--validation-fraction",
        type=float,
        default=0.2,
        help="share of the samples, of each class alike, kept for validation (default: 0.2)",
    )
    add("--seed", type=int, default=0, help="of the split, weights and batches (default: 0)")
    add("--threads", type=int, help="default: one a processor")
    add("--dtype", choices=["float32", "float64"], default="float32", help="default: float32")
    add("--output", metavar="FILE", help="model file (default: <name of DATA>.safetensors)")
    add(
        "--plot",
        metavar="FILE",
        help="draw the learning curve, for regression that of the standardised target, to a "
        f"{', '.join(PLOT_FORMATS)} file",
    )
    add("--quiet", action="store_true", help="print nothing")

    add = command("predict", _predict, "write a model's predictions as CSV")
    add("model", metavar="MODEL", help=model)
    add("data", metavar="DATA", help=data)
    add("--output", metavar="FILE", help="default: standard output")

    add = command("evaluate", _evaluate, "print a model's accuracy by class, or its RMSE and R2")
    add("model", metavar="MODEL", help=model)
    add("data", metavar="DATA", help=data)
    add(
        "--target",
        metavar="NAME",
        help="column or array to compare with; by default the one that the model was trained for",
    )

    command("info", _info, "describe this build of fastnn")
    return parser


def _train(args: argparse.Namespace) -> None:
    say = streams.silent if args.quiet else streams.say
    output = args.output or f"{Path(args.data).stem}.safetensors"
    # Whatever would fail after the training fails now.
    streams.check_destinations([args.data], [output, args.plot])
    if args.plot:
        if Path(args.plot).suffix.lower() not in PLOT_FORMATS:
            raise ValueError(f"--plot {args.plot}: expected a {', '.join(PLOT_FORMATS)} file")
        axes = plots.new_axes()
    optimizer = _optimizer(args)
    if args.epochs is not None and args.epochs < 1:
        raise ValueError(f"--epochs is {args.epochs}; at least 1 is wanted")

    table = _table(args.data, args.target or _default_target(args.data, None))
    X, y, feature_names, target_name = table.X, table.y, table.feature_names, table.target_name
    assert y is not None
    n_samples, n_features = X.shape
    task = args.task or datasets.infer_task(y)
    labels = None
    if task == "classification":
        labels = class_labels.distinct(table.labels)
        y = class_labels.indices(table.labels, labels)
    elif y.dtype.kind in "UO":
        raise ValueError(f"{args.data}: the target is text, but regression needs numbers")
    classes = f", {len(labels)} classes" if labels else ""
    if labels and len(labels) > n_samples / 2:
        say(f"note: {len(labels)} classes for {n_samples} samples; is it --task regression?")
    say(f"data: {args.data}, {n_samples} samples, {n_features} features{classes}")
    say(f"task: {task}" + ("" if args.task else " (inferred from the target; see --task)"))

    strata = y if labels else np.zeros(n_samples)
    training = np.arange(n_samples)
    validation = training[:0]
    if args.validation_fraction:
        training, validation = datasets.stratified_split(
            strata, args.validation_fraction, np.random.default_rng(args.seed)
        )
    say(f"split: {training.size} for training, {validation.size} for validation")

    net = _network(X[training], len(labels) if labels else 1, args)
    say(net.summary())

    offsets = [
        np.abs(layer.mean) / layer.scale
        for layer in net.layers[:1]
        if isinstance(layer, fn.Standardize)
    ]
    # A network learns a target of mean 0 and scale 1 at any learning rate that suits others too.
    fit_y, mean, scale = y, 0.0, 1.0
    if not labels:
        mean, scale = _standardisation(y, training, net.dtype)
        fit_y = (y - mean) / scale
        offsets.append(np.array([abs(mean) / scale]))
    if net.dtype == np.float32 and max(offset.max() for offset in offsets) > 1e5:
        say("note: values vary little about a large mean; --dtype float64 keeps what float32 loses")
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
    epochs = len(history["loss"])
    if not labels:
        _unstandardise_output(net.layers[-1], mean, scale)

    net.class_labels = labels
    net.feature_names = feature_names
    net.target_name = target_name
    net.save(output)
    say(f"training: {_format(_scores(net.predict(X[training]), y[training], labels))}")
    if validation.size:
        say(f"validation: {_format(_scores(net.predict(X[validation]), y[validation], labels))}")
    say(
        f"throughput: {training.size * epochs / seconds:,.0f} samples/s "
        f"({epochs} epochs in {seconds:.2f} s)"
    )
    say(f"model: {output}")
    if args.plot:
        plots.LearningCurveDisplay.from_history(history, ax=axes).figure_.savefig(args.plot)
        say(f"learning curve: {args.plot}")


def _predict(args: argparse.Namespace) -> None:
    streams.check_destinations([args.model, args.data], [args.output])
    net = fn.load(args.model)
    table = _table(args.data, None, net.feature_names)
    outputs, labels = _outputs(net, table.X), net.class_labels
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
        # The str of a NumPy scalar has the digits that its dtype needs, and no more.
        writer.writerows(map(str, row) for row in rows)


def _evaluate(args: argparse.Namespace) -> None:
    net = fn.load(args.model)
    target = args.target or _default_target(args.data, net)
    table = _table(args.data, target, net.feature_names)
    outputs = _outputs(net, table.X)
    y, labels = table.y, net.class_labels
    assert y is not None
    if labels is not None:
        y = class_labels.indices(table.labels, labels)
    elif y.dtype.kind in "UO":
        raise ValueError(f"{args.data}: the target is text, but the model predicts numbers")
    print(f"{_format(_scores(outputs, y, labels))} ({y.size} samples)")
    if labels is not None:
        print(metrics.class_report(outputs.argmax(axis=1), y, labels))


def _info(args: argparse.Namespace) -> None:
    for key, value in fn.build_info().items():
        text = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
        print(f"{key}: {text}")


def _table(data: str, target: str | None, features: Sequence[str] | None = None) -> datasets.Table:
    if data == "digits":
        X, y = datasets.load_digits()
        return datasets.Table(X, y, None, "digit", y)
    return datasets.read_table(data, target, features)


def _default_target(data: str, net: fn.Network | None) -> str:
    """Return the name of the target that the model was trained for, or else the only choice."""
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
    missing = f"; there is no {trained_for!r}, which the model was trained for" if net else ""
    choice = f"one of {', '.join(others)}" if others else "but all columns are features"
    raise ValueError(f"{data}: --target must name the target, {choice}{missing}")


def _optimizer(args: argparse.Namespace) -> fn.optimizers.Optimizer:
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


def _network(X: NDArray[Any], n_outputs: int, args: argparse.Namespace) -> fn.Network:
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


def _standardisation(
    y: NDArray[Any], training: NDArray[np.intp], dtype: np.dtype[Any]
) -> tuple[float, float]:
    """Return mean and scale of the training targets; ValueError for what no network would hold."""
    layer = fn.Standardize.from_data(y[training, np.newaxis])
    mean, scale = float(layer.mean[0]), float(layer.scale[0])
    # room for weights times the scale, and for sums of them
    limits, largest = np.finfo(dtype), float(np.abs(y).max())
    hint = "; --dtype float64 or another unit is wanted" if dtype == np.float32 else ""
    if largest > 1e-4 * float(limits.max):
        raise ValueError(f"the target reaches {largest:.3g}, too large for {dtype}{hint}")
    if scale < 1e6 * float(limits.tiny):
        raise ValueError(f"the target varies by {scale:.3g}, too little for {dtype}{hint}")
    return mean, scale


def _unstandardise_output(linear: Any, mean: float, scale: float) -> None:
    """Make a layer that gives (target - mean) / scale give the target itself, in place."""
    linear.weight = linear.weight.astype(float) * scale
    linear.bias = linear.bias.astype(float) * scale + mean


def _scores(
    outputs: NDArray[Any], y: NDArray[Any], labels: Sequence[Any] | None
) -> dict[str, float]:
    if labels is not None:
        return {"accuracy": metrics.accuracy(outputs, y)}
    if outputs.shape[1] != 1:
        raise ValueError(f"the model has {outputs.shape[1]} outputs, but there is one target")
    return {"RMSE": metrics.rmse(outputs[:, 0], y), "R2": metrics.r2(outputs[:, 0], y)}


def _outputs(net: fn.Network, X: NDArray[Any]) -> NDArray[Any]:
    """Return the outputs, of which there is one for each class if the model has classes."""
    outputs = net.predict(X)
    if net.class_labels is not None and outputs.shape[1] == 1:
        # One output tells two classes apart: a logit is the second's minus the first's.
        first = 1 - outputs if isinstance(net.layers[-1], fn.Sigmoid) else np.zeros_like(outputs)
        outputs = np.hstack([first, outputs])
    return outputs


def _probabilities(net: fn.Network, outputs: NDArray[Any]) -> NDArray[Any]:
    if isinstance(net.layers[-1], fn.Softmax | fn.Sigmoid):
        return outputs
    exp = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    p: NDArray[Any] = exp / exp.sum(axis=1, keepdims=True)
    return p


def _format(scores: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.5g}" for name, value in scores.items())
