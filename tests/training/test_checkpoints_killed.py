"""Checkpoints of a program that is killed by SIGKILL at random moments."""

import contextlib
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import fastnn as fn

PROGRAM = """
import sys
import numpy as np
import fastnn as fn

rng = np.random.default_rng(0)
X, y = rng.standard_normal((4_000, 10)), rng.integers(3, size=4_000)
net = fn.Network([fn.Linear(10, 16), fn.Tanh(), fn.Linear(16, 3)], "float64", seed=0)
path, every = sys.argv[1:]
print("ready", flush=True)
history = net.fit(
    X, y, optimizer=fn.Adam(0.003), epochs=60, batch_size=50, seed=1, validation_data=0.2,
    callbacks=[fn.EarlyStopping(patience=100)], n_threads=1,
    checkpoint=path or None, checkpoint_every=every, resume=bool(path),
)
print(net.params.tobytes().hex(), history["loss"], history["val_loss"])
"""


def run(path, every="0.001s", kill_after=None):
    """Run the program and return its output, or None if it was killed."""
    command = [sys.executable, "-P", "-c", PROGRAM, str(path), every]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        printed = process.stdout.read()
    if process.returncode:
        assert kill_after is not None
        return None
    return printed


def test_sigkill_at_random_moments(tmp_path, monkeypatch, rng):
    """FASTNN_KILLS sets the number of kills."""
    monkeypatch.setenv("PYTHONPATH", str(Path(fn.__file__).parents[1]))
    start = time.monotonic()
    expected = run("")
    whole = time.monotonic() - start
    kills = wanted = int(os.environ.get("FASTNN_KILLS", "8"))
    for trial in itertools.count():
        path = tmp_path / f"{trial}.checkpoint"
        printed = None
        while printed is None and kills:
            printed = run(path, kill_after=rng.uniform(0, whole / 2))
            kills -= printed is None
        assert (printed or run(path)) == expected
        assert not list(tmp_path.glob(".fastnn-*"))  # the last writer removes all leftovers
        if not kills:
            break
    assert wanted > 0
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
