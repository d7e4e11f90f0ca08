"""The memory of derivatives, and that the number of threads does not change any bit."""

import subprocess
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn

STATUS = Path("/proc/self/status")


def every_derivative(net, X, y, loss, rng):
    """Return calls by name; each takes n_threads."""
    h = {"input": X, "params": rng.standard_normal(net.n_params)}
    c = rng.standard_normal((len(X), net.out_features))
    v = rng.standard_normal(net.n_params)
    calls = {
        "sample_grads": lambda **k: net.sample_grads(X, y, loss, **k),
        "gram": lambda **k: net.gram(X, y, loss, **k),
        "gram without targets": lambda **k: net.gram(X, **k)[:1],
        "hvp": lambda **k: net.hvp(X, y, loss, v, **k),
        "hessian": lambda **k: net.hessian(X[:100], y[:100], loss, **k),
    }
    for wrt in ("input", "params"):
        calls |= {
            f"jacobian, {wrt}": lambda wrt=wrt, **k: net.jacobian(X, wrt, **k),
            f"value, {wrt}": lambda wrt=wrt, **k: net.value_and_jacobian(X, wrt, **k),
            f"jvp, {wrt}": lambda wrt=wrt, **k: net.jvp(X, h[wrt], wrt, **k),
            f"vjp, {wrt}": lambda wrt=wrt, **k: net.vjp(X, c, wrt, **k),
        }
    return calls


@pytest.mark.parametrize("widths", [(3, 8, 4), (6, 9, 17, 3)], ids=str)
@pytest.mark.parametrize("n", [1, 33, 3000])
def test_the_bits_do_not_depend_on_the_threads(isa, dtype, rng, widths, n):
    layers = []
    for n_in, n_out in pairwise(widths):
        layers += [fn.Linear(n_in, n_out), fn.Tanh()]
    net = fn.Network(layers[:-1], dtype, seed=0)
    X = rng.standard_normal((n, net.in_features)).astype(dtype)
    y = rng.integers(net.out_features, size=n)
    for name, call in every_derivative(net, X, y, fn.SoftmaxCrossEntropy(), rng).items():
        expected = call(n_threads=1)
        for n_threads in (2, 3, 8):
            found = call(n_threads=n_threads)
            for a, b in zip(found, expected, strict=True):
                assert np.array_equal(a, b), f"{name}, {n_threads} threads"


MEASURED = """
import sys
from pathlib import Path
import numpy as np
import fastnn as fn

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

rng = np.random.default_rng(0)
net = fn.Network([fn.Linear(20, 64), fn.ReLU(), fn.Linear(64, 10)], seed=0)
X, y = rng.standard_normal((100_000, 20), "f"), rng.integers(10, size=100_000)
v, c = rng.standard_normal(net.n_params, "f"), rng.standard_normal((100_000, 10), "f")
loss = fn.SoftmaxCrossEntropy()
call = {
    "jvp by input": lambda n: net.jvp(X[:n], X[:n]),
    "jvp by params": lambda n: net.jvp(X[:n], v, "params"),
    "vjp by input": lambda n: net.vjp(X[:n], c[:n]),
    "vjp by params": lambda n: net.vjp(X[:n], c[:n], "params"),
    "gram": lambda n: net.gram(X[:n]),
    "gram of a loss": lambda n: net.gram(X[:n], y[:n], loss),
    "hvp": lambda n: net.hvp(X[:n], y[:n], loss, v),
}[sys.argv[1]]
call(10)  # what is loaded or started once
before = peak()
call(len(X))
print((peak() - before) * 1024)
"""


@pytest.mark.skipif(not STATUS.exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize(
    "method",
    [
        "jvp by input",
        "jvp by params",
        "vjp by input",
        "vjp by params",
        "gram",
        "gram of a loss",
        "hvp",
    ],
)
def test_products_need_no_jacobian(method):
    """For 100,000 samples the Jacobian by parameters takes 8 GB, and the activations 55 MB."""
    measured = subprocess.run(  # not in a source folder, which may lack the compiled engine
        [sys.executable, "-c", MEASURED, method],
        cwd=Path(sys.executable).parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert measured.returncode == 0, measured.stderr
    assert int(measured.stdout) < 200e6


def test_a_large_jacobian_fills_the_place_it_is_given(rng):
    """The engine makes no second array of this size."""
    net = fn.Network([fn.Linear(6, 20), fn.ReLU(), fn.Linear(20, 5)], seed=0)
    X = rng.standard_normal((20_000, 6)).astype("f")
    out = np.empty((20_000, 5, net.n_params), "f")
    tracemalloc.start()
    net.jacobian(X, "params", out=out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < out.nbytes / 4
