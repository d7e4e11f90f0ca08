"""How long does a Gauss-Newton matrix take? JᵀJ of 128 samples, against J and BLAS."""

from functools import partial

import numpy as np

from bench import limits, peers
from bench.common import Record, demand_agreement, measure, repeat
from bench.jacobian import BATCH, NETWORKS

TOLERANCE = 1e-5


def materialised(net, X, J):
    """Return JᵀJ from the Jacobian and NumPy's product, which computes one triangle of AᵀA."""
    rows = net.jacobian(X, "params", out=J).reshape(-1, net.n_params)
    return rows.T @ rows


def gram_flops(widths, rows):
    """Return the flops: forward, backward, and a multiply-add per sample and entry of a triangle.

    A block of two layers is Σ D ⊗ a aᵀ over the samples, D = Σ δ δᵀ over the outputs: the large
    product does not grow with the number of outputs.
    """
    n = peers.n_params(widths)
    return peers.step_flops(widths, rows) + rows * n * (n + 1)


def run(settings):
    for widths in [(8, 50, 1), *([] if settings.quick else NETWORKS)]:
        problem = peers.problem(widths, BATCH)
        peer = peers.FastnnPeer(problem)
        net, X = peer.net, problem.X
        J = np.empty((BATCH, widths[-1], net.n_params), np.float32)
        calls = {
            "fastnn": lambda net=net, X=X: net.gram(X)[0],
            "J, then numpy": partial(materialised, net, X, J),
        }
        if "numpy" not in settings.peers:
            del calls["J, then numpy"]
        expected = calls["fastnn"]()
        for name, call in calls.items():
            demand_agreement(name, call(), expected, TOLERANCE)
        works = {name: partial(repeat, call) for name, call in calls.items()}
        times = measure(works, 0.05, 10, settings.quick)
        limit = limits.seconds_for(gram_flops(widths, BATCH), np.float32)
        yield Record(
            f"{peers.label(widths)}, {BATCH}",
            "µs a call",
            {name: time * 1e6 for name, time in times.items()},
            limit and limit * 1e6,
        )
