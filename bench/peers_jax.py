"""JAX: an epoch is one jitted scan over its minibatches."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from bench.peers import ADAM, LEARNING_RATE, MOMENTUM


class JaxPeer:
    """Parameters and the optimizer's state are a tree of arrays."""

    name = "jax"

    def __init__(self, problem):
        jax.config.update("jax_enable_x64", problem.X.dtype == np.float64)
        n = len(problem.X) // problem.batch_size
        y = problem.y.astype(np.int32) if problem.labelled else problem.y
        self.X = jnp.asarray(problem.X)
        self.batches = (
            self.X.reshape(n, problem.batch_size, -1),
            jnp.asarray(y).reshape(n, problem.batch_size, *y.shape[1:]),
        )
        theta = [(jnp.asarray(w), jnp.asarray(b)) for w, b in problem.weights]
        zeros = jax.tree.map(jnp.zeros_like, theta)
        self.state = theta, zeros, zeros, jnp.zeros((), np.int32)
        activation = {"relu": jax.nn.relu, "tanh": jnp.tanh}[problem.activation]
        update = {"sgd": sgd, "adam": adam}[problem.optimizer]

        def forward(theta, x):
            for w, b in theta[:-1]:
                x = activation(x @ w.T + b)
            w, b = theta[-1]
            return x @ w.T + b

        def loss(theta, x, y):
            outputs = forward(theta, x)
            if problem.labelled:
                return -jnp.take_along_axis(jax.nn.log_softmax(outputs), y[:, None], axis=1).mean()
            return ((outputs - y) ** 2).mean()

        def step(state, batch):
            return update(jax.grad(loss)(state[0], *batch), *state), None

        self.scan = jax.jit(lambda state, batches: jax.lax.scan(step, state, batches)[0])
        self.forward = jax.jit(forward)

    def train(self, epochs=1):
        for _ in range(epochs):
            self.state = self.scan(self.state, self.batches)
        jax.block_until_ready(self.state)

    def params(self):
        return np.concatenate([np.asarray(a).ravel() for pair in self.state[0] for a in pair])

    def predict(self):
        return self.forward(self.state[0], self.X).block_until_ready()

    def jacobians(self, wrt, single=False):
        calls, X = {}, self.X[0] if single else self.X
        argument = ["params", "input"].index(wrt)
        # with many parameters, jacfwd takes a hundred times as long
        for differentiate in [jax.jacrev, jax.jacfwd][: 1 + argument]:
            jacobian = differentiate(self.forward, argument)
            function = jax.jit(jacobian if single else jax.vmap(jacobian, (None, 0)))
            calls[differentiate.__name__] = partial(finished, function, self.state[0], X)
        return calls


def finished(function, *args):
    return jax.block_until_ready(function(*args))


def sgd(grads, theta, velocity, unused, n_steps):
    velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, grads)
    theta = jax.tree.map(lambda p, v: p - LEARNING_RATE * v, theta, velocity)
    return theta, velocity, unused, n_steps


def adam(grads, theta, first, second, n_steps):
    beta1, beta2 = ADAM["betas"]
    n_steps += 1
    first = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, first, grads)
    second = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, second, grads)
    scale1, scale2 = 1 - beta1**n_steps, 1 - beta2**n_steps

    def updated(p, m, v):
        return p - ADAM["learning_rate"] * (m / scale1) / (jnp.sqrt(v / scale2) + ADAM["eps"])

    return jax.tree.map(updated, theta, first, second), first, second, n_steps


PEERS = [JaxPeer]
