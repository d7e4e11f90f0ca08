"""The parts that all benches share: records of results, and interleaved timing."""

import math
import os
import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from bench.environment import PROCESSORS, run_on

# The threads of a library spin for up to 30 ms after its work, and would occupy the processors.
QUIET = 0.05


@dataclass(frozen=True)
class Settings:
    """The settings of the command line: whether the work is small, and the installed peers."""

    quick: bool
    peers: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """A quantity over many rounds; less is better. An exact quantity has no median."""

    minimum: float
    median: float | None = None

    def __mul__(self, factor: float) -> "Measured":
        median = None if self.median is None else self.median * factor
        return Measured(self.minimum * factor, median)


@dataclass(frozen=True)
class Record:
    """One case of a bench, with the result of each library. The first one is the subject.

    `limit` is the least time that the machine allows; None if it is unknown. A detail is one of
    very many records. It is written by `--json` and not printed.
    """

    case: str
    unit: str
    results: dict[str, Measured]
    limit: float | None = None
    note: str = ""
    detail: bool = False

    def ratios(self) -> dict[str, float]:
        """Return the ratio of each other result to the subject's, and the ratio of the limit."""
        first, *others = self.results
        ours = self.results[first].minimum
        ratios = {name: self.results[name].minimum / ours for name in others}
        return ratios if self.limit is None else {**ratios, "limit": self.limit / ours}


def threads() -> int:
    """Return the number of threads that each library may use."""
    return int(os.environ["OMP_NUM_THREADS"])


@contextmanager
def processors(n: int):
    """Let this thread and its future children run on that many processors."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else PROCESSORS
    run_on(PROCESSORS[:n])
    try:
        yield
    finally:
        run_on(before)


def memory(name: str) -> float:
    """Return the bytes of this process by a name, such as "VmHWM", the peak. NaN unless Linux."""
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))
    except FileNotFoundError:
        return math.nan


def seconds(call: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def repeat(call: Callable[[], object], times: int) -> None:
    """Call a function many times."""
    for _ in range(times):
        call()


def interleaved(
    calls: dict[str, Callable[[], object]], rounds: int, quiet: float = 0
) -> dict[str, Measured]:
    """Time each call once per round, after a round to warm up, so that noise affects all alike.

    `quiet` is a pause in seconds before each call. In it the threads of other libraries fall
    asleep. Then one call that is not timed wakes the threads of the library.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            if quiet:
                time.sleep(quiet)
                call()
            elapsed = seconds(call)
            if number:
                times[name].append(elapsed)
    return {name: Measured(min(t), statistics.median(t)) for name, t in times.items()}


def repeats_lasting(duration: float, work: Callable[[int], object]) -> int:
    """Return how many times to do some work in one call, so that the call takes so many seconds."""
    times = 1
    # the faster of two, as after an interruption the number would be too small
    while (elapsed := min(seconds(partial(work, times)) for _ in range(2))) < duration / 2:
        times *= max(2, round(duration / elapsed))
    return times


def measure(
    works: dict[str, Callable[[int], object]], duration: float, rounds: int, quick: bool
) -> dict[str, Measured]:
    """Return the seconds of each work; `work(times)` does it many times in one call."""
    times = dict.fromkeys(works, 1)
    if quick:
        rounds = 1
    else:
        for name, work in works.items():
            work(1)
            times[name] = repeats_lasting(duration, work)
    calls = {name: partial(work, times[name]) for name, work in works.items()}
    results = interleaved(calls, rounds, QUIET if threads() > 1 else 0)
    return {name: result * (1 / times[name]) for name, result in results.items()}


def relative_difference(found, expected) -> float:
    """Return the norm of the difference divided by the norm of the expected values."""
    found, expected = (np.asarray(a, np.longdouble) for a in (found, expected))
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def demand_agreement(what: str, found, expected, tolerance: float) -> None:
    """End the bench if a library computes another result, as its time would mean nothing."""
    difference = relative_difference(found, expected)
    if not difference <= tolerance:
        raise SystemExit(
            f"{what} differs from fastnn by {difference:.1e}, more than {tolerance:.0e}; "
            f"no time is printed"
        )
