"""The table of cases: every activation, loss and optimizer, and networks made of them.

A row says what the library calls a thing (`cls`, a name in `fastnn`, with its keyword arguments
`args`) and what the oracle in `reference.py` calls it. A new activation, loss or optimizer gets a
row here, and every test that runs over the table covers it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import reference
from block_cases import BLOCK_NETWORKS
from descriptions import batch_norm, kind, layer_norm, linear, parallel, parametric, residual, scale
from embedding_cases import EMBEDDING_NETWORKS

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
    NetworkCase("scale_only", [scale(4)]),
    NetworkCase(
        "scale_and_parametric",
        [
            scale(5),
            linear(5, 6),
            parametric(6, "mish"),
            linear(6, 7),
            parametric(7, "selu"),
            kind("dropout", p=0.15),
            linear(7, 3),
        ],
    ),
    NetworkCase(
        "parametric_first_and_last",
        [
            parametric(4, "tanh"),
            linear(4, 6),
            kind("mish"),
            linear(6, 3),
            parametric(3, "softplus"),
            scale(3, bias=True),
        ],
    ),
    NetworkCase(
        "parametric_in_blocks",
        [
            linear(3, 4),
            residual(scale(4, bias=True), parametric(4, "gelu"), linear(4, 4, bias=False)),
            parallel(
                [parametric(4, "elu", alpha=0.5)],
                [scale(4), parametric(4, "sigmoid"), linear(4, 2)],
                combine="concat",
            ),
            kind("log_softmax"),
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
