"""`fastnn.casadi.function` computes the network, and CasADi's derivatives are those of fastnn."""

import numpy as np
import pytest
import reference
from c_programs import random_network
from case_inputs import sample_inputs, sample_params, special_inputs
from cases import NETWORK_CASES
from layer_cases import LAYER_CASES

import fastnn as fn

casadi = pytest.importorskip("casadi", reason="its functions are compared with networks")

CASES = [*LAYER_CASES, *NETWORK_CASES]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # relative to the largest number


def assert_close(found, expected, tolerance):
    size = max(np.abs(expected).max(initial=0), 1e-3)
    np.testing.assert_allclose(np.array(found), expected, rtol=0, atol=tolerance * size)


def with_jacobian(made):
    """Return a function with the results y and dy/dx."""
    x = casadi.MX.sym("x", made.size1_in(0))
    y = made(x)
    return casadi.Function("with_jacobian", [x], [y, casadi.jacobian(y, x)])


def check(net, X, symbols):
    tolerance = TOLERANCE[str(net.dtype)]
    made = with_jacobian(fn.casadi.function(net, symbols=symbols))
    for x, expected, jacobian in zip(X, net.predict(X), net.jacobian(X), strict=True):
        y, dy = made(x)
        assert_close(y, expected[:, np.newaxis], tolerance)
        assert_close(dy, jacobian, tolerance)


@pytest.mark.parametrize(
    ("symbols", "dtype"), [("MX", "float32"), ("MX", "float64"), ("SX", "float64")]
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_layer_and_network(case, symbols, dtype, make_network, rng):
    net = make_network(case, dtype, sample_params(case, rng, dtype))
    check(net, sample_inputs(case, rng, dtype), symbols)


@pytest.mark.parametrize("seed", range(10))
def test_random_networks(seed, rng):
    net = random_network(seed, "float64")
    check(net, rng.normal(size=(5, net.in_features)), "MX")


@pytest.mark.parametrize("symbols", ["MX", "SX"])
@pytest.mark.parametrize("case", LAYER_CASES, ids=lambda case: case.name)
def test_special_inputs(case, symbols, make_network, rng):
    """At kinks and for large inputs, nothing is NaN, and slopes are those of fastnn."""
    net = make_network(case, "float64", sample_params(case, rng, "float64"))
    X = special_inputs(case, "float64")
    if "Periodic" in case.cls:  # in large angles, rounding counts
        X = X.clip(-50, 50)
    check(net, X, symbols)


def small_cases():
    """Return the cases whose Hessians take CasADi little time."""
    return [case for case in CASES if "wide" not in case.name]


@pytest.mark.parametrize("symbols", ["MX", "SX"])
@pytest.mark.parametrize("case", small_cases(), ids=lambda case: case.name)
def test_hessians(case, symbols, make_network, rng):
    """Compared with complex steps of the oracle's Jacobian."""
    params, X = sample_params(case, rng, "float64"), sample_inputs(case, rng, "float64", n=3)
    made = fn.casadi.function(make_network(case, "float64", params), symbols=symbols)
    x = casadi.MX.sym("x", case.features)
    c = casadi.MX.sym("c", made.size1_out(0))
    hessian = casadi.Function("h", [x, c], [casadi.hessian(casadi.dot(c, made(x)), x)[0]])
    cotangent = rng.normal(size=c.numel())
    steps = 1e-30j * np.eye(case.features)
    expected = np.stack(
        [reference.jacobian(case.layers, params, X + step).imag / 1e-30 for step in steps], 2
    )
    expected = np.einsum("nysx,y->nsx", expected, cotangent)
    jacobians = np.abs(reference.jacobian(case.layers, params, X)).max()
    for sample, own in zip(X, expected, strict=True):
        found = np.array(hessian(sample, cotangent))
        size = np.abs(own).max() + jacobians
        np.testing.assert_allclose(found, own, rtol=0, atol=1e-12 * size)


def test_names():
    net = fn.Network([fn.Linear(2, 3)], seed=0)
    made = fn.casadi.function(net, "plant")
    assert str(made) == "plant:(x[2])->(y[3]) MXFunction"
    assert str(fn.casadi.function(net, symbols="SX")) == "net:(x[2])->(y[3]) SXFunction"
