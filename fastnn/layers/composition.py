"""Functions that join layers to a network: widths, arrays, description, and the chain rule."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import initializers
from fastnn._core.arrays import Array
from fastnn.jacobians import Block, Composed, Jacobian
from fastnn.layers import LAYERS, FixedScaling, Layer
from fastnn.layers.weighted import Weighted


def input_widths(layers: Sequence[Layer]) -> list[int]:
    """Return each layer's input width.

    Raises
    ------
    ValueError, TypeError
        If widths do not fit, no layer has a width, or a layer already belongs to a network.
    """
    seen: set[int] = set()
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"layers[{i}] is {layer!r}; a layer such as ReLU() is wanted")
        if layer.in_network or id(layer) in seen:
            raise ValueError(
                f"layers[{i}]: this {layer!r} already belongs to a network; make another one"
            )
        seen.add(id(layer))
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
                f"{layers[i - 1]!r} before it returns {width}"
            )
        widths.append(width)
        width = layer.out_features or width
    return widths


def bind(
    layers: Sequence[Layer],
    params: Array,
    grads: Array,
    constants: Array,
    rng: "np.random.Generator",
) -> None:
    """Move the layers' values into a network's arrays, and draw the values that are not set yet.

    Raises
    ------
    ValueError
        If a value is out of the range of the arrays' dtype. No layer is changed then.
    """
    # the plan of the engine made the arrays; its layout equals that of the loop below
    assert len(params) == sum(layer.n_params for layer in layers)
    assert len(constants) == sum(layer.n_constants for layer in layers)
    drawn, fixed = [], []
    for layer, initializer in zip(layers, _suitable_initializers(layers), strict=True):
        if isinstance(layer, Weighted):
            drawn.append(layer.initial_values(rng, initializer))
        fixed.append(layer.initial_constants())
    _store(drawn, params, "a parameter")
    _store(fixed, constants, "a mean, scale or variance")
    for layer in layers:
        if isinstance(layer, FixedScaling) and not layer.scale.astype(params.dtype).all():
            raise ValueError(f"a scale is out of the range of {params.dtype}")

    n_params = n_constants = 0
    for layer in layers:
        if isinstance(layer, Weighted):
            place = slice(n_params, n_params + layer.n_params)
            layer.bind(params[place], grads[place])
            n_params = place.stop
        if layer.n_constants:
            place = slice(n_constants, n_constants + layer.n_constants)
            layer.bind_constants(constants[place])
            n_constants = place.stop
        layer.join_network()


def _suitable_initializers(layers: Sequence[Layer]) -> list[initializers.Initializer]:
    """Return the default initializer at each layer's place, as the layers after it choose it."""
    suitable: list[initializers.Initializer] = []
    name = "xavier_uniform"
    for layer in reversed(layers):
        suitable.append(getattr(initializers, name))
        name = layer.weight_init or name
    return suitable[::-1]


def _store(values: list[Array], target: Array, what: str) -> None:
    given = np.concatenate([*values, np.empty(0)])
    with np.errstate(over="ignore", under="ignore"):
        target[...] = given
    overflow = np.isfinite(given) & ~np.isfinite(target)
    if overflow.any():
        raise ValueError(f"{what} is out of the range of {target.dtype}")


def summary(layers: Sequence[Layer], out_features: Sequence[int], title: str) -> str:
    """Return a table of the layers with their output widths and numbers of parameters."""
    rows = [("layer", "output", "parameters")]
    rows += [
        (repr(layer) + ("" if layer.trainable else " (frozen)"), str(width), f"{layer.n_params:,}")
        for layer, width in zip(layers, out_features, strict=True)
    ]
    rows.append((title, "", f"{sum(layer.n_params for layer in layers):,}"))
    size = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{a:<{size[0]}}  {b:>{size[1]}}  {c:>{size[2]}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def describe(layers: Sequence[Layer]) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """Return the layers as plain dicts, and their arrays by name: "0.weight", "0.bias", …."""
    description = [
        {"kind": layer.kind, **layer.config(), **({} if layer.trainable else {"trainable": False})}
        for layer in layers
    ]
    arrays = {
        f"{i}.{name}": array
        for i, layer in enumerate(layers)
        for name, array in layer.arrays().items()
    }
    return description, arrays


def build(description: list[dict[str, Any]], arrays: dict[str, Array]) -> list[Layer]:
    """Return new layers, made from the results of `describe`.

    Raises
    ------
    ValueError, TypeError, KeyError
        If the description is invalid, or an array is missing, unknown, or of another shape.
    """
    layers = []
    arrays_of: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        place, _, own_name = name.partition(".")
        arrays_of.setdefault(place, {})[own_name] = array
    for i, config in enumerate(description):
        arguments = dict(config)
        kind = arguments.pop("kind")
        trainable = arguments.pop("trainable", True)
        if kind not in LAYERS:
            raise ValueError(f"layers[{i}] has the kind {kind!r}, unknown to this version")
        layers.append(LAYERS[kind].from_config(arguments, arrays_of.pop(str(i), {})))
        layers[i].trainable = trainable
    if arrays_of:
        left = sorted(f"{place}.{name}" for place, own in arrays_of.items() for name in own)
        raise ValueError(f"the arrays {left} belong to no layer")
    return layers


def jacobian_operator(layers: Sequence[Layer], x: Array, wrt: str) -> Jacobian:
    """Return the Jacobian of the layers, applied one after the other, at one sample.

    Parameters
    ----------
    layers : sequence of Layer
    x : ndarray (in_features,)
        The sample, in the dtype of the result.
    wrt : {"input", "params"}

    Returns
    -------
    Jacobian (out_features, in_features) or (out_features, n_params)
        With respect to the input: the product of the layers' Jacobians, starting with the last
        layer. With respect to the parameters: blocks side by side, in the order of the layers.
    """
    if wrt == "input":
        factors = []
        for layer in layers:
            factors.append(layer.jacobian(x))
            x = layer(x)
        return Composed(factors[::-1])
    total = layers[0].jacobian(x, "params")
    for before, layer in itertools.pairwise(layers):
        x = before(x)
        # the parameters of the earlier layers act through this layer's input
        total = Composed([layer.jacobian(x), total])
        if layer.n_params:
            total = Block([total, layer.jacobian(x, "params")])
    return total
