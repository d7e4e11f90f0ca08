"""How fast are two of Python's threads? Needs `--threads 2`, and to gain on short calls, no GIL."""

import threading
from functools import partial

import numpy as np

import fastnn as fn
from bench.common import Record, interleaved, processors

RNG = np.random.default_rng(0)


def network(hidden, seed):
    return fn.Network([fn.Linear(8, hidden), fn.Tanh(), fn.Linear(hidden, 3)], seed=seed)


def repeated(call, times):
    for _ in range(times):
        call()


def in_threads(works):
    started = [threading.Thread(target=work) for work in works]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def one_after_the_other(works):
    for work in works:
        work()


def cases(quick):
    """Yield the names of works, and two works that share nothing or one network."""
    times = 10 if quick else 20_000
    x, X = RNG.normal(size=(1, 8)).astype("f"), RNG.normal(size=(1000, 8)).astype("f")
    y = RNG.integers(3, size=1000)
    pair, shared = [network(32, seed) for seed in range(2)], network(32, 0)
    fit = {"epochs": 2 if quick else 20, "seed": 0, "n_threads": 1, "progress": False}
    for name, nets in (("two networks", pair), ("one network", [shared, shared])):
        yield f"predict, {name}", [partial(repeated, partial(n.predict, x), times) for n in nets]
        yield f"Jacobian, {name}", [partial(repeated, partial(n.jacobian, x), times) for n in nets]
    yield "fit, two networks", [partial(n.fit, X, y, **fit) for n in pair]


def run(settings):
    for name, works in cases(settings.quick):
        calls = {
            "two threads": partial(in_threads, works),
            "one thread": partial(one_after_the_other, works),
        }
        with processors(2):
            times = interleaved(calls, 2 if settings.quick else 20)
        yield Record(name, "ms", {name: time * 1e3 for name, time in times.items()})
