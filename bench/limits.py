"""The limits of this machine, measured by a C program; None without a C compiler."""

import time
from functools import cache

import numpy as np

from bench import native
from bench.common import seconds, threads

ROUNDS = 100_000  # of multiply-adds, a fraction of a millisecond
COUNT = 50


def flops_per_second(dtype):
    """Return the rate of independent multiply-adds in registers, on all cores in use.

    The clock of a processor follows its load. So measure this right after the work, at the same
    clock.
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
    """Return the least time of so many flops, at the current rate."""
    rate = flops_per_second(dtype)
    return None if rate is None else flops / rate


@cache
def bytes_per_second():
    """Return the rate at which one core reads 64 MB, which is much more than its caches hold."""
    if native.library() is None:
        return None
    array = np.ones(2**24, np.float32)
    return array.nbytes / min(seconds(lambda: native.read(array)) for _ in range(10))


def describe():
    """Return the limits as a text for the header."""
    if native.library() is None:
        return "not measured: there is no C compiler"
    float32, float64 = (flops_per_second(dtype) / 1e9 for dtype in ("float32", "float64"))
    return (
        f"{float32:.0f} GFLOP/s in float32 and {float64:.0f} in float64 on {threads()} core(s); "
        f"one core reads 64 MB at {bytes_per_second() / 1e9:.0f} GB/s"
    )
