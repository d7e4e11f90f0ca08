"""Does a second process pay? `fit(comm=…)` on one and two ranks, and DDP of PyTorch with gloo.

Each process has one thread on a processor of its own. The time is that of one update of SGD. The
limit is the model of docs/distributed.md: half of the time of one rank, and α + β bytes for the sum
of the gradients, with α and β measured by sums of other sizes.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from itertools import pairwise

from bench.common import Measured, Record, processors

CASES = [((784, 512, 512, 10), 256, 40), ((64, 32, 10), 1024, 200)]  # widths, batch, updates

DATA = """
import json, os, sys, time
import numpy as np
widths, batch, updates, epochs = json.loads(sys.argv[1])
def data(rank, size):
    rng = np.random.default_rng(rank)
    n = batch * updates // size
    return rng.standard_normal((n, widths[0]), np.float32), rng.integers(widths[-1], size=n)
"""

RANKS = """
import fastnn as fn
from mpi4py import MPI
comm = None if len(sys.argv) > 2 else MPI.COMM_WORLD
rank, size = MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size
X, y = data(rank, size)
def network():
    layers = []
    for a, b in zip(widths, widths[1:]):
        layers += [fn.Linear(a, b), fn.ReLU()]
    return fn.Network(layers[:-1], seed=0)
def seconds(**others):
    history = network().fit(X, y, optimizer=fn.SGD(0.01), epochs=epochs, batch_size=batch,
                            n_threads=1, progress=False, seed=0, comm=comm, **others)
    return [t / updates for t in history["seconds"][1:]]
found = {"times": seconds()}
if size > 1:
    found["fixed"] = seconds(deterministic=True)
    found["sums"] = {}
    for n in (1, 1 << 12, 1 << 20, network().n_params):
        array, times = np.zeros(n, np.float32), []
        for _ in range(50):
            MPI.COMM_WORLD.Barrier()
            start = time.perf_counter()
            MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, array)
            times.append(time.perf_counter() - start)
        found["sums"][4 * n] = float(np.median(times))
if rank == 0:
    print(json.dumps(found))
"""

DDP = """
import torch
import torch.distributed as dist
torch.set_num_threads(1)
dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
os.sched_setaffinity(0, [sorted(os.sched_getaffinity(0))[rank]])
X, y = map(torch.from_numpy, data(rank, size))
layers = []
for a, b in zip(widths, widths[1:]):
    layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
net = torch.nn.parallel.DistributedDataParallel(torch.nn.Sequential(*layers[:-1]))
optimizer = torch.optim.SGD(net.parameters(), 0.01)
loss, times = torch.nn.CrossEntropyLoss(), []
for _ in range(epochs):
    dist.barrier()
    start = time.perf_counter()
    order = torch.randperm(len(X)).split(batch // size)
    for rows in order:
        optimizer.zero_grad()
        loss(net(X[rows]), y[rows]).backward()
        optimizer.step()
    times.append((time.perf_counter() - start) / updates)
if rank == 0:
    print(json.dumps({"times": times[1:]}))
dist.destroy_process_group()
"""


def ranks(n, *arguments):
    """Return what the program RANKS prints on n ranks."""
    command = ["mpirun", "-n", str(n), sys.executable, "-c", DATA + RANKS, *arguments]
    environment = {
        **os.environ,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_hwloc_base_binding_policy": "core",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def ddp(argument):
    """Return what the program DDP prints on two processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", DATA + DDP, argument],
            env={**os.environ, **world, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    printed = [process.communicate()[0] for process in processes]
    return json.loads(printed[0])


def measured(times):
    """Return the minimum and the median."""
    times = sorted(times)
    return Measured(times[0] * 1e6, times[len(times) // 2] * 1e6)


def run(settings):
    if shutil.which("mpirun") is None:
        raise SystemExit("mpi: mpirun of Open MPI or MPICH is wanted")
    for widths, batch, updates in [((8, 4, 3), 32, 4)] if settings.quick else CASES:
        argument = json.dumps([widths, batch, updates, 2 if settings.quick else 8])
        times = {"two ranks": [], "a fixed order": [], "one rank": [], "without comm": []}
        if "torch" in settings.peers:
            times["DDP"] = []
        with processors(2):
            for _ in range(1 if settings.quick else 2):
                both = ranks(2, argument)
                times["two ranks"] += both["times"]
                times["a fixed order"] += both["fixed"]
                times["one rank"] += ranks(1, argument)["times"]
                times["without comm"] += ranks(1, argument, "alone")["times"]
                if "torch" in settings.peers:
                    times["DDP"] += ddp(argument)["times"]
        results = {name: measured(of) for name, of in times.items()}
        sums = {int(size): time for size, time in both["sums"].items()}
        alpha, beta = sums[4], (sums[4 << 20] - sums[4]) / (4 << 20)
        n_params = sum((a + 1) * b for a, b in pairwise(widths))
        model = results["one rank"].minimum / 2 + (alpha + beta * 4 * n_params) * 1e6
        yield Record(
            f"{'-'.join(map(str, widths))}, batch {batch:,}",
            "µs",
            results,
            limit=model,
            note=f"alpha {alpha * 1e6:.1f} µs, beta {beta * 1e9:.2f} ns/byte, "
            f"sum of the gradients {sums[4 * n_params] * 1e6:.0f} µs",
        )
