"""The choices that depend on the CPU: how a long matrix product is divided into blocks.

A block of A stays in the second-level cache of a core while panels of B pass. A tile reads and
writes its part of C once for each block of steps of k, and with rows of C a page apart that costs
some 400 cycles.

- AMD: 1,024 steps, and a quarter of the cache. On an EPYC of the Zen 5 generation (1 MB a core)
  squares of 1,024 and 2,048 in float32 reach 0.92 and 0.88 of the limit, and 0.87 and 0.80 with
  512 steps and 1 MB of A; in float64 0.88 and 0.84, and 0.83 and 0.78.
- Others: 512 steps, and half of the cache: measured on an Intel Xeon with 2 MB a core.

The environment variables FASTNN_K_BLOCK and FASTNN_A_BLOCK (in bytes) replace them, to experiment.
Sums run in the same order whatever the blocks, so the bits do not depend on them.
"""

import os

UNKNOWN_L2 = 1024 * 1024


def second_level_cache() -> int:
    """Return the bytes of the second-level cache of a core; 1 MB where the system does not say."""
    if not hasattr(os, "sysconf"):  # Windows
        return UNKNOWN_L2
    try:
        return os.sysconf("SC_LEVEL2_CACHE_SIZE") or UNKNOWN_L2
    except (OSError, ValueError):  # not glibc
        return UNKNOWN_L2


def product_blocks(vendor: str) -> tuple[int, int]:
    """Return the steps of k, and the bytes of A, in a block of a long product on a CPU."""
    steps, share = (1024, 4) if vendor == "AuthenticAMD" else (512, 2)
    return (
        int(os.environ.get("FASTNN_K_BLOCK", steps)),
        int(os.environ.get("FASTNN_A_BLOCK", second_level_cache() // share)),
    )
