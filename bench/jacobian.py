"""How long do Jacobians take? 128 samples, by input and by parameters; and one, from Python."""

from functools import partial

import numpy as np

from bench import limits, native, peers
from bench.common import Record, demand_agreement, measure, repeat

NETWORKS = [(3, 64, 5), (10, 64, 64, 3), (20, 100, 10), (64, 32, 10)]
BATCH = 128
TOLERANCE = 1e-5


def leaves(tree):
    """Yield the arrays of a tree in order."""
    if isinstance(tree, list | tuple):
        for branch in tree:
            yield from leaves(branch)
    else:
        yield np.asarray(tree)


def flat(jacobian, wrt, single):
    """Return a Jacobian in fastnn's shape, (n, out, n_params), from an array or a tree."""
    if wrt == "input":
        return np.asarray(jacobian)
    leading = 1 if single else 2
    return np.concatenate([a.reshape(*a.shape[:leading], -1) for a in leaves(jacobian)], axis=-1)


def contest(problem, wrt, single, settings):
    """Verify every method of every library; return the fastest seconds of each, and a note.

    By the parameters, the time to write an array of that size is also returned, for the limit.
    """
    able = [peer for peer in peers.able_to("jacobians", settings.peers)]
    ways = {peer.name: peer(problem).jacobians(wrt, single) for peer in able}
    expected = flat(ways["fastnn"][""](), wrt, single).copy()
    calls = {}
    for name, of_library in ways.items():
        for way, call in of_library.items():
            demand_agreement(f"{name} {way}", flat(call(), wrt, single), expected, TOLERANCE)
            calls[name, way] = call
    if wrt == "params" and native.library() is not None:  # without it there is no limit
        calls["fill", ""] = partial(np.empty_like(expected).fill, 1)
    works = {key: partial(repeat, call) for key, call in calls.items()}
    times, fastest, note = measure(works, 0.02, 20, settings.quick), {}, []
    for (name, way), time in sorted(times.items(), key=lambda item: item[1].minimum):
        if name not in fastest:
            fastest[name] = time
            note += [f"{name}: {way}"] if way else []
    return {name: fastest[name] for name, _ in calls}, ", ".join(note)


def run(settings):
    networks = NETWORKS[:1] if settings.quick else NETWORKS
    for wrt in ("input", "params"):
        flops = {"input": peers.input_jacobian_flops, "params": peers.param_jacobian_flops}[wrt]
        for widths in networks:
            times, note = contest(peers.problem(widths, BATCH), wrt, False, settings)
            limit = limits.seconds_for(flops(widths, BATCH), np.float32)
            if limit and "fill" in times:  # the bandwidth for an array of that size
                limit = max(limit, times["fill"].minimum)
            yield Record(
                f"{peers.label(widths)}, {BATCH}, by {wrt}",
                "µs a call",
                {name: time * 1e6 for name, time in times.items()},
                limit and limit * 1e6,
                note,
            )
    widths = NETWORKS[0]
    times, note = contest(peers.problem(widths, 1), "input", True, settings)
    limit = limits.seconds_for(peers.input_jacobian_flops(widths, 1), np.float32)
    yield Record(
        f"{peers.label(widths)}, one sample, by input",
        "µs a call",
        {name: time * 1e6 for name, time in times.items()},
        limit and limit * 1e6,
        note,
    )
