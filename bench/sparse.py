"""Train a classifier on sparse matrices: fastnn sparse, fastnn dense, scikit-learn; peak memory.

A result is the time of one epoch. The note has the peak memory of each in MB, above what the
process takes before `fit`. Each fit runs in a process of its own.
"""

import subprocess
import sys
import time
import warnings

from bench.common import Measured, Record, threads

EPOCHS = 3
# samples, features, density, whether the dense matrix fits into memory
CASES = [
    (3_000, 3_000, 0.001, True),
    (3_000, 3_000, 0.01, True),
    (3_000, 3_000, 0.1, True),
    (3_000, 3_000, 0.5, True),
    (3_000, 30_000, 0.001, True),
    (1_500, 524_288, 0.0001, False),
]


def run(settings):
    for n, features, density, fits in CASES[:1] if settings.quick else CASES:
        if settings.quick:
            n, features = 60, features // 100
        for solver in ("sgd", "adam"):
            kinds = ["fastnn"] + ["fastnn dense"] * fits
            kinds += ["sklearn"] * ("sklearn" in settings.peers)
            found = {kind: measured(kind, n, features, density, solver) for kind in kinds}
            yield Record(
                f"{solver}, {n} x {features}, density {density:.2%}",
                "s an epoch",
                {kind: Measured(seconds) for kind, (seconds, _) in found.items()},
                note="MB: " + ", ".join(f"{kind} {mb:.0f}" for kind, (_, mb) in found.items()),
            )


def measured(kind, *case):
    """Return the seconds of an epoch and the peak memory in MB, from a new process."""
    command = [sys.executable, "-m", "bench.sparse", kind, *map(str, case), str(threads())]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, mb = ran.stdout.split()
    return float(seconds), float(mb)


def resident(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(field))


def main(kind, n, features, density, solver, n_threads):
    """Print the seconds of an epoch and the peak memory of a fit in MB."""
    import numpy as np
    from scipy import sparse
    from sklearn.neural_network import MLPClassifier as SklearnClassifier

    from fastnn.sklearn import MLPClassifier

    warnings.simplefilter("ignore")  # the fits end before they converge
    n, features = int(n), int(features)
    X = sparse.random(n, features, float(density), format="csr", random_state=0, dtype=np.float32)
    y = np.random.default_rng(0).integers(0, 2, n)
    if kind == "fastnn dense":
        X = X.toarray()
    arguments = {"solver": solver, "random_state": 0, "hidden_layer_sizes": (100,)}
    if kind == "sklearn":
        model = SklearnClassifier(**arguments)
    else:
        model = MLPClassifier(**arguments, n_jobs=int(n_threads))
    before, seconds = resident("VmRSS"), []
    for epochs in (1, 1, 1 + EPOCHS):  # the first fit loads and warms up
        start = time.perf_counter()
        model.set_params(max_iter=epochs).fit(X, y)
        seconds.append(time.perf_counter() - start)
    once = max((seconds[2] - seconds[1]) / EPOCHS, 1e-6)
    print(once, max(resident("VmHWM") - before, 0.0))


if __name__ == "__main__":
    main(*sys.argv[1:])
