"""From training to serving: a checkpoint, a crash, a resumed fit, a model file, and its speed.

The training on the digits breaks off after some epochs. The next run continues from the checkpoint.
Its parameters have the same bits as those of an uninterrupted run. A server then loads the model
file.
"""

import time

import numpy as np

import fastnn as fn
from fastnn.datasets import load_digits, stratified_split

EPOCHS = 40


class Crash(fn.Callback):
    """Break off a fit, as a power failure would."""

    def __init__(self, after):
        """Break off after so many epochs; -1 never does."""
        self.after = after

    def epoch_end(self, net, epoch, metrics):
        """Raise an error in the chosen epoch."""
        if epoch + 1 == self.after:
            raise RuntimeError("the power failed")


def train(X, y, crash=-1, **checkpoint):
    """Return a trained network."""
    net = fn.Network(
        [
            fn.Standardize(np.zeros(64), np.ones(64)),
            fn.Linear(64, 64),
            fn.ReLU(),
            fn.Dropout(0.2),
            fn.Linear(64, 10),
        ],
        seed=0,
    )
    settings = {"optimizer": fn.Adam(0.003), "epochs": EPOCHS, "seed": 0, "progress": False}
    net.fit(X, y, standardize="X", callbacks=[Crash(crash)], **settings, **checkpoint)
    net.class_labels = [str(digit) for digit in range(10)]
    return net


def main():
    """Train, crash, resume, save, load and serve."""
    X, y = load_digits()
    training, test = stratified_split(y, 0.2, np.random.default_rng(0))
    data = X[training], y[training]
    checkpoint = {"checkpoint": "digits.checkpoint", "resume": True}
    try:
        train(*data, crash=15, **checkpoint)
    except RuntimeError as error:
        print(f"broken off, because {error}")
    resumed = train(*data, **checkpoint)
    whole = train(*data)
    print(f"different parameters after resuming: {int((resumed.params != whole.params).sum())}")

    resumed.save("digits.safetensors")
    server = fn.load("digits.safetensors")
    outputs = server.predict(X[test])
    print(f"accuracy: {fn.metrics.accuracy(outputs, y[test]):.4f}")
    row = X[test][0].astype(server.dtype)
    print("first answer:", server.class_labels[int(server.predict(row).argmax())])
    seconds = []
    for _ in range(200):
        start = time.perf_counter()
        for _ in range(100):
            server.predict(row)
        seconds.append((time.perf_counter() - start) / 100)
    print(f"microseconds of one answer: {1e6 * min(seconds):.2f}")


if __name__ == "__main__":
    main()
