"""Layers in evaluation mode as expressions of CasADi.

For `if_else`, CasADi computes the derivatives of both branches, and multiplies one of them by 0.
Both must be finite, since 0 times infinity is NaN. The conditions give fastnn's slopes at kinks.
"""

from collections.abc import Sequence
from typing import Any

import casadi
import numpy as np

from fastnn._core.arrays import Array
from fastnn.layers import (
    Activation,
    BatchNorm,
    CategoricalEmbedding,
    CustomLayer,
    Dropout,
    Layer,
    LayerNorm,
    Linear,
    LogSoftmax,
    Parallel,
    Parametric,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    Residual,
    Scale,
    Softmax,
    Standardize,
    Unstandardize,
)
from fastnn.layers.column_embedding import ColumnEmbedding

Expression = Any  # a column of casadi.MX or casadi.SX


def after_layers(layers: Sequence[Layer], x: Expression) -> Expression:
    """Return the output of a chain of layers for the input x.

    Raises
    ------
    TypeError
        If one is a `CustomLayer`.
    """
    for layer in layers:
        x = _after_layer(layer, x)
    return x


def _after_layer(layer: Layer, x: Expression) -> Expression:
    if isinstance(layer, Dropout):
        return x
    if isinstance(layer, Activation):
        return _activation(layer, x)
    if isinstance(layer, Parametric):
        alpha = _numbers(layer.alpha)
        return (1 - alpha) * x + alpha * _activation(layer.activation, x)
    if isinstance(layer, Linear):
        return _plus(casadi.mtimes(_numbers(layer.weight), x), layer.bias)
    if isinstance(layer, Scale):
        return _plus(_numbers(layer.weight) * x, layer.bias)
    if isinstance(layer, Standardize):
        return (x - _numbers(layer.mean)) / _numbers(layer.scale)
    if isinstance(layer, Unstandardize):
        return _plus(x * _numbers(layer.scale), layer.mean)
    if isinstance(layer, LayerNorm):
        centred = x - casadi.sum1(x) / x.numel()
        deviation = casadi.sqrt(casadi.sumsqr(centred) / x.numel() + layer.eps)
        return _plus(_numbers(layer.weight) * (centred / deviation), layer.bias)
    if isinstance(layer, BatchNorm):
        deviation = np.sqrt(layer.running_var.astype(np.float64) + layer.eps)
        centred = x - _numbers(layer.running_mean)
        return _plus(_numbers(layer.weight / deviation) * centred, layer.bias)
    if isinstance(layer, Softmax | LogSoftmax):
        # any number near the maximum avoids overflow; `floor` makes its derivative 0
        shifted = x - casadi.floor(casadi.mmax(x))
        powers = casadi.exp(shifted)
        total = casadi.sum1(powers)
        return powers / total if isinstance(layer, Softmax) else shifted - casadi.log(total)
    if isinstance(layer, Residual):
        return x + after_layers(layer.layers, x)
    if isinstance(layer, Parallel):
        outputs = [after_layers(branch, x) for branch in layer.branches]
        return casadi.vertcat(*outputs) if layer.combine == "concat" else sum(outputs)
    if isinstance(layer, ColumnEmbedding):
        return _columns(layer, x)
    if isinstance(layer, CategoricalEmbedding):
        return _categories(layer, x)
    assert isinstance(layer, CustomLayer)
    raise TypeError(
        f"net has the custom layer {layer!r}, whose code is Python; fastnn's own layers are wanted"
    )


def _numbers(array: Array) -> Any:
    return casadi.DM(np.asarray(array, np.float64))


def _plus(x: Expression, bias: Array | None) -> Expression:
    return x if bias is None else x + _numbers(bias)


def _columns(layer: ColumnEmbedding, x: Expression) -> Expression:
    parts = []
    for i in range(layer.columns):
        weight = layer.weight[i]
        if isinstance(layer, PeriodicEmbedding):
            angle = 2 * np.pi * x[i] * _numbers(layer.frequency[i]) + _numbers(layer.phase[i])
            features = casadi.cos(angle)
            if layer.joined:
                parts.append(x[i])
        else:
            assert isinstance(layer, PiecewiseLinearEmbedding)
            edges = layer.bins[i].astype(np.float64)
            weight = weight[:, : edges.size - 1]  # other columns may have more bins
            inner = edges[1:-1]  # the outer bins have no end
            below, above = np.append(-np.inf, inner), np.append(inner, np.inf)
            place = (x[i] - _numbers(edges[:-1])) / _numbers(np.diff(edges))
            reached = casadi.if_else(x[i] > _numbers(below), place, 0)
            features = casadi.if_else(x[i] > _numbers(above), 1, reached)
        parts.append(_plus(casadi.mtimes(_numbers(weight), features), layer.bias[i]))
    return casadi.vertcat(*parts, x[layer.columns :, :])


def _categories(layer: CategoricalEmbedding, x: Expression) -> Expression:
    others = layer.in_features - len(layer.cardinalities)
    parts = [x[:others, :]]
    for i, table in enumerate(layer.tables):
        code, numbers = x[others + i], np.arange(len(table))
        is_near = casadi.logic_and(code >= _numbers(numbers - 0.5), code < _numbers(numbers + 0.5))
        parts.append(casadi.mtimes(_numbers(table.T), is_near))
    return casadi.vertcat(*parts)


def _activation(layer: Activation, x: Expression) -> Expression:
    return ACTIVATIONS[layer.kind](x, **layer.config())


def _minus_abs(x: Expression) -> Expression:
    """Return -|x|; the slope at 0 is 1."""
    return casadi.if_else(x > 0, -x, x)


def _expm1_of_negative(x: Expression) -> Expression:
    """Return e^x - 1 for x <= 0, else 0."""
    return casadi.expm1(casadi.if_else(x > 0, 0, x))


def _sigmoid(x: Expression) -> Expression:
    e = casadi.exp(_minus_abs(x))
    return casadi.if_else(x > 0, 1, e) / (1 + e)


def _mish(x: Expression) -> Expression:
    # tanh(ln(1 + e^x)) = n / (n + 2) with n = e^2x + 2 e^x, both times e^-2x for x > 0
    e = casadi.exp(_minus_abs(x))
    n = casadi.if_else(x > 0, 1 + 2 * e, e * (2 + e))
    return x * n / (n + 2 * casadi.if_else(x > 0, e * e, 1))


ACTIVATIONS: dict[str, Any] = {
    "identity": lambda x: x,
    "relu": lambda x: casadi.if_else(x > 0, x, 0),
    "leaky_relu": lambda x, negative_slope: casadi.if_else(x > 0, x, negative_slope * x),
    "elu": lambda x, alpha: casadi.if_else(x > 0, x, alpha * _expm1_of_negative(x)),
    "selu": lambda x: casadi.if_else(
        x > 0, 1.0507009873554804934 * x, 1.7580993408473768599 * _expm1_of_negative(x)
    ),
    "sigmoid": _sigmoid,
    "tanh": casadi.tanh,
    "softplus": lambda x: casadi.if_else(x > 0, x, 0) + casadi.log1p(casadi.exp(_minus_abs(x))),
    "gelu": lambda x: x * (0.5 + 0.5 * casadi.erf(x * np.sqrt(0.5))),
    "silu": lambda x: x * _sigmoid(x),
    "mish": _mish,
    "abs": casadi.fabs,
    "hard_tanh": lambda x: casadi.if_else(x >= 1, 1, casadi.if_else(x <= -1, -1, x)),
}
