"""Programs in C of every layer and of networks of all kinds, compared with the oracle."""

import numpy as np
import pytest
import reference
from c_programs import Program, units_apart
from case_inputs import sample_inputs, sample_params, special_inputs
from cases import NETWORK_CASES, NetworkCase
from descriptions import linear
from layer_cases import LAYER_CASES

from fastnn import _core

CASES = [*LAYER_CASES, *NETWORK_CASES]


def oracle(function, case, params, X):
    """Return a result of the oracle in float64, rounded to the dtype of X."""
    return function(case.layers, params.astype(float), X.astype(float)).astype(X.dtype)


def assert_as_special(found, expected):
    """Demand nearly equal numbers, of any size."""
    size = np.abs(expected).max(axis=tuple(range(1, expected.ndim)), keepdims=True)
    tolerance = 1e-5 * np.abs(expected) + 100 * np.finfo(found.dtype).eps * size
    assert (np.abs(found - expected) <= tolerance).all()


@pytest.mark.parametrize(
    ("case", "dtype"),
    [(case, "float32") for case in LAYER_CASES] + [(case, "float64") for case in NETWORK_CASES],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_layer_and_network(case, dtype, make_network, tmp_path, rng, monkeypatch):
    """With special values of the inputs, the results are those of the engine."""
    monkeypatch.setattr(_core, "engine", _core.load_engine("baseline"))
    params, X = sample_params(case, rng, dtype), sample_inputs(case, rng, dtype, n=6)
    net = make_network(case, dtype, params)
    Y = oracle(reference.forward, case, params, X)
    J = oracle(reference.jacobian, case, params, X)
    H, C = (rng.normal(size=own.shape).astype(dtype) for own in (X, Y))
    program = Program(net, tmp_path, "jacobian", "jvp", "vjp")
    assert units_apart(program("predict", X), Y) <= 16
    for function, inputs, expected in (
        ("jacobian", (X,), J),
        ("jvp", (X, H), np.einsum("nyx,nx->ny", J, H)),
        ("vjp", (X, C), np.einsum("nyx,ny->nx", J, C)),
    ):
        outputs, derivatives = program(function, *inputs)
        assert np.array_equal(outputs, program("predict", X))
        assert units_apart(derivatives, expected) <= 50, function
    X = special_inputs(case, dtype)
    outputs, jacobians = program("jacobian", X)
    assert_as_special(outputs, net.predict(X))
    assert_as_special(jacobians, net.jacobian(X))


def smooth_networks():
    """Return a network with one output for each network of the table and each layer."""
    for case in CASES:
        if "wide" not in case.name and "33" not in case.name:
            X = np.zeros((1, case.features))
            width = reference.forward(case.layers, np.zeros(reference.n_params(case.layers)), X)
            last = linear(width.shape[1], 1)
            yield NetworkCase(case.name, [linear(3, case.features), *case.layers, last])


@pytest.mark.parametrize("case", list(smooth_networks()), ids=lambda case: case.name)
def test_hessians(case, make_network, tmp_path, rng):
    """Compared with complex steps of the oracle's Jacobian."""
    dtype = "float64"
    params, X = sample_params(case, rng, dtype), rng.normal(size=(6, 3)).astype(dtype)
    net = make_network(case, dtype, params)
    outputs, gradients, hessians = Program(net, tmp_path, "hessian")("hessian", X)
    expected = np.empty(hessians.shape)
    for i, step in enumerate(1e-30j * np.eye(3)):
        jacobians = reference.jacobian(case.layers, params.astype(float), X.astype(float) + step)
        expected[:, i] = jacobians[:, 0].imag / 1e-30
    assert units_apart(outputs, oracle(reference.forward, case, params, X)) <= 16
    assert units_apart(gradients, oracle(reference.jacobian, case, params, X)[:, 0]) <= 50
    assert np.array_equal(hessians, hessians.transpose(0, 2, 1))
    size = np.abs(expected).max() + np.abs(gradients).max()
    np.testing.assert_allclose(hessians, expected, rtol=0, atol=500 * np.finfo(dtype).eps * size)
