"""The base classes of the layers with parameters."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.initializers import Initializer, xavier_uniform
from fastnn.layers.base import Layer

Shapes = dict[str, tuple[int, ...]]


def named_views(flat: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return views of a flat array in these shapes, one after the other."""
    found, first = {}, 0
    for name, shape in shapes.items():
        end = first + math.prod(shape)
        found[name] = flat[first:end].reshape(shape)
        first = end
    return found


class Parametrized(Layer):
    """The base class of layers with parameters; use one of its subclasses.

    A subclass defines `parameter_shapes` and `new_values`, calls `_count_parameters` in its
    constructor, and has a property for each parameter, made of `_parameter` and `_set_parameter`.

    In a network the parameters are views into `net.params`. Outside a network the layer holds its
    values in float64. When a network takes the layer, it copies values that were set or drawn
    before.
    """

    def parameter_shapes(self) -> Shapes:
        """Return the shape of each parameter by its name, in the order of the flat arrays."""
        raise NotImplementedError

    def new_values(self, rng: "np.random.Generator", default: "Initializer") -> Sequence[Array]:
        """Return initial values of the parameters, in their order.

        `default` is the initializer that suits the next activation.
        """
        raise NotImplementedError

    def _count_parameters(self) -> None:
        """Set `n_params`; the values are drawn later."""
        self.n_params = sum(math.prod(shape) for shape in self.parameter_shapes().values())
        if self.n_params >= 2**48:  # more than any memory holds, but safe for the engine's integers
            raise ValueError(f"{self!r} would have {self.n_params:,} parameters: too many")
        self._params: Array | None = None  # flat, as in a network
        self._grads: Array | None = None

    def split(self, flat: Array) -> dict[str, Array]:
        """Return views of a flat array (n_params,), in the shapes of the parameters."""
        return named_views(flat, self.parameter_shapes())

    def arrays(self) -> dict[str, Array]:
        """Return the parameters."""
        return self.split(self._values())

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return a new layer, made from the results of `config()` and `arrays()`."""
        layer = cls(**config)
        shapes = layer.parameter_shapes()
        if arrays.keys() != shapes.keys():
            raise ValueError(
                f"{layer} has the arrays {sorted(shapes)}; the description has {sorted(arrays)}"
            )
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"{name} has shape {arrays[name].shape}; {shape} is wanted")
            _checks.numeric_array(arrays[name], name)
        values = [arrays[name].ravel().astype(np.float64) for name in shapes]
        layer._params = np.concatenate(values)
        return layer

    def initial_values(self, rng: "np.random.Generator", default: "Initializer") -> Array:
        """Return the values that are set, or else new ones, as a flat array."""
        if self._params is not None:
            return self._params
        # a copy: an initializer may keep its array
        return np.concatenate([value.ravel() for value in self.new_values(rng, default)])

    def bind(self, params: Array, grads: Array) -> None:
        """Use these views of a network's arrays from now on."""
        self._params, self._grads = params, grads

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_grads": None}

    def _parameter(self, name: str) -> Array:
        """Return a parameter, writable."""
        return self.split(self._values())[name]

    def _set_parameter(self, name: str, value: Any) -> None:
        parameter = self._parameter(name)
        parameter[...] = _checks.shaped_array(value, name, parameter.dtype, parameter.shape)

    def _gradient(self, name: str) -> Array | None:
        """Return the gradient with respect to a parameter; None outside a network."""
        return None if self._grads is None else self.split(self._grads)[name]

    def _values(self) -> Array:
        if self._params is None:
            self._params = self.initial_values(np.random.default_rng(), xavier_uniform)
        return self._params

    def _flat_params(self, dtype: np.dtype[Any]) -> Array:
        return self._values().astype(dtype, copy=False)

    def _dtype(self) -> np.dtype[Any] | None:
        return self._values().dtype if self._in_network else None


class Weighted(Parametrized):
    """The base class of layers with a weight and an optional bias among their parameters."""

    _has_bias = True

    @property
    def weight(self) -> Array:
        """The weight, writable; assigning copies into it."""
        return self._parameter("weight")

    @weight.setter
    def weight(self, value: Any) -> None:
        self._set_parameter("weight", value)

    @property
    def bias(self) -> Array | None:
        """The bias, (out_features,), writable; assigning copies into it. None without a bias."""
        return self._parameter("bias") if self._has_bias else None

    @bias.setter
    def bias(self, value: Any) -> None:
        if not self._has_bias:
            raise ValueError("bias cannot be set: this layer has no bias (bias=False)")
        self._set_parameter("bias", value)

    @property
    def weight_grad(self) -> Array | None:
        """The gradient with respect to the weight, in its shape; None outside a network."""
        return self._gradient("weight")

    @property
    def bias_grad(self) -> Array | None:
        """The gradient with respect to the bias; None outside a network or without a bias."""
        return self._gradient("bias") if self._has_bias else None
