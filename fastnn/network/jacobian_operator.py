"""The Jacobian of a network at one sample, which the engine applies to vectors."""

from dataclasses import replace
from functools import cached_property
from typing import Any

from fastnn import _checks
from fastnn._core._calls import Calls
from fastnn._core.arrays import Array
from fastnn.jacobians import Jacobian
from fastnn.layers import Layer, composition
from fastnn.model import Model
from fastnn.segments import compiled, custom_layers


class NetworkJacobian(Jacobian):
    """The Jacobian of a network at one sample, for the parameters at the time.

    The engine computes products with one vector, and the matrix. Everything else, such as a product
    with another Jacobian, asks `structure`, which is made when it is first needed.
    """

    def __init__(self, layers: tuple[Layer, ...], model: Model, x: Array, wrt: str) -> None:
        self._layers, self._model, self._wrt = layers, model, wrt
        # copies, because the user may change the network and x later
        self._x, self._constants = x.copy(), model.constants.copy()
        self._params = model.params.copy()
        if not _checks.all_finite(self._params):
            raise ValueError("params hold NaN or infinity; finite numbers are wanted")
        self.shape = (model.plan.n_out, x.size if wrt == "input" else self._params.size)
        self.dtype = x.dtype
        if custom_layers(model):  # they are not copied, and may raise errors
            self.structure = composition.jacobian_operator(layers, x, wrt)

    @cached_property
    def structure(self) -> Jacobian:
        """The same Jacobian, made of the layers' Jacobians."""
        layers = composition.copies(self._layers, self._params, self._constants)
        return composition.jacobian_operator(layers, self._x, self._wrt)

    def to_dense(self) -> Array:
        """Return the matrix (m, n), as a new array."""
        ready = self._calls.jacobian(self._x, self._wrt, None, None, False)
        return self.structure.to_dense() if ready is None else ready[1]

    @cached_property
    def _model(self) -> Model:  # of a copy, which does not have the network's
        return compiled(composition.operations(self._layers, self._x.size), self.dtype)

    @cached_property
    def _calls(self) -> Calls:
        return replace(self._model, params=self._params, constants=self._constants).calls

    def _matmat(self, x: Array) -> Array:
        if x.shape[1] == 1 and x.dtype == self.dtype:
            y: Array | None = self._calls.jvp(self._x, x[:, 0], self._wrt, None)
            if y is not None:
                return y[:, None]
        return self.structure._matmat(x)

    def _rmatmat(self, x: Array) -> Array:
        if x.shape[1] == 1 and x.dtype == self.dtype:
            y: Array | None = self._calls.vjp(self._x, x[:, 0], self._wrt, None)
            if y is not None:
                return y[:, None]
        return self.structure._rmatmat(x)

    def _factors(self) -> tuple[Jacobian, ...]:
        return self.structure._factors()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shape} {self.dtype}: {self.structure!r}>"

    def __getstate__(self) -> dict[str, Any]:  # the engine's plan belongs to this process
        return {k: v for k, v in vars(self).items() if k not in ("_model", "_calls")}
