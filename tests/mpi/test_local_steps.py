"""With `sync_every`, ranks take steps on their own rows, and average what these have changed."""

import json

import pytest
from mpi_runs import run

# In the order of the data, each minibatch has the rows of one of two ranks, which sends the second
# half of them to the other rank.
AGAINST_SINGLE_STEPS = """
import json, sys
import numpy as np
from mpi4py import MPI
import fastnn as fn

comm = MPI.COMM_WORLD
every, dtype, weighted, given, layers = json.loads(sys.argv[1])
rng = np.random.default_rng(0)
X, y = rng.standard_normal((80, 4)), rng.integers(3, size=80)
weights = rng.uniform(0.1, 2, 80) if weighted else None
own = slice(40 * comm.rank, 40 * comm.rank + 40)

def network(seed=0):
    net = fn.Network(eval(layers), dtype, seed=seed)
    net.layers[0].trainable = False
    return net

net, optimizer = network(seed=comm.rank), eval(given)
history = net.fit(
    X[own], y[own], optimizer=optimizer, epochs=5, batch_size=20, shuffle=False, comm=comm,
    sample_weight=None if weights is None else weights[own], sync_every=every, n_threads=1,
    progress=False,
)
assert len(set(comm.allgather(net.params.tobytes()))) == 1, "the ranks differ"
assert len(set(comm.allgather(net._optimizer_state.arrays.tobytes()))) == 1, "the states differ"

loss = fn.SoftmaxCrossEntropy(reduction="sum")
nets, losses = [network(), network()], []
for epoch in range(5):
    total = 0
    for batch in range(4):
        for rank, one in enumerate(nets):
            half = rank != (batch >= 2)
            rows = slice(20 * batch + 10 * half, 20 * batch + 10 * half + 10)
            of_rows = None if weights is None else weights[rows]
            divisor = 20 if weights is None else weights[20 * batch : 20 * batch + 20].sum()
            value, grads = one.loss_and_grad(X[rows], y[rows], loss, sample_weight=of_rows)
            one.step(2 * grads / divisor, optimizer)
            total += value
        if (batch + 1) % every == 0 or batch == 3:
            for arrays in (
                [one.params for one in nets], [one._optimizer_state.arrays for one in nets]
            ):
                mean = (arrays[0] + arrays[1]) / 2
                for array in arrays:
                    array[...] = mean
    losses.append(total / (80 if weights is None else weights.sum()))
if comm.rank == 0:
    assert np.array_equal(net.layers[0].weight, network().layers[0].weight)
    print(json.dumps([
        float(np.abs(net.params - nets[0].params).max()),
        float(np.abs(np.array(history["loss"]) - losses).max()),
    ]))
"""

LAYERS = "[fn.Linear(4, 6), fn.Tanh(), fn.Linear(6, 5), fn.Tanh(), fn.Linear(5, 3)]"


@pytest.mark.parametrize(
    ("every", "optimizer", "dtype", "weighted"),
    [
        (2, "fn.SGD(0.1, momentum=0.9)", "float64", False),
        (3, "fn.Adam(0.01)", "float64", True),
        (3, "fn.AdamW(0.01, weight_decay=0.1)", "float32", False),
        (100, "fn.RMSprop(0.01)", "float64", True),
        (2, "fn.Lion(0.003)", "float64", False),
        (2, "fn.SGD(0.1, clip_norm=0.5)", "float64", False),
    ],
)
def test_the_steps_are_those_of_networks_that_are_averaged(every, optimizer, dtype, weighted):
    code, out, errors = run(
        2, AGAINST_SINGLE_STEPS, json.dumps([every, dtype, weighted, optimizer, LAYERS])
    )
    assert code == 0, errors
    params, losses = json.loads(out)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    assert params < tolerance
    assert losses < tolerance


PROGRAM = """
import shutil, sys
import numpy as np
from mpi4py import MPI
import fastnn as fn
import fastnn.schedules
from fastnn.distributed.loop import SharedCheckpoints
from fastnn.training import rates

comm = MPI.COMM_WORLD
rates.UPDATES_AHEAD = 5  # fewer than an epoch, and no multiple of sync_every
what, path = sys.argv[1:]
rng = np.random.default_rng(0)
n = 203
X, y = rng.standard_normal((n, 4)), rng.integers(3, size=n)
y[:3] = 0, 1, 2
own = slice(n * comm.rank // comm.size, n * (comm.rank + 1) // comm.size)
settings = {"batch_size": 10, "seed": 0, "comm": comm, "n_threads": 1, "progress": False}

def network():
    layers = [fn.Linear(4, 8), fn.Tanh(), fn.Dropout(0.2), fn.Linear(8, 3)]
    return fn.Network(layers, "float64", seed=0)

def report(text):
    for line in comm.gather(str(text)) or []:
        print(line)

if what == "resume":
    def fitted(**others):
        net = network()
        optimizer = fn.Adam(fn.schedules.StepDecay(0.01, 2, 0.5))
        history = net.fit(X[own], y[own], sync_every=4, epochs=8, optimizer=optimizer,
                          validation_data=0.2, **settings, **others)
        return net.params.tobytes().hex(), history["loss"], history["val_loss"]

    write, written = SharedCheckpoints.write, []
    def copying(self, net, parts):
        write(self, net, parts)
        updates = parts["trainer"].trainer.step
        if comm.rank == 0 and updates in (4, 20):
            written.append(updates)
            shutil.copy(path, path + str(updates))

    SharedCheckpoints.write = copying
    expected = fitted()
    often = {"checkpoint_every": "0.00001s"}
    assert fitted(checkpoint=path, **often) == expected
    assert comm.rank or written == [4, 20]  # within the first two epochs
    for updates in (4, 20):
        assert fitted(checkpoint=path + str(updates), **often, resume=True) == expected
    report("equal")
elif what == "learns":
    target = (X[:, 0] > 0).astype(int)
    net = network()
    history = net.fit(X[own], target[own], sync_every=4, epochs=30, **settings)
    accuracy = float(np.mean(net.predict(X).argmax(axis=1) == target))
    report(accuracy > 0.95)
elif what == "nan":
    net = network()
    factor = 1e200 if comm.rank else 1
    values = np.eye(3)[y] * factor
    try:
        net.fit(X[own], values[own], loss=fn.MeanSquaredError(), sync_every=4, epochs=3,
                optimizer=fn.SGD(0.1), **settings)
    except fn.DivergenceError as error:
        report(f"{str(error)[:40]} {np.isfinite(net.params).all()}")
"""


def lines_of(what, path="", n_ranks=2):
    code, out, errors = run(n_ranks, PROGRAM, what, path)
    assert code == 0, errors
    return out.splitlines()


@pytest.mark.parametrize("n_ranks", [2, 3])
def test_a_network_learns(n_ranks):
    assert lines_of("learns", n_ranks=n_ranks) == ["True"] * n_ranks


def test_nan_on_one_rank_is_a_divergence_on_all():
    lines = lines_of("nan")
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert lines[0].startswith("the loss became NaN")
    assert lines[0].endswith("True")


def test_checkpoints_within_an_epoch_change_no_bit(tmp_path):
    assert lines_of("resume", tmp_path / "a.checkpoint") == ["equal"] * 2
