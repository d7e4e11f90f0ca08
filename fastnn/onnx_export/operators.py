"""The ONNX operators of each layer, in evaluation mode.

ONNX stores attributes such as an epsilon in float32, and onnxruntime lacks some operators in
float64. In a float64 network these operators are written out in others.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn.layers import Layer
from fastnn.onnx_export.embeddings import categorical, periodic, piecewise_linear
from fastnn.onnx_export.graph import Graph

SELU = 1.0507009873554805, 1.6732632423543772  # scale and alpha (Klambauer et al. 2017)

# The numerator and the denominator of Φ(-x) / e^(-x²/2) for x >= 0 (Hart 1968), with an absolute
# error of Φ(-x) below 1e-15.
TAIL = (
    (
        0.0352624965998911,
        0.700383064443688,
        6.37396220353165,
        33.912866078383,
        112.079291497871,
        221.213596169931,
        220.206867912376,
    ),
    (
        0.0883883476483184,
        1.75566716318264,
        16.064177579207,
        86.7807322029461,
        296.564248779674,
        637.333633378831,
        793.826512519948,
        440.413735824752,
    ),
)


def add_layers(graph: Graph, layers: Sequence[Layer], x: str, width: int, place: str = "") -> str:
    """Add the nodes of layers one after the other, and return the name of the last output."""
    for i, layer in enumerate(layers):
        graph.place = f"{place}{i}."
        if layer.kind not in OPERATORS:
            raise TypeError(
                f"layers[{i}] is {layer!r}, a layer written in Python; ONNX has fastnn's own "
                f"layers only"
            )
        x = OPERATORS[layer.kind](graph, layer, x, width)
        width = layer.width_after(width)
    return x


def _passed(graph: Graph, layer: Any, x: str, width: int) -> str:
    return x  # dropout has no effect in evaluation mode


def _plain(operator: str, **attributes: Any) -> "Callable[[Graph, Any, str, int], str]":
    """Return the function of a layer that is one operator without hyper-parameters."""
    return lambda graph, layer, x, width: graph.node(operator, x, **attributes)


def _linear(graph: Graph, layer: Any, x: str, width: int) -> str:
    bias = [] if layer.bias is None else [graph.own("bias")]
    return graph.node("Gemm", x, graph.own("weight"), *bias, transB=1)


def _leaky_relu(graph: Graph, layer: Any, x: str, width: int) -> str:
    if graph.dtype == np.float32:
        return graph.node("LeakyRelu", x, alpha=layer.negative_slope)
    below = graph.node(
        "Mul", graph.node("Min", x, graph.number(0.0)), graph.number(layer.negative_slope)
    )
    return graph.node("Add", graph.node("Relu", x), below)


def _elu(graph: Graph, layer: Any, x: str, width: int) -> str:
    if graph.dtype == np.float32:
        return graph.node("Elu", x, alpha=layer.alpha)
    return _written_elu(graph, x, layer.alpha)


def _selu(graph: Graph, layer: Any, x: str, width: int) -> str:
    if graph.dtype == np.float32:
        return graph.node("Selu", x)
    return graph.node("Mul", _written_elu(graph, x, SELU[1]), graph.number(SELU[0]))


def _written_elu(graph: Graph, x: str, alpha: float) -> str:
    """Return max(x, 0) + alpha (e^min(x, 0) - 1)."""
    power = graph.node("Exp", graph.node("Min", x, graph.number(0.0)))
    below = graph.node("Sub", power, graph.number(1.0))
    scaled = graph.node("Mul", below, graph.number(alpha))
    return graph.node("Add", graph.node("Relu", x), scaled)


def _softplus(graph: Graph, layer: Any, x: str, width: int) -> str:
    if graph.dtype == np.float32:
        return graph.node("Softplus", x)
    power = graph.node("Exp", graph.node("Neg", graph.node("Abs", x)))
    logarithm = graph.node("Log", graph.node("Add", power, graph.number(1.0)))
    return graph.node("Add", graph.node("Relu", x), logarithm)


def _gelu(graph: Graph, layer: Any, x: str, width: int) -> str:
    if graph.dtype == np.float64:
        return _written_gelu(graph, x)
    error = graph.node("Erf", graph.node("Div", x, graph.number(2**0.5)))
    product = graph.node("Mul", x, graph.node("Add", error, graph.number(1.0)))
    return graph.node("Mul", product, graph.number(0.5))


def _written_gelu(graph: Graph, x: str) -> str:
    """Return max(x, 0) - |x| Φ(-|x|)."""
    size = graph.node("Abs", x)
    bounded = graph.node("Min", size, graph.number(40.0))  # so that no power overflows
    square = graph.node("Mul", bounded, bounded)
    density = graph.node("Exp", graph.node("Mul", square, graph.number(-0.5)))
    ratio = graph.node("Div", *(_polynomial(graph, bounded, own) for own in TAIL))
    product = graph.node("Mul", size, graph.node("Mul", density, ratio))
    return graph.node("Sub", graph.node("Relu", x), product)


def _polynomial(graph: Graph, x: str, coefficients: Sequence[float]) -> str:
    """Return a polynomial of x, with the highest power first."""
    total = graph.number(coefficients[0])
    for coefficient in coefficients[1:]:
        total = graph.node("Add", graph.node("Mul", total, x), graph.number(coefficient))
    return total


def _silu(graph: Graph, layer: Any, x: str, width: int) -> str:
    return graph.node("Mul", x, graph.node("Sigmoid", x))


def _mish(graph: Graph, layer: Any, x: str, width: int) -> str:
    return graph.node("Mul", x, graph.node("Tanh", _softplus(graph, layer, x, width)))


def _hard_tanh(graph: Graph, layer: Any, x: str, width: int) -> str:
    return graph.node("Clip", x, graph.number(-1.0), graph.number(1.0))


def _parametric(graph: Graph, layer: Any, x: str, width: int) -> str:
    change = graph.node(
        "Sub", OPERATORS[layer.activation.kind](graph, layer.activation, x, width), x
    )
    return graph.node("Add", x, graph.node("Mul", change, graph.own("alpha")))


def _scale(graph: Graph, layer: Any, x: str, width: int) -> str:
    scaled = graph.node("Mul", x, graph.own("weight"))
    return scaled if layer.bias is None else graph.node("Add", scaled, graph.own("bias"))


def _standardize(graph: Graph, layer: Any, x: str, width: int) -> str:
    return graph.node("Div", graph.node("Sub", x, graph.own("mean")), graph.own("scale"))


def _unstandardize(graph: Graph, layer: Any, x: str, width: int) -> str:
    return graph.node("Add", graph.node("Mul", x, graph.own("scale")), graph.own("mean"))


def _layer_norm(graph: Graph, layer: Any, x: str, width: int) -> str:
    own = graph.own("weight"), graph.own("bias")
    if graph.dtype == np.float32:
        return graph.node("LayerNormalization", x, *own, axis=-1, epsilon=layer.eps)
    # a product, since the arguments of ReduceMean differ between opsets
    mean_of = graph.derived("mean of columns", np.full((width, 1), 1 / width))
    centred = graph.node("Sub", x, graph.node("MatMul", x, mean_of))
    variance = graph.node("MatMul", graph.node("Mul", centred, centred), mean_of)
    return _normalized(graph, layer, centred, variance)


def _batch_norm(graph: Graph, layer: Any, x: str, width: int) -> str:
    own = [graph.own(name) for name in ("weight", "bias", "running_mean", "running_var")]
    if graph.dtype == np.float32:
        return graph.node("BatchNormalization", x, *own, epsilon=layer.eps)
    return _normalized(graph, layer, graph.node("Sub", x, own[2]), own[3])


def _normalized(graph: Graph, layer: Any, centred: str, variance: str) -> str:
    """Return weight · centred / √(variance + eps) + bias."""
    deviation = graph.node("Sqrt", graph.node("Add", variance, graph.number(layer.eps)))
    normal = graph.node("Div", centred, deviation)
    return graph.node("Add", graph.node("Mul", normal, graph.own("weight")), graph.own("bias"))


def _block(graph: Graph, layer: Any, x: str, width: int) -> str:
    place = graph.place
    outputs = [
        add_layers(graph, branch, x, width, f"{place}{name}.")
        for name, branch in layer.inner_layers()
    ]
    graph.place = place
    if layer.kind == "residual":
        outputs.insert(0, x)
    if layer.combine == "concat":
        return graph.node("Concat", *outputs, axis=1)
    total = outputs[0]
    for output in outputs[1:]:
        total = graph.node("Add", total, output)
    return total


# The function that adds the nodes of a layer, by the layer's kind.
OPERATORS: dict[str, Callable[[Graph, Any, str, int], str]] = {
    "linear": _linear,
    "identity": _passed,
    "dropout": _passed,
    "relu": _plain("Relu"),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "sigmoid": _plain("Sigmoid"),
    "tanh": _plain("Tanh"),
    "softplus": _softplus,
    "gelu": _gelu,
    "silu": _silu,
    "mish": _mish,
    "abs": _plain("Abs"),
    "hard_tanh": _hard_tanh,
    "softmax": _plain("Softmax", axis=-1),
    "log_softmax": _plain("LogSoftmax", axis=-1),
    "scale": _scale,
    "parametric": _parametric,
    "standardize": _standardize,
    "unstandardize": _unstandardize,
    "layer_norm": _layer_norm,
    "batch_norm": _batch_norm,
    "periodic_embedding": periodic,
    "piecewise_linear_embedding": piecewise_linear,
    "categorical_embedding": categorical,
    "residual": _block,
    "parallel": _block,
}
