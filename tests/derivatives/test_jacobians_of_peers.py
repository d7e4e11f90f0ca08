"""Jacobians of random networks in float64 against JAX, and of ELU and SELU against mpmath."""

from functools import cache
from itertools import pairwise

import case_inputs
import cases
import layer_cases
import mpmath as mp
import numpy as np
import pytest
import reference
from reference_activations import SELU_ALPHA, SELU_SCALE

TOLERANCE = 1e-12  # times the largest entry, or 1
DEPTHS = range(1, 7)
ELU = {"elu", "selu"}
CASES = {case.name: case for case in layer_cases.ACTIVATION_CASES + layer_cases.ROW_CASES}
CASES = {name: case for name, case in CASES.items() if case.features in (4, 6)}

pytestmark = pytest.mark.usefixtures("isa")


@cache
def random_network(name, depth):
    """Return a network of linear layers with this activation between them, and a sample.

    An activation that depends on the whole row is also the last layer.
    """
    activation, rng = CASES[name], np.random.default_rng(depth)
    widths = [5, *rng.integers(2, 7, depth - 1), 4]
    if activation.description["kind"] in ("standardize", "unstandardize"):
        widths = [5, *[4] * depth]
    layers = []
    for n_in, n_out in pairwise(map(int, widths)):
        layers += [cases.linear(n_in, n_out), activation.description]
    if activation not in layer_cases.ROW_CASES and depth > 1:
        layers.pop()
    case = cases.NetworkCase(f"{name}_{depth}", layers)
    params = case_inputs.sample_params(case, rng, float)
    return case, params, case_inputs.smooth_inputs(case, params, rng, float, n=1)


@cache
def by_jax(name, depth):
    from jax_network import jacobians

    case, params, X = random_network(name, depth)
    return jacobians(case.layers, params, X[0], "fwd" if depth % 2 else "rev")


def assert_equal(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= TOLERANCE * max(1, np.abs(expected).max())


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.description["kind"] not in ELU])
def test_against_jax(make_network, name, depth):
    pytest.importorskip("jax")
    case, params, X = random_network(name, depth)
    net = make_network(case, "float64", params)
    for wrt, expected in by_jax(name, depth).items():
        assert_equal(net.jacobian(X[0], wrt), expected)
        assert_equal(net.jacobian(np.tile(X, (3, 1)), wrt)[1], expected)


def precise_jacobians(layers, params, x):
    """Return the Jacobians of a network of linear layers, ELU and SELU, with 30 digits."""
    pairs, a, columns = reference.unpack(layers, params), mp.matrix(x.tolist()), []
    by_input = mp.eye(len(x))
    for layer, (weight, bias) in zip(layers, pairs, strict=True):
        if weight is not None:
            W = mp.matrix(weight.tolist())
            columns = [W * column for column in columns]
            units = [mp.matrix(np.eye(W.rows)[i].tolist()) for i in range(W.rows)]
            columns += [unit * factor for unit in units for factor in a]  # z = W a + b
            columns += units
            by_input, a = W * by_input, W * a + mp.matrix(bias.tolist())
        else:
            scale, alpha = 1, layer.get("alpha", 1.0)
            if layer["kind"] == "selu":
                scale, alpha = SELU_SCALE, SELU_ALPHA
            slope = mp.diag([scale * (1 if z > 0 else alpha * mp.exp(z)) for z in a])
            columns = [slope * column for column in columns]
            by_input = slope * by_input
            a = mp.matrix([scale * (z if z > 0 else alpha * mp.expm1(z)) for z in a])
    return by_input, columns


@cache
def by_mpmath(name, depth):
    case, params, X = random_network(name, depth)
    with mp.workdps(30):
        by_input, columns = precise_jacobians(case.layers, params, X[0])
    by_params = np.array([list(column) for column in columns], float).T
    return {"input": np.array(by_input.tolist(), float), "params": by_params}


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.description["kind"] in ELU])
def test_against_mpmath(make_network, name, depth):
    case, params, X = random_network(name, depth)
    net = make_network(case, "float64", params)
    for wrt, expected in by_mpmath(name, depth).items():
        assert_equal(net.jacobian(X[0], wrt), expected)
        assert_equal(net.jacobian(np.tile(X, (3, 1)), wrt)[1], expected)
