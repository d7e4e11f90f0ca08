"""Gradient accumulation: large batches whose gradient is summed over small parts.

A batch of 256 samples is processed 64 samples at a time, as if no more fitted into memory. The mean
of the parts' gradients is the gradient of the batch. So the parameters are those of a `fit` with
`batch_size=256`, up to rounding.
"""

import numpy as np

import fastnn as fn
from fastnn import datasets

BATCH, PART, EPOCHS = 256, 64, 60


def network():
    """Return a new network, with the same initial weights each time."""
    return fn.Network([fn.Linear(64, 32), fn.ReLU(), fn.Linear(32, 10)], "float64", seed=0)


def main():
    """Train twice, with and without accumulation, and compare."""
    X, y = datasets.load_digits()
    X, y = X[:1536] / 16, y[:1536]  # 6 batches of 256
    loss, optimizer = fn.SoftmaxCrossEntropy(), fn.Adam(0.01, clip_norm=1.0)

    accumulated = network()
    rng = np.random.default_rng(0)
    for _ in range(EPOCHS):
        order = rng.permutation(len(X))  # the same orders as in `fit`
        for batch in np.split(order, len(X) // BATCH):
            grads = np.zeros(accumulated.n_params)
            for part in np.split(batch, BATCH // PART):
                grads += accumulated.loss_and_grad(X[part], y[part], loss)[1]
            accumulated.step(grads / (BATCH // PART), optimizer)

    fitted = network()
    settings = {"epochs": EPOCHS, "batch_size": BATCH, "seed": 0, "progress": False}
    fitted.fit(X, y, loss=loss, optimizer=optimizer, **settings)

    difference = np.abs(accumulated.params - fitted.params).max()
    accuracy = (accumulated.predict(X).argmax(axis=1) == y).mean()
    print(f"largest difference of the parameters: {difference:.1e}")
    print(f"accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    main()
