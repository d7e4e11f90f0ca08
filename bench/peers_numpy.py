"""NumPy by hand, without allocations: all arrays exist before, and `out=` writes into them."""

import numpy as np

from bench.peers import ADAM, LEARNING_RATE, MOMENTUM


class NumpyPeer:
    """The loops in NumPy. In a wider dtype they are the reference of other benches."""

    name = "numpy"

    def __init__(self, problem):
        self.problem = problem
        self.weights = [(w.copy(), b.copy()) for w, b in problem.weights]
        self.grads = [(np.empty_like(w), np.empty_like(b)) for w, b in problem.weights]
        self.first_moment, self.second_moment, self.scratch = (
            [(np.zeros_like(w), np.zeros_like(b)) for w, b in problem.weights] for _ in range(3)
        )
        shapes = [(problem.batch_size, len(b)) for _, b in problem.weights]
        self.a = [np.empty(shape, problem.X.dtype) for shape in shapes]
        self.da = [np.empty_like(a) for a in self.a]
        self.active = [np.empty(shape, bool) for shape in shapes]
        self.rows = np.arange(problem.batch_size)
        self.n_steps = 0

    def forward(self, x):
        """Fill `self.a` with the layers' activations; the last is the output."""
        last = len(self.weights) - 1
        for i, ((w, b), a) in enumerate(zip(self.weights, self.a, strict=True)):
            np.matmul(x, w.T, out=a)
            a += b
            if i < last:
                np.tanh(a, out=a) if self.problem.activation == "tanh" else np.maximum(a, 0, out=a)
            x = a
        return x

    def backward(self, x, y):
        """Fill `self.grads`."""
        last = len(self.weights) - 1
        outputs, d = self.a[last], self.da[last]
        if self.problem.labelled:
            np.subtract(outputs, outputs.max(axis=1, keepdims=True), out=d)
            np.exp(d, out=d)
            d /= d.sum(axis=1, keepdims=True)
            d[self.rows, y] -= 1
            d /= len(x)
        else:
            np.subtract(outputs, y, out=d)
            d *= 2 / outputs.size
        for i in range(last, -1, -1):
            (w, _), (dw, db) = self.weights[i], self.grads[i]
            np.matmul(self.da[i].T, self.a[i - 1] if i else x, out=dw)
            np.sum(self.da[i], axis=0, out=db)
            if i:
                np.matmul(self.da[i], w, out=self.da[i - 1])
                self.through_activation(self.a[i - 1], self.da[i - 1], self.active[i - 1])

    def through_activation(self, a, d, active):
        """Multiply a cotangent by the derivative of the activation. This may overwrite `a`."""
        if self.problem.activation == "tanh":
            a *= a
            np.subtract(1, a, out=a)
            d *= a
        else:
            np.greater(a, 0, out=active)
            d *= active

    def update(self):
        """Take a step of the optimizer."""
        self.n_steps += 1
        rule = {"sgd": self.sgd, "adam": self.adam}[self.problem.optimizer]
        columns = (self.weights, self.grads, self.first_moment, self.second_moment, self.scratch)
        for pairs in zip(*columns, strict=True):
            for arrays in zip(*pairs, strict=True):
                rule(*arrays)

    def sgd(self, p, g, velocity, _, step):
        velocity *= MOMENTUM
        velocity += g
        np.multiply(velocity, LEARNING_RATE, out=step)
        p -= step

    def adam(self, p, g, m, v, step):
        beta1, beta2 = ADAM["betas"]
        m *= beta1
        np.multiply(g, 1 - beta1, out=step)
        m += step
        v *= beta2
        g *= g
        g *= 1 - beta2
        v += g
        np.divide(v, 1 - beta2**self.n_steps, out=g)
        np.sqrt(g, out=g)
        g += ADAM["eps"]
        np.divide(m, g, out=step)
        step *= ADAM["learning_rate"] / (1 - beta1**self.n_steps)
        p -= step

    def train(self, epochs=1):
        for _ in range(epochs):
            for x, y in self.problem.batches():
                self.forward(x)
                self.backward(x, y)
                self.update()

    def params(self):
        return np.concatenate([a.ravel() for pair in self.weights for a in pair])

    def predict(self):
        return self.forward(self.problem.X)


PEERS = [NumpyPeer]
