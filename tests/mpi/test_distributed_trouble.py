"""Errors on one rank end the fit on all ranks, and what cannot be done is refused by its name."""

import time

import pytest
from mpi_runs import run

import fastnn as fn

HEAD = """
import os, signal, sys, time
import numpy as np
from mpi4py import MPI
import fastnn as fn

comm = MPI.COMM_WORLD
rank, first = comm.rank, comm.rank == 0
rng = np.random.default_rng(rank)
X, y = rng.standard_normal((60, 4)), rng.integers(3, size=60)
y[:3] = 0, 1, 2

def network(hidden=5, dtype="float64", seed=0):
    layers = [fn.Linear(4, hidden), fn.Tanh(), fn.Linear(hidden, 3)]
    return fn.Network(layers, dtype, seed=seed)

def report(kind, call):
    try:
        call()
        text = "nothing"
    except kind as error:
        text = f"{type(error).__name__}: {error}"
    for of, line in enumerate(comm.gather(text) or []):
        print(of, line)

class Raising(fn.Callback):
    def epoch_end(self, net, epoch, metrics):
        if epoch == 2:
            raise OSError("disk full")

class Counting(fn.Callback):
    def __init__(self):
        self.seen = []
    def epoch_end(self, net, epoch, metrics):
        self.seen.append(epoch)
        net.params[0] = 7 + epoch
        return epoch == 3

settings = {"epochs": 6, "seed": 0, "comm": comm, "n_threads": 1, "progress": False}
"""


def printed(body, n_ranks=2):
    """Return the lines that the ranks print, which exit without an error."""
    code, out, errors = run(n_ranks, HEAD + body)
    assert code == 0, errors
    return out.splitlines()


DIFFERENT = [
    ("network(hidden=5 + rank)", "", "layer 0: {'kind': 'linear', 'in_features': 4"),
    ("network(dtype='float32' if first else 'float64')", "", "dtype: float32 on rank 0, float64"),
    ("network()", "batch_size=32 + rank", "batch_size: 32 on rank 0, 33 on rank 1"),
    ("network()", "optimizer=fn.SGD(1.5 + rank)", "optimizer: SGD(learning_rate=1.5)"),
    ("network()", "sync_every=2 + rank", "sync_every: 2 on rank 0, 3 on rank 1 of 2"),
    ("network()", "seed=rank", "seed: 0 on rank 0, 1 on rank 1 of 2"),
    ("network()", "sample_weight=None if first else np.ones(60)", "sample_weight or class_weight"),
    ("network()", "validation_data=(X, y) if first else None", "validation_data: given on rank 0"),
    (
        "network()",
        "validation_data=(X, y, np.ones(60)) if first else (X, y)",
        "weights of validation_data: True on rank 0, False",
    ),
]


def test_ranks_that_differ_are_refused_with_who_and_what():
    lines = printed(
        "del settings['seed']\n"
        + "".join(
            f"report(ValueError, lambda: {net}.fit(X, y, **settings, {given}))\n"
            for net, given, _ in DIFFERENT
        )
    )
    for i, (*_, text) in enumerate(DIFFERENT):
        for line in lines[2 * i : 2 * i + 2]:
            assert f"ValueError: the ranks differ in the {text}" in line
            assert "on rank 1 of 2; the same on all is wanted" in line


def test_ranks_whose_targets_differ_are_refused_before_these_are_sent():
    lines = printed(
        "net = fn.Network([fn.Linear(4, 1)], 'float32' if first else 'float64')\n"
        "report(ValueError, lambda: net.fit(X, y > 0, loss=fn.BinaryCrossEntropy(), "
        "class_weight='balanced', **settings))\n"
    )
    for line in lines:
        assert "the ranks differ in the targets: ((1,), 'float32') on rank 0, ((1,), 'fl" in line
        assert "on rank 1 of 2; the same on all is wanted" in line


def test_an_error_of_one_rank_is_raised_by_all():
    lines = printed(
        "report(Exception, lambda: network().fit(X[:, :4 - rank], y, **settings))\n"
        "report(Exception, lambda: network().fit(X, y, **settings, validation_data="
        "0.2 if first else 2.0))\n"
        "report(Exception, lambda: network().fit(X, y, **settings, checkpoint="
        "'/nowhere/a' if first else None))\n"
        "report(Exception, lambda: network().fit(X, y, **settings, deterministic="
        "True if first else 'yes'))\n"
        "report(Exception, lambda: network().fit(X[:60 * first], y[:60 * first], **settings))\n"
        "report(Exception, lambda: network().fit(X, y, **settings, callbacks=[Raising()]))\n"
        "report(Exception, lambda: network().fit(X, y, **settings))\n"
    )
    for i, (other, own) in enumerate([(0, 1), (0, 1), (1, 0), (0, 1), (0, 1), (1, 0)]):
        lines_of = lines[2 * i : 2 * i + 2]
        text = lines_of[own].split(": ", 1)[1]
        assert "RuntimeError" not in lines_of[own]
        assert lines_of[other].startswith(f"{other} RuntimeError: rank {own} of 2 raised")
        assert lines_of[other].endswith(text)
    assert [line.split()[1] for line in lines[-2:]] == ["nothing", "nothing"]


def test_nan_on_one_rank_is_a_divergence_on_all():
    lines = printed(
        "net = network()\n"
        "targets = np.eye(3)[y] * (1 if first else 1e200)\n"
        "report(fn.DivergenceError, lambda: net.fit(X, targets, loss=fn.MeanSquaredError(), "
        "batch_size=1, shuffle=False, **settings))\n"
        "report(Exception, lambda: exec('raise Exception(net.params.sum().hex())'))\n"
    )
    for rank in range(2):
        assert lines[rank].startswith(f"{rank} DivergenceError: the loss became NaN or infinite in")
        assert "epoch 0, step 60 (both" in lines[rank]
    assert lines[2][1:] == lines[3][1:]


def test_a_loss_that_overflows_on_one_rank_is_a_divergence_of_lbfgs_on_all():
    lines = printed(
        "targets = np.eye(3)[y] * (1 if first else 1e200)\n"
        "report(fn.DivergenceError, lambda: network().fit(X, targets, optimizer=fn.LBFGS(), "
        "loss=fn.MeanSquaredError(), **settings))\n"
    )
    for rank in range(2):
        assert lines[rank].startswith(f"{rank} DivergenceError: the loss became NaN or infinite in")


def test_callbacks_are_called_on_rank_0_and_stop_all_ranks():
    lines = printed(
        "own = Counting()\n"
        "net = network(seed=rank)\n"
        "history = net.fit(X, y, **settings, callbacks=[own] if first else [])\n"
        "assert len(history['loss']) == 4 and net.params[0] == 10\n"
        "report(Exception, lambda: exec('raise Exception(own.seen)'))\n"
    )
    assert lines == ["0 Exception: [0, 1, 2, 3]", "1 Exception: []"]


REFUSED = {
    "fit(X, y, optimizer=fn.LBFGS(), deterministic=True, **settings)": "deterministic is True, "
    "and optimizer is LBFGS",
    "fit(X, y, optimizer=fn.LevenbergMarquardt(), **settings)": "loss is SoftmaxCrossEntropy",
    "fit(X, y, **{**settings, 'comm': 3})": "comm is 3; a communicator of mpi4py is wanted",
    "fit(X, y, deterministic=1, **settings)": "deterministic is 1",
    "fit(X, y, deterministic=True)": "deterministic is True and comm None",
    "fit(X, y, sync_every=2)": "sync_every is 2 and comm None",
    "fit(X, y, sync_every=0, **settings)": "sync_every is 0",
    "fit(X, y, sync_every=2, deterministic=True, **settings)": "sync_every is 2; 1 is wanted",
    "fit(X, y, sync_every=2, optimizer=fn.LBFGS(), **settings)": "sync_every is 2; 1 is wanted",
}


def test_what_several_processes_cannot_do_is_refused_by_its_name():
    body = "".join(f"report(Exception, lambda: network().{call})\n" for call in REFUSED)
    lines = printed(
        body + "class Own:\n"
        "    def value_and_grad(self, y_pred, y):\n"
        "        return 0.0, 0 * y_pred\n"
        "report(Exception, lambda: network().fit(X, y, loss=Own(), **settings))\n"
        "net = fn.Network([fn.Linear(4, 3), fn.BatchNorm(3)])\n"
        "report(Exception, lambda: net.fit(X, y, deterministic=True, **settings))\n"
        "report(Exception, lambda: net.fit(X, y, sync_every=2, **settings))\n"
        "report(Exception, lambda: net.fit(X[:40], y[:40], batch_size=79, **settings))\n"
    )
    others = [
        "comm is given, and loss is",
        "deterministic is True, and the network has BatchNorm",
        "sync_every is 2; 1 is wanted",
        "BatchNorm needs two or more",
    ]
    for i, text in enumerate([*REFUSED.values(), *others]):
        for line in lines[2 * i : 2 * i + 2]:
            assert text in line


def test_more_ranks_than_parts_are_refused():
    lines = printed("report(ValueError, lambda: network().fit(X, y, deterministic=True, "
                    "**settings))\n", n_ranks=9)  # fmt: skip
    assert len(lines) == 9
    assert all("comm has 9 ranks; at most 8 are wanted" in line for line in lines)


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "raise KeyboardInterrupt"])
@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize(
    ("module", "trainer", "method", "given"),
    [
        ("trainer", "DistributedTrainer", "take_step", ""),
        ("trainer", "DistributedTrainer", "take_step", "sync_every=3"),
        ("full_batch", "LedTrainer", "iterate", "optimizer=fn.LBFGS()"),
    ],
)
def test_a_rank_that_dies_ends_all_within_seconds(end, who, module, trainer, method, given):
    start = time.monotonic()
    code, out, _ = run(
        2,
        HEAD + f"from fastnn.distributed.{module} import {trainer}\n"
        f"step = {trainer}.{method}\n"
        "def dying(self, n_threads):\n"
        f"    if rank == {who} and self.epoch == 3:\n"
        f"        {end}\n"
        "    return step(self, n_threads)\n"
        f"{trainer}.{method} = dying\n"
        f"network().fit(X, y, **{{**settings, 'epochs': 10**6}}, {given})\n"
        "print('end')\n",
        timeout=60,
    )
    assert code != 0
    assert "end" not in out
    assert time.monotonic() - start < 30


def test_comm_needs_mpi4py(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mpi4py", None)
    net = fn.Network([fn.Linear(2, 2)])
    with pytest.raises(ImportError, match=r"pip install fastnn\[mpi\]"):
        net.fit([[1.0, 2.0]], [1], comm=object())
