"""One sample's way through a network, layer by layer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from fastnn import _html
from fastnn._core.arrays import Array
from fastnn.jacobians import Composed, Jacobian
from fastnn.layers import Layer

HEADER = ("layer", "input", "output", "Jacobian", "Jacobian by the parameters")
SHOWN = 3  # the numbers of an array that the table shows


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """What one layer does to a sample.

    Attributes
    ----------
    name : str
        The layer's place and class, such as "0.Linear".
    layer : Layer
    input : ndarray (in_features,)
        For an activation, the pre-activation.
    output : ndarray (out_features,)
    jacobian_operator : fastnn.jacobians.Jacobian (out_features, in_features)
        The Jacobian of the output with respect to the input, with its structure.
    params_jacobian_operator : fastnn.jacobians.Jacobian (out_features, n_params), or None
        The Jacobian of the output with respect to the layer's parameters, with its structure. None
        for a layer without parameters.
    """

    name: str
    layer: Layer
    input: Array
    output: Array
    jacobian_operator: Jacobian
    params_jacobian_operator: Jacobian | None

    @property
    def jacobian(self) -> Array:
        """The Jacobian with respect to the input as a matrix, (out_features, in_features)."""
        return self.jacobian_operator.to_dense()

    @property
    def params_jacobian(self) -> Array | None:
        """The Jacobian with respect to the parameters as a matrix, (out_features, n_params)."""
        operator = self.params_jacobian_operator
        return None if operator is None else operator.to_dense()

    def row(self) -> tuple[str, ...]:
        """Return the texts of this layer in a table."""
        by_params = self.params_jacobian_operator
        return (
            self.name,
            _numbers(self.input),
            _numbers(self.output),
            _kind(self.jacobian_operator),
            "" if by_params is None else _kind(by_params),
        )

    def __repr__(self) -> str:
        return f"<LayerTrace {': '.join([self.name, ', '.join(filter(None, self.row()[1:]))])}>"


class Trace(Sequence[LayerTrace]):
    """A sample's way through a network: a sequence of a `LayerTrace` for each layer.

    `trace[i]` is the record of the layer at place i, and `trace["0.Linear"]` that of the layer with
    this name. Later changes of the network do not change a trace.
    """

    def __init__(self, layers: Sequence[LayerTrace]) -> None:
        self._layers = tuple(layers)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the layers, in order."""
        return tuple(record.name for record in self._layers)

    @property
    def input(self) -> Array:
        """The sample, (in_features,)."""
        return self._layers[0].input

    @property
    def output(self) -> Array:
        """The network's outputs, (out_features,)."""
        return self._layers[-1].output

    @property
    def jacobian_operator(self) -> Jacobian:
        """The product of the layers' Jacobians as a linear map, without forming the matrix."""
        return Composed([record.jacobian_operator for record in reversed(self._layers)])

    @property
    def jacobian(self) -> Array:
        """The product of the layers' Jacobians, (out_features, in_features), as `net.jacobian`."""
        return self.jacobian_operator.to_dense()

    def __len__(self) -> int:
        return len(self._layers)

    @overload
    def __getitem__(self, key: int | str) -> LayerTrace: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[LayerTrace, ...]: ...

    def __getitem__(self, key: int | str | slice) -> LayerTrace | tuple[LayerTrace, ...]:
        if not isinstance(key, str):
            return self._layers[key]
        if key not in self.names:
            raise KeyError(f"{key!r}; the layers are {', '.join(self.names)}")
        return self._layers[self.names.index(key)]

    def __iter__(self) -> Iterator[LayerTrace]:
        return iter(self._layers)

    def __repr__(self) -> str:
        rows = [HEADER, *(record.row() for record in self._layers)]
        sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(size) for cell, size in zip(row, sizes, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        caption = f"Trace of {len(self._layers):,} layers"
        rows = [record.row() for record in self._layers]
        return _html.table(caption, HEADER, rows, n_texts=len(HEADER))


def _numbers(values: Array) -> str:
    """Return the first numbers of a vector, and its length if there are more."""
    shown = ", ".join(f"{value:.4g}" for value in values[:SHOWN])
    return f"[{shown}, … {len(values):,} in all]" if len(values) > SHOWN else f"[{shown}]"


def _kind(jacobian: Jacobian) -> str:
    return f"{type(jacobian).__name__} {jacobian.shape[0]} x {jacobian.shape[1]}"


def traced(name: str, layer: Layer, x: Array) -> LayerTrace:
    """Return what a layer does to a checked sample."""
    by_params = layer.jacobian(x, "params") if layer.n_params else None
    return LayerTrace(name, layer, np.array(x), layer(x), layer.jacobian(x), by_params)
