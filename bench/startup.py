"""How long does the import take, without NumPy's? In new processes."""

import os
import statistics
import subprocess
import sys

from bench.common import Measured, Record

MODULES = {
    "fastnn": "fastnn",
    "sklearn": "sklearn.neural_network",
    "torch": "torch",
    "jax": "jax",
    "onnxruntime": "onnxruntime",
}


def seconds_to_import(module):
    """Return the seconds to import a module after NumPy, in a new process."""
    command = (
        f"import numpy, time; start = time.perf_counter(); import {module}; "
        f"print(time.perf_counter() - start)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    # the first import compiles the modules to bytecode, as pip does at installation
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    answer = subprocess.run(
        [sys.executable, "-P", "-c", command], env=environment, stdout=subprocess.PIPE, check=True
    )
    return float(answer.stdout.split()[-1])


def run(settings):
    names = ["fastnn", *(name for name in settings.peers if name in MODULES)]
    times = {name: [] for name in names}
    for number in range(2 if settings.quick else 21):
        for name in names:
            elapsed = seconds_to_import(MODULES[name])
            if number:  # the first import reads the files into memory
                times[name].append(elapsed * 1e3)
    results = {name: Measured(min(t), statistics.median(t)) for name, t in times.items()}
    yield Record("import, beyond NumPy's", "ms", results)
