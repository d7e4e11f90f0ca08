"""The same training step in other libraries, each at its best: one class a library.

Each trains an epoch of minibatches in their natural order, by gradient descent with momentum, on
one thread in float32, from given parameters: weight (out, in) and bias, layer by layer. The last
layer's outputs meet a softmax cross-entropy, or a mean squared error where there is one output.
`epoch()` trains; `params()` gives what it came to.
"""

import numpy as np

LEARNING_RATE, MOMENTUM = 0.01, 0.9


class FastnnPeer:
    """fastnn itself, through its public interface."""

    name = "fastnn"

    def __init__(self, X, y, batch_size, weights):
        import fastnn as fn

        layers = []
        for weight, _ in weights:
            layers += [fn.Linear(weight.shape[1], weight.shape[0]), fn.ReLU()]
        self.net = fn.Network(layers[:-1], seed=0)
        self.net.params = np.concatenate([a.ravel() for pair in weights for a in pair])
        self.X, self.y = X, y
        self.settings = {
            "loss": fn.MeanSquaredError() if y.ndim == 2 else fn.SoftmaxCrossEntropy(),
            "optimizer": fn.SGD(LEARNING_RATE, momentum=MOMENTUM),
            "batch_size": batch_size, "shuffle": False, "n_threads": 1,
        }  # fmt: skip

    def epoch(self, epochs=1):
        self.net.fit(self.X, self.y, epochs=epochs, **self.settings)

    def params(self):
        return self.net.params


class NumpyPeer:
    """NumPy by hand: every array is allocated once, and written with `out=`."""

    name = "numpy"

    def __init__(self, X, y, batch_size, weights):
        self.X, self.y, self.batch_size = X, y, batch_size
        self.weights = [(w.copy(), b.copy()) for w, b in weights]
        self.grads = [(np.empty_like(w), np.empty_like(b)) for w, b in weights]
        self.velocity = [(np.zeros_like(w), np.zeros_like(b)) for w, b in weights]
        self.a = [np.empty((batch_size, len(b)), np.float32) for _, b in weights]
        self.da = [np.empty_like(a) for a in self.a]
        self.rows = np.arange(batch_size)

    def step(self, x, y):
        inputs = [x, *self.a[:-1]]
        last = len(self.weights) - 1
        for i, (w, b) in enumerate(self.weights):
            np.matmul(inputs[i], w.T, out=self.a[i])
            self.a[i] += b
            if i < last:
                np.maximum(self.a[i], 0, out=self.a[i])
        d = self.da[last]
        if y.ndim == 2:
            np.subtract(self.a[last], y, out=d)
            d *= 2 / len(x)
        else:
            np.subtract(self.a[last], self.a[last].max(axis=1, keepdims=True), out=d)
            np.exp(d, out=d)
            d /= d.sum(axis=1, keepdims=True)
            d[self.rows, y] -= 1
            d /= len(x)
        for i in range(last, -1, -1):
            (w, b), (dw, db) = self.weights[i], self.grads[i]
            np.matmul(self.da[i].T, inputs[i], out=dw)
            np.sum(self.da[i], axis=0, out=db)
            if i:
                np.matmul(self.da[i], w, out=self.da[i - 1])
                self.da[i - 1] *= self.a[i - 1] > 0
        for pair, slopes, speeds in zip(self.weights, self.grads, self.velocity, strict=True):
            for p, g, v in zip(pair, slopes, speeds, strict=True):
                v *= MOMENTUM
                v += g
                np.multiply(v, LEARNING_RATE, out=g)
                p -= g

    def epoch(self, epochs=1):
        for _ in range(epochs):
            for i in range(0, len(self.X), self.batch_size):
                self.step(self.X[i : i + self.batch_size], self.y[i : i + self.batch_size])

    def params(self):
        return np.concatenate([a.ravel() for pair in self.weights for a in pair])


class TorchPeer:
    """PyTorch, eager, with the fused SGD."""

    name = "torch"

    def __init__(self, X, y, batch_size, weights):
        import torch

        torch.set_num_threads(1)
        self.torch = torch
        layers = []
        for weight, bias in weights:
            linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
            with torch.no_grad():
                linear.weight.copy_(torch.tensor(weight))
                linear.bias.copy_(torch.tensor(bias))
            layers += [linear, torch.nn.ReLU()]
        self.net = torch.nn.Sequential(*layers[:-1])
        functional = torch.nn.functional
        self.loss = functional.mse_loss if y.ndim == 2 else functional.cross_entropy
        self.optimizer = torch.optim.SGD(
            self.net.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=True
        )
        X, y = torch.tensor(X), torch.tensor(y)
        self.batches = list(zip(X.split(batch_size), y.split(batch_size), strict=True))

    def epoch(self, epochs=1):
        for _ in range(epochs):
            for x, y in self.batches:
                self.optimizer.zero_grad()
                self.loss(self.net(x), y).backward()
                self.optimizer.step()

    def params(self):
        vector = self.torch.nn.utils.parameters_to_vector(self.net.parameters())
        return vector.detach().numpy()


class JaxPeer:
    """JAX, the whole epoch one jitted scan."""

    name = "jax"

    def __init__(self, X, y, batch_size, weights):
        import jax
        import jax.numpy as jnp

        self.jax = jax
        n = len(X) // batch_size
        batches = (
            jnp.asarray(X).reshape(n, batch_size, -1),
            jnp.asarray(y).reshape(n, batch_size, *y.shape[1:]),
        )
        theta = [(jnp.asarray(w), jnp.asarray(b)) for w, b in weights]
        self.state = theta, jax.tree.map(jnp.zeros_like, theta)

        def loss(theta, x, y):
            for w, b in theta[:-1]:
                x = jax.nn.relu(x @ w.T + b)
            w, b = theta[-1]
            x = x @ w.T + b
            if y.ndim == 2:
                return ((x - y) ** 2).mean()
            return -jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], axis=1).mean()

        def step(state, batch):
            theta, velocity = state
            gradient = jax.grad(loss)(theta, *batch)
            velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, gradient)
            theta = jax.tree.map(lambda p, v: p - LEARNING_RATE * v, theta, velocity)
            return (theta, velocity), None

        @jax.jit
        def epoch(state, batches):
            return jax.lax.scan(step, state, batches)[0]

        self.run, self.batches = epoch, batches

    def epoch(self, epochs=1):
        for _ in range(epochs):
            self.state = self.run(self.state, self.batches)
        self.jax.block_until_ready(self.state)

    def params(self):
        theta, _ = self.state
        return np.concatenate([np.asarray(a).ravel() for pair in theta for a in pair])


PEERS = [NumpyPeer, TorchPeer, JaxPeer]
