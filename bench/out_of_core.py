"""Measure the memory that training, prediction and standardisation of 4 GB need.

The data are a file of uint8, or batches that are generated in each epoch.
"""

import os
import tempfile
import threading
import time

import numpy as np

import fastnn as fn
from bench.common import Measured, Record, memory

FEATURES, LIMIT_MB = 1_000, 300


class Generated:
    """Batches of (X, y), drawn when they are needed."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        rng = np.random.default_rng(0)
        for _ in range(0, self.n, 10_000):
            X = rng.random((10_000, FEATURES), np.float32)
            yield X, (X[:, 0] > 0.5).astype(np.int64)


class Watch(fn.Callback):
    """Record the most anonymous memory of the process at the end of an epoch, in MB."""

    used = 0.0

    def epoch_end(self, net, epoch, metrics):
        self.used = max(self.used, anonymous())


class Sampled:
    """Record the most anonymous memory of the process while a block runs, from a thread."""

    def __enter__(self):
        self.used, self.ended = 0.0, threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def look(self):
        before = anonymous()
        while not self.ended.wait(0.01):
            self.used = max(self.used, anonymous() - before)


def anonymous():
    return memory("RssAnon") / 2**20


def run(settings):
    n = 20_000 if settings.quick else 4_000_000
    with tempfile.TemporaryDirectory() as folder:
        # a sparse file: it takes no space on the disk, and contains zeros
        X = np.memmap(os.path.join(folder, "x.raw"), np.uint8, "w+", shape=(n, FEATURES))
        y = np.zeros(n, np.int64)
        batches = Generated(n // 4)  # 4 GB in float32
        for name, given in (("memmap", (X, y)), ("batches", (batches,))):
            net, watch = fn.Network([fn.Linear(FEATURES, 2)], seed=0), Watch()

            def train(given=given, net=net, watch=watch):
                net.fit(*given, epochs=1, batch_size=1_000, callbacks=[watch], n_threads=1)

            start = time.perf_counter()
            train()
            seconds = time.perf_counter() - start
            yield record(f"fit, {name}", "s an epoch", watch.used, seconds)
        net = fn.Network([fn.Linear(FEATURES, 2)], seed=0)
        for name, work in (
            ("predict, memmap", lambda: net.predict(X, n_threads=1)),
            ("Standardize.from_data, memmap", lambda: fn.Standardize.from_data(X)),
        ):
            with Sampled() as watch:
                start = time.perf_counter()
                work()
                seconds = time.perf_counter() - start
            yield record(name, "s", watch.used, seconds)


def record(name, unit, used, seconds):
    if used > LIMIT_MB:
        raise SystemExit(f"out_of_core: {name} takes {used:.0f} MB, more than {LIMIT_MB}")
    return Record(f"{name}, {used:.0f} MB RssAnon", unit, {"fastnn": Measured(seconds)})
