"""Do two networks train at once? Two Python threads with one engine thread each, against a loop."""

import threading

import numpy as np

import fastnn as fn
from bench.common import interleaved


def run(quick):
    """Yield the lines of the report."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4_000, 64)).astype(np.float32)
    y = rng.integers(10, size=4_000)
    epochs = 1 if quick else 20

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

    if not np.array_equal(loop(), threads()):
        raise SystemExit("two_networks: results differ; no time is worth printing")
    times = interleaved({"loop": loop, "threads": threads}, 2 if quick else 15)
    one, two = times["loop"], times["threads"]
    yield (
        f"two networks 64-128-10, {epochs} epochs of 4,000 samples: one after the other "
        f"{one.median * 1e3:.1f} ms, at once {two.median * 1e3:.1f} ms, "
        f"ratio of medians {one.median / two.median:.2f}, of minima {one.minimum / two.minimum:.2f}"
    )
