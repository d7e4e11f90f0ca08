"""Programs in C of random networks, compared with the engine on 1,000 samples."""

import platform

import numpy as np
import pytest
from c_programs import Program, random_network, units_apart

import fastnn as fn
from fastnn import _core
from fastnn.network import exporting


@pytest.mark.parametrize("seed", range(30))
def test_random_networks(seed, dtype, tmp_path, monkeypatch):
    """Without fused multiply-add, predictions have the engine's bits.

    In float32 the engine adds the numbers of a softmax in double. Derivatives are sums in another
    order than the engine's.
    """
    monkeypatch.setattr(_core, "engine", _core.load_engine("baseline"))
    net = random_network(seed, dtype)
    program = Program(net, tmp_path, "jacobian", "jvp", "vjp")
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1000, net.in_features)).astype(dtype)
    H = rng.normal(size=X.shape).astype(dtype)
    C = rng.normal(size=(1000, net.out_features)).astype(dtype)
    found = program("predict", X)
    sums_in_double = dtype == "float32" and isinstance(net.layers[-1], fn.LogSoftmax)
    units = 16 if platform.machine() != "x86_64" else 2 if sums_in_double else 0
    assert units_apart(found, net.predict(X)) <= units
    for function, inputs, expected in (
        ("jacobian", (X,), net.jacobian(X)),
        ("jvp", (X, H), net.jvp(X, H)),
        ("vjp", (X, C), net.vjp(X, C)),
    ):
        outputs, derivatives = program(function, *inputs)
        assert np.array_equal(outputs, found)
        assert units_apart(derivatives, expected) <= 16, function


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
    assert units_apart(found[1][2], found[0][2]) <= 16


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
