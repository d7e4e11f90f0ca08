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


# The defaults for a network. The parser leaves these arguments None, so that `train_tables` sees
# which of them are given.
DEFAULTS = {
    "hidden": [128],
    "activation": "relu",
    "optimizer": "adamw",
    "batch_size": 32,
    "validation_fraction": 0.2,
    "dtype": "float32",
}


def with_defaults(args: argparse.Namespace) -> argparse.Namespace:
    """Return the arguments of `train`, with the defaults for a network where none is given."""
    given = {name: value for name, value in vars(args).items() if value is not None}
    return argparse.Namespace(**vars(args) | DEFAULTS | given)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; the argument `command` is the name of the command."""
    made = _Parser(prog="fastnn", description="Multi-layer perceptrons on the CPU.")
    made.add_argument("--version", action="version", version=f"fastnn {fn.__version__}")
    commands = made.add_subparsers(required=True, dest="command", metavar="COMMAND")

    def command(name: str, purpose: str) -> Any:
        return commands.add_parser(name, help=purpose, description=purpose).add_argument

    model = "a model file that train wrote"
    data = (
        "a .csv or .tsv file with column names, a .parquet file, a .npz file with X and y, or "
        "'digits' (built in)"
    )
    target = "target column of a table, or target array of a .npz (default: y)"

    def add_table_options(add: Any, default: str = "those of training") -> None:
        """Add the options that say how a CSV file is written."""
        add("--sep", metavar="C", help="separator of the cells, or 'tab' (default: recognised)")
        add("--decimal", choices=[".", ","], help="decimal sign (default: recognised)")
        add(
            "--na",
            nargs="*",
            metavar="TEXT",
            help="cells without a value, besides empty cells, NA, N/A, NaN and null "
            f"(default: {default})",
        )

    add = command("train", "train a network and write it to a file")
    add("data", metavar="DATA", help=data)
    add("--target", metavar="NAME", help=target)
    add(
        "--preset",
        choices=["default", "fast", "best"],
        help="train an estimator of fastnn.tabular (default: 'default' for a table with texts or "
        "gaps, and else a network)",
    )
    add("--metric", metavar="NAME", help="chooses the best epoch of a preset, such as auc or mae")
    add_table_options(add, "none")
    for option, purpose in (
        ("--drop", "columns that are left out"),
        ("--id", "columns that name the rows; no features, but predict writes them"),
        ("--categorical", "columns of numbers that are categories, for a preset"),
        ("--numeric", "columns that must be numbers, and that are kept, for a preset"),
    ):
        add(option, nargs="+", default=[], metavar="NAME", help=purpose)
    add(
        "--task",
        choices=["classification", "regression"],
        help="default: classification if the target is text or a few whole numbers",
    )
    add(
        "--hidden",
        type=int,
        nargs="*",
        metavar="WIDTH",
        help="widths of the hidden layers (default: 128; none for a linear model)",
    )
    add("--activation", choices=ACTIVATIONS, help="default: relu")
    add(
        "--optimizer",
        choices=["adamw", "adam", "sgd"],
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
    add("--batch-size", type=int, help="default: 32")
    add(
        "--validation-fraction",
        type=float,
        help="share of the samples to hold out, equal for each class (default: 0.2)",
    )
    add("--seed", type=int, default=0, help="seed of the split, weights and batches (default: 0)")
    add("--threads", type=int, help="default: one per physical core")
    add("--dtype", choices=["float32", "float64"], help="default: float32")
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
    add_table_options(add)
    add(
        "--id",
        nargs="*",
        metavar="NAME",
        help="columns to write beside the predictions, for a model of a preset (default: the --id "
        "columns of training, if present)",
    )
    add(
        "--interval",
        type=float,
        metavar="P",
        help="add an interval that contains the target with probability P, for a model of a preset",
    )
    add("--output", metavar="FILE", help="default: standard output")

    add = command("evaluate", "print a model's accuracy by class, or its RMSE and R2")
    add("model", metavar="MODEL", help=model)
    add("data", metavar="DATA", help=data)
    add(
        "--target",
        metavar="NAME",
        help="column or array to compare with (default: the target that the model was trained for)",
    )
    add_table_options(add)

    add = command("export", "write a network as a source in C, and its header")
    add("model", metavar="MODEL", help=f"{model}; not one of a preset")
    add("output", metavar="FILE.c", help="the source; the header is FILE.h beside it")
    add("--name", metavar="NAME", help="beginning of all names in C (default: FILE)")
    for option, purpose in (
        ("--jacobian", "the Jacobian by the input"),
        ("--jvp", "its product with a tangent"),
        ("--vjp", "the product of its transpose with a cotangent"),
        ("--hessian", "gradient and Hessian by the input, for one output"),
    ):
        add(option, action="store_true", help=f"add a function for {purpose}")
    add(
        "--unroll", action="store_true", help="straight code, for tiny networks on microcontrollers"
    )

    command("info", "describe this build of fastnn")
    return made
