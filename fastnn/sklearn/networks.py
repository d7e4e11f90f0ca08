"""From an estimator's parameters to a network, and the views of it that estimators show."""

import copy
import operator
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn.layers import LAYERS, Dropout, Identity, Layer, Linear, ReLU, Sigmoid, Softmax, Tanh
from fastnn.model import Model
from fastnn.network import Network

Array = NDArray[Any]

# scikit-learn's names; fastnn's own names of the other activations are taken beside them.
ACTIVATIONS: dict[str, type[Layer]] = {
    "identity": Identity, "logistic": Sigmoid, "tanh": Tanh, "relu": ReLU,
    **{kind: LAYERS[kind] for kind in ("leaky_relu", "elu", "selu", "softplus", "gelu", "silu",
                                       "abs")},
}  # fmt: skip


class ParameterList(list[Array]):
    """A list of views into a network: an element that is assigned is copied into its view."""

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            for view, new in zip(self[index], value, strict=True):
                view[...] = new
        else:
            self[index][...] = value

    def __reduce__(self) -> tuple[Any, ...]:
        return list, ([array.copy() for array in self],)


class FittedNetwork:
    """A network and the activation of its outputs, which its layers leave to the loss.

    Attributes
    ----------
    network : Network
        Its outputs are raw: logits, or the prediction itself.
    out_activation : str
    """

    def __init__(self, network: Network, out_activation: str) -> None:
        self.network, self.out_activation = network, out_activation
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

    @property
    def linear_layers(self) -> list[Linear]:
        """The layers that hold coefs_ and intercepts_."""
        return [layer for layer in self.network.layers if isinstance(layer, Linear)]

    def hidden(self, index: int) -> Model:
        """Return the model whose outputs feed the linear layer of that index, counted from 1."""
        layers = self.network.layers
        ends = [i for i, layer in enumerate(layers) if isinstance(layer, Linear)]
        return self.part(self.network._operations[: ends[index]])


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


def perceptron(
    widths: Sequence[int], activation: Any, dropout: float, dtype: "np.dtype[Any]",
    random_state: "np.random.RandomState",
) -> Network:  # fmt: skip
    """Make linear layers of these widths, with activations and dropout between them.

    Weights and biases are uniform in ±√(6 / (fan_in + fan_out)), or ±√(2 / …) for the logistic
    sigmoid (Glorot and Bengio 2010), drawn as scikit-learn draws them: for each layer its weights,
    in the order (fan_in, fan_out), and then its biases.
    """
    activations = hidden_activations(activation, len(widths) - 2)
    followers = [*activations, *activations[-1:]] or [Identity()]  # the last layer: as before it
    layers: list[Layer] = []
    for i, (pair, follower) in enumerate(zip(pairwise(widths), followers, strict=True)):
        bound = np.sqrt((2 if isinstance(follower, Sigmoid) else 6) / sum(pair))

        def draw(rng: Any, shape: tuple[int, ...], bound: float = bound) -> Array:
            return random_state.uniform(-bound, bound, shape[::-1]).T

        layers += [Linear(*pair, weight_init=draw, bias_init=draw), *activations[i : i + 1]]
        if dropout and i < len(activations):
            layers.append(Dropout(dropout))
    return Network(layers, dtype)


def custom(
    layers: Any, n_features: int, n_outputs: int, dtype: "np.dtype[Any]",
    random_state: "np.random.RandomState",
) -> Network:  # fmt: skip
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
