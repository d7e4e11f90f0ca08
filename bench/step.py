"""How long does a training step take? Seven networks, one thread, float32, against the peers."""

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"  # before the peers are imported

import importlib.util  # noqa: E402
from functools import partial  # noqa: E402
from itertools import pairwise  # noqa: E402

import numpy as np  # noqa: E402

from bench.common import interleaved, seconds  # noqa: E402
from bench.limits import flops_a_second  # noqa: E402
from bench.peers import PEERS, FastnnPeer  # noqa: E402

NETWORKS = [
    ((2, 8, 1), 4), ((64, 32, 10), 32), ((16, 64, 64, 4), 16), ((20, 128, 128, 1), 64),
    ((784, 128, 10), 32), ((784, 512, 512, 10), 128), ((784, 1024, 1024, 10), 512),
]  # fmt: skip
TOLERANCE = 1e-4


def problem(widths, batch_size, n_batches, rng):
    """Return inputs, targets, and a pair (weight, bias) a layer."""
    X = rng.standard_normal((batch_size * n_batches, widths[0])).astype(np.float32)
    y = rng.integers(widths[-1], size=len(X))
    if widths[-1] == 1:
        y = np.sin(X[:, :1]).astype(np.float32)
    weights = [
        ((rng.standard_normal((o, i)) * np.sqrt(2 / i)).astype("f"), np.zeros(o, np.float32))
        for i, o in pairwise(widths)
    ]
    return X, y, weights


def step_flops(widths, batch_size):
    """Forward, by weight, and by input but for the first layer: two flops a weight and sample."""
    products = [i * o for i, o in pairwise(widths)]
    return 2 * batch_size * (3 * sum(products) - products[0])


def run(quick):
    """Yield the lines of the report, everything pinned to one core meanwhile."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})  # no library's threads get a second one
    try:
        yield from report(quick)
    finally:
        os.sched_setaffinity(0, processors)  # another bench may follow


def report(quick):
    """Yield the lines of the report."""
    there = [peer for peer in PEERS if importlib.util.find_spec(peer.name)]
    missing = [peer.name for peer in PEERS if peer not in there]
    if missing:
        yield f"not installed: {', '.join(missing)}"
    peak = flops_a_second(quick)
    yield f"limit: fastnn's own product in cache, {peak / 1e9:.0f} GFLOP/s"
    yield "microseconds a step, best of several epochs:"
    names = ["fastnn", *(peer.name for peer in there), "limit"]
    yield f"{'network, batch':>26}" + "".join(f"{name:>9}" for name in names) + "   fastnn is"
    for widths, batch_size in NETWORKS[:3] if quick else NETWORKS:
        flops = step_flops(widths, batch_size)
        n_batches = 4 if quick else int(np.clip(5e8 / flops, 4, 256))
        X, y, weights = problem(widths, batch_size, n_batches, np.random.default_rng(0))
        trainers = {p.name: p(X, y, batch_size, weights) for p in [FastnnPeer, *there]}
        for trainer in trainers.values():
            trainer.epoch()
        expected = trainers["fastnn"].params()
        for name, trainer in trainers.items():
            found = trainer.params()
            if not np.linalg.norm(found - expected) <= TOLERANCE * np.linalg.norm(expected):
                raise SystemExit(f"{widths}: {name} came to other parameters; no time is printed")
        # as many epochs a call as take a good while, so that no one's call itself is measured
        epochs = {
            name: 1 if quick else max(1, round(0.1 / seconds(trainer.epoch)))
            for name, trainer in trainers.items()
        }
        calls = {name: partial(t.epoch, epochs[name]) for name, t in trainers.items()}
        times = interleaved(calls, 1 if quick else 10)
        best = {n: t.minimum / (epochs[n] * n_batches) * 1e6 for n, t in times.items()}
        ours, limit = best.pop("fastnn"), flops / peak * 1e6
        row = [ours, *best.values(), limit]
        ratios = ", ".join(f"{t / ours:.2f}x {name}" for name, t in best.items())
        label = "-".join(map(str, widths)) + f", {batch_size}"
        yield (
            f"{label:>26}" + "".join(f"{t:9.2f}" for t in row)
            + f"   {ratios}; {limit / ours:.2f} of the limit"
        )  # fmt: skip
