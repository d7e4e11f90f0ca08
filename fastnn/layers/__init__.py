"""The layers, and the closed list of them that a model file may name."""

from fastnn.layers.activations import (
    ELU,
    GELU,
    SELU,
    Abs,
    Activation,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from fastnn.layers.base import Layer
from fastnn.layers.dropout import Dropout
from fastnn.layers.linear import Linear
from fastnn.layers.normalization import BatchNorm, LayerNorm
from fastnn.layers.softmax import LogSoftmax, Softmax
from fastnn.layers.standardize import Standardize

__all__ = [
    "ELU",
    "GELU",
    "LAYERS",
    "SELU",
    "Abs",
    "Activation",
    "BatchNorm",
    "Dropout",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Standardize",
    "Tanh",
]

LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        Abs,
        BatchNorm,
        Dropout,
        ELU,
        GELU,
        Identity,
        LayerNorm,
        LeakyReLU,
        Linear,
        LogSoftmax,
        ReLU,
        SELU,
        Sigmoid,
        SiLU,
        Softmax,
        Softplus,
        Standardize,
        Tanh,
    )
}
