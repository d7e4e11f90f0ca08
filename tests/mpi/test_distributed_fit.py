"""A fit over several ranks is the fit of one process on the rows of all of them."""

import json

import pytest
from mpi_runs import run

PROGRAM = """
import json, sys
import numpy as np
from mpi4py import MPI
import scipy.sparse
import fastnn as fn
import fastnn.schedules

comm, folder = MPI.COMM_WORLD, sys.argv[2]
n = 203
ends = [31 * rank // comm.size for rank in range(comm.size + 1)]
own_held_out = slice(ends[comm.rank], ends[comm.rank + 1])

class Moving(fn.Callback):
    def epoch_end(self, net, epoch, metrics):
        if epoch in (2, 5):
            net.params[3] += 0.5

def on_disk(rows):
    np.save(f"{folder}/{comm.rank}.npy", rows)
    return np.load(f"{folder}/{comm.rank}.npy", mmap_mode="r")

def fitted(case, seed, rows, rows_held_out, **others):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, 6)), rng.integers(3, size=n)
    y[:3] = 0, 1, 2
    weights = rng.uniform(0.1, 2, n)
    held_out = rng.standard_normal((31, 6)), rng.integers(3, size=31)
    missing = rng.random((n, 3)) < 0.2
    if case.get("values"):
        y = np.where(missing, np.nan, rng.standard_normal((n, 3)))
    elif case.get("missing"):
        y = np.where(missing[:, 0], -1, y)
    layers = eval(case.get("layers", "[fn.Linear(6, 9), fn.Tanh(), fn.Linear(9, 3)]"))
    net = fn.Network(layers, case.get("dtype", "float64"), seed=seed)
    given = {"epochs": 50, "batch_size": 20, "seed": 1, "progress": False, "n_threads": 1}
    given |= eval(case.get("settings", "{}"))
    if case.get("weights"):
        given["sample_weight"] = weights[rows]
    if case.get("held_out"):
        given["validation_data"] = tuple(part[rows_held_out] for part in held_out)
    form = eval(case.get("form", "np.asarray"))
    return net, net.fit(form(X[rows]), y[rows], **given, **others)

found = {}
for name, case in json.loads(sys.argv[1]).items():
    ends = [n * rank**2 // comm.size**2 for rank in range(comm.size + 1)]
    if case.get("one_row"):
        ends[1] = 1
    own = slice(ends[comm.rank], ends[comm.rank + 1])  # ranks have different numbers of rows
    fixed = case.get("deterministic", False)
    net, history = fitted(case, comm.rank, own, own_held_out, comm=comm, deterministic=fixed)
    assert len(set(comm.allgather(net.params.tobytes()))) == 1, "the ranks differ"
    one, expected = fitted(case, 0, slice(0, n), slice(0, 31))
    assert list(history) == list(expected)
    found[name] = {
        "params": float(np.abs(net.params - one.params).max() / np.abs(one.params).max()),
        "constants": float(np.abs(net._model.constants - one._model.constants).max(initial=0)),
        "metrics": max(
            float(np.abs(np.array(history[key]) - expected[key]).max())
            for key in expected if key != "seconds"
        ),
        "epochs": len(history["loss"]),
        "largest": max(np.abs(column).max() for column in expected.values()),
        "bits": [net.params.tobytes().hex(), history["loss"]],
    }
if comm.rank == 0:
    print(json.dumps(found))
"""

DROPOUT = "[fn.Linear(6, 9), fn.Tanh(), fn.Dropout(0.3), fn.Linear(9, 3)]"
BATCH_NORM = "[fn.Linear(6, 9, bias=False), fn.BatchNorm(9), fn.Tanh(), fn.Linear(9, 3)]"
CASES = {
    "defaults": {},
    "SGD with momentum and clipping": {
        "settings": "{'optimizer': fn.SGD(0.1, momentum=0.9, clip_norm=0.05)}"
    },
    "RMSprop": {"settings": "{'optimizer': fn.RMSprop(0.003)}"},
    "Adam, without shuffling": {"settings": "{'optimizer': fn.Adam(0.01), 'shuffle': False}"},
    "Lion, whole batches": {"settings": "{'optimizer': fn.Lion(0.001), 'drop_last': True}"},
    "a batch of few rows": {"settings": "{'batch_size': 2}"},
    "float32": {"dtype": "float32"},
    "one batch": {"settings": "{'batch_size': 1000}"},
    "weights": {"weights": True},
    "class weights": {"weights": True, "settings": "{'class_weight': 'balanced'}"},
    "a sum": {"settings": "{'loss': fn.SoftmaxCrossEntropy(reduction='sum'), "
              "'optimizer': fn.SGD(0.001)}"},
    "missing targets": {"values": True, "weights": True,
                        "settings": "{'loss': fn.MeanSquaredError(ignore_nan=True, "
                        "output_weight=[1, 2, 3])}"},
    "missing labels": {"missing": True,
                       "settings": "{'loss': fn.SoftmaxCrossEntropy(ignore_nan=True)}"},
    "dropout": {"layers": DROPOUT},
    "a schedule of dropout": {
        "layers": DROPOUT,
        "settings": "{'dropout_factor': fn.schedules.FlatCosine(1.0)}",
    },
    "BatchNorm": {"layers": BATCH_NORM},
    "BatchNorm and dropout of weighted rows": {
        "weights": True,
        "layers": BATCH_NORM.replace("fn.Tanh()", "fn.Tanh(), fn.Dropout(0.3)"),
    },
    "one row on a rank": {"one_row": True},
    "held-out samples": {"held_out": True, "settings": "{'metrics': ['accuracy'], "
                         "'optimizer': fn.Adam(fn.schedules.ReduceOnPlateau(0.05, patience=1))}"},
    "a share": {"weights": True, "settings": "{'validation_data': 0.3}"},
    "early stopping": {"held_out": True, "settings": "{'callbacks': "
                       "[fn.EarlyStopping(patience=2)], 'optimizer': fn.Adam(0.05)}"},
    "sparse rows": {"form": "scipy.sparse.csr_array"},
    "a memmap": {"form": "on_disk"},
}  # fmt: skip

SQUARES = "'loss': fn.MeanSquaredError(ignore_nan=True, output_weight=[1, 2, 3])"
FULL_BATCH = {
    "LBFGS": {"settings": "{'optimizer': fn.LBFGS(), 'epochs': 10}"},
    "LBFGS, a penalty, weights and a share": {
        "weights": True,
        "settings": "{'optimizer': fn.LBFGS(weight_decay=0.1), 'epochs': 10, "
        "'validation_data': 0.2}",
    },
    "LBFGS, missing targets of weighted rows": {
        "values": True,
        "weights": True,
        "settings": "{'optimizer': fn.LBFGS(), 'epochs': 10, " + SQUARES + "}",
    },
    "LBFGS, a sum over sparse rows": {
        "form": "scipy.sparse.csr_array",
        "settings": "{'optimizer': fn.LBFGS(), 'epochs': 10, "
        "'loss': fn.SoftmaxCrossEntropy(reduction='sum')}",
    },
    "LBFGS to its end": {
        "one_row": True,
        "settings": "{'optimizer': fn.LBFGS(tolerance_change=1e-2), 'epochs': 200}",
    },
    "LBFGS in float32": {"dtype": "float32", "settings": "{'optimizer': fn.LBFGS(), 'epochs': 3}"},
    "LBFGS from which a callback departs": {
        "settings": "{'optimizer': fn.LBFGS(tolerance_change=1e-2), 'epochs': 40, "
        "'callbacks': [Moving()]}"
    },
    "LevenbergMarquardt": {
        "values": True,
        "settings": "{'optimizer': fn.LevenbergMarquardt(), 'epochs': 10, 'loss': "
        "fn.HalfSquaredError(ignore_nan=True)}",
    },
    "LevenbergMarquardt, weighted rows and outputs": {
        "values": True,
        "weights": True,
        "settings": "{'optimizer': fn.LevenbergMarquardt(), 'epochs': 10, " + SQUARES + "}",
    },
    "LevenbergMarquardt with an evidence, and one row on a rank": {
        "values": True,
        "weights": True,
        "one_row": True,
        "settings": "{'optimizer': fn.LevenbergMarquardt(bayesian=True), 'epochs': 10, "
        + SQUARES
        + "}",
    },
    "LevenbergMarquardt to its end": {
        "values": True,
        "settings": "{'optimizer': fn.LevenbergMarquardt(tolerance=1e-2), 'epochs': 200, "
        + SQUARES
        + "}",
    },
    "LevenbergMarquardt on sparse rows": {
        "values": True,
        "form": "scipy.sparse.csr_array",
        "settings": "{'optimizer': fn.LevenbergMarquardt(), 'epochs': 10, 'loss': "
        "fn.MeanSquaredError(reduction='sum', ignore_nan=True)}",
    },
}


FIXED = {
    dtype: {
        "deterministic": True,
        "dtype": dtype,
        "layers": DROPOUT,
        "weights": True,
        "settings": "{'epochs': 7, 'validation_data': 0.2}",
    }
    for dtype in ("float32", "float64")
}


def results(n_ranks, cases, folder):
    code, out, errors = run(n_ranks, PROGRAM, json.dumps(cases), folder)
    assert code == 0, errors
    return json.loads(out)


@pytest.fixture(scope="module", params=[2, 3])
def differences(request, tmp_path_factory):
    return results(request.param, CASES, tmp_path_factory.mktemp("rows"))


@pytest.mark.parametrize("name", CASES)
def test_ranks_give_the_network_of_one_process(name, differences):
    found = differences[name]
    tolerance = 1e-5 if CASES[name].get("dtype") == "float32" else 1e-12
    assert found["params"] < tolerance
    assert found["constants"] < tolerance
    assert found["metrics"] < tolerance
    assert found["epochs"] == 50 or name == "early stopping"


@pytest.fixture(scope="module", params=[2, 3])
def full_batch_differences(request, tmp_path_factory):
    return results(request.param, FULL_BATCH, tmp_path_factory.mktemp("rows"))


@pytest.mark.parametrize("name", FULL_BATCH)
def test_steps_on_all_samples_are_those_of_one_process(name, full_batch_differences):
    found = full_batch_differences[name]
    tolerance = 1e-4 if FULL_BATCH[name].get("dtype") == "float32" else 1e-9
    assert found["params"] < tolerance
    assert found["metrics"] < tolerance * max(1, found["largest"])


def test_a_fixed_order_of_sums_gives_the_same_bits_for_any_number_of_ranks(tmp_path):
    found = [results(n_ranks, FIXED, tmp_path) for n_ranks in (1, 2, 3, 8)]
    for dtype in FIXED:
        assert all(of[dtype]["bits"] == found[0][dtype]["bits"] for of in found)
        assert found[0][dtype]["params"] < (1e-12 if dtype == "float64" else 1e-5)
