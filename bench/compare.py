"""Compare the speed of fastnn with that at another revision of git: `python -m bench compare REV`.

Each bench runs in four processes on one core: two with the build of the revision, and two with the
present one. They time each call in turns, so that noise affects all alike. The two processes of one
build differ by their memory layout and by chance. This difference of minima is a case's noise. A
case is slower if both its minimum and its median exceed the revision's by more than the noise. The
benches with such cases run again. The cases that are slower again are reported, and the exit code
is then 1.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import ROOT
from bench.environment import ISAS, configure
from bench.names import BENCHES
from bench.saved import cell, rounded

# The benches that time their calls by `bench.common`, and take minutes at most.
DEFAULT = ["step", "xor", "tanh", "predict", "jacobian", "gram", "elementwise", "calls", "many"]
LEAST = 0.03  # a smaller difference is never reported
BUILDS = ROOT / "build" / "compare"  # keeps the builds of revisions


@dataclass(frozen=True)
class Case:
    """The (minimum, median) of one call in both processes of the old and of the new build."""

    name: str
    unit: str
    old: tuple[tuple[float, float], tuple[float, float]]
    new: tuple[tuple[float, float], tuple[float, float]]

    def ratios(self):
        """Return how many times the old result the new one is, for the minimum and the median."""
        old, new = (
            [min(values) for values in zip(*processes, strict=True)]
            for processes in (self.old, self.new)
        )
        return [after / before for before, after in zip(old, new, strict=True)]

    def noise(self):
        """Return the largest relative difference of minima between two processes of one build."""
        minima = [[minimum for minimum, _ in processes] for processes in (self.old, self.new)]
        return max(max(pair) / min(pair) - 1 for pair in minima)


def bounds(cases):
    """Return for each case the ratio beyond which it is slower.

    The noise of the case itself is known from four processes only. So the bound is also at least
    three times the usual noise of all cases.
    """
    usual = statistics.median(case.noise() for case in cases) if cases else 0
    return {case.name: 1 + max(LEAST, 3 * usual, case.noise()) for case in cases}


def slower(cases):
    """Return the cases that are slower beyond noise."""
    limits = bounds(cases)
    return [case for case in cases if min(case.ratios()) > limits[case.name]]


class Worker:
    """A process that runs a bench with the fastnn in a folder, in turns with others."""

    def __init__(self, bench, folder, quick, errors):
        self.errors = errors
        command = [sys.executable, "-P", "-m", "bench.compare_worker", bench]
        self.process = subprocess.Popen(
            [*command, "quick" if quick else "whole"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])},
        )
        self.results = {}

    def turn(self):
        """Let the process run for a turn, and return whether it has more turns to take."""
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return False
        for line in self.process.stdout:
            if line == "\n":
                return True
            name, unit, *times = json.loads(line)
            self.results[name] = unit, tuple(times)
        return False

    def error(self):
        """Return the last line of its errors if the process failed, or None."""
        if self.process.wait() == 0:
            return None
        self.errors.seek(0)
        return (self.errors.read().strip().splitlines() or ["it failed"])[-1]

    def close(self):
        """End the process if it still runs."""
        self.process.kill()
        self.process.communicate()


def measured(bench, old, new, quick):
    """Run a bench with the builds in two folders; return its cases, or why there are none."""
    with ExitStack() as stack:
        workers = []
        for folder in (old, new, old, new):
            errors = stack.enter_context(tempfile.TemporaryFile("w+"))
            workers.append(Worker(bench, folder, quick, errors))
            stack.callback(workers[-1].close)
        running = workers
        while running:
            running = [worker for worker in running if worker.turn()]
        for name, worker in zip(("the revision", "the present build"), workers, strict=False):
            error = worker.error()
            if error:
                return [], f"{name}: {error}"
    old, new, old_again, new_again = (worker.results for worker in workers)
    cases = [
        Case(name, unit, (times, old_again[name][1]), (new[name][1], new_again[name][1]))
        for name, (unit, times) in old.items()
        if name in new
    ]
    return cases, None if cases else "it times no calls that both have"


def build(revision):
    """Build a revision, unless an earlier comparison did; return its hash and the folder."""
    git = ["git", "-C", str(ROOT)]
    found = subprocess.run(
        [*git, "rev-parse", "--verify", f"{revision}^{{commit}}"], capture_output=True, text=True
    )
    if found.returncode:
        raise SystemExit(f"git knows no revision {revision!r}")
    commit = found.stdout.strip()
    target = BUILDS / f"{commit}-{sys.implementation.cache_tag}"
    if not target.exists():
        print(f"building {revision} ({commit[:12]}), which takes minutes", flush=True)
        BUILDS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILDS) as folder:
            archive, source, built = (Path(folder, name) for name in ("a.tar", "source", "built"))
            subprocess.run([*git, "archive", "-o", str(archive), commit], check=True)
            shutil.unpack_archive(archive, source)
            pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target"]
            if subprocess.run([*pip, str(built), str(source)]).returncode:
                raise SystemExit(f"{revision} cannot be built")
            built.rename(target)
    return commit, target


def report(cases):
    """Print a table of cases."""
    limits = bounds(cases)
    print(f"\n| {'case':60} | before | now | minima | medians | bound |\n|---|---|---|---|---|---|")
    for case in cases:
        ratios = case.ratios()
        before, now = (min(a[0], b[0]) for a, b in (case.old, case.new))
        verdict = ""
        if min(ratios) > limits[case.name]:
            verdict = " slower"
        elif 1 / max(ratios) > limits[case.name]:
            verdict = " faster"
        print(
            f"| {case.name:60} | {cell(rounded(before))} | {cell(rounded(now))} {case.unit} | "
            f"{ratios[0]:.3f} | {ratios[1]:.3f} | {limits[case.name]:.3f} |{verdict}"
        )
    sys.stdout.flush()


def compare(benches, measure):
    """Measure benches, those with slower cases twice, and return the names of slower cases."""
    found = {}
    for bench in benches:
        cases, problem = measure(bench)
        if problem:
            print(f"\n{bench} cannot be compared: {problem}", flush=True)
        else:
            report(cases)
            found[bench] = {case.name for case in slower(cases)}
    confirmed = []
    for bench, names in found.items():
        if names:
            print(f"\n{bench} again, as {len(names)} of its cases look slower:", flush=True)
            cases, _ = measure(bench)
            report(cases)
            confirmed += [case.name for case in slower(cases) if case.name in names]
    return confirmed


def main(arguments):
    """Parse the command line, compare, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("revision", metavar="REV", help="of git, as in HEAD, v0.1.0 or a hash")
    parser.add_argument(
        "benches",
        nargs="*",
        metavar="BENCH",
        default=DEFAULT,
        help=f"by default {', '.join(DEFAULT)}",
    )
    parser.add_argument("--isa", choices=ISAS, help="the build of both, by default the best")
    parser.add_argument("--quick", action="store_true", help="small and few, to see that it works")
    args = parser.parse_args(arguments)
    for bench in args.benches:
        if bench not in BENCHES:
            parser.error(f"no bench is called {bench!r}; there are {', '.join(BENCHES)}")
    commit, folder = build(args.revision)
    configure(1, args.isa)
    print(f"{args.revision} ({commit[:12]}) against the present build")
    names = compare(args.benches, lambda bench: measured(bench, folder, ROOT, args.quick))
    print("\nslower beyond noise:" if names else "\nno case is slower beyond noise")
    print("\n".join(f"- {name}" for name in names), end="\n" * bool(names))
    return 1 if names else 0
