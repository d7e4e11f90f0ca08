"""How long does a step of a tanh network take? 4-32-16-4, Adam, full batch of 10,000 samples."""

import dataclasses

import numpy as np

from bench import limits, peers
from bench.common import Record
from bench.step import training_times

WIDTHS = (4, 32, 16, 4)
PUBLISHED = "SimpleChains.jl publishes about 740 µs of one core"  # 41 µs on 18 cores with AVX-512


def run(settings):
    n = 1_000 if settings.quick else 10_000
    rng = np.random.default_rng(1)
    problem = peers.problem(WIDTHS, n, activation="tanh", optimizer="adam")
    targets = np.sin(problem.X @ rng.standard_normal((4, 4)).astype(np.float32))
    problem = dataclasses.replace(problem, y=targets)
    trainers = {p.name: p(problem) for p in peers.able_to("train", settings.peers)}
    times = training_times(problem, trainers, settings.quick)
    flops = peers.step_flops(WIDTHS, n)
    limit = limits.seconds_for(flops, np.float32)
    results = {name: time * 1e6 for name, time in times.items()}
    others = [name for name in results if name != "fastnn"]
    best = min(others, key=lambda name: results[name].minimum, default="none")
    yield Record(
        f"{peers.label(WIDTHS)}, {n:,}",
        "µs a step",
        results,
        limit and limit * 1e6,
        note=f"best peer: {best}; {PUBLISHED}",
    )
