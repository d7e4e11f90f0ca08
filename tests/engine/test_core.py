"""The compiled core: the choice of the build, and kernels that no layer uses alone."""

import os
import subprocess
import sys

import numpy as np
import pytest

import fastnn as fn
from fastnn import _core


def run_python(code, **environment):
    """Run code in a new interpreter, outside of the source folder."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        cwd=os.path.dirname(sys.executable),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_best_build_is_picked():
    assert _core.available_isas()[0] == "baseline"
    code = "import fastnn as fn; i = fn.build_info(); print(i['isa'] == i['available_isas'][-1])"
    assert run_python(code, FASTNN_ISA="").stdout.strip() == "True"


@pytest.mark.parametrize("name", _core.available_isas())
def test_the_environment_forces_a_build(name):
    code = "import fastnn._core as c; print(c.isa, c.engine.__name__)"
    result = run_python(code, FASTNN_ISA=name)
    assert result.stdout.split() == [name, f"fastnn._core._engine_{name}"]


@pytest.mark.parametrize("name", ["sse9", "AVX2", "_engine_avx2"])
def test_a_build_that_cannot_run_is_an_error(name):
    result = run_python("import fastnn", FASTNN_ISA=name)
    assert result.returncode == 1
    assert f"the build {name!r} (FASTNN_ISA) cannot run here" in result.stderr


def test_a_build_that_the_cpu_lacks_is_an_error(monkeypatch):
    monkeypatch.setattr(_core._cpuid, "supported", lambda: ["baseline"])
    assert _core.available_isas() == ["baseline"]
    with pytest.raises(ImportError, match="'avx512' .* cannot run here"):
        _core.load_engine("avx512")


def test_build_info_names_what_this_is():
    info = fn.build_info()
    assert info["version"] == fn.__version__
    assert "-O2" in info["flags"]
    assert "fast-math" not in info["flags"]
    assert info["n_threads"] >= 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_stays_on_one_thread():
    code = """
import os, numpy as np, fastnn as fn
net = fn.Network([fn.Linear(512, 512)], seed=0)
X = np.ones((512, 512), np.float32)
before = net.predict(X, n_threads=2)
child = os.fork()
if child == 0:
    same = (net.predict(X, n_threads=2) == before).all() and fn.build_info()["n_threads"] == 1
    os._exit(0 if same else 1)
print(os.waitpid(child, 0)[1])
"""
    assert run_python(code).stdout.strip() == "0"


# Shapes around the edges of every build's tiles (4 to 32 columns, 6 or 14 rows) and of the blocks
# of the sum (512).
SHAPES = [
    (1, 1, 1),
    (1, 4, 3),
    (4, 8, 2),
    (3, 5, 7),
    (6, 16, 8),
    (7, 17, 9),
    (13, 31, 16),
    (14, 32, 33),
    (15, 33, 255),
    (28, 64, 256),
    (29, 65, 257),
    (2, 100, 513),
    (100, 3, 50),
    (61, 10, 128),
    # few columns, long sums, and operands of more than one block: every form of the product
    (40, 3, 64),
    (256, 2, 8),
    (30, 12, 9),
    (7, 200, 100),
    (32, 512, 130),
    (520, 1060, 530),
    (530, 20, 1030),
    (1, 4, 303),
    (1, 10, 64),
    (20, 1100, 300),
    (17, 37, 200),
    (1, 150, 21),
    (1, 40, 11),
    (70, 24, 1),
    (2100, 2, 1),
    (700, 7, 1),
    (5, 37, 2),
    (19, 90, 4),
    (37, 2, 20),
    (150, 4, 20),
    (1, 21, 40),
    (20, 11, 130),
    (200, 9, 300),
    (66, 17, 50),
    (70, 9, 21),
    (50, 3, 1),
    (33, 7, 2),
    (20, 16, 3),
    (41, 10, 4),
    (35, 15, 8),
    (9, 5, 2),
    (150, 2, 3),
    (64, 8, 8),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("start", ["none", "row", "matrix", "itself"])
def test_matrix_product(isa, dtype, rng, shape, start):
    m, n, k = shape
    for transpose_a, transpose_b in np.ndindex(2, 2):
        a = rng.standard_normal((k, m) if transpose_a else (m, k)).astype(dtype)
        b = rng.standard_normal((n, k) if transpose_b else (k, n)).astype(dtype)
        a, b = a.T if transpose_a else a, b.T if transpose_b else b
        # overwritten, except for "itself"; nothing before or after it is
        guarded = rng.standard_normal(m * n + 128).astype(dtype)
        guards = guarded[:64].copy(), guarded[64 + m * n :].copy()
        out = guarded[64 : 64 + m * n].reshape(m, n)
        added = {
            "none": None,
            "row": rng.standard_normal(n).astype(dtype),
            "matrix": rng.standard_normal((m, n)).astype(dtype),
            "itself": out,
        }[start]
        exact = a.astype(float) @ b.astype(float) + (0 if added is None else added)
        scale = np.abs(a).astype(float) @ np.abs(b).astype(float) + 1
        scale += 0 if added is None else np.abs(added)
        _core.engine.matmul(a, b, added, out, 1)
        assert np.max(np.abs(out - exact) / scale) < 2 * np.sqrt(k) * np.finfo(dtype).eps
        assert np.array_equal(guarded[:64], guards[0])
        assert np.array_equal(guarded[64 + m * n :], guards[1])


def test_a_row_of_a_product_has_the_same_bits_wherever_it_stands(isa, dtype, rng):
    a = rng.standard_normal((37, 300)).astype(dtype)
    b = rng.standard_normal((300, 45)).astype(dtype)
    whole, one = np.empty((37, 45), dtype), np.empty((1, 45), dtype)
    _core.engine.matmul(a, b, None, whole, 1)
    for i in range(len(a)):
        _core.engine.matmul(a[i : i + 1], b, None, one, 1)
        assert np.array_equal(one[0], whole[i])


@pytest.mark.parametrize("shape", [(300, 300, 300), (1000, 20, 900), (20, 1000, 900)], ids=str)
@pytest.mark.parametrize("start", ["none", "row", "matrix"])
def test_threads_do_not_change_a_product(isa, dtype, rng, shape, start):
    m, n, k = shape
    added = {"none": None, "row": rng.random(n, dtype), "matrix": rng.random((m, n), dtype)}[start]
    a = rng.standard_normal((m, k)).astype(dtype)
    b = rng.standard_normal((n, k)).astype(dtype).T
    results = []
    for n_threads in (1, 2, 3, 5):
        out = np.empty((m, n), dtype)
        _core.engine.matmul(a, b, added, out, n_threads)
        results.append(out)
    assert all(np.array_equal(results[0], result) for result in results[1:])


def test_nan_and_infinity_pass_through_a_product(isa, dtype):
    a, b = np.zeros((3, 5), dtype), np.ones((5, 20), dtype)
    a[1, 2], b[3, 17] = np.nan, np.inf
    out = np.zeros((3, 20), dtype)
    _core.engine.matmul(a, b, None, out, 1)
    assert np.array_equal(np.isnan(out), np.isnan(a @ np.nan_to_num(b, posinf=np.nan)))


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox])
def test_permutations_are_numpys(isa, bits):
    theirs, ours = np.random.Generator(bits(7)), bits(7)
    for n in [1, 2, 3, 10, 1000, 1, 70000]:
        order = np.empty(n, np.int64)
        _core.engine.draw_permutation(ours, order)
        assert np.array_equal(order, theirs.permutation(n))


@pytest.mark.parametrize("n", [0, 1, 7, 64, 1000])
def test_all_finite(isa, dtype, n):
    values = np.full(n, np.finfo(dtype).max, dtype)
    assert _core.engine.all_finite(values)
    for place in {0, n // 2, n - 1} if n else ():
        for bad in (np.nan, np.inf, -np.inf):
            spoilt = values.copy()
            spoilt[place] = bad
            assert not _core.engine.all_finite(spoilt)
