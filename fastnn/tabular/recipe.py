"""The recipes of the presets: layers, initial values, optimizer and schedules.

They are RealMLP's tuned defaults, "TD" and the simpler "TD-S" (Holzmüller, Grinsztajn and
Steinwart, "Better by default: Strong pre-tuned MLPs and boosted trees on tabular data", 2024).

RealMLP's linear layers compute x W / √fan_in + b. `Linear` computes x V + b. With V = W / √fan_in,
Adam takes the same steps if the learning rate of V is multiplied by 1 / √fan_in, and the weight
decay by √fan_in.

RealMLP trains 256 epochs. The numbers of epochs here were chosen on tables outside the benchmark.
With 128 epochs, the errors were the same on 13 tables of 1,800 to 5,000 rows, but larger on two
tables of 1,000 rows. So large tables are trained for 128 epochs, and tables of fewer than 8
minibatches for up to twice as many. On these tables, TD-S with 48 epochs had 1.03 times the error
of "default", in 0.3 of its time.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.layers import (
    SELU,
    CategoricalEmbedding,
    Dropout,
    Layer,
    Linear,
    Mish,
    Parametric,
    PeriodicEmbedding,
    Scale,
    Unstandardize,
)
from fastnn.network import Network
from fastnn.optimizers import AdamW, Group
from fastnn.schedules import CosLog, FlatCosine

HIDDEN = (256, 256, 256)
BATCH_SIZE = 256
HELD_OUT = 0.2  # share of the rows
FEW_MINIBATCHES = 8  # in an epoch; with fewer, there are more epochs
WEIGHT_DECAY = 0.02
DROPOUT = 0.15
EMBEDDING_SIZE = 8
BIAS_RATE, SCALE_RATE, EMBEDDING_RATE, ALPHA_RATE = 0.1, 6.0, 0.1, 0.1  # learning rate factors
INITIAL_ROWS = 8192  # rows that the initial values are computed from


@dataclass(frozen=True)
class Recipe:
    """A preset.

    Attributes
    ----------
    simple : bool
        Whether it is "TD-S": no embeddings of numbers, no parametric activations, no dropout, no
        weight decay, and no initial values from the data.
    max_one_hot : int
        As in `TableEncoder`. Columns of more categories have an embedding.
    epochs : int
        Epochs for large tables. Smaller ones get up to twice as many; see `epochs_for`.
    rates : (float, float)
        The learning rates for classification and for regression.
    folds : int
        The number of networks, each trained without one fold of the rows. With 1, one network is
        trained, and a fifth of the rows is held out.
    """

    simple: bool
    max_one_hot: int
    epochs: int
    rates: tuple[float, float]
    folds: int = 1

    def epochs_for(self, n_rows: int) -> int:
        """Return how many epochs train a table of `n_rows`."""
        minibatches = max(1, int(n_rows * (1 - HELD_OUT)) // BATCH_SIZE)
        return round(self.epochs * min(max(1, FEW_MINIBATCHES / minibatches), 2))


PRESETS = {
    "default": Recipe(simple=False, max_one_hot=9, epochs=128, rates=(0.04, 0.2)),
    "fast": Recipe(simple=True, max_one_hot=100, epochs=48, rates=(0.04, 0.07)),
    "best": Recipe(simple=False, max_one_hot=9, epochs=128, rates=(0.04, 0.2), folds=5),
}


@dataclass(frozen=True)
class Shape:
    """The inputs and outputs of a network for an encoded table.

    Attributes
    ----------
    n_numeric : int
        The number of numeric columns, which come first.
    n_columns : int
        The number of all columns.
    cardinalities : tuple of int
        The number of codes of each column of codes; these columns come last.
    n_outputs : int
        The number of classes, or 1.
    classes : bool
        Whether the outputs are logits of classes.
    standardized : bool
        Whether the network trains on standardised targets.
    initial_output : float
        The bias of the last linear layer before training.
    """

    n_numeric: int
    n_columns: int
    cardinalities: tuple[int, ...]
    n_outputs: int
    classes: bool
    standardized: bool
    initial_output: float = 0.0


def network_of(recipe: Recipe, shape: Shape, x: Array, seed: int) -> Network:
    """Return an untrained network. Except in TD-S, its initial values depend on the rows `x`."""
    layers: list[Layer] = []
    width = shape.n_columns
    if shape.n_numeric and not recipe.simple:
        layers.append(PeriodicEmbedding(width, shape.n_numeric))
        width += 3 * shape.n_numeric
    if shape.cardinalities:
        layers.append(CategoricalEmbedding(width, shape.cardinalities, EMBEDDING_SIZE))
        width += (EMBEDDING_SIZE - 1) * len(shape.cardinalities)
    layers.append(Scale(width))
    activation = SELU if shape.classes else Mish
    for hidden in HIDDEN:
        layers.append(Linear(width, hidden))
        if recipe.simple:
            layers.append(activation())
        else:
            layers += [Parametric(hidden, activation), Dropout(DROPOUT)]
        width = hidden
    layers.append(Linear(width, shape.n_outputs))
    if shape.standardized:
        layers.append(Unstandardize(np.zeros(shape.n_outputs), np.ones(shape.n_outputs)))
    network = Network(layers, seed=seed)
    if recipe.simple:
        _initialize(network, seed)
    else:
        network.initialize(x, seed=seed)
    last = [layer for layer in network.layers if isinstance(layer, Linear)][-1]
    last.arrays()["bias"][...] = shape.initial_output
    return network


def _initialize(network: Network, seed: int) -> None:
    """Draw the initial values of TD-S: W and b from N(0, 1), and 0 in the last layer."""
    rng = np.random.default_rng(seed)
    linear = [layer for layer in network.layers if isinstance(layer, Linear)]
    for layer in linear[:-1]:
        weight, bias = layer.arrays()["weight"], layer.arrays()["bias"]
        weight[...] = rng.standard_normal(weight.shape) / math.sqrt(layer.in_features)
        bias[...] = rng.standard_normal(bias.shape)
    for array in linear[-1].arrays().values():
        array[...] = 0


def optimizer_of(recipe: Recipe, shape: Shape, network: Network) -> AdamW:
    """Return the optimizer for a network of `network_of`."""
    rate = recipe.rates[0 if shape.classes else 1]
    return AdamW(
        CosLog(rate),
        betas=(0.9, 0.95),
        weight_decay=0.0 if recipe.simple else FlatCosine(WEIGHT_DECAY),
        groups=tuple(
            group for i, layer in enumerate(network.layers) for group in _groups(i, layer)
        ),
    )


def _groups(index: int, layer: Layer) -> list[Group]:
    """Return the groups of a layer. As in RealMLP, a rate's factor multiplies the decay too."""

    def group(params: str | None, rate: float, decay: float) -> Group:
        return Group(params, [index], learning_rate_factor=rate, weight_decay_factor=decay)

    if isinstance(layer, Linear):
        root = math.sqrt(layer.in_features)
        return [group("weight", 1 / root, root), group("bias", BIAS_RATE, 0.0)]
    factors: dict[type[Layer], float] = {
        Scale: SCALE_RATE,
        PeriodicEmbedding: EMBEDDING_RATE,
        Parametric: ALPHA_RATE,
    }
    factor = factors.get(type(layer))
    return [] if factor is None else [group(None, factor, factor)]


def dropout_schedule(recipe: Recipe) -> Any:
    """Return the schedule that the dropout probability is multiplied by, or None."""
    return None if recipe.simple else FlatCosine(1.0)
