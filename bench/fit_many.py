"""Do networks train at once? fit_many on two processors, against a loop of fit on one thread."""

import numpy as np

import fastnn as fn
from bench.common import Record, interleaved, processors

# networks, their widths, samples, epochs
CASES = [(2, (64, 128, 10), 4_000, 100), (10, (8, 50, 3), 1_000, 500)]


class Work:
    """Networks, their data, and their initial parameters, which every run starts from."""

    def __init__(self, many, widths, n, epochs):
        n_in, hidden, n_out = widths
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((n, n_in)).astype(np.float32)
        self.y = rng.integers(n_out, size=n)
        self.networks = [
            fn.Network([fn.Linear(n_in, hidden), fn.ReLU(), fn.Linear(hidden, n_out)], seed=seed)
            for seed in range(many)
        ]
        self.start = [net.params.copy() for net in self.networks]
        self.settings = {"optimizer": fn.SGD(0.1), "epochs": epochs, "seed": 0}

    def from_the_start(self):
        for net, params in zip(self.networks, self.start, strict=True):
            net.params = params
        return self.networks

    def at_once(self):
        fn.fit_many(self.from_the_start(), self.X, self.y, n_threads=2, **self.settings)

    def one_after_the_other(self):
        for net in self.from_the_start():
            net.fit(self.X, self.y, n_threads=1, progress=False, **self.settings)

    def results(self):
        return [net.params.tobytes() for net in self.networks]


def run(settings):
    for many, widths, n, epochs in [(2, (8, 4, 3), 100, 1)] if settings.quick else CASES:
        work = Work(many, widths, n, epochs)
        calls = {"at once": work.at_once, "one after the other": work.one_after_the_other}
        with processors(2):
            results = []
            for call in calls.values():
                call()
                results.append(work.results())
            if results[0] != results[1]:
                raise SystemExit("fit_many: results differ; no time is printed")
            times = interleaved(calls, 2 if settings.quick else 15)
        yield Record(
            f"{many} of {'-'.join(map(str, widths))}, {epochs} epochs of {n:,}",
            "ms",
            {name: time * 1e3 for name, time in times.items()},
        )
