"""The layers, and `LAYERS`, which maps the name of a layer in a model file to its class."""

from fastnn.layers.activations import (
    ELU,
    GELU,
    SELU,
    Abs,
    Activation,
    HardTanh,
    Identity,
    LeakyReLU,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from fastnn.layers.base import LAYERS, Layer
from fastnn.layers.blocks import Parallel, Residual
from fastnn.layers.custom import CustomLayer
from fastnn.layers.dropout import Dropout
from fastnn.layers.linear import Linear
from fastnn.layers.normalization import BatchNorm, LayerNorm
from fastnn.layers.parametric import Parametric
from fastnn.layers.scale import Scale
from fastnn.layers.softmax import LogSoftmax, Softmax
from fastnn.layers.standardize import FixedScaling, Standardize, Unstandardize

__all__ = [
    "ELU",
    "GELU",
    "LAYERS",
    "SELU",
    "Abs",
    "Activation",
    "BatchNorm",
    "CustomLayer",
    "Dropout",
    "FixedScaling",
    "HardTanh",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Mish",
    "Parallel",
    "Parametric",
    "ReLU",
    "Residual",
    "Scale",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Standardize",
    "Tanh",
    "Unstandardize",
]
