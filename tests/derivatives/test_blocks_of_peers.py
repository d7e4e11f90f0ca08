"""Derivatives of networks with blocks in float64 against JAX."""

import jax_network
import numpy as np
import pytest
from block_cases import BLOCK_NETWORKS
from case_inputs import sample_params, smooth_inputs
from cases import NetworkCase

import fastnn as fn

CASES = [NetworkCase(name, layers) for name, layers in BLOCK_NETWORKS.items()]
LOSS = {"kind": "log_cosh"}

pytestmark = pytest.mark.usefixtures("isa")


def assert_equal(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-12 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_against_jax(make_network, rng, case):
    params = sample_params(case, rng, float)
    X = smooth_inputs(case, params, rng, float, n=3)
    net = make_network(case, "float64", params)
    for wrt, expected in jax_network.jacobians(case.layers, params, X[0], "rev").items():
        assert_equal(net.jacobian(X, wrt)[0], expected)
    y, v = rng.standard_normal((3, net.out_features)), rng.standard_normal(net.n_params)
    expected = jax_network.hvp(case.layers, params, X, y, LOSS, v)
    assert_equal(net.hvp(X, y, fn.LogCosh("sum"), v), expected)
