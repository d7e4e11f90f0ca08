"""The layers of the table in `cases.py`."""

from dataclasses import dataclass

import numpy as np
import reference
from descriptions import batch_norm, layer_norm, linear, parametric, scale


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
        import fastnn

        return arguments(self.description, fastnn)

    @property
    def layers(self):
        """The network that is only this layer, for the oracle."""
        return [self.description]


def linear_case(in_features, out_features, bias=True):
    """Return the case of a linear layer."""
    name = f"linear_{in_features}_{out_features}" + ("" if bias else "_no_bias")
    return LayerCase(name, "Linear", linear(in_features, out_features, bias), (), in_features)


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
    LayerCase("mish", "Mish", {"kind": "mish"}),
    LayerCase("mish_wide", "Mish", {"kind": "mish"}, features=37),
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

SCALED_CASES = [  # one weight for each feature
    LayerCase("scale", "Scale", scale(6)),
    LayerCase("scale_with_bias", "Scale", scale(37, bias=True), features=37),
    LayerCase("parametric_mish", "Parametric", parametric(6, "mish")),
    LayerCase("parametric_mish_wide", "Parametric", parametric(37, "mish"), features=37),
    LayerCase("parametric_selu", "Parametric", parametric(6, "selu"), kinks=(0.0,)),
    LayerCase("parametric_elu", "Parametric", parametric(6, "elu", alpha=0.5), kinks=(0.0,)),
    LayerCase("parametric_tanh", "Parametric", parametric(1, "tanh"), features=1),
    LayerCase("parametric_silu", "Parametric", parametric(6, "silu")),
    LayerCase("parametric_relu", "Parametric", parametric(6, "relu"), kinks=(0.0,)),
]

LAYER_CASES = LINEAR_CASES + ACTIVATION_CASES + ROW_CASES + NORMALIZATION_CASES + SCALED_CASES

# The name in fastnn, and the kinks, of every kind of layer.
CLASS_OF_KIND = {case.description["kind"]: case.cls for case in LAYER_CASES}
CLASS_OF_KIND |= {"residual": "Residual", "parallel": "Parallel"}
KINKS_OF_KIND = {case.description["kind"]: case.kinks for case in LAYER_CASES}


def kinks_of(description):
    """Return where the function of one entry is not smooth."""
    return KINKS_OF_KIND[description.get("activation", description)["kind"]]


def made(description, fn):
    """Return the layer of `fastnn` that a description stands for."""
    return getattr(fn, CLASS_OF_KIND[description["kind"]])(**arguments(description, fn))


def arguments(description, fn):
    """Return the arguments of the layer of `fastnn` that a description stands for."""
    args = reference.hyperparameters(description)
    if "activation" in args:
        args["activation"] = made(args["activation"], fn)
    if "layers" in args:
        args["layers"] = [made(layer, fn) for layer in args["layers"]]
    if "branches" in args:
        args["branches"] = [[made(layer, fn) for layer in branch] for branch in args["branches"]]
    return args
