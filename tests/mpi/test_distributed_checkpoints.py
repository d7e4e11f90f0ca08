"""Checkpoints of a fit over several ranks, which another number of ranks resumes."""

import contextlib
import itertools
import json
import os
import signal
import subprocess

import pytest
from mpi_runs import run, started

PROGRAM = """
import json, os, sys
import numpy as np
from mpi4py import MPI
import fastnn as fn

comm = MPI.COMM_WORLD
path, epochs, every, deterministic, change, squares = json.loads(sys.argv[1])
rng = np.random.default_rng(0)
n = 600
X, y = rng.standard_normal((n, 5)), rng.integers(3, size=n)
X[0, 0] += change
weights = rng.uniform(0.5, 1, n)
own = slice(n * comm.rank // comm.size, n * (comm.rank + 1) // comm.size)
layers = [fn.Linear(5, 8), fn.Tanh(), fn.Dropout(0.2), fn.Linear(8, 3)]
given = {"optimizer": fn.Adam(0.01)}
if squares:
    del layers[2]
    y = np.eye(3)[y]
    given = {"optimizer": fn.LevenbergMarquardt(bayesian=True), "loss": fn.MeanSquaredError()}
net = fn.Network(layers, "float64", seed=0)
pids = comm.gather(os.getpid())
if comm.rank == 0:
    print(json.dumps(pids), flush=True)
try:
    history = net.fit(
        X[own], y[own], sample_weight=weights[own], **given, epochs=epochs, batch_size=20,
        seed=1, validation_data=0.2, comm=comm, n_threads=1, progress=False,
        callbacks=[fn.EarlyStopping(patience=1000)], deterministic=deterministic,
        checkpoint=path or None, checkpoint_every=every, resume=bool(path),
    )
except ValueError as error:
    if comm.rank == comm.size - 1:
        print(json.dumps(str(error)))
else:
    if comm.rank == comm.size - 1:
        print(json.dumps([net.params.tobytes().hex(), history["loss"], history["val_loss"]]))
"""


def fitted(n_ranks, path="", epochs=12, deterministic=True, change=0, squares=False):
    code, out, errors = run(
        n_ranks, PROGRAM, json.dumps([str(path), epochs, 1, deterministic, change, squares])
    )
    assert code == 0, errors
    return json.loads(out.splitlines()[1])


def test_another_number_of_ranks_resumes_with_the_same_bits(tmp_path):
    path = tmp_path / "a.checkpoint"
    fitted(2, path, epochs=4)
    fitted(3, path, epochs=8)
    assert fitted(1, path) == fitted(2)


def test_another_number_of_ranks_resumes_without_a_fixed_order(tmp_path):
    path = tmp_path / "a.checkpoint"
    fitted(3, path, epochs=5, deterministic=False)
    _, loss, val_loss = fitted(2, path, deterministic=False)
    _, expected, val_expected = fitted(2, deterministic=False)
    assert loss == pytest.approx(expected, rel=1e-12)
    assert val_loss == pytest.approx(val_expected, rel=1e-12)


def test_another_number_of_ranks_resumes_the_damping(tmp_path):
    path = tmp_path / "a.checkpoint"
    given = {"deterministic": False, "squares": True}
    fitted(3, path, epochs=5, **given)
    _, loss, val_loss = fitted(2, path, **given)
    _, expected, val_expected = fitted(2, **given)
    assert loss == pytest.approx(expected, rel=1e-9)
    assert val_loss == pytest.approx(val_expected, rel=1e-9)


def test_other_data_are_refused(tmp_path):
    path = tmp_path / "a.checkpoint"
    fitted(2, path, epochs=3)
    assert "of a fit with another X" in fitted(2, path, change=1e-9)
    assert "of a fit with another deterministic" in fitted(2, path, deterministic=False)


def killed(path, rng):
    """Run the fit, and kill one of its two ranks; return what it printed before, or None."""
    with started(2, PROGRAM, json.dumps([str(path), 40, "0.001s", True, 0, False])) as process:
        pids = json.loads(process.stdout.readline())
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0, 1.5))
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(pids), signal.SIGKILL)
        printed = process.stdout.read()
        code = process.wait()
    assert code != -signal.SIGKILL, "the other rank did not end"
    return None if code else json.loads(printed)


def test_random_kills_of_either_rank_lose_nothing(tmp_path, rng):
    """FASTNN_KILLS sets the number of kills."""
    expected = fitted(2, epochs=40)
    kills = int(os.environ.get("FASTNN_KILLS", "4"))
    for trial in itertools.count():
        path, printed = tmp_path / f"{trial}.checkpoint", None
        while printed is None and kills:
            printed = killed(path, rng)
            kills -= printed is None
        if not kills:
            assert fitted(3, path, epochs=40) == expected
            return
        assert printed == expected
