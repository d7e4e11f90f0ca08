"""Train a classifier on sparse matrices: fastnn sparse, fastnn dense, scikit-learn; peak memory.

A result is the time of one epoch: the difference between a fit of many epochs and a fit of one,
both the minimum of runs that alternate. The note has the peak memory of each in MB, above what the
process takes before `fit`. Each run is a process of its own. Only Linux reports the peak.
"""

import subprocess
import sys
import time
import warnings
from contextlib import suppress

from bench.common import Measured, Record, memory, threads

RUNS = 3
# samples, features, density, epochs of the longer fit, whether the dense matrix fits into memory
CASES = [
    (3_000, 3_000, 0.001, 21, True),
    (3_000, 3_000, 0.01, 21, True),
    (3_000, 3_000, 0.1, 21, True),
    (3_000, 3_000, 0.5, 21, True),
    (3_000, 30_000, 0.001, 6, True),
    (1_500, 524_288, 0.0001, 6, False),
]


def run(settings):
    for n, features, density, epochs, fits in CASES[:1] if settings.quick else CASES:
        if settings.quick:
            n, features = 60, features // 100
        for solver in ("sgd", "adam"):
            kinds = ["fastnn"] + ["fastnn dense"] * fits
            kinds += ["sklearn"] * ("sklearn" in settings.peers)
            found = {kind: [] for kind in kinds}
            for _ in range(1 if settings.quick else RUNS):
                for kind, results in found.items():
                    results.append(measured(kind, n, features, density, epochs, solver))
            yield Record(
                f"{solver}, {n} x {features}, density {density:.2%}",
                "s an epoch",
                {kind: Measured(an_epoch(results, epochs)) for kind, results in found.items()},
                note="MB: "
                + ", ".join(f"{kind} {results[0][2]:.0f}" for kind, results in found.items()),
            )


def measured(kind, *case):
    """Return the seconds of a short and a long fit, and the peak memory in MB: a new process."""
    command = [sys.executable, "-m", "bench.sparse", kind, *map(str, case), str(threads())]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(number) for number in ran.stdout.split()]


def an_epoch(results, epochs):
    """Return the seconds of one epoch."""
    one, many = (min(result[i] for result in results) for i in (0, 1))
    return max((many - one) / (epochs - 1), 1e-6)


def resident(field):
    return memory(field) / 2**20


def forget_peak():
    """Reset the peak memory of the process, if this is Linux."""
    with suppress(FileNotFoundError), open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")


def random_rows(n, features, density):
    """Return a CSR matrix (n, features) of float32, with equally many numbers in each row."""
    import numpy as np
    from scipy import sparse

    rng = np.random.default_rng(0)
    k = max(1, round(features * density))
    columns = [np.sort(rng.choice(features, k, replace=False, shuffle=False)) for _ in range(n)]
    values = rng.standard_normal(n * k, dtype=np.float32)
    return sparse.csr_matrix((values, np.concatenate(columns), np.arange(n + 1) * k), (n, features))


def main(kind, n, features, density, epochs, solver, n_threads):
    """Print the seconds of a fit of one epoch and of many, and the peak memory in MB."""
    import numpy as np
    from sklearn.neural_network import MLPClassifier as SklearnClassifier

    from fastnn.sklearn import MLPClassifier

    warnings.simplefilter("ignore")  # the fits end before they converge
    n, features = int(n), int(features)
    X = random_rows(n, features, float(density))
    y = np.random.default_rng(0).integers(0, 2, n)
    if kind == "fastnn dense":
        X = X.toarray()
    arguments = {"solver": solver, "random_state": 0, "hidden_layer_sizes": (100,)}
    if kind == "sklearn":
        model = SklearnClassifier(**arguments)
    else:
        model = MLPClassifier(**arguments, n_jobs=int(n_threads))
    forget_peak()
    before, seconds = resident("VmRSS"), []
    for count in (1, 1, int(epochs)):  # the first fit loads and warms up
        start = time.perf_counter()
        model.set_params(max_iter=count).fit(X, y)
        seconds.append(time.perf_counter() - start)
    print(seconds[1], seconds[2], max(resident("VmHWM") - before, 0.0))


if __name__ == "__main__":
    main(*sys.argv[1:])
