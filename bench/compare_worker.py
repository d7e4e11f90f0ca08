"""Runs one bench for `bench.compare`, in turns with other processes that run the same bench.

The process waits for a line before each turn. It writes a line for each result, and an empty line
at the end of a turn. A turn ends when the bench has timed one call for `TURN` seconds.
"""

import importlib
import json
import os
import statistics
import sys
import time

from bench import common, native

TURN = 0.02  # seconds; longer if one call is
ROUNDS = 10


def main(bench, quick):
    """Run the bench without peers. Its own output goes to the standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def wait():
        if not sys.stdin.readline():
            sys.exit()  # the other end has given up

    def take_turns(calls, rounds, quiet=0):
        """Time like `common.interleaved`, and let the other processes run after each call."""
        times = {name: [] for name in calls}
        for number in range(2 if quick else ROUNDS + 1):
            for name, call in calls.items():
                channel.write("\n")
                channel.flush()
                wait()
                elapsed, end = [], time.perf_counter() + TURN
                while not elapsed or (time.perf_counter() < end and not quick):
                    elapsed.append(common.seconds(call))
                times[name] += elapsed if number else []
        return {name: common.Measured(min(t), statistics.median(t)) for name, t in times.items()}

    # Here, and not in the benches: they import these two functions by name, or call them through
    # `measure`. The limits of the machine play no role in a comparison, and would take time.
    common.interleaved = take_turns
    native.library = lambda: None
    wait()
    for record in importlib.import_module(f"bench.{bench}").run(common.Settings(quick, ())):
        for name, result in record.results.items():
            case = record.case if len(record.results) == 1 else f"{record.case}: {name}"
            found = [f"{bench} {case}", record.unit, result.minimum, result.median]
            if result.median is not None:
                channel.write(json.dumps(found) + "\n")
    channel.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "quick")
