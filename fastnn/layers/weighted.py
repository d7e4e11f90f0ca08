"""The base class of the layers with parameters: a weight and a bias."""

import math
from typing import Any, Self

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.initializers import Initializer, xavier_uniform
from fastnn.layers.base import Layer


class Weighted(Layer):
    """The base class of layers with a weight and an optional bias; use one of its subclasses.

    In a network `weight` and `bias` are views into `net.params`. Outside a network the layer holds
    its values in float64. A network that takes the layer copies the values that were drawn or set
    before.
    """

    out_features: int

    def _set_shapes(self, weight_shape: tuple[int, ...], has_bias: bool) -> None:
        """Set the shapes of the parameters; their values are drawn later."""
        self._weight_shape, self._has_bias = weight_shape, has_bias
        self._weight_size = math.prod(weight_shape)
        self.n_params = self._weight_size + self.out_features * has_bias
        if self.n_params >= 2**48:  # more than any memory holds, but safe for the engine's integers
            raise ValueError(f"{self!r} would have {self.n_params:,} parameters: too many")
        self._params: Array | None = None  # flat, as in a network: weight row by row, then bias
        self._grads: Array | None = None

    @property
    def weight(self) -> Array:
        """The weight, writable; assigning copies into it."""
        return self._weight_of(self._values())

    @weight.setter
    def weight(self, value: Any) -> None:
        params = self._values()
        weight = _checks.shaped_array(value, "weight", params.dtype, self._weight_shape)
        self._weight_of(params)[...] = weight

    @property
    def bias(self) -> Array | None:
        """The bias, (out_features,), writable; assigning copies into it. None without a bias."""
        return self._bias_of(self._values())

    @bias.setter
    def bias(self, value: Any) -> None:
        params = self._values()
        bias = self._bias_of(params)
        if bias is None:
            raise ValueError("bias cannot be set: this layer has no bias (bias=False)")
        bias[...] = _checks.shaped_array(value, "bias", params.dtype, (self.out_features,))

    @property
    def weight_grad(self) -> Array | None:
        """The gradient with respect to the weight, in its shape; None outside a network."""
        return None if self._grads is None else self._weight_of(self._grads)

    @property
    def bias_grad(self) -> Array | None:
        """The gradient with respect to the bias; None outside a network or without a bias."""
        return None if self._grads is None else self._bias_of(self._grads)

    def arrays(self) -> dict[str, Array]:
        """Return weight and bias."""
        return {"weight": self.weight} | ({} if self.bias is None else {"bias": self.bias})

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> Self:
        """Return a new layer, made from the results of `config()` and `arrays()`."""
        layer = cls(**config)
        shapes = {"weight": layer._weight_shape}
        if layer._has_bias:
            shapes["bias"] = (layer.out_features,)
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
        """Return the values that are set, or else new ones: weight, then bias, as a flat array."""
        raise NotImplementedError

    def bind(self, params: Array, grads: Array) -> None:
        """Use these views of a network's arrays from now on."""
        self._params, self._grads = params, grads

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_grads": None}

    def _weight_of(self, flat: Array) -> Array:
        return flat[: self._weight_size].reshape(self._weight_shape)

    def _bias_of(self, flat: Array) -> Array | None:
        return flat[self._weight_size :] if self._has_bias else None

    def _values(self) -> Array:
        if self._params is None:
            self._params = self.initial_values(np.random.default_rng(), xavier_uniform)
        return self._params

    def _flat_params(self, dtype: np.dtype[Any]) -> Array:
        return self._values().astype(dtype, copy=False)

    def _dtype(self) -> np.dtype[Any] | None:
        return self._values().dtype if self._in_network else None
