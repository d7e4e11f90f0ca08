"""The linear layer, z = W a + b: the one layer that learns."""

from typing import Any, ClassVar

import numpy as np

from fastnn import _checks, jacobians
from fastnn.initializers import Initializer, xavier_uniform, zeros
from fastnn.layers.base import Array, Layer, Operation


class Linear(Layer):
    """z = W a + b for each sample, that is Z = A Wᵀ + b for a matrix of samples.

    Its derivative by the input is W; by the parameters, ∂z_k/∂W_ij = δ_ki a_j and ∂z/∂b = I. So
    a cotangent dz becomes da = Wᵀ dz, dW = dz aᵀ and db = dz, summed over the samples.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Whether there is a b.
    weight_init, bias_init : callable, optional
        Initial values, functions `(rng, shape) -> array` such as those of `fastnn.initializers`.
        Weights by default fit the activation that follows in the network: He for the ReLU family,
        LeCun for SELU, Xavier otherwise. Biases are zero by default.

    Raises
    ------
    ValueError, TypeError
        If a width is not a positive integer, or an initializer not a function.

    Notes
    -----
    In a network `weight` and `bias` are views into `net.params`. A layer of its own holds its
    values in float64, drawn at the first use; if they were drawn or set before a network takes the
    layer in, the network keeps them.
    """

    kind: ClassVar[str] = "linear"
    in_features: int
    out_features: int

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *,
        weight_init: Initializer | None = None, bias_init: Initializer | None = None,
    ) -> None:  # fmt: skip
        self.in_features = _checks.integer(in_features, "in_features", at_least=1)
        self.out_features = _checks.integer(out_features, "out_features", at_least=1)
        for name, initializer in (("weight_init", weight_init), ("bias_init", bias_init)):
            if not (initializer is None or callable(initializer)):
                raise TypeError(f"{name} is {initializer!r}; a function (rng, shape) is wanted")
        self._has_bias = _checks.boolean(bias, "bias")
        self.n_params = self.out_features * (self.in_features + self._has_bias)
        if self.n_params >= 2**48:  # far beyond any memory, and within the engine's integers
            raise ValueError(f"{self!r} would have {self.n_params:,} parameters: too many")
        self._weight_init = weight_init
        self._bias_init = bias_init
        self._params: Array | None = None  # flat, as in a network: weight row by row, then bias
        self._grads: Array | None = None

    @property
    def weight(self) -> Array:
        """W, (out_features, in_features), writable; assigning copies into it."""
        return self._weight_of(self._values())

    @weight.setter
    def weight(self, value: Any) -> None:
        params = self._values()
        shape = (self.out_features, self.in_features)
        self._weight_of(params)[...] = _checks.shaped_array(value, "weight", params.dtype, shape)

    @property
    def bias(self) -> Array | None:
        """b, (out_features,), writable; None for a layer without. Assigning copies into it."""
        return self._bias_of(self._values())

    @bias.setter
    def bias(self, value: Any) -> None:
        params = self._values()
        bias = self._bias_of(params)
        if bias is None:
            raise ValueError("bias: this layer was made without one (bias=False)")
        bias[...] = _checks.shaped_array(value, "bias", params.dtype, (self.out_features,))

    @property
    def weight_grad(self) -> Array | None:
        """Gradient by the weight, in its shape; None outside a network."""
        return None if self._grads is None else self._weight_of(self._grads)

    @property
    def bias_grad(self) -> Array | None:
        """Gradient by the bias, in its shape; None outside a network or without a bias."""
        return None if self._grads is None else self._bias_of(self._grads)

    def operation(self, in_features: int) -> Operation:
        """Describe the layer to the engine."""
        return (self.kind, self.in_features, self.out_features, self._has_bias, 0.0)

    def config(self) -> dict[str, Any]:
        """Return the constructor's plain arguments, as a model file keeps them."""
        config: dict[str, Any] = {
            "in_features": self.in_features, "out_features": self.out_features
        }  # fmt: skip
        return config if self._has_bias else {**config, "bias": False}

    def arrays(self) -> dict[str, Array]:
        """Return weight and bias."""
        return {"weight": self.weight} | ({} if self.bias is None else {"bias": self.bias})

    @classmethod
    def from_config(cls, config: dict[str, Any], arrays: dict[str, Array]) -> "Linear":
        """Make the layer that `config()` and `arrays()` came from."""
        layer = cls(**config)
        shapes: dict[str, tuple[int, ...]] = {"weight": (layer.out_features, layer.in_features)}
        if layer._has_bias:
            shapes["bias"] = (layer.out_features,)
        if arrays.keys() != shapes.keys():
            raise ValueError(f"{layer} holds {sorted(shapes)}; {sorted(arrays)} came")
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"{name} has shape {arrays[name].shape}; {shape} is wanted")
        values = [arrays[name].ravel().astype(np.float64) for name in shapes]
        layer._params = np.concatenate(values)
        return layer

    def initial_values(self, rng: "np.random.Generator", default: Initializer) -> Array:
        """Return the values that are set, or draw some: weight then bias, as one flat array."""
        if self._params is not None:
            return self._params
        weight_init = self._weight_init or default
        bias_init = self._bias_init or zeros

        def draw(name: str, initializer: Initializer, *shape: int) -> Array:
            drawn = initializer(rng, shape)
            return _checks.shaped_array(drawn, f"{name}(rng, {shape})", np.dtype(float), shape)

        values = [draw("weight_init", weight_init, self.out_features, self.in_features).ravel()]
        if self._has_bias:
            values.append(draw("bias_init", bias_init, self.out_features))
        return np.concatenate(values)  # a copy: the initializer may keep its array

    def bind(self, params: Array, grads: Array) -> None:
        """Move into a network: from now on the values stand in these views of its arrays."""
        self._params, self._grads = params, grads

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_grads": None}

    def __repr__(self) -> str:
        bias = "" if self._has_bias else ", bias=False"
        return f"Linear({self.in_features}, {self.out_features}{bias})"

    def _by_input(self, x: Array) -> jacobians.Dense:
        return jacobians.Dense(self._weight_of(self._flat_params(x.dtype)))

    def _by_params(self, x: Array) -> jacobians.Block:
        by_weight = jacobians.Kronecker(self._identity(x), x[np.newaxis])  # ∂z_k/∂W_ij = δ_ki a_j
        return jacobians.Block([by_weight, self._identity(x)] if self._has_bias else [by_weight])

    def _identity(self, x: Array) -> jacobians.Identity:
        return jacobians.Identity(self.out_features, x.dtype)

    def _weight_of(self, flat: Array) -> Array:
        size = self.out_features * self.in_features
        return flat[:size].reshape(self.out_features, self.in_features)

    def _bias_of(self, flat: Array) -> Array | None:
        return flat[self.out_features * self.in_features :] if self._has_bias else None

    def _values(self) -> Array:
        if self._params is None:
            self._params = self.initial_values(np.random.default_rng(), xavier_uniform)
        return self._params

    def _flat_params(self, dtype: np.dtype[Any]) -> Array:
        return self._values().astype(dtype, copy=False)

    def _dtype(self) -> np.dtype[Any] | None:
        return self._values().dtype if self._in_network else None
