"""Programs in C of random networks, compared with the engine on 1,000 samples."""

import platform

import numpy as np
import pytest
from c_programs import Program, random_network, units_apart

import fastnn as fn
from fastnn import _core
from fastnn.network import exporting

IS_X86 = platform.machine() == "x86_64"  # elsewhere the engine's vectors have other sizes


@pytest.fixture
def baseline(monkeypatch):
    """The engine without fused multiply-add."""
    monkeypatch.setattr(_core, "engine", _core.load_engine("baseline"))


def by_products(net, X):
    """Return the Jacobians from a product with each unit vector, both ways."""
    n, outputs, inputs = len(X), net.out_features, net.in_features
    units = np.eye(outputs, dtype=X.dtype), np.eye(inputs, dtype=X.dtype)
    rows = [net.vjp(X, np.tile(unit, (n, 1))) for unit in units[0]]
    columns = [net.jvp(X, np.tile(unit, (n, 1))) for unit in units[1]]
    return np.stack(rows, 1), np.stack(columns, 2)


@pytest.mark.parametrize("seed", range(30))
def test_random_networks(seed, dtype, tmp_path, baseline):
    """Predictions and products have the engine's bits, and Jacobians those of its products.

    `net.jacobian` computes few samples at a time. The order of its sums depends on their number.
    """
    net = random_network(seed, dtype)
    program = Program(net, tmp_path, "jacobian", "jvp", "vjp")
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1000, net.in_features)).astype(dtype)
    H = rng.normal(size=X.shape).astype(dtype)
    C = rng.normal(size=(1000, net.out_features)).astype(dtype)
    found = program("predict", X)
    assert units_apart(found, net.predict(X)) <= (0 if IS_X86 else 16)
    for function, inputs, expected in (
        ("jvp", (X, H), net.jvp(X, H)),
        ("vjp", (X, C), net.vjp(X, C)),
    ):
        outputs, derivatives = program(function, *inputs)
        assert np.array_equal(outputs, found)
        assert units_apart(derivatives, expected) <= (0 if IS_X86 else 16), function
    outputs, jacobians = program("jacobian", X)
    assert np.array_equal(outputs, found)
    assert units_apart(jacobians, net.jacobian(X)) <= (8 if IS_X86 else 16)
    if IS_X86 and not isinstance(net.layers[-1], fn.Softmax | fn.LogSoftmax):
        assert any(np.array_equal(jacobians, own) for own in by_products(net, X))


@pytest.mark.skipif(not IS_X86, reason="other processors have other orders of sums")
@pytest.mark.parametrize("last", [fn.Softmax, fn.LogSoftmax, fn.Tanh, fn.LayerNorm])
@pytest.mark.parametrize("outputs", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("inputs", [1, 2, 4, 7])
def test_jacobians_of_small_networks(inputs, outputs, last, dtype, tmp_path, baseline):
    """The engine computes all samples at once, and the program has its bits."""
    rng = np.random.default_rng(inputs)
    end = fn.LayerNorm(outputs) if last is fn.LayerNorm else last()
    net = fn.Network([fn.Linear(inputs, 12), fn.SiLU(), fn.Linear(12, outputs), end], dtype, seed=1)
    net.params *= 3  # one output of softmax then dominates for many samples
    X = rng.normal(size=(300, inputs)).astype(dtype)
    _, jacobians = Program(net, tmp_path, "jacobian")("jacobian", X)
    assert np.array_equal(jacobians, net.jacobian(X))


@pytest.mark.skipif(not IS_X86, reason="other processors have other orders of sums")
@pytest.mark.parametrize("outputs", [1, 4, 5, 8, 9, 17])
@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 5, 9])
def test_products_of_every_width(inputs, outputs, dtype, tmp_path, rng, baseline):
    """The engine's orders of sums depend on the widths. Code without loops has them too."""
    net = fn.Network([fn.Linear(inputs, outputs)], dtype, seed=0)
    X, H = (rng.normal(size=(200, inputs)).astype(dtype) for _ in "XH")
    C = rng.normal(size=(200, outputs)).astype(dtype)
    for unroll in (False, True):
        folder = tmp_path / str(unroll)
        folder.mkdir()
        program = Program(net, folder, "jvp", "vjp", unroll=unroll)
        assert np.array_equal(program("jvp", X, H)[1], net.jvp(X, H))
        assert np.array_equal(program("vjp", X, C)[1], net.vjp(X, C))


@pytest.mark.parametrize("seed", range(6))
def test_straight_code_has_the_bits_of_loops(seed, dtype, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "MOST_UNROLLED", 10**6)
    net = random_network(seed, dtype)
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, net.in_features)).astype(dtype)
    found = []
    for unroll in (False, True):
        folder = tmp_path / str(unroll)
        folder.mkdir()
        program = Program(net, folder, "jacobian", unroll=unroll)
        found.append((program("predict", X), *program("jacobian", X)))
    assert np.array_equal(found[0][0], found[1][0])
    same = 8 if isinstance(net.layers[-1], fn.Softmax | fn.LogSoftmax) else 0
    assert units_apart(found[1][2], found[0][2]) <= same


@pytest.mark.parametrize("outputs", [1, 3, 4, 5])
@pytest.mark.parametrize("inputs", [1, 4, 5, 6, 7, 8, 9, 13])
def test_straight_code_of_every_width(inputs, outputs, dtype, tmp_path, rng):
    net = fn.Network([fn.Linear(inputs, outputs, bias=inputs % 2 == 0)], dtype, seed=0)
    X = rng.normal(size=(50, inputs)).astype(dtype)
    loops, straight = (
        Program(net, folder, unroll=unroll)("predict", X)
        for folder, unroll in ((tmp_path / "a", False), (tmp_path / "b", True))
        if not folder.mkdir()
    )
    assert np.array_equal(loops, straight)
    assert "for (" in (tmp_path / "a" / "net.c").read_text(encoding="utf-8")
    assert "for (" not in (tmp_path / "b" / "net.c").read_text(encoding="utf-8")
