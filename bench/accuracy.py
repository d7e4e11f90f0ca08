"""How accurate are 100 training steps? Relative error of all parameters, against a wider dtype."""

import numpy as np

from bench import peers
from bench.common import Measured, Record, relative_difference
from bench.peers_numpy import NumpyPeer

NETWORKS = [((64, 32, 10), 32), ((20, 128, 128, 1), 64), ((784, 128, 10), 32)]
STEPS = 100
ORACLES = {np.float32: np.float64, np.float64: np.longdouble}
TOLERANCE = 1e4  # in units of the dtype's precision; a larger error is a mistake


def run(settings):
    steps = 10 if settings.quick else STEPS
    for dtype, wider in ORACLES.items():
        if np.finfo(wider).eps == np.finfo(dtype).eps:
            continue  # long double is double on this machine
        for widths, batch_size in NETWORKS[:1] if settings.quick else NETWORKS:
            problem = peers.problem(widths, batch_size, steps).astype(dtype)
            oracle = NumpyPeer(problem.astype(wider))
            oracle.train()
            errors = {}
            for peer in peers.able_to("train", settings.peers):
                trainer = peer(problem)
                trainer.train()
                error = relative_difference(trainer.params(), oracle.params())
                if not error <= TOLERANCE * np.finfo(dtype).eps:
                    raise SystemExit(f"{peer.name} is off by {error:.1e}; nothing is printed")
                errors[peer.name] = Measured(error)
            yield Record(
                f"{peers.label(widths)}, {np.dtype(dtype)}", f"error after {steps} steps", errors
            )
