"""Functions that join layers to a network: widths, arrays, description, and the chain rule."""

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fastnn import initializers
from fastnn._core.arrays import Array
from fastnn.jacobians import Block, Composed, Jacobian
from fastnn.layers import custom_classes
from fastnn.layers.base import LAYERS, Layer, Operation
from fastnn.layers.custom import CUSTOM, CustomLayer
from fastnn.layers.weighted import Parametrized


def leaves(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Yield the layers in the order of their parameters; blocks are replaced by their layers."""
    for layer in layers:
        branches = layer.inner_layers()
        if not branches:
            yield layer
        for _, inner in branches:
            yield from leaves(inner)


def demand_free_layers(
    layers: Sequence[Layer], name: str, seen: "set[int] | None" = None
) -> "set[int]":
    """Check that these are layers that belong to no network, each once; return their ids.

    Raises
    ------
    ValueError, TypeError
        If an item is not a layer, or already belongs to a network or is in `seen`.
    """
    seen = set() if seen is None else seen
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"{name}[{i}] is {layer!r}; a layer such as ReLU() is wanted")
        for own in (layer, *leaves([layer])):
            if own.in_network or id(own) in seen:
                raise ValueError(
                    f"{name}[{i}]: this {own!r} already belongs to a network; make another one"
                )
        seen.update(id(own) for own in (layer, *leaves([layer])))
    return seen


def sequence_width(layers: Sequence[Layer], name: str = "layers") -> int | None:
    """Return the input width of layers one after the other; None if they take any width.

    Messages give the list this name.

    Raises
    ------
    ValueError
        If no width fits.
    """
    factor = 1
    for i, layer in enumerate(layers):
        if layer.in_features is not None:
            if layer.in_features % factor:
                raise ValueError(
                    f"{name}[{i}] is {layer!r}, which takes {layer.in_features} features, but "
                    f"{layers[i - 1]!r} before it returns a multiple of {factor}"
                )
            return layer.in_features // factor
        factor = layer.width_after(factor)  # such a layer multiplies the width of its input
    return None


def widths_through(layers: Sequence[Layer], width: int, name: str = "layers") -> list[int]:
    """Return the widths at the input of the first layer, and at the output of each layer.

    Messages give the list this name.

    Raises
    ------
    ValueError
        If widths do not fit.
    """
    widths = [width]
    for i, layer in enumerate(layers):
        if layer.in_features not in (None, widths[i]):
            before = f"{layers[i - 1]!r} before it returns" if i else "its input has"
            raise ValueError(
                f"{name}[{i}] is {layer!r}, which takes {layer.in_features} features, but "
                f"{before} {widths[i]}"
            )
        widths.append(layer.width_after(widths[i]))
    return widths


def input_widths(layers: Sequence[Layer]) -> list[int]:
    """Return each layer's input width.

    Raises
    ------
    ValueError, TypeError
        If widths do not fit, no layer has a width, or a layer already belongs to a network.
    """
    demand_free_layers(layers, "layers")
    custom_classes.classes_by_name(layers)
    width = sequence_width(layers)
    if width is None:
        raise ValueError(
            f"layers is {list(layers)}; at least one layer that fixes its width, such as "
            f"Linear(2, 1), is wanted"
        )
    return widths_through(layers, width)[:-1]


def operations(layers: Sequence[Layer], in_features: int) -> list[Operation]:
    """Return the engine's description of each layer."""
    widths = widths_through(layers, in_features)[:-1]
    return [layer.operation(width) for layer, width in zip(layers, widths, strict=True)]


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
    top, layers = layers, list(leaves(layers))
    drawn, fixed = [], []
    names, _ = _suitable_initializers(top, "xavier_uniform")
    for layer, initializer in zip(layers, names, strict=True):
        if isinstance(layer, Parametrized | CustomLayer):
            drawn.append(layer.initial_values(rng, initializer))
        fixed.append(layer.initial_constants())
    _store(drawn, params, "a parameter")
    _store(fixed, constants, "a mean, scale or variance")
    for layer in layers:
        layer.demand_dtype(params.dtype)
    _use_arrays(top, params, grads, constants)


def copies(layers: Sequence[Layer], params: Array, constants: Array) -> list[Layer]:
    """Return copies of the layers of a network, with these values instead of the network's."""
    copied = copy.deepcopy(list(layers))
    _use_arrays(copied, params, np.empty_like(params), constants)
    return copied


def _use_arrays(top: Sequence[Layer], params: Array, grads: Array, constants: Array) -> None:
    n_params = n_constants = 0
    for layer in leaves(top):
        if isinstance(layer, Parametrized | CustomLayer):
            place = slice(n_params, n_params + layer.n_params)
            layer.bind(params[place], grads[place])
            n_params = place.stop
        if layer.n_constants:
            place = slice(n_constants, n_constants + layer.n_constants)
            layer.bind_constants(constants[place])
            n_constants = place.stop
    for layer in top:
        layer.join_network()


def _suitable_initializers(
    layers: Sequence[Layer], name: str
) -> tuple[list[initializers.Initializer], str]:
    """Return the default initializer of each leaf, as the layers after it choose it.

    `name` is the initializer that suits what follows the layers. The name of the one that suits
    these layers is returned too, for the layers before them. For a block it is that of the first
    branch with layers.
    """
    suitable: list[initializers.Initializer] = []
    for layer in reversed(layers):
        branches = [_suitable_initializers(inner, name) for _, inner in layer.inner_layers()]
        if branches:
            suitable = [own for found, _ in branches for own in found] + suitable
            before = [
                choice
                for (_, choice), (_, inner) in zip(branches, layer.inner_layers(), strict=True)
                if inner
            ]
            name = before[0] if before else name
        else:
            suitable.insert(0, getattr(initializers, name))
            name = layer.weight_init or name
    return suitable, name


def _store(values: list[Array], target: Array, what: str) -> None:
    given = np.concatenate([*values, np.empty(0)])
    with np.errstate(over="ignore", under="ignore"):
        target[...] = given
    overflow = np.isfinite(given) & ~np.isfinite(target)
    if overflow.any():
        raise ValueError(f"{what} is out of the range of {target.dtype}")


def summary(layers: Sequence[Layer], in_features: int, title: str) -> str:
    """Return a table of the layers with their output widths and numbers of parameters."""
    rows = [("layer", "output", "parameters"), *_summary_rows(layers, in_features, "")]
    rows.append((title, "", f"{sum(layer.n_params for layer in layers):,}"))
    size = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{a:<{size[0]}}  {b:>{size[1]}}  {c:>{size[2]}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _summary_rows(
    layers: Sequence[Layer], in_features: int, indent: str
) -> Iterator[tuple[str, str, str]]:
    """Yield a row for each layer, and indented rows below it for the layers of a block."""
    widths = widths_through(layers, in_features)
    for layer, width, output in zip(layers, widths[:-1], widths[1:], strict=True):
        branches = layer.inner_layers()
        name = layer.summary_name() + ("" if layer.trainable else " (frozen)")
        yield indent + name, str(output), f"{layer.n_params:,}"
        for name, inner in branches:
            deeper = indent + "  "
            if len(branches) > 1:
                own = sum(one.n_params for one in inner)
                yield deeper + name, str(widths_through(inner, width)[-1]), f"{own:,}"
                deeper += "  "
            yield from _summary_rows(inner, width, deeper)


def describe(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Return the layers as plain dicts."""
    return [
        {**layer.description(), **({} if layer.trainable else {"trainable": False})}
        for layer in layers
    ]


def arrays_of(layers: Sequence[Layer]) -> dict[str, Array]:
    """Return the arrays of the layers by name: "0.weight", "0.bias", …."""
    return {
        f"{i}.{name}": array
        for i, layer in enumerate(layers)
        for name, array in layer.arrays().items()
    }


def demand_savable(layers: Sequence[Layer]) -> None:
    """Raise TypeError if a file cannot hold the configuration of a custom layer."""
    for layer in layers:
        if isinstance(layer, CustomLayer):
            layer.demand_savable()


def build(
    description: list[dict[str, Any]],
    arrays: dict[str, Array],
    classes: Mapping[str, type[CustomLayer]],
) -> list[Layer]:
    """Return new layers, made from the results of `describe` and `arrays_of`.

    `classes` are those of the custom layers, by their names.

    Raises
    ------
    ModelFileError
        If the class of a custom layer is not among `classes`.
    ValueError, TypeError, KeyError
        If the description is invalid, or an array is missing, unknown, or of another shape.
    """
    if not isinstance(description, list):
        raise ValueError(f"the layers are {description!r}; a list is wanted")
    layers: list[Layer] = []
    own_arrays: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        place, _, own_name = name.partition(".")
        own_arrays.setdefault(place, {})[own_name] = array
    for i, config in enumerate(description):
        arguments = dict(config)
        kind = arguments.pop("kind")
        trainable = arguments.pop("trainable", None)
        own = own_arrays.pop(str(i), {})
        if kind == CUSTOM:
            layers.append(custom_classes.build(arguments, own, classes, f"layers[{i}]"))
        elif kind in LAYERS:
            layers.append(LAYERS[kind].from_config(arguments, own))
        else:
            raise ValueError(f"layers[{i}] has the kind {kind!r}, unknown to this version")
        if trainable is not None:  # otherwise the layers of a block have their own
            layers[i].trainable = trainable
    if own_arrays:
        left = sorted(f"{place}.{name}" for place, own in own_arrays.items() for name in own)
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
        factors = [layers[0].jacobian(x)]
        for before, layer in itertools.pairwise(layers):
            x = before(x)
            factors.append(layer.jacobian(x))
        return Composed(factors[::-1])
    total = layers[0].jacobian(x, "params")
    for before, layer in itertools.pairwise(layers):
        x = before(x)
        # the parameters of the earlier layers act through this layer's input
        total = Composed([layer.jacobian(x), total])
        if layer.n_params:
            total = Block([total, layer.jacobian(x, "params")])
    return total
