"""How much does a tiny step cost? The four XOR points, full batch, 10,000 epochs in one `fit`."""

import numpy as np

import fastnn as fn
from bench.common import Record, interleaved

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
Y = np.array([0, 1, 1, 0], np.float32)
EPOCHS = 10_000


def network():
    return fn.Network([fn.Linear(2, 8), fn.ReLU(), fn.Linear(8, 1)], seed=0)


def train(net, epochs):
    net.fit(
        X,
        Y,
        loss=fn.HalfSquaredError(),
        optimizer=fn.SGD(0.1),
        epochs=epochs,
        batch_size=4,
        seed=0,
        n_threads=1,
    )


def run(settings):
    net = network()
    train(net, EPOCHS)
    error = np.abs(net(X).ravel() - Y).max()
    if error > 1e-3:
        raise SystemExit(f"xor: not learned, off by {error}; no time is printed")
    epochs = EPOCHS // 10 if settings.quick else EPOCHS
    times = interleaved({"fastnn": lambda: train(network(), epochs)}, 3 if settings.quick else 30)
    yield Record("2-8-1, 4 points", "ns an epoch", {"fastnn": times["fastnn"] * (1e9 / epochs)})
