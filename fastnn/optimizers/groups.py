"""Groups of parameters with their own learning rate and weight decay."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from fastnn import _checks
from fastnn.layers import Layer

# For each layer with parameters, runs of parameters: their number, and the factors of the learning
# rate and the weight decay. Empty if all factors are 1.
Factors = Sequence[list[tuple[int, float, float]]]


@dataclass(frozen=True)
class Group:
    """Some parameters of a network, and the factors of their learning rate and weight decay.

    The `groups` of an optimizer are like the parameter groups of PyTorch. If a parameter is in
    several groups, their factors are multiplied. A parameter in no group has the factors 1.

    Parameters
    ----------
    params : str, optional
        The name of a parameter in its layer, as in `layer.arrays()`: "weight", "bias", or another
        name that the layer has. By default all parameters.
    layers : sequence of int or str, optional
        The places of layers in the network, counted from 0, or from -1 backwards, or their names
        as `Network.activations` returns them: "0.Linear", or "1.layers.0.Linear" for a layer inside
        a block. A block stands for all layers inside it. By default all layers.
    learning_rate_factor, weight_decay_factor : float
        At least 0; by default 1. The decay of an update is the product of learning rate and weight
        decay in all optimizers. So both factors change it.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid. In `fit` and `step`, ValueError if the network has no such layer,
        or the layers have no such parameter.
    """

    params: str | None = None
    layers: Sequence[int | str] | None = None
    learning_rate_factor: float = 1.0
    weight_decay_factor: float = 1.0

    def __post_init__(self) -> None:
        _checks.optional_text(self.params, "params")
        layers: Any = self.layers
        if layers is not None:
            if not isinstance(layers, list | tuple | range):
                raise TypeError(f"layers is {layers!r}; a list of places or names is wanted")
            for i, layer in enumerate(layers):
                if not isinstance(layer, Integral | str) or isinstance(layer, bool):
                    raise TypeError(f"layers[{i}] is {layer!r}; a place or a name is wanted")
            places = [layer if isinstance(layer, str) else int(layer) for layer in layers]
            object.__setattr__(self, "layers", tuple(places))
        for name in ("learning_rate_factor", "weight_decay_factor"):
            factor = _checks.number(getattr(self, name), name, at_least=0)
            object.__setattr__(self, name, factor)


def factors_of(optimizer: Any, layers: Sequence[Layer]) -> Factors:
    """Return the factors of a network's parameters by an optimizer's groups.

    Raises
    ------
    ValueError
        If a group names a layer that the network lacks, or contains no parameter of the network.
    """
    groups: tuple[Group, ...] = getattr(optimizer, "groups", ())
    if not groups:
        return ()
    leaves = [
        (names, _sizes(layer))
        for names, layer in _named(layers)
        if layer.n_params and not layer.inner_layers()
    ]
    factors = [[(size, 1.0, 1.0) for size in sizes.values()] for _, sizes in leaves]
    for i, group in enumerate(groups):
        chosen = _chosen_layers(group, f"groups[{i}]", layers)
        known: set[str] = set()
        for runs, (names, sizes) in zip(factors, leaves, strict=True):
            if chosen is not None and chosen.isdisjoint(names):
                continue
            known.update(sizes)
            for k, (name, (size, rate, decay)) in enumerate(zip(sizes, runs, strict=True)):
                if group.params in (None, name):
                    own = group.learning_rate_factor, group.weight_decay_factor
                    runs[k] = size, rate * own[0], decay * own[1]
        if not known:
            raise ValueError(f"groups[{i}] is {group!r}, whose layers have no parameters")
        if group.params not in (None, *known):
            raise ValueError(
                f"groups[{i}] is {group!r}, whose layers have no parameter of this name; one of "
                f"{', '.join(map(repr, sorted(known)))} is wanted"
            )
    return factors


def _named(
    layers: Sequence[Layer], prefix: str = "", above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Layer]]:
    """Yield each layer after the names of the blocks around it and its own name.

    The order is that of the parameters. A block is followed by the layers inside it.
    """
    for i, layer in enumerate(layers):
        names = (*above, f"{prefix}{i}.{type(layer).__name__}")
        yield names, layer
        for branch, inner in layer.inner_layers():
            yield from _named(inner, f"{prefix}{i}.{branch}.", names)


def _chosen_layers(group: Group, name: str, layers: Sequence[Layer]) -> set[str] | None:
    """Return the names of a group's layers, or None for all layers."""
    if group.layers is None:
        return None
    known = [names[-1] for names, _ in _named(layers)]
    chosen = set()
    for layer in group.layers:
        if isinstance(layer, int) and -len(layers) <= layer < len(layers):
            place = layer % len(layers)
            chosen.add(f"{place}.{type(layers[place]).__name__}")
        elif layer in known:
            chosen.add(str(layer))
        else:
            raise ValueError(
                f"{name} has the layer {layer!r}; a place below {len(layers)}, or one of "
                f"{', '.join(map(repr, known))} is wanted"
            )
    return chosen


def _sizes(layer: Layer) -> dict[str, int]:
    """Return the number of each parameter's entries, in their order in the flat array."""
    sizes, rest = {}, layer.n_params
    for name, array in layer.arrays().items():
        if rest:  # constants follow
            sizes[name] = array.size
            rest -= array.size
    assert rest == 0
    return sizes
