"""From an estimator's parameters to a network, and the views of it that estimators show."""

import copy
import operator
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks, _core
from fastnn.layers import LAYERS, Dropout, Identity, Layer, Linear, ReLU, Sigmoid, Softmax, Tanh
from fastnn.model import Model
from fastnn.network import Network

Array = NDArray[Any]

# scikit-learn's names; fastnn's own names of the other activations are taken beside them.
ACTIVATIONS: dict[str, type[Layer]] = {
    "identity": Identity,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    **{
        kind: LAYERS[kind]
        for kind in ("leaky_relu", "elu", "selu", "softplus", "gelu", "silu", "abs")
    },
}


class FittedNetwork:
    """A network and the activation of its outputs, which its layers leave to the loss.

    Attributes
    ----------
    network : Network
        Its outputs are raw: logits, or the prediction itself.
    out_activation : str
    coefs, intercepts : list of ndarray (fan_in, fan_out) and (fan_out,)
        Views of the linear layers' values.
    """

    def __init__(self, network: Network, out_activation: str) -> None:
        self.network, self.out_activation = network, out_activation
        linear = [layer for layer in network.layers if isinstance(layer, Linear)]
        self.coefs: list[Array] = [layer.weight.T for layer in linear]
        self.intercepts: list[Array] = [b for layer in linear if (b := layer.bias) is not None]
        self.raw = network._model
        ending: dict[str, Layer] = {"softmax": Softmax(), "logistic": Sigmoid()}
        operations = list(network._operations)
        if out_activation in ending:
            operations.append(ending[out_activation].operation(network.out_features))
        self.activated = self.part(operations)

    def __getstate__(self) -> dict[str, Any]:
        return {"network": self.network, "out_activation": self.out_activation}

    def __setstate__(self, state: dict[str, Any]) -> None:
        FittedNetwork.__init__(self, **state)

    def part(self, operations: Sequence[Any]) -> Model:
        """Return a model of some operations from the first on, with the network's arrays."""
        whole = self.raw
        plan = _core.engine.Plan(list(operations))
        return Model(plan, whole.params, whole.grads, whole.constants)

    def snapshot(self) -> tuple[Array, Array]:
        """Return copies of the parameters and of the constants, which BatchNorm changes."""
        return self.raw.params.copy(), self.raw.constants.copy()

    def restore(self, snapshot: tuple[Array, Array]) -> None:
        """Go back to what a snapshot holds."""
        self.raw.params[...], self.raw.constants[...] = snapshot

    def has(self, coefs: Any, intercepts: Any) -> bool:
        """Return whether these lists hold the very views of the network."""
        return (
            len(coefs) == len(self.coefs)
            and len(intercepts) == len(self.intercepts)
            and all(map(operator.is_, coefs, self.coefs))
            and all(map(operator.is_, intercepts, self.intercepts))
        )

    def with_values(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> "FittedNetwork":
        """Return a network of these values: itself, or one of their shapes if those differ.

        Raises
        ------
        ValueError
            If they do not fit together, or to the other layers.
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
                    raise ValueError(f"{name}[{i}] has shape {array.shape}; {view.shape} is wanted")
        views = fitted.coefs + fitted.intercepts
        for array, view in zip(coefs + intercepts, views, strict=True):
            view[...] = array
        return fitted

    def _of_widths(self, shapes: "list[tuple[int, ...]]") -> "FittedNetwork":
        """Return the like with linear layers of these shapes (fan_in, fan_out)."""
        left: Any = iter(shapes)
        layers = []
        for old in self.network.layers:
            layer = copy.deepcopy(old)
            if isinstance(old, Linear):
                fan_in, fan_out = next(left)
                layer = Linear(fan_in, fan_out, bias=old.bias is not None)
                layer.trainable = old.trainable
            layers.append(layer)
        try:
            return FittedNetwork(Network(layers, self.network.dtype), self.out_activation)
        except ValueError as error:
            raise ValueError(f"the shapes of coefs_ do not fit together: {error}") from error

    def at(self, model: Model, dtype: "np.dtype[Any]") -> Model:
        """Return a model of the network as one that computes in that dtype."""
        if dtype == model.params.dtype:
            return model
        params, constants = model.params.astype(dtype), model.constants.astype(dtype)
        return Model(model.plan, params, params[:0], constants)

    def hidden(self, index: int) -> Model:
        """Return the model whose outputs feed the linear layer of that index, counted from 1."""
        layers = self.network.layers
        ends = [i for i, layer in enumerate(layers) if isinstance(layer, Linear)]
        return self.part(self.network._operations[: ends[index]])


def parameter_arrays(
    name: str, values: Sequence[Any], ndim: int, count: int, dtype: "np.dtype[Any]"
) -> list[Array]:
    """Return what a user has set as coefs_ or intercepts_ as arrays.

    Raises
    ------
    ValueError, TypeError
        If there are not so many, or one has not so many axes, or holds anything but finite real
        numbers.
    """
    if len(values) != count:
        raise ValueError(f"{name} has {len(values)} arrays; {count} are wanted")
    arrays = [_checks.real_array(value, f"{name}[{i}]", dtype) for i, value in enumerate(values)]
    for i, array in enumerate(arrays):
        if array.ndim != ndim:
            raise ValueError(f"{name}[{i}] has shape {array.shape}; {ndim} axes are wanted")
    return arrays


def hidden_activations(activation: Any, n_hidden: int) -> list[Layer]:
    """Make a layer for each hidden layer from a name, a layer, or a sequence of them.

    Raises
    ------
    ValueError
        If a sequence is of another length, or a name not known.
    """
    if isinstance(activation, str | Layer):
        activation = [activation] * n_hidden
    if len(activation) != n_hidden:
        raise ValueError(
            f"activation has {len(activation)} elements; {n_hidden}, one for each hidden layer, "
            f"are wanted"
        )
    for one in activation:
        if not isinstance(one, Layer) and one not in ACTIVATIONS:
            raise ValueError(
                f"activation is {one!r}; a layer of fastnn or one of {sorted(ACTIVATIONS)} is "
                f"wanted"
            )
    return [
        copy.deepcopy(one) if isinstance(one, Layer) else ACTIVATIONS[one]() for one in activation
    ]


def hidden_widths(hidden_layer_sizes: Any) -> list[int]:
    """Return the hidden layers' widths as a list, of one for a number.

    Raises
    ------
    ValueError
        If one is not positive.
    TypeError
        If one is no whole number.
    """
    if not isinstance(hidden_layer_sizes, Iterable):
        hidden_layer_sizes = [hidden_layer_sizes]
    try:
        widths = [operator.index(width) for width in hidden_layer_sizes]
    except TypeError:
        raise TypeError(
            f"hidden_layer_sizes is {hidden_layer_sizes}; whole numbers are wanted"
        ) from None
    if any(width <= 0 for width in widths):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {widths}.")
    return widths


def glorot_bound(activation: Any, layer: int, fan_in: int, fan_out: int) -> float:
    """Return the bound of the uniform initial values of a linear layer, counted from 0.

    It is √(6 / (fan_in + fan_out)), or √(2 / …) for the logistic sigmoid (Glorot and Bengio 2010).
    Without an activation of its own, the last layer has that of the hidden layer before it.
    """
    if not isinstance(activation, str | Layer):
        activation = activation[min(layer, len(activation) - 1)] if len(activation) else "identity"
    logistic = activation == "logistic" or isinstance(activation, Sigmoid)
    return float(np.sqrt((2 if logistic else 6) / (fan_in + fan_out)))


def given(values: Array) -> Callable[[Any, Any], Array]:
    """Return the initializer of these values."""
    return lambda rng, shape: values


def perceptron(
    widths: Sequence[int],
    activation: Any,
    dropout: float,
    dtype: "np.dtype[Any]",
    draw: Callable[[int, int], tuple[Array, Array]],
) -> Network:
    """Make linear layers of these widths, with activations and dropout between them.

    `draw` returns the weights (fan_in, fan_out) and biases (fan_out,) of each layer in turn.
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
    """Make a network of copies of a user's layers, or of what his function returns.

    Raises
    ------
    ValueError
        If its widths are not those of the data.
    TypeError
        If it is a Network.
    """
    if isinstance(layers, Network):
        raise TypeError("network is a Network; a list of layers is wanted, or `from_network`")
    if callable(layers):
        layers = layers(n_features, n_outputs)
    seed = int(random_state.randint(2**31))
    network = Network([copy.deepcopy(layer) for layer in layers], dtype, seed=seed)
    found, wanted = (network.in_features, network.out_features), (n_features, n_outputs)
    if found != wanted:
        raise ValueError(
            f"network takes {found[0]} features and has {found[1]} outputs; {wanted[0]} and "
            f"{wanted[1]} are wanted for these data"
        )
    return network
