"""Programs that run on several ranks, under mpirun."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import fastnn as fn

# of Open MPI: more ranks than processors, which wait without holding a processor; as root
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMP_NUM_THREADS": "1",
}


def command(n_ranks, program, *arguments):
    """Return the command and the environment that run a program on so many ranks.

    The test is skipped without mpi4py or mpirun.
    """
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    if shutil.which("mpirun") is None:
        pytest.skip("there is no mpirun")
    path = os.pathsep.join([str(Path(fn.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    words = ["mpirun", "-n", str(n_ranks), sys.executable, "-P", "-c", program]
    return [*words, *map(str, arguments)], {**os.environ, **ENVIRONMENT, "PYTHONPATH": path}


def run(n_ranks, program, *arguments, timeout=120):
    """Run a program on so many ranks; return its exit code, and its output and errors."""
    words, environment = command(n_ranks, program, *arguments)
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def started(n_ranks, program, *arguments, timeout=120):
    """Start a program on so many ranks, and yield the process of mpirun.

    It is killed after `timeout` seconds, and at the end.
    """
    words, environment = command(n_ranks, program, *arguments)
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        timer = threading.Timer(timeout, process.kill)
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()
