"""Do two networks train at once? Two Python threads with one engine thread each, against a loop."""

import threading

import numpy as np

import fastnn as fn
from bench.common import Record, interleaved, processors


def run(settings):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4_000, 64)).astype(np.float32)
    y = rng.integers(10, size=4_000)
    epochs = 1 if settings.quick else 20

    def train(seed):
        net = fn.Network([fn.Linear(64, 128), fn.ReLU(), fn.Linear(128, 10)], seed=seed)
        net.fit(X, y, epochs=epochs, seed=seed, n_threads=1)
        return net.params

    def loop():
        return [train(seed) for seed in (0, 1)]

    def threads():
        results = [None, None]

        def work(i):
            results[i] = train(i)

        both = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        return results

    with processors(2):
        if not np.array_equal(loop(), threads()):
            raise SystemExit("two_networks: results differ; no time is printed")
        calls = {"at once": threads, "one after the other": loop}
        times = interleaved(calls, 2 if settings.quick else 15)
    yield Record(
        f"64-128-10, {epochs} epochs of 4,000", "ms", {k: t * 1e3 for k, t in times.items()}
    )
