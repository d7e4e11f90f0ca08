"""What every bench shares: the record of a result, and interleaved timing."""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from bench.environment import PROCESSORS

# A library's threads spin for up to 30 ms after its work, and would take another's processor.
QUIET = 0.05


@dataclass(frozen=True)
class Settings:
    """What was asked for on the command line: small work or all, and the peers that are here."""

    quick: bool
    peers: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """A quantity of which less is better, over many rounds; one that is exact has no median."""

    minimum: float
    median: float | None = None

    def __mul__(self, factor: float) -> "Measured":
        median = None if self.median is None else self.median * factor
        return Measured(self.minimum * factor, median)


@dataclass(frozen=True)
class Record:
    """One case of a bench: what each library took, the subject of the bench first.

    `limit` is the least that the machine's measured limit allows, None where it is not known. A
    detail is one of very many, kept for `--json` and not printed.
    """

    case: str
    unit: str
    results: dict[str, Measured]
    limit: float | None = None
    note: str = ""
    detail: bool = False

    def ratios(self) -> dict[str, float]:
        """Return how many times the subject's result each other's is, and the limit's share."""
        first, *others = self.results
        ours = self.results[first].minimum
        ratios = {name: self.results[name].minimum / ours for name in others}
        return ratios if self.limit is None else {**ratios, "limit": self.limit / ours}


def threads() -> int:
    """Return how many threads each library may use."""
    return int(os.environ["OMP_NUM_THREADS"])


@contextmanager
def processors(n: int):
    """Let this thread, and those that it starts, run on that many processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, PROCESSORS[:n])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def seconds(call: Callable[[], object]) -> float:
    """Time a call once."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def repeat(call: Callable[[], object], times: int) -> None:
    """Make a call many times."""
    for _ in range(times):
        call()


def interleaved(
    calls: dict[str, Callable[[], object]], rounds: int, quiet: float = 0
) -> dict[str, Measured]:
    """Time each call once a round, after one round to warm up, so that noise meets all alike.

    With `quiet`, that many seconds pass before each call, in which another library's threads fall
    asleep, and its own are woken by one call that is not timed.
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
    """Return how often to do some work, in one call, that it may last about so many seconds."""
    times = 1
    # of two, for an interruption would have it do so little that the call is what is timed
    while (elapsed := min(seconds(partial(work, times)) for _ in range(2))) < duration / 2:
        times *= max(2, round(duration / elapsed))
    return times


def measure(
    works: dict[str, Callable[[int], object]], duration: float, rounds: int, quick: bool
) -> dict[str, Measured]:
    """Return the seconds that each work takes; `work(times)` does it many times in one call."""
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
    """Return the norm of the difference over the norm of what was expected."""
    found, expected = (np.asarray(a, np.longdouble) for a in (found, expected))
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def demand_agreement(what: str, found, expected, tolerance: float) -> None:
    """End the bench if a library computes something else: its time would mean nothing."""
    difference = relative_difference(found, expected)
    if not difference <= tolerance:
        raise SystemExit(
            f"{what} differs from fastnn by {difference:.1e}, more than {tolerance:.0e}; "
            f"no time is printed"
        )
