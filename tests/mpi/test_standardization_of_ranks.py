"""Means and scales of the rows of all ranks, and training in the units of Unstandardize."""

import json

import pytest
from mpi_runs import run

HEAD = """
import json, sys
import numpy as np
from mpi4py import MPI
import scipy.sparse
import fastnn as fn

comm = MPI.COMM_WORLD
n = 203

def data(case):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4)) * [1, 50, 1e-3, 2] + [0, 1e3, 3, -1]
    y = 1e7 + 1e6 * np.stack([np.sin(X[:, 0]), X[:, 3]], axis=1)
    if case.get("constant"):  # on each rank, but not on all
        X[:, 1] = np.searchsorted(ends_of(case), np.arange(n), side="right")
        X[:, 2] = 0.1
    if case.get("missing"):
        y[rng.random(y.shape) < 0.2] = np.nan
        y[: n // 9, 1] = np.nan  # all of rank 0 of three
    X[:, 0] += case.get("offset", 0)
    weights = rng.uniform(0, 2, n) * (rng.random(n) < 0.8)
    return X, y, weights - case.get("below", 0)

def ends_of(case):
    ends = [n * rank**2 // comm.size**2 for rank in range(comm.size + 1)]
    if case.get("one_row"):
        ends[1] = 1
    return ends

def own_rows(case):
    ends = ends_of(case)
    return slice(ends[comm.rank], ends[comm.rank + 1])

def network(dtype="float64", seed=0, mean=0.0, n_out=2):
    hidden = [fn.Linear(4, 9), fn.Tanh(), fn.Linear(9, n_out)]
    first = fn.Standardize(np.full(4, mean), np.ones(4))
    last = fn.Unstandardize(np.full(n_out, mean), np.full(n_out, 1e7))
    return fn.Network([first, *hidden, last], dtype, seed=seed)

def on_disk(rows, of):
    np.save(f"{sys.argv[2]}/{of}.npy", np.asarray(rows, "float32"))
    return np.load(f"{sys.argv[2]}/{of}.npy", mmap_mode="r")

def fitted(case, rank, rows, **others):
    X, y, weights = data(case)
    net = network(case.get("dtype", "float64"), rank, float(rank))
    given = {"loss": fn.MeanSquaredError(), "epochs": 50, "batch_size": 20, "seed": 1,
             "progress": False, "n_threads": 1, "standardize": case.get("standardize")}
    given |= eval(case.get("settings", "{}"))
    if case.get("weights"):
        given["sample_weight"] = weights[rows]
    form = eval(case.get("form", "lambda rows, of: rows"))
    history = net.fit(form(X[rows], comm.rank if others else "all"), y[rows], **given, **others)
    return net, history

def bits(net):
    return net._model.constants.tobytes().hex(), net.params.tobytes().hex()
"""

AGAINST_ONE_PROCESS = """
found = {}
for name, case in json.loads(sys.argv[1]).items():
    fixed = case.get("deterministic", False)
    net, history = fitted(case, comm.rank, own_rows(case), comm=comm, deterministic=fixed)
    assert len(set(comm.allgather(bits(net)))) == 1, "the ranks differ"
    if comm.rank:
        continue
    one, expected = fitted(case, 0, slice(0, n))
    differences = {"constants": np.abs(net._model.constants / one._model.constants - 1).max()
                                if case.get("standardize") == "both" else 0.0,
                   "params": np.abs(net.params - one.params).max() / np.abs(one.params).max(),
                   "outputs": np.abs(net.predict(data(case)[0]) / one.predict(data(case)[0]) - 1
                                     ).max()}
    for key in expected:
        if key != "seconds":
            differences[key] = np.abs(np.divide(history[key], expected[key]) - 1).max()
    equal = net._model.constants.tobytes() == one._model.constants.tobytes()
    found[name] = {key: float(value) for key, value in differences.items()}, equal, bits(net)
if comm.rank == 0:
    print(json.dumps(found))
"""

MISSING = "'loss': fn.MeanSquaredError(ignore_nan=True)"
CASES = {
    "X": {"standardize": "X"},
    "y": {"standardize": "y"},
    "both": {"standardize": "both"},
    "the values of rank 0": {"settings": "{'validation_data': 0.2}"},
    "one row on a rank": {"standardize": "both", "one_row": True},
    "float32": {"standardize": "both", "dtype": "float32"},
    "a large offset": {"standardize": "both", "offset": 1e7},
    "a negative offset": {"standardize": "both", "offset": -1e12},
    "columns constant on a rank": {"standardize": "both", "constant": True},
    "a share": {"standardize": "both", "settings": "{'validation_data': 0.3}"},
    "weights": {"standardize": "both", "weights": True},
    "negative weights": {
        "standardize": "both",
        "weights": True,
        "below": 0.1,
        "settings": "{'loss': fn.HalfSquaredError(reduction='sum', negative_weights=True), "
        "'optimizer': fn.SGD(1e-4)}",
    },
    "missing targets of weighted rows": {
        "standardize": "both",
        "missing": True,
        "weights": True,
        "settings": "{" + MISSING + "}",
    },
    "sparse rows": {"standardize": "both", "form": "lambda rows, of: scipy.sparse.csr_array(rows)"},
    "a share of a memmap": {
        "standardize": "both",
        "form": "on_disk",
        "settings": "{'validation_data': 0.3}",
    },
    "LBFGS": {"standardize": "both", "settings": "{'optimizer': fn.LBFGS(), 'epochs': 8}"},
    "LevenbergMarquardt": {
        "standardize": "both",
        "missing": True,
        "settings": "{'optimizer': fn.LevenbergMarquardt(), 'epochs': 8, " + MISSING + "}",
    },
}  # fmt: skip

FIXED = {
    f"{name} in {dtype}": {**CASES[name], "deterministic": True, "dtype": dtype}
    for name in ("a large offset", "a share", "missing targets of weighted rows")
    for dtype in ("float32", "float64")
}


def results(n_ranks, cases, folder):
    code, out, errors = run(n_ranks, HEAD + AGAINST_ONE_PROCESS, json.dumps(cases), folder)
    assert code == 0, errors
    return json.loads(out)


@pytest.fixture(scope="module", params=[2, 3])
def compared(request, tmp_path_factory):
    return results(request.param, CASES, tmp_path_factory.mktemp("rows"))


@pytest.mark.parametrize("name", CASES)
def test_ranks_give_the_network_of_one_process(name, compared):
    differences, *_ = compared[name]
    tolerance = 1e-9 if "optimizer" in CASES[name].get("settings", "") else 1e-12
    for key, difference in differences.items():
        assert difference < (1e-4 if CASES[name].get("dtype") == "float32" else tolerance), key


def test_a_fixed_order_gives_the_bits_of_any_number_of_ranks(tmp_path):
    found = [results(n_ranks, FIXED, tmp_path) for n_ranks in (1, 2, 3)]
    for name in FIXED:
        assert all(of[name][2] == found[0][name][2] for of in found), name
        assert found[0][name][1], "the means and scales are not those of one process"


CHECKPOINT = """
from fastnn.training.standardization import Columns

path, epochs, saved = sys.argv[2:]
case = {"standardize": "both", "settings": f"{{'epochs': {epochs}, 'optimizer': fn.Adam(0.01)}}"}
if saved == "saved":
    def measured(self):
        raise AssertionError("the means and scales are measured again")
    Columns.mean_and_scale = measured
given = {} if path == "none" else {"checkpoint": path, "resume": True}
net, history = fitted(case, comm.rank, own_rows(case), comm=comm, deterministic=True, **given)
if comm.rank == comm.size - 1:
    print(json.dumps([bits(net), history["loss"]]))
"""


def test_another_number_of_ranks_uses_the_saved_values(tmp_path):
    def fitted(n_ranks, path, epochs, saved=""):
        code, out, errors = run(n_ranks, HEAD + CHECKPOINT, "", path, epochs, saved)
        assert code == 0, errors
        return json.loads(out)

    path = tmp_path / "a.checkpoint"
    fitted(2, path, 3)
    fitted(3, path, 6, "saved")
    assert fitted(1, path, 9, "saved") == fitted(2, "none", 9)


TROUBLE = """
case = {"standardize": "both"}
X, y, weights = data(case)
own = own_rows(case)
settings = {"loss": fn.MeanSquaredError(), "epochs": 2, "progress": False, "n_threads": 1,
            "comm": comm}

def report(change, dtype="float32", of_all=False, **others):
    net = network(dtype, comm.rank)
    before = bits(net)
    given = {"rows": X[own].copy(), "targets": y[own].copy(), "others": others}
    if comm.rank == 1 or of_all:
        exec(change, globals(), given)
    try:
        net.fit(given["rows"], given["targets"], **settings, **others)
        text = "nothing"
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
    text += " | the same" if bits(net) == before else " | changed"
    for rank, line in enumerate(comm.gather(text) or []):
        print(rank, line)

report("targets[3] = 1e200", standardize="X")
report("targets[:, 1] = 1e100 * np.arange(len(targets))", standardize="both")
report("targets[:, 1] = 1e100 * np.arange(len(targets))", standardize="both", deterministic=True)
report("rows[:, 2] = 0; rows[0, 2] = 1e-45 * comm.rank", of_all=True, standardize="X")
report("rows[3, 1] = np.nan", standardize="both")
report("rows = rows[:, :3]", standardize="both")
report("others['standardize'] = 'y'", standardize="both")
report("others['sample_weight'] = weights[own] + 1", standardize="both")
"""


def test_an_error_of_one_rank_is_raised_by_all_before_anything_changes():
    code, out, errors = run(2, HEAD + TROUBLE)
    assert code == 0, errors
    lines = out.splitlines()
    expected = [
        ("RuntimeError: rank 1 of 2 raised", "ValueError: y is too far from the mean of Unstan"),
        ("ValueError: y has a column whose mean or", "ValueError: y has a column whose mean or"),
        ("ValueError: y has a column whose mean or", "ValueError: y has a column whose mean or"),
        ("ValueError: X has a column whose mean or", "ValueError: X has a column whose mean or"),
        ("RuntimeError: rank 1 of 2 raised", "ValueError: X[3, 1] is nan"),
        ("RuntimeError: rank 1 of 2 raised", "ValueError: X has shape (153, 3)"),
        ("ValueError: the ranks differ in the standardize: both on rank 0, y on rank 1",) * 2,
        ("ValueError: the ranks differ in the sample_weight or class_weight: None on rank 0",) * 2,
    ]
    for i, texts in enumerate(expected):
        for rank, text in enumerate(texts):
            assert lines[2 * i + rank].startswith(f"{rank} {text}")
            assert lines[2 * i + rank].endswith("| the same")
