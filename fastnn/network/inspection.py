"""The methods of a network that show what its layers compute."""

from typing import Any

from fastnn import _checks, _core
from fastnn._core.arrays import Array
from fastnn.network.base import NetworkBase
from fastnn.network.trace import Trace, traced
from fastnn.segments import on_arrays


class Inspection(NetworkBase):
    """The methods of `Network` that return the values between its layers.

    A layer's name is its place and its class, such as "0.Linear" and "1.ReLU".
    """

    _operations: list[Any]

    def activations(self, X: Any, *, n_threads: int | None = None) -> dict[str, Array]:
        """Return the output of each layer, by the layer's name.

        Parameters
        ----------
        X : array_like (n, in_features) or (in_features,)
        n_threads : int, optional
            By default one thread for each processor. It does not change any bit of a result.

        Returns
        -------
        dict of str to ndarray (n, width) or (width,)
            In the order of the layers, in the network's dtype. The keys are the place and the class
            of the layer: "0.Linear", "1.ReLU", …. The last value is what `predict` returns, up to
            rounding. Dropout and BatchNorm compute as in prediction.

        Raises
        ------
        ValueError, TypeError
            If X has another shape, or holds anything but finite real numbers.
        MemoryError
            If the outputs of all layers do not fit into memory.
        """
        given, single = self._inputs.samples(X)
        threads = _checks.thread_count(n_threads)
        width = sum(operation[2] for operation in self._operations)
        _core.demand_memory(len(given) * width * self.dtype.itemsize, "the activations")
        x = _checks.converted(given, "X", self.dtype, single)
        found = {}
        n_params = n_constants = 0
        for name, layer, operation in zip(
            self._layer_names(), self._layers, self._operations, strict=True
        ):
            params = slice(n_params, n_params + layer.n_params)
            constants = slice(n_constants, n_constants + layer.n_constants)
            n_params, n_constants = params.stop, constants.stop
            x = on_arrays(self._model, [operation], params, constants).predict(x, threads)
            found[name] = x[0] if single else x
        return found

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
            A sequence of records, one for each layer, with the attributes `name`, `layer`, `input`,
            `output`, `jacobian` (out_features, in_features), `params_jacobian` (out_features,
            n_params) or None, and `jacobian_operator` and `params_jacobian_operator`, which keep
            the structure. `trace.jacobian` is the product of the layers' Jacobians. Print it, or
            show it in a notebook, for a table.

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
