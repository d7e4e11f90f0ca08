"""A limit to hold times against: the best that fastnn's own product does on one core."""

import numpy as np

from bench.common import interleaved
from fastnn import _core


def flops_a_second(quick):
    """Return the best rate of a product that fits the cache, in float32 on one thread.

    A long narrow product keeps its few operands in the first-level cache and its sums in registers,
    so little but the multiply-adds themselves takes time. It is no independent measure of the peak,
    which may lie some percent above.
    """
    a = np.ones((14 * 8, 4096 if not quick else 256), np.float32)
    b = np.ones((a.shape[1], 32), np.float32)
    out = np.empty((len(a), 32), np.float32)
    calls = {"product": lambda: _core.engine.matmul(a, b, None, out, 1)}
    return 2 * a.size * 32 / interleaved(calls, 20 if quick else 400)["product"].minimum
