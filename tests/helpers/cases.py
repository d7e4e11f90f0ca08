"""The one table of cases: every layer, loss and optimizer, and networks made of them.

A row says what the library calls a thing (`cls`, a name in `fastnn`, with its keyword arguments
`args`) and what the oracle in `reference.py` calls it. A new activation, loss or optimizer gets a
row here, and every test that runs over the table covers it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import reference
from block_cases import BLOCK_NETWORKS
from descriptions import batch_norm, kind, layer_norm, linear
from embedding_cases import EMBEDDING_NETWORKS, EMBEDDINGS

# Layers ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerCase:
    """A layer: `fastnn.<cls>(**args)`, and what the oracle calls it.

    Attributes
    ----------
    description : dict
        The layer for the oracle: its "kind", and `args` under the same names.
    kinks : tuple of float
        Where the function of one entry is not smooth.
    features : int
        Width of the inputs to test with.
    """

    name: str
    cls: str
    description: dict
    kinks: tuple = ()
    features: int = 6

    @property
    def args(self):
        """Keyword arguments of `cls`."""
        return reference.hyperparameters(self.description)

    @property
    def layers(self):
        """The network that is only this layer, for the oracle."""
        return [self.description]


def linear_case(in_features, out_features, bias=True):
    """Return the case of a linear layer."""
    name = f"linear_{in_features}_{out_features}" + ("" if bias else "_no_bias")
    return LayerCase(name, "Linear", linear(in_features, out_features, bias), (), in_features)


CLASS_OF_EMBEDDING = {
    "periodic_embedding": "PeriodicEmbedding",
    "piecewise_linear_embedding": "PiecewiseLinearEmbedding",
    "categorical_embedding": "CategoricalEmbedding",
}


def kinks_of_embedding(description):
    """Return the edges of all columns, or the numbers between two codes."""
    if description["kind"] == "categorical_embedding":
        return tuple(code - 0.5 for code in range(max(description["cardinalities"]) + 1))
    return tuple(sorted({edge for edges in description.get("bins", []) for edge in edges}))


LINEAR_CASES = [
    linear_case(1, 1),
    linear_case(3, 5),
    linear_case(3, 5, bias=False),
    linear_case(8, 16),
    linear_case(17, 1),  # one more than a vector register of floats, and a single output
    linear_case(1, 17, bias=False),
    linear_case(33, 19),
]

ACTIVATION_CASES = [
    LayerCase("identity", "Identity", {"kind": "identity"}),
    LayerCase("relu", "ReLU", {"kind": "relu"}, kinks=(0.0,)),
    LayerCase("relu_one_feature", "ReLU", {"kind": "relu"}, kinks=(0.0,), features=1),
    LayerCase("relu_wide", "ReLU", {"kind": "relu"}, kinks=(0.0,), features=37),
    LayerCase("leaky_relu", "LeakyReLU", {"kind": "leaky_relu"}, kinks=(0.0,)),
    LayerCase(
        "leaky_relu_0.2", "LeakyReLU", {"kind": "leaky_relu", "negative_slope": 0.2}, kinks=(0.0,)
    ),
    LayerCase("elu", "ELU", {"kind": "elu"}, kinks=(0.0,)),  # its slope is continuous, no more
    LayerCase("elu_0.5", "ELU", {"kind": "elu", "alpha": 0.5}, kinks=(0.0,)),
    LayerCase("selu", "SELU", {"kind": "selu"}, kinks=(0.0,)),
    LayerCase("abs", "Abs", {"kind": "abs"}, kinks=(0.0,)),
    LayerCase("hard_tanh", "HardTanh", {"kind": "hard_tanh"}, kinks=(-1.0, 1.0)),
    LayerCase("sigmoid", "Sigmoid", {"kind": "sigmoid"}),
    LayerCase("tanh", "Tanh", {"kind": "tanh"}),
    LayerCase("tanh_wide", "Tanh", {"kind": "tanh"}, features=37),
    LayerCase("softplus", "Softplus", {"kind": "softplus"}),
    LayerCase("gelu", "GELU", {"kind": "gelu"}),
    LayerCase("silu", "SiLU", {"kind": "silu"}),
]

ROW_CASES = [  # the outputs of a row depend on the whole row, or on the column
    LayerCase("softmax", "Softmax", {"kind": "softmax"}),
    LayerCase("softmax_one_feature", "Softmax", {"kind": "softmax"}, features=1),
    LayerCase("softmax_wide", "Softmax", {"kind": "softmax"}, features=37),
    LayerCase("log_softmax", "LogSoftmax", {"kind": "log_softmax"}),
    LayerCase("log_softmax_wide", "LogSoftmax", {"kind": "log_softmax"}, features=37),
    LayerCase(
        "standardize",
        "Standardize",
        {
            "kind": "standardize",
            "mean": np.array([0.0, 1.0, -2.5, 0.3]),
            "scale": np.array([1.0, 2.0, 0.5, 10.0]),
        },
        features=4,
    ),
    LayerCase(
        "unstandardize",
        "Unstandardize",
        {
            "kind": "unstandardize",
            "mean": np.array([0.0, 1.0, -2.5, 0.3]),
            "scale": np.array([1.0, 2.0, 0.5, 10.0]),
        },
        features=4,
    ),
]


NORMALIZATION_CASES = [
    LayerCase("layer_norm", "LayerNorm", layer_norm(6), features=6),
    LayerCase("layer_norm_two_features", "LayerNorm", layer_norm(2, 0.1), features=2),
    LayerCase("layer_norm_one_feature", "LayerNorm", layer_norm(1), features=1),
    LayerCase("layer_norm_wide", "LayerNorm", layer_norm(37, 1e-3), features=37),
]


NORMALIZATION_CASES += [
    LayerCase("batch_norm", "BatchNorm", batch_norm(6), features=6),
    LayerCase("batch_norm_one_feature", "BatchNorm", batch_norm(1), features=1),
    LayerCase("batch_norm_wide", "BatchNorm", batch_norm(70, 1e-2), features=70),
    LayerCase("dropout", "Dropout", {"kind": "dropout", "p": 0.25}),
]

EMBEDDING_CASES = [
    LayerCase(
        name,
        CLASS_OF_EMBEDDING[description["kind"]],
        description,
        kinks_of_embedding(description),
        description["in_features"],
    )
    for name, description in EMBEDDINGS.items()
]

LAYER_CASES = LINEAR_CASES + ACTIVATION_CASES + ROW_CASES + NORMALIZATION_CASES + EMBEDDING_CASES

# The name in fastnn, and the kinks, of every kind of layer.
CLASS_OF_KIND = {case.description["kind"]: case.cls for case in LAYER_CASES}
CLASS_OF_KIND |= {"residual": "Residual", "parallel": "Parallel"}
KINKS_OF_KIND = {case.description["kind"]: case.kinks for case in LAYER_CASES}


def kinks_of(description):
    """Return where the function of one entry is not smooth."""
    if description["kind"] in CLASS_OF_EMBEDDING:
        return kinks_of_embedding(description)
    return KINKS_OF_KIND[description["kind"]]


# Networks --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetworkCase:
    """A network: its layer descriptions, in order."""

    name: str
    layers: list

    @property
    def features(self):
        """Width of the inputs; a network of the table starts with a layer that fixes it."""
        first = reference.leaves(self.layers)[0]
        return first.get("in_features") or first["features"]


def made(description, fn):
    """Return the layer of `fastnn` that a description stands for."""
    args = reference.hyperparameters(description)
    if "layers" in args:
        args["layers"] = [made(layer, fn) for layer in args["layers"]]
    if "branches" in args:
        args["branches"] = [[made(layer, fn) for layer in branch] for branch in args["branches"]]
    return getattr(fn, CLASS_OF_KIND[description["kind"]])(**args)


NETWORK_CASES = [
    NetworkCase("xor_2_2_1", [linear(2, 2), kind("relu"), linear(2, 1)]),
    NetworkCase("softmax_3_5_4", [linear(3, 5), kind("tanh"), linear(5, 4), kind("softmax")]),
    NetworkCase(
        "deep_mixed",
        [
            linear(4, 6),
            kind("leaky_relu", negative_slope=0.2),
            linear(6, 7),
            kind("gelu"),
            linear(7, 5, bias=False),
            kind("selu"),
            linear(5, 6),
            kind("abs"),
            linear(6, 4),
            kind("silu"),
            linear(4, 3),
            kind("log_softmax"),
        ],
    ),
    NetworkCase(
        "odd_7_13_5_3",
        [linear(7, 13), kind("elu", alpha=0.5), linear(13, 5), kind("softplus"), linear(5, 3)],
    ),
    NetworkCase("single_linear", [linear(4, 3)]),
    NetworkCase("linear_linear", [linear(4, 6), linear(6, 3)]),
    NetworkCase(
        "softmax_in_the_middle",
        [linear(3, 4), kind("softmax"), linear(4, 2), kind("sigmoid"), kind("identity")],
    ),
    NetworkCase(
        "standardize_last",
        [
            linear(3, 5),
            kind("tanh"),
            linear(5, 2),
            kind("standardize", mean=np.array([0.5, -1.0]), scale=np.array([2.0, 0.25])),
        ],
    ),
    NetworkCase(
        "unstandardize_inside_and_last",
        [
            linear(3, 5),
            kind("unstandardize", mean=np.linspace(-1, 1, 5), scale=np.linspace(0.5, 1.5, 5)),
            kind("tanh"),
            linear(5, 2),
            kind("unstandardize", mean=np.array([0.5, -1.0]), scale=np.array([2.0, 0.25])),
        ],
    ),
    NetworkCase("no_bias", [linear(3, 4, bias=False), kind("relu"), linear(4, 2, bias=False)]),
    NetworkCase(
        "layer_norm_inside",
        [
            linear(5, 6),
            layer_norm(6),
            kind("tanh"),
            linear(6, 4),
            kind("softplus"),
            layer_norm(4, 0.01),
            linear(4, 3),
        ],
    ),
    NetworkCase("layer_norm_last", [linear(3, 5), kind("relu"), linear(5, 4), layer_norm(4)]),
    NetworkCase("layer_norm_narrowing", [linear(2, 9), layer_norm(9), kind("silu"), linear(9, 17)]),
    NetworkCase(
        "batch_norm_and_dropout",
        [
            linear(5, 6),
            batch_norm(6),
            kind("tanh"),
            kind("dropout", p=0.5),
            linear(6, 4),
            batch_norm(4, 0.01),
            kind("softmax"),
            kind("dropout", p=0.1),
        ],
    ),
    *(NetworkCase(name, layers) for name, layers in BLOCK_NETWORKS.items()),
    *(NetworkCase(name, layers) for name, layers in EMBEDDING_NETWORKS.items()),
    NetworkCase("wide_64_32_10", [linear(64, 32), kind("relu"), linear(32, 10)]),
]


# Losses and optimizers -------------------------------------------------------------------------


def normal_outputs(rng, n, n_outputs, dtype):
    """Return predictions, logits or real targets on both sides of zero."""
    return (2 * rng.standard_normal((n, n_outputs))).astype(dtype)


def probabilities(rng, n, n_outputs, dtype):
    """Return rows of class probabilities."""
    return np.stack([reference.softmax(z) for z in normal_outputs(rng, n, n_outputs, dtype)])


def labels(rng, n, n_outputs, dtype):
    """Return a class a sample, as integers; the dtype of the network does not matter."""
    return rng.integers(n_outputs, size=n)


def unit_interval(rng, n, n_outputs, dtype):
    """Return targets in [0, 1], about half of them exactly 0 or 1."""
    return np.clip(rng.uniform(-0.5, 1.5, (n, n_outputs)), 0, 1).astype(dtype)


def counts(rng, n, n_outputs, dtype):
    """Return whole numbers of at least 0."""
    return rng.poisson(2.0, (n, n_outputs)).astype(dtype)


@dataclass(frozen=True)
class LossCase:
    """A loss, `fastnn.<cls>(**args, reduction=…)`, and what the oracle calls it.

    `make_y_pred` and `make_y` are called with (rng, n_samples, n_outputs, dtype).

    Attributes
    ----------
    description : dict
        The loss for the oracle: its "kind", and `args` under the same names.
    """

    name: str
    cls: str
    description: dict
    target: str  # "real", "labels", "unit" or "counts"
    make_y_pred: Callable
    make_y: Callable
    has_hessian: bool = True

    @property
    def args(self):
        """Keyword arguments of `cls`."""
        return reference.hyperparameters(self.description)

    @property
    def kind(self):
        """The oracle's name of the loss, whatever its numbers."""
        return self.description["kind"]


def real_loss(name, cls, has_hessian=True, **args):
    """Return the case of a loss of real targets; its name starts with the oracle's."""
    description = {"kind": name.split("-")[0], **args}
    return LossCase(name, cls, description, "real", normal_outputs, normal_outputs, has_hessian)


def class_loss(name, cls, target, make_y_pred, make_y, **args):
    """Return the case of a loss of classes or counts; its name starts with the oracle's."""
    description = {"kind": name.split("-")[0], **args}
    return LossCase(name, cls, description, target, make_y_pred, make_y)


LOSS_CASES = [
    real_loss("half_squared_error", "HalfSquaredError"),
    real_loss("mean_squared_error", "MeanSquaredError"),
    real_loss("mean_absolute_error", "MeanAbsoluteError", has_hessian=False),
    real_loss("huber", "Huber"),
    real_loss("huber-2.5", "Huber", delta=2.5),
    real_loss("log_cosh", "LogCosh"),
    real_loss("pinball-0.3", "Pinball", has_hessian=False, quantiles=0.3),
    class_loss("poisson", "Poisson", "counts", normal_outputs, counts),
    class_loss("negative_log_likelihood", "NegativeLogLikelihood", "labels", probabilities, labels),
    class_loss("softmax_cross_entropy", "SoftmaxCrossEntropy", "labels", normal_outputs, labels),
    class_loss(
        "softmax_cross_entropy-smooth",
        "SoftmaxCrossEntropy",
        "labels",
        normal_outputs,
        labels,
        label_smoothing=0.2,
    ),
    class_loss("binary_cross_entropy", "BinaryCrossEntropy", "unit", normal_outputs, unit_interval),
    class_loss(
        "binary_cross_entropy-smooth",
        "BinaryCrossEntropy",
        "unit",
        normal_outputs,
        unit_interval,
        label_smoothing=0.2,
    ),
]
SMOOTH_LOSS_CASES = [case for case in LOSS_CASES if case.has_hessian]
