"""How a long matrix product is divided into blocks: by the CPU, and without a change of bits."""

import numpy as np
import pytest

from fastnn import _core
from fastnn._core import machine


@pytest.fixture
def blocks(isa):
    """Give the engine's own blocks back after a test has set others."""
    before = _core.engine.blocks()
    yield before
    _core.engine.set_blocks(*before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(80, 700, 90), (33, 2100, 33), (700, 40, 70), (200, 513, 600)])
@pytest.mark.parametrize("transposed", [False, True])
def test_blocks_change_no_bit(blocks, shape, dtype, transposed):
    m, k, n = shape
    rng = np.random.default_rng(0)
    a = rng.standard_normal((m, k)).astype(dtype)
    b = rng.standard_normal((n, k)).astype(dtype).T if transposed else None
    b = rng.standard_normal((k, n)).astype(dtype) if b is None else b
    results = []
    for steps, n_bytes in [blocks, (16, 1), (100, 40_000), (4096, 10**9), (0, 0), (10**9, -1)]:
        _core.engine.set_blocks(steps, n_bytes)
        out = np.full((m, n), np.nan, dtype)
        _core.engine.matmul(a, b, None, out, 1, 1)
        results.append(out)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    bound = np.abs(a).astype(np.float64) @ np.abs(b) * k * np.finfo(dtype).eps
    assert (np.abs(results[0] - exact) <= bound).all()
    for result in results[1:]:
        assert result.tobytes() == results[0].tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", [8, 9, 31, 64, 257])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 10, 16, 17])
def test_one_row_of_few_columns(isa, n, k, dtype):
    """The last rows of B are read no further than B goes, and what follows them is not used."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((1, k)).astype(dtype)
    for gap, step in [(0, 1), (3, 1), (40, 1), (0, -1), (3, -1)]:  # between the rows of B
        memory = np.full((k, n + gap), np.nan, dtype)
        b = memory[::step, :n]
        b[...] = rng.standard_normal((k, n))
        out = np.empty((1, n), dtype)
        _core.engine.matmul(a, b, None, out, 1, 1)
        exact = a.astype(np.float64) @ b.astype(np.float64)
        bound = np.abs(a).astype(np.float64) @ np.abs(b) * k * np.finfo(dtype).eps
        assert (np.abs(out - exact) <= bound).all()


def test_the_cpu_decides_and_the_environment_replaces(monkeypatch):
    monkeypatch.delenv("FASTNN_K_BLOCK", raising=False)
    monkeypatch.delenv("FASTNN_A_BLOCK", raising=False)
    monkeypatch.setattr(machine, "second_level_cache", lambda: 2**20)
    assert machine.product_blocks("AuthenticAMD") == (1024, 2**18)
    assert machine.product_blocks("GenuineIntel") == machine.product_blocks("") == (512, 2**19)
    monkeypatch.setenv("FASTNN_K_BLOCK", "128")
    monkeypatch.setenv("FASTNN_A_BLOCK", "4096")
    assert machine.product_blocks("AuthenticAMD") == (128, 4096)


def test_a_system_that_does_not_tell_its_cache(monkeypatch):
    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr("os.sysconf", unknown)
    assert machine.second_level_cache() == machine.UNKNOWN_L2
