"""What every bench shares: interleaved timing, and a header that says what was measured where."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fastnn as fn


@dataclass(frozen=True)
class Timing:
    """Seconds a call, over many calls."""

    minimum: float
    median: float


def seconds(call: Callable[[], object]) -> float:
    """Time a call once."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleaved(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Time each call once a round, after one round to warm up, so that noise meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            elapsed = seconds(call)
            if number:
                times[name].append(elapsed)
    return {name: Timing(min(t), statistics.median(t)) for name, t in times.items()}


def header() -> str:
    """Name the machine and the versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":")[1].strip() if names else model
    info = fn.build_info()
    return (
        f"{model}, {len(os.sched_getaffinity(0))} processors; Python {platform.python_version()}, "
        f"NumPy {np.__version__}, fastnn {info['version']} ({info['isa']}, OpenMP {info['openmp']})"
    )
