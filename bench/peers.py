"""The same network and training in fastnn and its peers: one class for each library.

`PeerClass(problem)` copies the parameters of the problem. A class has the methods that its library
supports:

- `train(epochs)` trains on minibatches in their natural order, from the current parameters.
- `params()` returns the parameters layer by layer: weight (out, in) and bias.
- `predict()` returns the outputs of the problem's samples, as an array of the library.
- `jacobians(wrt, single)` returns one call for each method of the library for the Jacobians of all
  samples, or of the first one. A call returns an array, or a tree of arrays in the order of the
  parameters.
"""

import importlib
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

import fastnn as fn

LEARNING_RATE, MOMENTUM = 0.01, 0.9
ADAM = {"learning_rate": 0.001, "betas": (0.9, 0.999), "eps": 1e-8}
MODULES = {
    "numpy": "bench.peers_numpy",
    "sklearn": "bench.peers_sklearn",
    "torch": "bench.peers_torch",
    "jax": "bench.peers_jax",
    "onnxruntime": "bench.peers_onnxruntime",
}


@dataclass(frozen=True)
class Problem:
    """Samples, minibatches, and a network with an activation between its linear layers.

    The loss is the softmax cross-entropy for class indices (n,), and the mean squared error for
    targets (n, outputs). The optimizer is "sgd", with momentum, or "adam".
    """

    X: np.ndarray
    y: np.ndarray
    weights: list[tuple[np.ndarray, np.ndarray]]
    batch_size: int
    activation: str = "relu"
    optimizer: str = "sgd"

    @property
    def labelled(self):
        return self.y.ndim == 1

    def batches(self):
        """Yield the minibatches (x, y) of an epoch."""
        for i in range(0, len(self.X), self.batch_size):
            yield self.X[i : i + self.batch_size], self.y[i : i + self.batch_size]

    def astype(self, dtype):
        """Return the same problem in another dtype."""
        return Problem(
            self.X.astype(dtype),
            self.y if self.labelled else self.y.astype(dtype),
            [(w.astype(dtype), b.astype(dtype)) for w, b in self.weights],
            self.batch_size,
            self.activation,
            self.optimizer,
        )


def problem(widths, batch_size, n_batches=1, **options):
    """Return a random problem in float32: classification, or regression of one output."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((batch_size * n_batches, widths[0])).astype(np.float32)
    y = rng.integers(widths[-1], size=len(X))
    if widths[-1] == 1:
        y = np.sin(X[:, :1])
    weights = [
        ((rng.standard_normal((o, i)) * np.sqrt(2 / i)).astype("f"), np.zeros(o, np.float32))
        for i, o in pairwise(widths)
    ]
    return Problem(X, y, weights, batch_size, **options)


def step_flops(widths, batch_size):
    """Return the flops: forward, by weight, and by input except in the first layer."""
    products = [i * o for i, o in pairwise(widths)]
    return 2 * batch_size * (3 * sum(products) - products[0])


def forward_flops(widths, rows):
    """Return the flops: two per weight and sample."""
    return 2 * rows * sum(i * o for i, o in pairwise(widths))


def n_params(widths):
    """Return the number of weights and biases."""
    return sum((i + 1) * o for i, o in pairwise(widths))


def input_jacobian_flops(widths, rows):
    """Return the flops: forward, and the product of the layers' Jacobians in the cheaper order."""
    products = [i * o for i, o in pairwise(widths)]
    from_the_output = widths[-1] * sum(products[:-1])
    from_the_input = widths[0] * sum(products[1:])
    return forward_flops(widths, rows) + 2 * rows * min(from_the_output, from_the_input)


def param_jacobian_flops(widths, rows):
    """Return the flops: forward, back to the first layer, and outer products with the inputs."""
    products = [i * o for i, o in pairwise(widths)]
    backward = 2 * rows * widths[-1] * sum(products[1:-1])
    outer = rows * widths[-1] * sum(products[:-1])  # the last layer's arrays are copies
    return forward_flops(widths, rows) + backward + outer


def label(widths):
    """Return the name of a network: its widths."""
    return "-".join(map(str, widths))


def able_to(method, names):
    """Return the class of fastnn and the classes of the named peers that have a method."""
    classes = [FastnnPeer]
    for name in names:
        if name in MODULES:
            classes += importlib.import_module(MODULES[name]).PEERS
    return [peer for peer in classes if hasattr(peer, method)]


class FastnnPeer:
    """fastnn through its public interface."""

    name = "fastnn"

    def __init__(self, problem, n_threads=None):
        activation = {"relu": fn.ReLU, "tanh": fn.Tanh}[problem.activation]
        layers = []
        for weight, _ in problem.weights:
            layers += [fn.Linear(weight.shape[1], weight.shape[0]), activation()]
        self.net = fn.Network(layers[:-1], problem.X.dtype, seed=0)
        self.net.params = np.concatenate([a.ravel() for pair in problem.weights for a in pair])
        self.X, self.y = problem.X, problem.y
        self.n_threads = n_threads
        self.settings = {
            "loss": fn.SoftmaxCrossEntropy() if problem.labelled else fn.MeanSquaredError(),
            "optimizer": fn.SGD(LEARNING_RATE, momentum=MOMENTUM)
            if problem.optimizer == "sgd"
            else fn.Adam(**ADAM),
            "batch_size": problem.batch_size,
            "shuffle": False,
            "n_threads": n_threads,
        }

    def train(self, epochs=1):
        self.net.fit(self.X, self.y, epochs=epochs, **self.settings)

    def params(self):
        return self.net.params

    def predict(self):
        return self.net.predict(self.X, n_threads=self.n_threads)

    def jacobians(self, wrt, single=False):
        if single:
            return {"": partial(self.net.jacobian, self.X[0], wrt)}
        last = self.net.in_features if wrt == "input" else self.net.n_params
        out = np.empty((len(self.X), self.net.out_features, last), self.X.dtype)
        return {"": partial(self.net.jacobian, self.X, wrt, out=out, n_threads=self.n_threads)}
