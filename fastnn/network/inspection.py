"""The methods of a network that show what its layers compute."""

from collections.abc import Sequence
from typing import Any

from fastnn import _checks, _core
from fastnn._core.arrays import Array
from fastnn.layers import Layer, composition
from fastnn.network.base import NetworkBase
from fastnn.network.trace import Trace, traced
from fastnn.segments import on_arrays


class Inspection(NetworkBase):
    """The methods of `Network` that return the values between its layers.

    A layer's name is its place and its class, such as "0.Linear" and "1.ReLU".
    """

    def activations(self, X: Any, *, n_threads: int | None = None) -> dict[str, Array]:
        """Return the output of each layer, by the layer's name.

        Parameters
        ----------
        X : array_like (n, in_features) or (in_features,)
        n_threads : int, optional
            By default one for each physical core. It does not change any bit of a result.

        Returns
        -------
        dict of str to ndarray (n, width) or (width,)
            In the order of the layers, in the network's dtype. The keys are the place and the class
            of the layer: "0.Linear", "1.ReLU", …. A block such as "1.Residual" is followed by the
            layers inside it: "1.layers.0.Linear", …. The output of the last layer is what `predict`
            returns, up to rounding. Dropout and BatchNorm compute as in prediction.

        Raises
        ------
        ValueError, TypeError
            If X has another shape, or holds anything but finite real numbers.
        MemoryError
            If the outputs of all layers do not fit into memory.
        """
        given, single = self._inputs.samples(X)
        threads = _checks.thread_count(n_threads)
        widths = _widths(self._layers, self.in_features)
        _core.demand_memory(len(given) * widths * self.dtype.itemsize, "the activations")
        x = _checks.converted(given, "X", self.dtype, single)
        found: dict[str, Array] = {}
        self._add_outputs(found, "", self._layers, x, (0, 0), threads)
        return {name: value[0] for name, value in found.items()} if single else found

    def _add_outputs(
        self,
        found: dict[str, Array],
        prefix: str,
        layers: Sequence[Layer],
        x: Array,
        place: tuple[int, int],
        n_threads: int,
    ) -> tuple[int, int]:
        """Add the outputs of some layers, and return where the parameters and constants end.

        `place` is where they begin. A block is followed by the layers inside it.
        """
        operations = composition.operations(layers, x.shape[1])
        for i, (layer, operation) in enumerate(zip(layers, operations, strict=True)):
            end = place[0] + layer.n_params, place[1] + layer.n_constants
            parts = [slice(*bounds) for bounds in zip(place, end, strict=True)]
            y = on_arrays(self._model, [operation], *parts).predict(x, n_threads)
            found[f"{prefix}{i}.{type(layer).__name__}"] = y
            for branch, inner in layer.inner_layers():
                deeper = f"{prefix}{i}.{branch}."
                place = self._add_outputs(found, deeper, inner, x, place, n_threads)
            x, place = y, end
        return place

    def trace(self, x: Any) -> Trace:
        """Return what each layer does to one sample: its input, output and Jacobians.

        The layers compute one after the other, so the input of an activation is the pre-activation,
        also where `predict` computes a Linear and its ReLU in one step.

        Parameters
        ----------
        x : array_like (in_features,)

        Returns
        -------
        Trace
            A sequence of records, one for each layer; a block is one layer. A record has the
            attributes `name`, `layer`, `input`, `output`, `jacobian` (out_features, in_features),
            `params_jacobian` (out_features, n_params) or None, and `jacobian_operator` and
            `params_jacobian_operator`, which keep the structure. `trace.jacobian` is the product of
            the layers' Jacobians. Print the trace, or show it in a notebook, for a table.

        Raises
        ------
        ValueError, TypeError
            If x has another shape, or holds anything but finite real numbers.
        """
        if not _checks.all_finite(self._model.params):
            raise ValueError("params hold NaN or infinity; finite numbers are wanted")
        self._inputs.demand_names(x)
        sample = _checks.shaped_array(x, "x", self.dtype, (self.in_features,))
        records = []
        for name, layer in zip(self._layer_names(), self._layers, strict=True):
            records.append(traced(name, layer, sample))
            sample = records[-1].output
        return Trace(records)

    def _layer_names(self) -> list[str]:
        return [f"{i}.{type(layer).__name__}" for i, layer in enumerate(self._layers)]


def _widths(layers: Sequence[Layer], in_features: int) -> int:
    """Return the sum of the widths of all outputs, also of the layers inside blocks."""
    widths = composition.widths_through(layers, in_features)
    inner = [
        _widths(branch, width)
        for layer, width in zip(layers, widths[:-1], strict=True)
        for _, branch in layer.inner_layers()
    ]
    return sum(widths[1:]) + sum(inner)
