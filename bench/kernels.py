"""How fast is the matrix product? The 1,500 shapes of training a network, and squares."""

import itertools
from functools import partial

import numpy as np

from bench import limits
from bench.common import Measured, Record, measure, threads
from bench.native import find_blas
from fastnn import _core

BATCHES = (1, 8, 32, 128, 512)
WIDTHS = (2, 4, 10, 16, 32, 64, 128, 256, 512, 1024)
PASSES = ("forward", "input", "weight")
SQUARES = (64, 96, 128, 192, 256, 384, 512, 1024, 1536, 2048)
BEST = "better of them"
BEHIND = 0.8  # a shape with less of the better peer's speed counts as behind


def operands(which, batch, n_in, n_out, dtype, rng):
    """Return A, B and an array for A B, of one of the three products of a linear layer."""

    def matrix(*shape):
        return rng.standard_normal(shape).astype(dtype)

    if which == "forward":  # x W^T
        return matrix(batch, n_in), matrix(n_out, n_in).T, np.empty((batch, n_out), dtype)
    if which == "input":  # dz W
        return matrix(batch, n_out), matrix(n_out, n_in), np.empty((batch, n_in), dtype)
    return matrix(batch, n_out).T, matrix(batch, n_in), np.empty((n_out, n_in), dtype)


def contest(a, b, out, peers, quick):
    """Verify the product of every library, and return its seconds."""
    calls = {"fastnn": lambda repeats: _core.engine.matmul(a, b, None, out, threads(), repeats)}
    for peer in peers:
        calls[peer.name] = partial(peer.matmul, a, b, out)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    bound = np.abs(a).astype(np.float64) @ np.abs(b) * a.shape[1] * np.finfo(out.dtype).eps
    for name, call in calls.items():
        out.fill(np.nan)
        call(1)
        if not (np.abs(out - exact) <= bound).all():
            raise SystemExit(f"{name}: {a.shape} x {b.shape} is wrong; no time is printed")
    rounds = 6 if threads() == 1 else 2  # libraries with several threads get pauses
    times = measure(calls, 3e-4, rounds, quick)
    return {name: time.minimum for name, time in times.items()}


def microseconds(times):
    """Return results for each library, and for the better peer of each shape."""
    results = {name: Measured(time * 1e6) for name, time in times.items()}
    others = [result for name, result in results.items() if name != "fastnn"]
    return {**results, BEST: min(others, key=lambda r: r.minimum)} if len(others) > 1 else results


def summary(case, records):
    """Return geometric means over many shapes, the worst shape, and how many are slower."""

    def mean(values):
        return float(np.exp(np.mean(np.log(list(values)))))

    names = list(records[0].results)
    results = {n: Measured(mean(r.results[n].minimum for r in records)) for n in names}
    limit, note = None, ""
    if records[0].limit is not None:
        limit = mean(record.limit for record in records)
    if len(names) > 1:
        speeds = [record.ratios()[names[-1]] for record in records]
        worst = int(np.argmin(speeds))
        behind = sum(speed < BEHIND for speed in speeds)
        note = (
            f"{len(records)} shapes, {behind} under {BEHIND}x; worst {speeds[worst]:.2f}x at "
            f"{records[worst].case}"
        )
    return Record(case, "µs, geometric mean", results, limit, note)


def shapes(dtype, blas, quick):
    """Yield (pass, batch, record) for every shape."""
    rng = np.random.default_rng(0)
    widths = (10, 64) if quick else WIDTHS
    for which, batch in itertools.product(PASSES, BATCHES[:2] if quick else BATCHES):
        for n_in, n_out in itertools.product(widths, widths):
            a, b, out = operands(which, batch, n_in, n_out, dtype, rng)
            times = contest(a, b, out, blas, quick)
            limit = limits.seconds_for(2 * batch * n_in * n_out, dtype)
            yield (
                which,
                batch,
                Record(
                    f"{which} {batch} x {n_in} x {n_out}, {np.dtype(dtype)}",
                    "µs a product",
                    microseconds(times),
                    limit and limit * 1e6,
                    detail=True,
                ),
            )


def run(settings):
    blas = find_blas(settings.peers)
    for dtype in (np.float32, np.float64):
        found = []
        for shape in shapes(dtype, blas, settings.quick):
            found.append(shape)
            yield shape[-1]
        name = np.dtype(dtype).name
        yield summary(f"{name}, all", [record for _, _, record in found])
        for which in PASSES:
            yield summary(f"{name}, {which}", [r for w, _, r in found if w == which])
        for batch in dict.fromkeys(batch for _, batch, _ in found):
            yield summary(f"{name}, batch {batch}", [r for _, b, r in found if b == batch])
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for n in SQUARES[:2] if settings.quick else SQUARES:
            a, b, out = operands("input", n, n, n, dtype, rng)
            times = contest(a, b, out, blas, settings.quick)
            limit = limits.seconds_for(2 * n**3, dtype)
            yield Record(
                f"square {n}, {np.dtype(dtype)}",
                "µs a product",
                microseconds(times),
                limit and limit * 1e6,
            )
