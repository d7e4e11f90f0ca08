"""Errors of an iterable on one rank, and what is refused of iterables on several ranks."""

import json
import time

import pytest
from iterables_of_ranks import HEAD
from mpi_runs import run

REPORT = """
def report(call):
    try:
        call()
        text = "nothing"
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
    for rank, line in enumerate(comm.gather(text) or []):
        print(rank, line)

X, y = data({}, 60)
settings = {"epochs": 3, "batch_size": 10, "progress": False, "n_threads": 1}
"""

RAISING = """
class Raising(Batches):
    reads = 0
    def __iter__(self):
        self.reads += 1
        for i, batch in enumerate(super().__iter__()):
            if i == 3 and self.reads == epoch and comm.rank == who:
                raise OSError("the file is lost")
            yield batch

for who in range(2):
    for epoch in (1, 3):
        net = network({}, 0)
        report(lambda: net.fit(Raising(X, y, (9,)), **settings, comm=comm))
        report(lambda: net.fit(Batches(X, y), **settings, comm=comm))

def narrow(batches):
    return [(X[:, : 4 - (i and comm.rank)], y) for i, (X, y) in enumerate(batches)]

report(lambda: network({}, 0).fit(narrow([(X, y)] * 2), **settings, comm=comm))
"""


def test_an_error_of_one_iterable_is_raised_by_all():
    code, out, errors = run(2, HEAD + REPORT + RAISING, timeout=30)
    assert code == 0, errors
    lines = out.splitlines()
    for who in range(2):
        for line, after in zip(*[iter(lines[8 * who : 8 * who + 8])] * 2, strict=True):
            assert ("nothing" in line) == ("nothing" in after)
        for place in (0, 4):
            failed = lines[8 * who + place : 8 * who + place + 2]
            assert failed[who] == f"{who} OSError: the file is lost"
            other = f"{1 - who} RuntimeError: rank {who} of 2 raised OSError: the file is lost"
            assert failed[1 - who] == other
            assert lines[8 * who + place + 2][1:] == " nothing"
    assert lines[-2].startswith("0 RuntimeError: rank 1 of 2 raised ValueError: X, batch 1[0]")
    assert lines[-1].startswith("1 ValueError: X, batch 1[0] has shape (60, 3)")


DYING = """
class Dying(Batches):
    reads = 0
    def __iter__(self):
        self.reads += 1
        for batch in super().__iter__():
            if self.reads == 3 and comm.rank == int(sys.argv[1]):
                exec(sys.argv[2])
            yield batch

network({}, 0).fit(Dying(X, y), **{**settings, "epochs": 10**6}, comm=comm)
print("end")
"""


@pytest.mark.parametrize("end", ["import signal; os.kill(os.getpid(), signal.SIGKILL)",
                                 "raise KeyboardInterrupt", "raise SystemExit(0)"])  # fmt: skip
@pytest.mark.parametrize("who", [0, 1])
def test_a_rank_that_dies_while_it_reads_ends_all_within_seconds(end, who):
    start = time.monotonic()
    code, out, _ = run(2, HEAD + REPORT + DYING, who, end, timeout=60)
    assert code != 0
    assert "end" not in out
    assert time.monotonic() - start < 30


EMPTY = """
for standardize in (None, "X"):
    layers = [fn.Standardize(np.full(4, 2.0), np.ones(4)), fn.Linear(4, 3)]
    net = fn.Network(layers, "float64", seed=0)
    before = net._model.constants.tobytes(), net.params.tobytes()
    for given in ([], ()):
        report(lambda: net.fit(given, **settings, standardize=standardize, comm=comm))
    report(lambda: net.fit(Batches(X[:0], y[:0]), **settings, comm=comm))
    assert (net._model.constants.tobytes(), net.params.tobytes()) == before
half = [(X, y)] if comm.rank else []
report(lambda: net.fit(half, **settings, standardize="X", comm=comm))
"""


def test_iterables_without_rows():
    code, out, errors = run(2, HEAD + REPORT + EMPTY)
    assert code == 0, errors
    lines = out.splitlines()
    for line in lines[:12]:
        assert line[1:] == " ValueError: X gave no batches of (X, y) in this epoch"
    assert [line[1:] for line in lines[12:]] == [" nothing"] * 2


# one process refuses them with the same message
REFUSED = [
    ("", "sample_weight=np.ones(60)"),
    ("", "class_weight='balanced'"),
    ("", "validation_data=0.2"),
    ("", "optimizer=fn.LBFGS()"),
    ("", "optimizer=fn.Adam(fn.schedules.CosineDecay(0.1))"),
    ("", "drop_last=True"),
    ("fn.BatchNorm(3)", ""),
    ("fn.Dropout(0.1)", "dropout_factor=fn.schedules.FlatCosine(1.0)"),
]
REFUSALS = """
import fastnn.schedules

for layer, given in json.loads(sys.argv[1]):
    net = fn.Network([fn.Linear(4, 3), *eval(f"[{layer}]")], seed=0)
    for others in ({}, {"comm": comm}):
        report(lambda: net.fit([(X, y)], **settings, **eval(f"dict({given})"), **others))
net = network({}, 0)
report(lambda: net.fit(iter([(X, y)]), **settings))
report(lambda: net.fit(iter([(X, y)]), **settings, comm=comm))
report(lambda: net.fit([(X, y)], **settings, comm=comm, deterministic=True))
report(lambda: net.fit([(X, y)], **{**settings, "batch_size": 1}, comm=comm))
report(lambda: net.fit(*([(X, y)], None) if comm.rank else (X, y), **settings, comm=comm))
"""


def test_what_is_refused():
    code, out, errors = run(2, HEAD + REPORT + REFUSALS, json.dumps(REFUSED))
    assert code == 0, errors
    lines = [line.split(" at 0x")[0] for line in out.splitlines()]
    for i in range(0, 4 * len(REFUSED) + 4, 4):
        alone, _, *over_ranks = (line[2:] for line in lines[i : i + 4])
        assert alone.startswith(("ValueError", "TypeError"))
        for line in over_ranks:
            assert line.removeprefix("ValueError: ") in alone
    expected = [
        "deterministic is True, and X is an iterable",
        "batch_size is 1, and X is an iterable; 2 or more are wanted, a row of each rank",
        "fit has other arguments on rank 1 than on rank 0",
    ]
    for i, text in enumerate(expected):
        for line in lines[4 * len(REFUSED) + 4 + 2 * i :][:2]:
            assert line[2:].startswith(f"ValueError: {text}")
