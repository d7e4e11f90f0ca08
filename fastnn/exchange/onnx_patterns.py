"""Patterns of ONNX nodes, and the layers that they stand for.

A pattern describes the output of a layer: an operator and its arguments. An argument is another
pattern, `X` for the layer's input, a text for an array that gets this name ("name?" if it may be
missing), or a number for an array with this value.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastnn import _core
from fastnn._core.arrays import Array
from fastnn.exchange.onnx_file import OnnxGraph
from fastnn.layers import LAYERS, Layer

X = object()
SWAPPED = {"Add", "Mul", "Max", "Min"}  # the order of the arguments does not matter


@dataclass
class Match:
    """What a pattern found: the input of the layer, arrays, and the nodes by their operators."""

    graph: OnnxGraph
    x: str | None = None
    arrays: dict[str, Array] = field(default_factory=dict)
    nodes: dict[str, Any] = field(default_factory=dict)

    def attribute(self, operator: str, name: str, default: Any) -> Any:
        """Return an attribute of a node; float32 values as the shortest decimals."""
        value = self.graph.attribute(self.nodes[operator], name, default)
        return float(str(np.float32(value))) if isinstance(value, float) else value

    def number(self, name: str) -> float:
        """Return an array of one number; a float32 as the shortest decimal."""
        return float(str(self.arrays[name].reshape(())[()]))

    def column_array(self, name: str, width: int, default: float | None = None) -> Array:
        """Return an array (width,); a single number in the file is repeated."""
        if default is not None and name not in self.arrays:
            return np.full(width, default)
        array = self.arrays[name]
        _core.demand_memory(8 * width, "the arrays of a layer")
        if array.size not in (1, width) or array.shape[-1:] not in ((), (array.size,)):
            raise ValueError(f"an array has shape {array.shape}; ({width},) is wanted")
        return np.broadcast_to(array.ravel(), (width,))

    def demand_last_axis(self, operator: str, default: int = -1) -> None:
        """Check that an operator works along the columns of a matrix."""
        axes = self.arrays.get("axes?")
        axes = self.attribute(operator, "axes", axes) if operator == "ReduceMean" else axes
        found = self.attribute(operator, "axis", default) if axes is None else list(axes)
        if found not in (1, -1, [1], [-1]):
            raise ValueError(f"the axis is {found}; 1, the columns, is wanted")


def find(graph: OnnxGraph, name: str, pattern: Any, match: Match) -> bool:
    """Return whether a tensor fits a pattern. If so, the match gets the arrays and nodes."""
    given_name, name = name, graph.source(name)
    if pattern is X:
        if graph.is_array(name) or match.x not in (None, name):
            return False
        match.x = name
        return True
    if not isinstance(pattern, tuple):
        if not graph.is_array(name):
            return False
        array = graph.array(given_name, "b" if pattern == "training" else "if")
        if isinstance(pattern, str):
            match.arrays[pattern] = array
            return True
        return array.size == 1 and bool(np.isclose(array.item(), pattern, rtol=1e-6, atol=0))
    operator, *arguments = pattern
    node = graph.node(name)
    if node is None or node.op_type != operator or name != node.output[0]:
        return False
    given = [argument for argument in node.input if argument]
    if operator == "ReduceMean" and not _is_mean_of_rows(graph, node, given):
        return False
    if len(given) < len(arguments) and str(arguments[-1]).endswith("?"):
        arguments.pop()
    if len(given) != len(arguments):
        return False
    orders = [given, given[::-1]] if operator in SWAPPED else [given]
    for order in orders:
        trial = Match(graph, match.x, dict(match.arrays), {**match.nodes, operator: node})
        if all(find(graph, n, p, trial) for n, p in zip(order, arguments, strict=True)):
            match.x, match.arrays, match.nodes = trial.x, trial.arrays, trial.nodes
            return True
    return False


def _is_mean_of_rows(graph: OnnxGraph, node: Any, given: list[str]) -> bool:
    """Return whether a ReduceMean keeps the axes and takes the mean along the last one."""
    axes = graph.attribute(node, "axes", None)
    if axes is None and len(given) > 1 and graph.is_array(given[1]):
        axes = graph.array(given[1]).tolist()
    return graph.attribute(node, "keepdims", 1) == 1 and list(axes or []) in ([-1], [1])


Builder = Callable[[Match, int], list[Layer]]


def layer_of(kind: str, config: dict[str, Any], **arrays: Array) -> list[Layer]:
    """Return a layer made as from a model file."""
    return [LAYERS[kind].from_config(config, arrays)]


def _plain(kind: str, **attributes: "tuple[str, str, float]") -> Builder:
    """Return the builder of a layer whose hyper-parameters are attributes of a node."""

    def build(match: Match, width: int) -> list[Layer]:
        config = {name: match.attribute(*place) for name, place in attributes.items()}
        return layer_of(kind, config)

    return build


def _linear(match: Match, width: int) -> list[Layer]:
    weight = match.arrays["weight"]
    if weight.ndim != 2:
        raise ValueError(f"the weight has shape {weight.shape}; a matrix is wanted")
    if "MatMul" in match.nodes:
        weight, factor = weight.T, 1.0
    else:
        if match.attribute("Gemm", "transA", 0):
            raise ValueError("transA is 1; 0 is wanted")
        if not match.attribute("Gemm", "transB", 0):
            weight = weight.T
        weight = match.attribute("Gemm", "alpha", 1.0) * weight
        factor = match.attribute("Gemm", "beta", 1.0)
    n_out, n_in = weight.shape
    if n_in != width:
        raise ValueError(f"the weight takes {n_in} features; {width} come before it")
    arrays = {"weight": weight}
    if "bias" in match.arrays:
        arrays["bias"] = factor * match.column_array("bias", n_out)
    config = {"in_features": n_in, "out_features": n_out, "bias": "bias" in arrays}
    return layer_of("linear", config, **arrays)


def _standardize(match: Match, width: int) -> list[Layer]:
    mean, scale = match.column_array("mean", width, 0.0), match.column_array("scale", width, 1.0)
    return layer_of("standardize", {}, mean=mean, scale=scale)


def _scaler(match: Match, width: int) -> list[Layer]:
    offset, factor = (
        np.broadcast_to(np.asarray(match.attribute("Scaler", name, [d]), np.float32), (width,))
        for name, d in (("offset", 0.0), ("scale", 1.0))
    )
    if not factor.all():
        raise ValueError("the scale of Scaler holds 0; other numbers are wanted")
    return layer_of("standardize", {}, mean=offset, scale=1 / factor.astype(float))


def _scale(match: Match, width: int) -> list[Layer]:
    arrays = {"weight": match.column_array("weight", width, 1.0)}
    if "bias" in match.arrays:
        arrays["bias"] = match.column_array("bias", width)
    return layer_of("scale", {"features": width, "bias": "bias" in arrays}, **arrays)


def _layer_norm(match: Match, width: int) -> list[Layer]:
    if "LayerNormalization" in match.nodes:
        match.demand_last_axis("LayerNormalization")
        eps = match.attribute("LayerNormalization", "epsilon", 1e-5)
    else:
        match.demand_last_axis("ReduceMean")
        eps = match.number("eps")
    return layer_of(
        "layer_norm",
        {"features": width, "eps": eps},
        weight=match.column_array("weight", width),
        bias=match.column_array("bias?", width, 0.0),
    )


def _batch_norm(match: Match, width: int) -> list[Layer]:
    names = ("weight", "bias", "running_mean", "running_var")
    if match.attribute("BatchNormalization", "training_mode", 0):
        raise ValueError("training_mode is 1; a model in evaluation mode is wanted")
    eps = match.attribute("BatchNormalization", "epsilon", 1e-5)
    kept = match.attribute("BatchNormalization", "momentum", 0.9)
    return layer_of(
        "batch_norm",
        {"features": width, "eps": eps, "momentum": round(1 - kept, 7)},
        **{name: match.column_array(name, width) for name in names},
    )


def _prelu(match: Match, width: int) -> list[Layer]:
    slope = match.column_array("slope", width)
    if slope.min() == slope.max() >= 0:
        return layer_of("leaky_relu", {"negative_slope": float(str(slope[0]))})
    config = {"features": width, "activation": {"kind": "relu"}}
    return layer_of("parametric", config, alpha=1 - slope)


def _gelu(match: Match, width: int) -> list[Layer]:
    if match.nodes.keys() == {"Gelu"}:
        approximate = match.attribute("Gelu", "approximate", b"none")
        if approximate != b"none":
            raise ValueError(f"approximate is {approximate.decode()!r}; 'none' is wanted")
    return layer_of("gelu", {})


def _selu(match: Match, width: int) -> list[Layer]:
    found = [match.attribute("Selu", name, 0.0) for name in ("alpha", "gamma")]
    if any(found) and not np.allclose(found, (1.6732632, 1.050701), rtol=1e-6):
        raise ValueError(f"alpha and gamma are {found}; those of SELU are wanted")
    return layer_of("selu", {})


def _swish(match: Match, width: int) -> list[Layer]:
    alpha = match.attribute("Swish", "alpha", 1.0)
    if alpha != 1:
        raise ValueError(f"alpha is {alpha}; 1 is wanted")
    return layer_of("silu", {})


def _clip(match: Match, width: int) -> list[Layer]:
    limits = [match.attribute("Clip", name, None) for name in ("min", "max")]  # before opset 11
    if limits != [-1.0, 1.0]:
        raise ValueError(f"the limits are {limits}; [-1, 1] is wanted")
    return layer_of("hard_tanh", {})


def _dropout(match: Match, width: int) -> list[Layer]:
    if "training" in match.arrays and match.arrays["training"].any():
        raise ValueError("training_mode is true; a model in evaluation mode is wanted")
    if "ratio" in match.arrays:
        return layer_of("dropout", {"p": match.number("ratio")})
    return layer_of("dropout", {"p": match.attribute("Dropout", "ratio", 0.5)})


def _softmax(match: Match, width: int) -> list[Layer]:
    logarithm = "LogSoftmax" in match.nodes or "Log" in match.nodes
    match.demand_last_axis("LogSoftmax" if "LogSoftmax" in match.nodes else "Softmax")
    return layer_of("log_softmax" if logarithm else "softmax", {})


def _flatten(match: Match, width: int) -> list[Layer]:
    if match.attribute("Flatten", "axis", 1) != 1:
        raise ValueError("the axis of Flatten is not 1")
    return []


def _reshape(match: Match, width: int) -> list[Layer]:
    shape = match.arrays["shape"].tolist()
    if shape not in ([-1, width], [0, width], [0, -1]):
        raise ValueError(f"the new shape is {shape}; [-1, {width}] is wanted")
    return []


def _with_complement(match: Match, width: int) -> list[Layer]:
    """Return 1 - p and p side by side, as a linear layer."""
    if match.attribute("Concat", "axis", 1) not in (1, -1):
        raise ValueError("the axis of Concat is not 1")
    _core.demand_memory(32 * width**2, "the arrays of a layer")
    ones = np.eye(width)
    config = {"in_features": width, "out_features": 2 * width}
    bias = np.repeat([1.0, 0.0], width)
    return layer_of("linear", config, weight=np.vstack([-ones, ones]), bias=bias)


_CENTRED = ("Sub", X, ("ReduceMean", X, "axes?"))
_SQUARES = [("Pow", _CENTRED, 2), ("Mul", _CENTRED, _CENTRED)]
_ERRORS = [("Add", ("Erf", part), 1) for part in (("Div", X, 2**0.5), ("Mul", X, 0.5**0.5))]

# Patterns with the builders of their layers; the first one that fits is taken.
PATTERNS: list[tuple[Any, Builder]] = [
    (("Gemm", X, "weight", "bias"), _linear),
    (("Gemm", X, "weight"), _linear),
    (("Add", ("MatMul", X, "weight"), "bias"), _linear),
    (("MatMul", X, "weight"), _linear),
    (("Relu", X), _plain("relu")),
    (("Max", X, 0), _plain("relu")),
    (("LeakyRelu", X), _plain("leaky_relu", negative_slope=("LeakyRelu", "alpha", 0.01))),
    (("PRelu", X, "slope"), _prelu),
    (("Elu", X), _plain("elu", alpha=("Elu", "alpha", 1.0))),
    (("Selu", X), _selu),
    (("Sigmoid", X), _plain("sigmoid")),
    (("Tanh", X), _plain("tanh")),
    (("Softplus", X), _plain("softplus")),
    (("Where", ("Greater", X, 20), X, ("Softplus", X)), _plain("softplus")),
    (("Gelu", X), _gelu),
    *((("Mul", ("Mul", X, error), 0.5), _gelu) for error in _ERRORS),
    *((("Mul", ("Mul", X, 0.5), error), _gelu) for error in _ERRORS),
    *((("Mul", X, ("Mul", error, 0.5)), _gelu) for error in _ERRORS),
    (("Mul", X, ("Sigmoid", X)), _plain("silu")),
    (("Swish", X), _swish),
    (("Mish", X), _plain("mish")),
    (("Mul", X, ("Tanh", ("Softplus", X))), _plain("mish")),
    (("Abs", X), _plain("abs")),
    (("Clip", X, -1, 1), _plain("hard_tanh")),
    (("Clip", X), _clip),
    (("Softmax", X), _softmax),
    (("LogSoftmax", X), _softmax),
    (("Log", ("Softmax", X)), _softmax),
    (("LayerNormalization", X, "weight", "bias?"), _layer_norm),
    *(
        (
            (
                "Add",
                (
                    "Mul",
                    ("Div", _CENTRED, ("Sqrt", ("Add", ("ReduceMean", square, "axes?"), "eps"))),
                    "weight",
                ),
                "bias?",
            ),
            _layer_norm,
        )
        for square in _SQUARES
    ),
    (("BatchNormalization", X, "weight", "bias", "running_mean", "running_var"), _batch_norm),
    (("Dropout", X, "ratio"), _dropout),
    (("Dropout", X, "ratio", "training"), _dropout),
    (("Dropout", X), _dropout),
    (("Flatten", X), _flatten),
    (("Reshape", X, "shape"), _reshape),
    (("Scaler", X), _scaler),
    (("Div", ("Sub", X, "mean"), "scale"), _standardize),
    (("Sub", X, "mean"), _standardize),
    (("Div", X, "scale"), _standardize),
    (("Concat", ("Sub", 1, X), X), _with_complement),
    (("Add", ("Mul", X, "weight"), "bias"), _scale),
    (("Mul", X, "weight"), _scale),
    (("Add", X, "bias"), _scale),
]


def operators(pattern: Any) -> set[str]:
    """Return the operators of a pattern."""
    if not isinstance(pattern, tuple):
        return set()
    return {pattern[0]}.union(*(operators(argument) for argument in pattern[1:]))


KNOWN = {"Identity", "Cast", "Constant"}.union(*(operators(pattern) for pattern, _ in PATTERNS))
