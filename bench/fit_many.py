"""Do networks train at once? fn.fit_many on two processors, against a loop of fit on one thread."""

from dataclasses import dataclass

import numpy as np

import fastnn as fn
from bench.common import Record, interleaved, processors


@dataclass(frozen=True)
class Case:
    """So many networks of those widths, trained for so many epochs on so many samples."""

    many: int
    widths: tuple[int, int, int]
    n: int
    epochs: int

    def networks(self):
        n_in, hidden, n_out = self.widths
        return [
            fn.Network([fn.Linear(n_in, hidden), fn.ReLU(), fn.Linear(hidden, n_out)], seed=seed)
            for seed in range(self.many)
        ]

    def data(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((self.n, self.widths[0])).astype(np.float32)
        return X, rng.integers(self.widths[-1], size=self.n)

    def at_once(self):
        nets = self.networks()
        fn.fit_many(nets, *self.data(), epochs=self.epochs, seed=0, n_threads=2)
        return [net.params for net in nets]

    def one_after_the_other(self):
        nets, data = self.networks(), self.data()
        for net in nets:
            net.fit(*data, epochs=self.epochs, seed=0, n_threads=1, progress=False)
        return [net.params for net in nets]


def run(settings):
    cases = [Case(2, (64, 128, 10), 4_000, 20), Case(10, (8, 50, 3), 1_000, 100)]
    for case in [Case(2, (64, 128, 10), 400, 1)] if settings.quick else cases:
        with processors(2):
            if not np.array_equal(case.at_once(), case.one_after_the_other()):
                raise SystemExit("fit_many: results differ; no time is printed")
            calls = {"at once": case.at_once, "one after the other": case.one_after_the_other}
            times = interleaved(calls, 2 if settings.quick else 15)
        yield Record(
            f"{case.many} of {'-'.join(map(str, case.widths))}, {case.epochs} epochs of {case.n:,}",
            "ms", {name: time * 1e3 for name, time in times.items()},
        )  # fmt: skip
