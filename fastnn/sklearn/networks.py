"""Networks made from the parameters of an estimator, and what estimators show of a network."""

import copy
import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.layers import LAYERS, Activation, Dropout, Layer, Linear, Sigmoid, Softmax, composition
from fastnn.model import Model, model_of
from fastnn.network import Network
from fastnn.segments import custom_layers

# The activations by name: those of fastnn, but the sigmoid is "logistic" as in scikit-learn.
ACTIVATIONS: dict[str, type[Layer]] = {
    "logistic" if layer is Sigmoid else kind: layer
    for kind, layer in LAYERS.items()
    if issubclass(layer, Activation)
}


class FittedNetwork:
    """A network with the activation of its outputs, which is not one of its layers.

    Attributes
    ----------
    network : Network
        Its outputs are raw: logits, logarithms or predictions.
    out_activation : str
    coefs, intercepts : list of ndarray (fan_in, fan_out) and (fan_out,)
        Views of the parameters of the linear layers.
    raw, activated : Model
        The network without and with `out_activation` (but never with "exp"). They share arrays.

    Raises
    ------
    TypeError
        If the network has a custom layer.
    """

    def __init__(self, network: Network, out_activation: str) -> None:
        if custom := custom_layers(model_of(network)):
            raise TypeError(
                f"network has the custom layer {custom[0]!r}, which the estimators cannot train; "
                f"use Network.fit"
            )
        self.network, self.out_activation = network, out_activation
        linear = [layer for layer in network.layers if isinstance(layer, Linear)]
        self.coefs: list[Array] = [layer.weight.T for layer in linear]
        self.intercepts: list[Array] = [b for layer in linear if (b := layer.bias) is not None]
        self.raw = model_of(network)
        ending: dict[str, Layer] = {"softmax": Softmax(), "logistic": Sigmoid()}
        operations = operations_of(network)
        if out_activation in ending:
            operations.append(ending[out_activation].operation(network.out_features))
        self.activated = self.raw.with_operations(operations)

    def __getstate__(self) -> dict[str, Any]:
        return {"network": self.network, "out_activation": self.out_activation}

    def __setstate__(self, state: dict[str, Any]) -> None:
        FittedNetwork.__init__(self, **state)

    def snapshot(self) -> tuple[Array, Array]:
        """Return copies of the parameters and of the constants, which BatchNorm changes."""
        params, constants = self.raw.snapshot()
        return params, constants  # a plain tuple, since estimators are pickled with it

    def restore(self, snapshot: tuple[Array, Array]) -> None:
        """Set the parameters and the constants to those of a snapshot."""
        self.raw.restore(snapshot)

    def has(self, coefs: Any, intercepts: Any) -> bool:
        """Return whether these lists hold the views of this network, and no other arrays."""
        return (
            len(coefs) == len(self.coefs)
            and len(intercepts) == len(self.intercepts)
            and all(map(operator.is_, coefs, self.coefs))
            and all(map(operator.is_, intercepts, self.intercepts))
        )

    def with_values(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> "FittedNetwork":
        """Set the parameters, and return the network that has them.

        It is this network, or a new one if the arrays have other shapes.

        Raises
        ------
        ValueError
            If the shapes do not fit together, or do not fit the other layers.
        """
        dtype = self.network.dtype
        coefs = parameter_arrays("coefs_", coefs, 2, len(self.coefs), dtype)
        intercepts = parameter_arrays("intercepts_", intercepts, 1, len(self.intercepts), dtype)
        fitted = self
        shapes = [array.shape for array in [*coefs, *intercepts]]
        if shapes != [array.shape for array in [*self.coefs, *self.intercepts]]:
            fitted = self._of_widths([weight.shape for weight in coefs])
        for name, new, views in (
            ("coefs_", coefs, fitted.coefs),
            ("intercepts_", intercepts, fitted.intercepts),
        ):
            for i, (array, view) in enumerate(zip(new, views, strict=True)):
                if array.shape != view.shape:
                    raise ValueError(f"{name}[{i}] has shape {array.shape}; expected {view.shape}")
        views = fitted.coefs + fitted.intercepts
        for array, view in zip(coefs + intercepts, views, strict=True):
            view[...] = array
        return fitted

    def _of_widths(self, shapes: "list[tuple[int, ...]]") -> "FittedNetwork":
        """Return such a network whose linear layers have these shapes (fan_in, fan_out)."""
        shapes_left: Any = iter(shapes)
        layers = []
        for old in self.network.layers:
            layer = copy.deepcopy(old)
            if isinstance(old, Linear):
                fan_in, fan_out = next(shapes_left)
                layer = Linear(fan_in, fan_out, bias=old.bias is not None)
                layer.trainable = old.trainable
            layers.append(layer)
        try:
            return FittedNetwork(Network(layers, self.network.dtype), self.out_activation)
        except ValueError as error:
            raise ValueError(f"the shapes of coefs_ do not fit together: {error}") from error

    def at(self, model: Model, dtype: "np.dtype[Any]") -> Model:
        """Return the model itself, or a copy that computes in another dtype."""
        if dtype == model.params.dtype:
            return model
        params, constants = model.params.astype(dtype), model.constants.astype(dtype)
        return Model(model.plan, params, params[:0], constants)

    def hidden(self, index: int) -> Model:
        """Return the model of all layers before the linear layer with this index, from 0."""
        layers = self.network.layers
        ends = [i for i, layer in enumerate(layers) if isinstance(layer, Linear)]
        return self.raw.with_operations(operations_of(self.network)[: ends[index]])


def operations_of(network: Network) -> list[Any]:
    """Return the engine's operations for the layers of a network."""
    return composition.operations(network.layers, network.in_features)


def parameter_arrays(
    name: str, values: Sequence[Any], ndim: int, count: int, dtype: "np.dtype[Any]"
) -> list[Array]:
    """Return the values that a user has set as coefs_ or intercepts_, as arrays.

    Raises
    ------
    ValueError, TypeError
        If there are not `count` of them, or one does not have `ndim` axes or does not hold finite
        real numbers.
    """
    if len(values) != count:
        raise ValueError(f"{name} has {len(values)} arrays; expected {count}")
    arrays = [_checks.real_array(value, f"{name}[{i}]", dtype) for i, value in enumerate(values)]
    for i, array in enumerate(arrays):
        if array.ndim != ndim:
            raise ValueError(f"{name}[{i}] has shape {array.shape}; expected {ndim} axes")
    return arrays


def hidden_activations(activation: Any, n_hidden: int) -> list[Layer]:
    """Return an activation for each hidden layer, from a name, a layer, or a sequence of them.

    Raises
    ------
    ValueError
        If a sequence has another length, or a name is unknown.
    """
    if isinstance(activation, str | Layer):
        activation = [activation] * n_hidden
    if len(activation) != n_hidden:
        raise ValueError(
            f"activation has {len(activation)} elements; expected {n_hidden}, one for each hidden "
            f"layer"
        )
    for one in activation:
        if not isinstance(one, Layer) and one not in ACTIVATIONS:
            raise ValueError(
                f"activation is {one!r}; expected a layer of fastnn or one of {sorted(ACTIVATIONS)}"
            )
    return [
        copy.deepcopy(one) if isinstance(one, Layer) else ACTIVATIONS[one]() for one in activation
    ]


def hidden_widths(hidden_layer_sizes: Any) -> list[int]:
    """Return the widths of the hidden layers as a list; a single number is one layer.

    Raises
    ------
    ValueError
        If a width is not positive.
    TypeError
        If a width is not an integer.
    """
    if not isinstance(hidden_layer_sizes, Iterable):
        hidden_layer_sizes = [hidden_layer_sizes]
    try:
        widths = [operator.index(width) for width in hidden_layer_sizes]
    except TypeError:
        raise TypeError(f"hidden_layer_sizes is {hidden_layer_sizes}; expected integers") from None
    if any(width <= 0 for width in widths):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {widths}.")
    return widths


def glorot_bound(activation: Any, layer: int, fan_in: int, fan_out: int) -> float:
    """Return the bound of the uniform initial values of a linear layer; `layer` counts from 0.

    The bound is √(6 / (fan_in + fan_out)), or √(2 / (fan_in + fan_out)) for the logistic sigmoid
    (Glorot and Bengio 2010). For the last layer, which has no activation, the activation of the
    layer before it decides.
    """
    if not isinstance(activation, str | Layer):
        activation = activation[min(layer, len(activation) - 1)] if len(activation) else "identity"
    logistic = activation == "logistic" or isinstance(activation, Sigmoid)
    return float(np.sqrt((2 if logistic else 6) / (fan_in + fan_out)))


def given(values: Array) -> Callable[[Any, Any], Array]:
    """Return an initializer that gives these values."""
    return lambda rng, shape: values


def perceptron(
    widths: Sequence[int],
    activation: Any,
    dropout: float,
    dtype: "np.dtype[Any]",
    draw: Callable[[int, int], tuple[Array, Array]],
) -> Network:
    """Return a network of linear layers of these widths, with activations and dropout between.

    `draw` takes (fan_in, fan_out), and returns the weights (fan_in, fan_out) and the biases
    (fan_out,) of the next layer.
    """
    activations = hidden_activations(activation, len(widths) - 2)
    layers: list[Layer] = []
    for i, pair in enumerate(pairwise(widths)):
        weight, bias = draw(*pair)
        layer = Linear(*pair, weight_init=given(np.transpose(weight)), bias_init=given(bias))
        layers += [layer, *activations[i : i + 1]]
        if dropout and i < len(activations):
            layers.append(Dropout(dropout))
    return Network(layers, dtype)


def custom(
    layers: Any,
    n_features: int,
    n_outputs: int,
    dtype: "np.dtype[Any]",
    random_state: "np.random.RandomState",
) -> Network:
    """Return a network of copies of a user's layers, or of the layers that a function returns.

    Raises
    ------
    ValueError
        If its widths do not fit the data.
    TypeError
        If `layers` is a Network.
    """
    if isinstance(layers, Network):
        raise TypeError("network is a Network; pass a list of layers, or use `from_network`")
    if callable(layers):
        layers = layers(n_features, n_outputs)
    seed = int(random_state.randint(2**31))
    network = Network([copy.deepcopy(layer) for layer in layers], dtype, seed=seed)
    found, needed = (network.in_features, network.out_features), (n_features, n_outputs)
    if found != needed:
        raise ValueError(
            f"network takes {found[0]} features and has {found[1]} outputs; the data need "
            f"{needed[0]} and {needed[1]}"
        )
    return network
