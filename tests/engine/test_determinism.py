"""The same seed gives the same bits: for any number of threads, each optimizer, with dropout, and
whether or not training was interrupted."""

import hashlib

import numpy as np
import pytest

import fastnn as fn
from fastnn import schedules

THREADS = [1, 2, 3, 4, 8]
OPTIMIZERS = {
    "SGD": fn.SGD(0.05, momentum=0.9, nesterov=True, l1=1e-5),
    "Adam": fn.Adam(0.002, weight_decay=1e-4),
    "AdamW": fn.AdamW(schedules.CosineDecay(0.002), clip_norm=1.0),
    "RMSprop": fn.RMSprop(0.001, momentum=0.5, clip_value=0.1),
}
RNG = np.random.default_rng(0)
X = RNG.standard_normal((640, 64))
Y = RNG.integers(0, 10, 640)


def network(regularised, dtype):
    """Return a network wide enough for its products to be shared among threads."""
    extra = [fn.LayerNorm(256), fn.Dropout(0.3)] if regularised else []
    layers = [fn.Linear(64, 256), *extra, fn.ReLU(), fn.Linear(256, 256), fn.Tanh()]
    return fn.Network([*layers, fn.Linear(256, 10)], dtype=dtype, seed=1)


def digest(net):
    """Return a hash of the parameters' bits."""
    return hashlib.sha256(net.params.tobytes()).hexdigest()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("regularised", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_bits_do_not_depend_on_threads_or_interruption(name, regularised, dtype, tmp_path):
    found = {}
    for n_threads in THREADS:
        for run in range(3):
            net = network(regularised, dtype)
            settings = {
                "optimizer": OPTIMIZERS[name],
                "epochs": 2,
                "batch_size": 320,
                "seed": 7,
                "n_threads": n_threads,
            }
            net.fit(X, Y, **settings)
            found[n_threads, run] = digest(net)
        checkpoint = tmp_path / f"{n_threads}.safetensors"
        interrupted = network(regularised, dtype)
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(X, Y, checkpoint=checkpoint, callbacks=[InterruptAfter(1)], **settings)
        resumed = network(regularised, dtype)
        resumed.fit(X, Y, checkpoint=checkpoint, resume=True, **settings)
        found[n_threads, "resumed"] = digest(resumed)
    assert len(set(found.values())) == 1, found


class InterruptAfter(fn.Callback):
    """Ctrl-C after some epochs."""

    def __init__(self, epochs):
        self.epochs = epochs

    def epoch_end(self, net, epoch, metrics):
        """Raise after the last of those epochs."""
        if epoch + 1 == self.epochs:
            raise KeyboardInterrupt
