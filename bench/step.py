"""How long does a training step take? Seven networks in float32, against peers and the limit."""

import numpy as np

from bench import limits, peers
from bench.common import Record, demand_agreement, measure

NETWORKS = [
    ((2, 8, 1), 4),
    ((64, 32, 10), 32),
    ((16, 64, 64, 4), 16),
    ((20, 128, 128, 1), 64),
    ((784, 128, 10), 32),
    ((784, 512, 512, 10), 128),
    ((784, 1024, 1024, 10), 512),
]
TOLERANCE = 1e-4


def n_batches(widths, batch_size, quick):
    """Return a number of minibatches so large that the cost of an epoch itself is negligible."""
    return 4 if quick else int(np.clip(5e8 / peers.step_flops(widths, batch_size), 4, 256))


def training_times(problem, trainers, quick):
    """Verify that all libraries reach the same parameters, and return the seconds of an epoch."""
    for trainer in trainers.values():
        trainer.train()
    expected = trainers["fastnn"].params()
    for name, trainer in trainers.items():
        demand_agreement(name, trainer.params(), expected, TOLERANCE)
    return measure({name: trainer.train for name, trainer in trainers.items()}, 0.1, 10, quick)


def run(settings):
    for widths, batch_size in NETWORKS[:2] if settings.quick else NETWORKS:
        steps = n_batches(widths, batch_size, settings.quick)
        problem = peers.problem(widths, batch_size, steps)
        trainers = {p.name: p(problem) for p in peers.able_to("train", settings.peers)}
        times = training_times(problem, trainers, settings.quick)
        limit = limits.seconds_for(peers.step_flops(widths, batch_size), np.float32)
        yield Record(
            f"{peers.label(widths)}, {batch_size}",
            "µs a step",
            {name: time * (1e6 / steps) for name, time in times.items()},
            limit and limit * 1e6,
        )
