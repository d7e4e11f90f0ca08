"""How long does a prediction take? A single row from Python, and a thousand rows at once."""

from functools import partial

import numpy as np

from bench import limits, peers
from bench.common import Record, demand_agreement, measure, repeat

CASES = [
    ((64, 32, 10), 1),
    ((3, 64, 5), 1000),
    ((10, 64, 64, 3), 1000),
    ((20, 100, 10), 1000),
    ((64, 32, 10), 1000),
]
TOLERANCE = 1e-5


def run(settings):
    for widths, rows in CASES[:2] if settings.quick else CASES:
        problem = peers.problem(widths, rows)
        networks = {p.name: p(problem) for p in peers.able_to("predict", settings.peers)}
        expected = networks["fastnn"].predict()
        for name, network in networks.items():
            demand_agreement(name, np.asarray(network.predict()), expected, TOLERANCE)
        works = {name: partial(repeat, network.predict) for name, network in networks.items()}
        times = measure(works, 0.02, 20, settings.quick)
        limit = limits.seconds_for(peers.forward_flops(widths, rows), np.float32)
        yield Record(
            f"{peers.label(widths)}, {rows:,} row{'s' * (rows > 1)}",
            "µs a call",
            {name: time * 1e6 for name, time in times.items()},
            limit and limit * 1e6,
        )
