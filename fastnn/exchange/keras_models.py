"""Networks from Sequential models of Keras."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn.layers import LAYERS, Layer
from fastnn.network import Network

# The layer for the name of an activation in Keras, with its arguments; None for no layer.
ACTIVATIONS: "dict[str, tuple[str, dict[str, float]] | None]" = {
    "linear": None,
    "leaky_relu": ("leaky_relu", {"negative_slope": 0.2}),
    "swish": ("silu", {}),
    **{
        kind: (kind, {})
        for kind in (
            "relu elu selu sigmoid tanh softplus gelu silu mish hard_tanh softmax log_softmax"
        ).split()
    },
}


def from_keras(model: Any) -> Network:
    """Return a network that computes the outputs of a Sequential model of Keras.

    Parameters
    ----------
    model : keras.Sequential
        It may consist of Dense, Activation, ReLU, LeakyReLU, ELU, Softmax, Dropout,
        BatchNormalization, LayerNormalization, Normalization, Flatten and other Sequentials. A
        sample is a vector: if the input has more axes, Flatten must be the first layer.

    Returns
    -------
    Network
        It has copies of the weights, in float64 if one has this dtype, else in float32. Layers that
        are not trainable are frozen.

    Raises
    ------
    ImportError
        If Keras is not installed.
    TypeError
        If `model` is not a keras.Sequential, or a layer is not one of these. The message names the
        layer.
    ValueError
        If the model has no weights yet, or a layer has an argument that fastnn's layer lacks, such
        as scale=False of BatchNormalization. The message names the layer.
    """
    keras = _checks.optional_package("keras", "from_keras", "keras")
    if type(model) is not keras.Sequential:  # another class may compute something else
        raise TypeError(f"model is {model!r}; a keras.Sequential is wanted")
    if not model.built:
        raise ValueError("model has no weights yet; a model with keras.Input is wanted")
    try:
        weights = model.get_weights()
    except (NotImplementedError, RuntimeError, TypeError) as error:  # of the backend
        raise ValueError(f"the weights of model have no values: {error}") from error
    is_double = any(array.dtype == np.float64 for array in weights)
    layers = list(_layers_of(model, keras))
    return Network(layers, "float64" if is_double else "float32")


def _layers_of(model: Any, keras: Any) -> Iterator[Layer]:
    for layer in model.layers:
        name = type(layer).__name__
        if type(layer) is keras.Sequential:
            yield from _layers_of(layer, keras)
            continue
        convert = CONVERSIONS.get(name)
        if convert is None or type(layer) is not getattr(keras.layers, name, None):
            raise TypeError(f"the layer {layer.name!r} is a {name}, which is no layer of fastnn")
        if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
            raise ValueError(
                f"the layer {layer.name!r} ({name}) has LoRA or quantized weights; "
                f"plain weights are wanted"
            )
        shape = getattr(getattr(layer, "input", None), "shape", (None, None))
        if name != "Flatten" and len(shape) != 2:
            raise ValueError(
                f"the layer {layer.name!r} ({name}) has an input of the shape {tuple(shape)}; "
                f"(n, features) is wanted, so Flatten must be the first layer"
            )
        try:
            found = convert(layer, layer.get_config())
        except (TypeError, ValueError) as error:
            raise ValueError(f"the layer {layer.name!r} ({name}): {error}") from error
        for own in found:
            own.trainable = bool(layer.trainable)
            yield own


def _demand(config: dict[str, Any], **wanted: Any) -> None:
    """Check arguments of a layer of Keras."""
    for name, value in wanted.items():
        if config.get(name, value) != value:
            raise ValueError(f"{name} is {config[name]!r}; {value!r} is wanted")


def _made(kind: str, config: dict[str, Any], *arrays: Any) -> Layer:
    """Return a layer with these arrays, in the order of a model file."""
    names = {
        "linear": ("weight", "bias"),
        "batch_norm": ("weight", "bias", "running_mean", "running_var"),
        "layer_norm": ("weight", "bias"),
        "standardize": ("mean", "scale"),
    }
    return LAYERS[kind].from_config(config, dict(zip(names.get(kind, ()), arrays, strict=False)))


def _dense(layer: Any, config: dict[str, Any]) -> list[Layer]:
    kernel, *bias = layer.get_weights()
    sizes = {"in_features": kernel.shape[0], "out_features": kernel.shape[1]}
    linear = _made("linear", {**sizes, "bias": bool(bias)}, kernel.T, *bias)
    return [linear, *_activation(layer, config)]


def _activation(layer: Any, config: dict[str, Any]) -> list[Layer]:
    name = config["activation"]
    activations = _checks.optional_package("keras", "from_keras", "keras").activations
    known = isinstance(name, str) and name in ACTIVATIONS
    if not known or layer.activation is not activations.get(name):  # the user's may have the name
        raise ValueError(f"the activation {name!r} is no layer of fastnn")
    found = ACTIVATIONS[name]
    return [] if found is None else [_made(*found)]


def _relu(layer: Any, config: dict[str, Any]) -> list[Layer]:
    _demand(config, max_value=None, threshold=0)
    slope = float(config.get("negative_slope") or 0)
    return [_made("leaky_relu", {"negative_slope": slope}) if slope else _made("relu", {})]


def _leaky_relu(layer: Any, config: dict[str, Any]) -> list[Layer]:
    return [_made("leaky_relu", {"negative_slope": float(config["negative_slope"])})]


def _elu(layer: Any, config: dict[str, Any]) -> list[Layer]:
    return [_made("elu", {"alpha": float(config["alpha"])})]


def _softmax(layer: Any, config: dict[str, Any]) -> list[Layer]:
    _demand(config, axis=-1)
    return [_made("softmax", {})]


def _dropout(layer: Any, config: dict[str, Any]) -> list[Layer]:
    _demand(config, noise_shape=None)
    return [_made("dropout", {"p": float(config["rate"])})]


def _batch_norm(layer: Any, config: dict[str, Any]) -> list[Layer]:
    _demand(config, center=True, scale=True, synchronized=False)
    arrays = layer.get_weights()
    arguments = {
        "features": len(arrays[0]),
        "eps": float(config["epsilon"]),
        "momentum": round(1 - config["momentum"], 12),  # in Keras the weight of the old statistics
    }
    return [_made("batch_norm", arguments, *arrays)]


def _layer_norm(layer: Any, config: dict[str, Any]) -> list[Layer]:
    _demand(config, center=True, scale=True, rms_scaling=False)
    arrays = layer.get_weights()
    arguments = {"features": len(arrays[0]), "eps": float(config["epsilon"])}
    return [_made("layer_norm", arguments, *arrays)]


def _normalization(layer: Any, config: dict[str, Any]) -> list[Layer]:
    _demand(config, invert=False)
    mean, variance = (np.asarray(a, float).ravel() for a in (layer.mean, layer.variance))
    return [_made("standardize", {}, mean, np.maximum(np.sqrt(variance), 1e-7))]


def _nothing(layer: Any, config: dict[str, Any]) -> list[Layer]:
    return []


CONVERSIONS = {
    "Dense": _dense,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
    "Dropout": _dropout,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Normalization": _normalization,
    "Flatten": _nothing,
}
