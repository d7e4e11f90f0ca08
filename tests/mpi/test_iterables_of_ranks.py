"""An iterable of batches on each rank: a minibatch takes rows of all of them in turn."""

import json

import pytest
from iterables_of_ranks import HEAD
from mpi_runs import run

AGAINST_ONE_PROCESS = """
from fastnn.distributed import streams, trainer
from fastnn.training import streaming

streams.BLOCK_BYTES = 4000  # some blocks in an epoch
found = {}
for name, case in json.loads(sys.argv[1]).items():
    counts = (case["counts"] * comm.size)[: comm.size]
    net, history = fitted(case, counts)
    if comm.rank:
        continue
    X, y = data(case, sum(counts))
    settings = settings_of(case)
    batches = minibatches(counts, settings["batch_size"])
    one = network(case, 0)
    if case.get("by_batch"):
        settings |= {"epochs": 1, "shuffle": False}
        epochs, losses = settings_of(case)["epochs"], []
        for epoch in range(epochs):
            losses.append(0)
            for rows in batches:
                own = one.fit(X[rows], y[rows], **{**settings, "batch_size": len(rows)})
                losses[-1] += own["loss"][0] * len(rows) / len(X)
        expected = {"loss": losses}
    else:
        order = np.concatenate(batches)
        settings["batch_size"] = case.get("batch_of_one", settings["batch_size"])
        expected = one.fit([(X[order], y[order])], **settings)
    constants = one._model.constants
    found[name] = {
        "params": np.abs(net.params - one.params).max() / np.abs(one.params).max(),
        "constants": np.abs(net._model.constants / constants - 1).max(initial=0),
        **{key: np.abs(np.divide(history[key], expected[key]) - 1).max()
           for key in expected if key != "seconds"},
    }
    found[name] = {key: float(value) for key, value in found[name].items()}
if comm.rank == 0:
    print(json.dumps(found))
"""

EQUAL = [100]
SCALED = (
    "[fn.Standardize(np.zeros(4), np.ones(4)), fn.Linear(4, 9), fn.Tanh(), fn.Linear(9, 3), "
    "fn.Unstandardize(np.zeros(3), np.ones(3))]"
)
ADAM = "'optimizer': fn.Adam(0.01)"
CASES = {
    "defaults": {"counts": EQUAL, "settings": "{'epochs': 50}"},
    "a last batch of fewer rows": {"counts": [93]},
    "float32": {"counts": EQUAL, "dtype": "float32"},
    "a batch size that the ranks do not divide": {
        "counts": [77, 70, 70],
        "settings": "{'batch_size': {2: 21, 3: 31}[comm.size], " + ADAM + "}",
    },
    "one batch": {"counts": EQUAL, "settings": "{'batch_size': 1000}"},
    "one row of each rank": {
        "counts": EQUAL,
        "settings": "{'batch_size': comm.size, 'epochs': 5, 'optimizer': fn.SGD(0.01)}",
    },
    "SGD with momentum and clipping, a sum": {
        "counts": EQUAL,
        "settings": "{'optimizer': fn.SGD(1e-4, momentum=0.9, clip_norm=0.5), "
        "'loss': fn.SoftmaxCrossEntropy(reduction='sum')}",
    },
    "missing targets, held-out rows and early stopping": {
        "counts": EQUAL,
        "values": True,
        "settings": "{'loss': fn.MeanSquaredError(ignore_nan=True), "
        "'validation_data': (np.eye(4), np.ones((4, 3))), 'metrics': ['rmse'], "
        "'callbacks': [fn.EarlyStopping(patience=60)]}",
    },
    "dropout": {
        "counts": [93],
        "layers": "[fn.Linear(4, 9), fn.Dropout(0.4), fn.Tanh(), fn.Linear(9, 3)]",
    },
    "means and scales": {
        "counts": EQUAL,
        "values": True,
        "layers": SCALED,
        "settings": "{'loss': fn.MeanSquaredError(ignore_nan=True), 'standardize': 'both'}",
    },
    "streams of other lengths": {
        "counts": [150, 33, 90],
        "by_batch": True,
        "settings": "{'batch_size': 20, " + ADAM + "}",
    },
    "a stream without rows": {
        "counts": [0, 95, 30],
        "by_batch": True,
        "settings": "{" + ADAM + "}",
    },
    "means and scales, and a stream without rows": {
        "counts": [0, 80, 0],
        "batch_of_one": 10,
        "layers": SCALED,
        "settings": "{'standardize': 'both', 'loss': fn.MeanSquaredError(ignore_nan=True)}",
        "values": True,
    },
}


@pytest.fixture(scope="module", params=[2, 3])
def differences(request):
    code, out, errors = run(request.param, HEAD + AGAINST_ONE_PROCESS, json.dumps(CASES))
    assert code == 0, errors
    return json.loads(out)


@pytest.mark.parametrize("name", CASES)
def test_ranks_give_the_network_of_one_process(name, differences):
    for key, difference in differences[name].items():
        assert difference < (1e-4 if CASES[name].get("dtype") == "float32" else 1e-12), key


CHECKPOINTS = """
import shutil
from fastnn.distributed import streams
from fastnn.distributed.loop import SharedCheckpoints
from fastnn.training import loop

streams.BLOCK_BYTES = 4000
loop.SLICE_SECONDS = 0  # a checkpoint after each update
path, change = sys.argv[1:]
case = {"layers": "[fn.Linear(4, 9), fn.Dropout(0.4), fn.Linear(9, 3)]", "values": True,
        "settings": "{'epochs': 4, 'batch_size': 20, 'loss': fn.MeanSquaredError(ignore_nan=True)}"}
counts, often = [150, 33, 90][: comm.size], {"checkpoint_every": "0.00001s"}
write, written = SharedCheckpoints.write, []

def copying(self, net, parts):
    write(self, net, parts)
    updates = parts["trainer"].trainer.step
    if comm.rank == 0 and updates in (2, 7, 23):
        written.append(updates)
        shutil.copy(path, path + str(updates))

if change:
    try:
        fitted(case, counts, checkpoint=path, resume=True, **often)
    except ValueError as error:
        print(json.dumps(str(error)))
else:
    SharedCheckpoints.write = copying
    expected = result(*fitted(case, counts))
    assert result(*fitted(case, counts, checkpoint=path, **often)) == expected
    assert comm.rank or written == [2, 7, 23]
    for updates in (2, 7, 23):
        given = {"checkpoint": path + str(updates), "resume": True}
        params, history = result(*fitted(case, counts, **given, **often))
        assert params == expected[0]
        # the sum over the ranks has another order
        assert np.abs(np.divide(history["loss"], expected[1]["loss"]) - 1).max() < 1e-14
"""


def test_checkpoints_within_an_epoch_change_no_bit_of_the_parameters(tmp_path):
    """The second stream has ended after 4 of the 15 updates of an epoch."""
    path = tmp_path / "a.checkpoint"
    code, _, errors = run(2, HEAD + CHECKPOINTS, path, "")
    assert code == 0, errors
    code, out, errors = run(3, HEAD + CHECKPOINTS, path, "ranks")
    assert code == 0, errors
    assert out.count("this checkpoint is of a fit with another ranks: 2 there, 3 here") == 3


LOCAL_STEPS = """
optimizer = eval(sys.argv[1])
counts = [150, 33, 90][: comm.size]
case = {"settings": "{'epochs': 5, 'batch_size': 20, 'optimizer': optimizer}"}
net, history = fitted(case, counts, sync_every=3)
X, y = data(case, sum(counts))
ends, R = np.cumsum(counts), comm.size
loss, batches = fn.SoftmaxCrossEntropy(reduction="sum"), minibatches(counts, 20)
nets, losses = [network(case, 0) for _ in counts], []
for epoch in range(5):
    total = 0
    for i, batch in enumerate(batches):
        for rank, one in enumerate(nets):
            rows = [row for row in batch if ends[rank] - counts[rank] <= row < ends[rank]]
            value, grads = 0.0, np.zeros_like(one.params)
            if rows:
                value, grads = one.loss_and_grad(X[rows], y[rows], loss)
            one.step(R * grads / len(batch), optimizer)
            total += value
        if (i + 1) % 3 == 0 or i == len(batches) - 1:
            for arrays in [
                [one.params for one in nets], [one._optimizer_state.arrays for one in nets]
            ]:
                mean = sum(arrays) / R
                for array in arrays:
                    array[...] = mean
    losses.append(total / len(X))
if comm.rank == 0:
    print(np.abs(net.params - nets[0].params).max())
    print(np.abs(np.subtract(history["loss"], losses)).max())
"""


@pytest.mark.parametrize("n_ranks", [2, 3])
@pytest.mark.parametrize("optimizer", ["fn.SGD(0.001, momentum=0.9)", "fn.Adam(0.01)"])
def test_local_steps_are_those_of_networks_that_are_averaged(optimizer, n_ranks):
    code, out, errors = run(n_ranks, HEAD + LOCAL_STEPS, optimizer)
    assert code == 0, errors
    assert all(float(number) < 1e-12 for number in out.split())


MEMORY = """
class Long:
    def __init__(self, n):
        self.n = n
    def __iter__(self):
        for _ in range(self.n):
            yield np.ones((500, 100), np.float32), np.zeros(500, int)

peaks = []
for n in (60, 400):  # 12 and 80 MB
    net = fn.Network([fn.Linear(100, 2)], seed=0)
    tracemalloc.start()
    net.fit(Long(n), batch_size=100, epochs=1, comm=comm, n_threads=1, progress=False)
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
for of in comm.gather(peaks) or []:
    print(*of)
"""


def test_memory_does_not_grow_with_the_length_of_a_stream():
    code, out, errors = run(2, HEAD + MEMORY)
    assert code == 0, errors
    for line in out.splitlines():
        short, long = map(int, line.split())
        assert short < 12_000_000
        assert long < short + 3_000_000
