"""The machine's limits, measured here and now; None where there is no C compiler."""

import time
from functools import cache

import numpy as np

from bench import native
from bench.common import seconds, threads

ROUNDS = 100_000  # of multiply-adds, a fraction of a millisecond
COUNT = 50


def flops_per_second(dtype):
    """Return the rate of independent multiply-adds in registers, on as many cores as are in use.

    A processor's clock follows its load. So this belongs right after the work that it is the limit
    of, when the clock is the one that the work met.
    """
    if native.library() is None:
        return None
    best = 0.0
    for _ in range(COUNT):
        start = time.perf_counter()
        flops = native.flops(dtype, ROUNDS)
        best = max(best, flops / (time.perf_counter() - start))
    return best * threads()


def seconds_for(flops, dtype):
    """Return the least time that so many flops take, at the rate of this moment."""
    rate = flops_per_second(dtype)
    return None if rate is None else flops / rate


@cache
def bytes_per_second():
    """Return how fast one core reads 64 MB, far more than its own caches hold."""
    if native.library() is None:
        return None
    array = np.ones(2**24, np.float32)
    return array.nbytes / min(seconds(lambda: native.read(array)) for _ in range(10))


def describe():
    """Say what the limits are, for the header."""
    if native.library() is None:
        return "not measured: there is no C compiler"
    float32, float64 = (flops_per_second(dtype) / 1e9 for dtype in ("float32", "float64"))
    return (
        f"{float32:.0f} GFLOP/s in float32 and {float64:.0f} in float64 on {threads()} core(s); "
        f"one core reads 64 MB at {bytes_per_second() / 1e9:.0f} GB/s"
    )
