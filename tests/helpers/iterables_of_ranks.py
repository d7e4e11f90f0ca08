"""The beginning of programs that run on several ranks, each with an iterable of batches."""

HEAD = """
import itertools, json, os, sys, tracemalloc
import numpy as np
from mpi4py import MPI
import fastnn as fn

comm = MPI.COMM_WORLD

class Batches:
    "Rows in batches of changing sizes, each in the memory of the last one."
    def __init__(self, X, y, sizes=(7, 1, 40, 13)):
        self.X, self.y, self.sizes = X, y, sizes
    def __iter__(self):
        memory, start = np.empty((max(self.sizes), self.X.shape[1]), self.X.dtype), 0
        for size in itertools.cycle(self.sizes):
            if start >= len(self.X):
                return
            rows = self.X[start : start + size]
            memory[: len(rows)] = rows
            yield memory[: len(rows)], self.y[start : start + size]
            start += size
            memory += 1

def minibatches(counts, batch_size):
    "Return the rows of each minibatch; the rows of the ranks stand one after the other."
    R = len(counts)
    quotas = [len(range(rank, batch_size, R)) for rank in range(R)]
    streams = [list(range(sum(counts[:r]), sum(counts[: r + 1]))) for r in range(R)]
    found = []
    while any(streams):
        batch = []
        for rank in range(R):
            batch += streams[rank][: quotas[rank]]
            del streams[rank][: quotas[rank]]
        found.append(batch)
    return found

def data(case, n):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, 4)) * [1, 50, 1, 2] + [0, 10, 3, -1], rng.integers(3, size=n)
    if case.get("values"):
        y = np.where(rng.random((n, 3)) < 0.3, np.nan, 10 * rng.standard_normal((n, 3)) + 7)
    return X, y

def network(case, seed):
    layers = case.get("layers", "[fn.Linear(4, 9), fn.Tanh(), fn.Linear(9, 3)]")
    return fn.Network(eval(layers), case.get("dtype", "float64"), seed=seed)

def settings_of(case):
    given = {"epochs": 15, "batch_size": 10 * comm.size, "seed": 1}
    given |= {"progress": False, "n_threads": 1}
    return given | eval(case.get("settings", "{}"))

def fitted(case, counts, **others):
    X, y = data(case, sum(counts))
    first = sum(counts[: comm.rank])
    own = slice(first, first + counts[comm.rank])
    net = network(case, comm.rank)
    history = net.fit(Batches(X[own], y[own]), **settings_of(case), comm=comm, **others)
    assert len(set(comm.allgather(net.params.tobytes()))) == 1, "the ranks differ"
    return net, history

def result(net, history):
    names = [name for name in history if name != "seconds"]
    return [net.params.tobytes().hex(), {name: history[name] for name in names}]
"""
