"""How layers become a network: widths that fit, arrays that they share, and their description."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import initializers
from fastnn.layers import LAYERS, Layer, Linear, Standardize

Array = NDArray[Any]

# What follows a linear layer decides the variance that its weights should have.
FITTING_INITIALIZER = {
    "relu": initializers.he_uniform, "leaky_relu": initializers.he_uniform,
    "elu": initializers.he_uniform, "softplus": initializers.he_uniform,
    "gelu": initializers.he_uniform, "silu": initializers.he_uniform,
    "abs": initializers.he_uniform, "selu": initializers.lecun_normal,
}  # fmt: skip


def input_widths(layers: Sequence[Layer]) -> list[int]:
    """Return each layer's input width.

    Raises
    ------
    ValueError, TypeError
        If widths do not fit, none is given, or a layer already belongs to a network.
    """
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"layers[{i}] is {layer!r}; a layer such as ReLU() is wanted")
        if layer.in_network or any(layer is other for other in layers[:i]):
            raise ValueError(
                f"layers[{i}]: this {layer!r} already belongs to a network; make another one"
            )
    width = next((layer.in_features for layer in layers if layer.in_features is not None), None)
    if width is None:
        raise ValueError(
            f"layers is {list(layers)}; at least one layer that fixes its width, such as "
            f"Linear(2, 1), is wanted"
        )
    widths = []
    for i, layer in enumerate(layers):
        if layer.in_features not in (None, width):
            raise ValueError(
                f"layers[{i}] is {layer!r}, which takes {layer.in_features} features, but "
                f"{layers[i - 1]!r} before it gives {width}"
            )
        widths.append(width)
        width = layer.out_features or width
    return widths


def bind(
    layers: Sequence[Layer], params: Array, grads: Array, constants: Array,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Move the layers' values into a network's arrays, drawing those that are not set yet."""
    n_params = n_constants = 0
    for i, layer in enumerate(layers):
        if isinstance(layer, Linear):
            stop = n_params + layer.n_params
            following = layers[i + 1].kind if i + 1 < len(layers) else ""
            default = FITTING_INITIALIZER.get(following, initializers.xavier_uniform)
            layer.bind(params[n_params:stop], grads[n_params:stop], rng, default)
            n_params = stop
        elif isinstance(layer, Standardize):
            stop = n_constants + 2 * layer.in_features
            layer.bind(constants[n_constants:stop])
            n_constants = stop
    for layer in layers:
        layer.in_network = True


def describe(layers: Sequence[Layer]) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """Return the layers' plain description, and their arrays as "0.weight", "0.bias", …."""
    description = [{"kind": layer.kind, **layer.config()} for layer in layers]
    arrays = {
        f"{i}.{name}": array
        for i, layer in enumerate(layers)
        for name, array in layer.arrays().items()
    }
    return description, arrays


def build(description: list[dict[str, Any]], arrays: dict[str, Array]) -> list[Layer]:
    """Make the layers that `describe` described.

    Raises
    ------
    ValueError, TypeError, KeyError
        If the description is not one, or arrays are missing, left over, or of another shape.
    """
    layers = []
    left = dict(arrays)
    for i, config in enumerate(description):
        arguments = dict(config)
        kind = arguments.pop("kind")
        if kind not in LAYERS:
            raise ValueError(f"layers[{i}] is of the kind {kind!r}, which this version lacks")
        prefix = f"{i}."
        own = {name: left.pop(name) for name in arrays if name.startswith(prefix)}
        own = {name.removeprefix(prefix): array for name, array in own.items()}
        layers.append(LAYERS[kind].from_config(arguments, own))
    if left:
        raise ValueError(f"no layer holds the arrays {sorted(left)}")
    return layers
