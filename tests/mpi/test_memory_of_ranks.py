"""A rank allocates little beside its rows: the places of all rows, and copies of the parameters."""

import json

import pytest
from mpi_runs import run

PROGRAM = """
import json, sys, tracemalloc
import numpy as np
from mpi4py import MPI
import fastnn as fn

comm = MPI.COMM_WORLD
widths, n, batch_size, weighted = json.loads(sys.argv[1])
own = n // comm.size
X = np.random.default_rng(comm.rank).standard_normal((own, widths[0]), np.float32)
y = np.arange(own) % widths[1]
weights = np.ones(own, np.float32) if weighted else None
net = fn.Network([fn.Linear(*widths)], "float32", seed=0)
tracemalloc.start()
net.fit(X, y, sample_weight=weights, optimizer=fn.SGD(0.1), epochs=1, batch_size=batch_size,
        seed=0, comm=comm, n_threads=1, progress=False)
peaks = comm.gather(tracemalloc.get_traced_memory()[1])
if comm.rank == 0:
    print(json.dumps(peaks))
"""


@pytest.mark.parametrize("weighted", [False, True])
def test_places_of_rows(weighted):
    n = 1_000_000
    code, out, errors = run(2, PROGRAM, json.dumps([[1, 2], n, 20_000, weighted]))
    assert code == 0, errors
    for peak in json.loads(out):
        of_all, targets, blocks = (17 if weighted else 9) * n, 8 * n // 2, 6_000_000
        assert peak < of_all + targets + blocks


def test_copies_of_parameters():
    code, out, errors = run(2, PROGRAM, json.dumps([[2000, 2000], 64, 32, False]))
    assert code == 0, errors
    for peak in json.loads(out):
        assert peak < 2 * 4 * 2000 * 2001 + 2_000_000
