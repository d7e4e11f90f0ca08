"""The arguments of the program `fastnn`."""

import argparse
from typing import Any, NoReturn

import fastnn as fn
from fastnn.layers import LAYERS, Activation
from fastnn.training import defaults

ACTIVATIONS = {
    kind: layer
    for kind, layer in LAYERS.items()
    if issubclass(layer, Activation) and layer is not fn.Identity
}
PLOT_FORMATS = (".png", ".svg", ".pdf")


class _Parser(argparse.ArgumentParser):
    """A parser that raises ValueError for wrong arguments, so that `main` reports them."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; the parsed `command` is the name of the command."""
    made = _Parser(prog="fastnn", description="Multi-layer perceptrons on the CPU.")
    made.add_argument("--version", action="version", version=f"fastnn {fn.__version__}")
    commands = made.add_subparsers(required=True, dest="command", metavar="COMMAND")

    def command(name: str, purpose: str) -> Any:
        return commands.add_parser(name, help=purpose, description=purpose).add_argument

    model = "a model file that train wrote"
    data = "a .csv file with column names, a .npz file with X and y, or 'digits' (built in)"
    target = "target column of a .csv, or target array of a .npz (default: y)"

    add = command("train", "train a network and write it to a file")
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
        help="default: adamw, with a rate that falls along a cosine",
    )
    add(
        "--learning-rate",
        type=float,
        help=f"default: {defaults.RATE} for adamw, 0.001 for adam, 0.01 for sgd",
    )
    add("--momentum", type=float, help="momentum of sgd (default: 0.9)")
    add(
        "--weight-decay",
        type=float,
        help=f"default: {defaults.WEIGHT_DECAY} for adamw, 0 for the others",
    )
    add(
        "--epochs",
        type=int,
        help=f"default: enough for {defaults.UPDATES} updates, and at least {defaults.EPOCHS}",
    )
    add("--batch-size", type=int, default=32, help="default: 32")
    add(
        "--validation-fraction",
        type=float,
        default=0.2,
        help="share of the samples to hold out, equal for each class (default: 0.2)",
    )
    add("--seed", type=int, default=0, help="seed of the split, weights and batches (default: 0)")
    add("--threads", type=int, help="default: one per physical core")
    add("--dtype", choices=["float32", "float64"], default="float32", help="default: float32")
    add("--output", metavar="FILE", help="model file (default: <name of DATA>.safetensors)")
    add(
        "--plot",
        metavar="FILE",
        help="draw the learning curve (for regression, of the standardised target) to a "
        f"{', '.join(PLOT_FORMATS)} file",
    )
    add("--quiet", action="store_true", help="print nothing")

    add = command("predict", "write a model's predictions as CSV")
    add("model", metavar="MODEL", help=model)
    add("data", metavar="DATA", help=data)
    add("--output", metavar="FILE", help="default: standard output")

    add = command("evaluate", "print a model's accuracy by class, or its RMSE and R2")
    add("model", metavar="MODEL", help=model)
    add("data", metavar="DATA", help=data)
    add(
        "--target",
        metavar="NAME",
        help="column or array to compare with (default: the target that the model was trained for)",
    )

    command("info", "describe this build of fastnn")
    return made
