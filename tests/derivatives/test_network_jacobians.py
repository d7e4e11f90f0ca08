"""Jacobians of networks and their products, against the oracle and for every shape."""

import concurrent.futures

import numpy as np
import pytest
import reference
import reference_derivatives as derivatives
from case_inputs import sample_params, smooth_inputs, special_inputs
from cases import NETWORK_CASES
from closeness import assert_close
from layer_cases import ACTIVATION_CASES, LAYER_CASES

import fastnn as fn

all_cases = pytest.mark.parametrize("case", NETWORK_CASES + LAYER_CASES, ids=lambda case: case.name)
by_either = pytest.mark.parametrize("wrt", ["input", "params"])
pytestmark = pytest.mark.usefixtures("isa")


@pytest.fixture
def prepared(rng, dtype, make_network):
    """Return a case's network, inputs away from its kinks, and the oracle's Jacobians."""

    def prepare(case, wrt, n=4):
        params = sample_params(case, rng, dtype)
        X = smooth_inputs(case, params, rng, dtype, n)
        exact = params.astype(float), X.astype(float)
        expected = reference.jacobian(case.layers, *exact, wrt)
        return make_network(case, dtype, params), X, expected

    return prepare


@all_cases
@by_either
def test_jacobian(prepared, case, wrt, dtype):
    net, X, expected = prepared(case, wrt)
    J = net.jacobian(X, wrt)
    assert J.dtype == dtype
    assert J.flags.c_contiguous
    assert J.flags.writeable
    assert_close(J, expected)
    assert_close(net.jacobian(X[2], wrt), expected[2])
    assert_close(net.jacobian(X[1:2], wrt=wrt), expected[1:2])


@all_cases
@by_either
def test_value_and_jacobian(prepared, case, wrt):
    net, X, expected = prepared(case, wrt)
    Y, J = net.value_and_jacobian(X, wrt)
    assert_close(Y, net.predict(X).astype(float))
    assert_close(J, expected)
    assert np.array_equal(J, net.jacobian(X, wrt))
    y, j = net.value_and_jacobian(X[3], wrt)
    assert_close(y, net.predict(X[3]).astype(float))
    assert np.array_equal(j, net.jacobian(X[3], wrt))


@all_cases
@by_either
def test_products_with_vectors(prepared, case, wrt, rng, dtype):
    """Jvp is J h, vjp is Jᵀ c; vjp by the parameters is summed over the samples."""
    net, X, J = prepared(case, wrt)
    h = rng.standard_normal(X.shape if wrt == "input" else net.n_params).astype(dtype)
    c = rng.standard_normal(J.shape[:2]).astype(dtype)
    each_h = np.broadcast_to(h, (len(X), h.shape[-1])).astype(float)
    jvp = np.einsum("nki,ni->nk", J, each_h)
    vjps = np.einsum("nk,nki->ni", c.astype(float), J)
    size = np.einsum("nki,ni->nk", abs(J), abs(each_h)).max(initial=1)
    assert_close(net.jvp(X, h, wrt), jvp, size=size)
    assert_close(net.jvp(X[1], each_h[1], wrt), jvp[1], size=size)
    size = np.einsum("nk,nki->ni", abs(c), abs(J)).max(initial=1)
    expected = vjps if wrt == "input" else vjps.sum(axis=0)
    assert_close(net.vjp(X, c, wrt), expected, size=len(X) * size)
    assert_close(net.vjp(X[1], c[1], wrt), vjps[1], size=size)


@all_cases
@by_either
def test_the_operator_is_the_jacobian(prepared, case, wrt, dtype):
    net, X, expected = prepared(case, wrt)
    operator = net.jacobian_operator(X[0], wrt)
    assert operator.shape == expected.shape[1:]
    dense = operator.to_dense()
    assert dense.dtype == dtype
    assert_close(dense, expected[0])
    assert_close(dense, net.jacobian(X[0], wrt).astype(float))


def test_by_the_input_is_the_default(rng, dtype):
    net = fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2)], dtype, seed=0)
    X, c = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    assert np.array_equal(net.jacobian(X), net.jacobian(X, "input"))
    assert np.array_equal(net.value_and_jacobian(X)[1], net.jacobian(X, wrt="input"))
    assert np.array_equal(net.jvp(X, X), net.jvp(X, X, "input"))
    assert np.array_equal(net.vjp(X, c), net.vjp(X, c, wrt="input"))
    dense = net.jacobian_operator(X[0]).to_dense()
    assert np.array_equal(dense, net.jacobian_operator(X[0], "input").to_dense())


# Values that are awkward ---------------------------------------------------------------------


@pytest.mark.parametrize("case", LAYER_CASES, ids=lambda case: case.name)
def test_awkward_inputs(case, dtype, rng, make_network):
    """Zeros (the kinks), the smallest and huge numbers: the results equal the oracle's."""
    params, X = sample_params(case, rng, dtype), special_inputs(case, dtype)
    net = make_network(case, dtype, params)
    expected = reference.jacobian(case.layers, params.astype(float), X.astype(float))
    assert_close(net.jacobian(X), expected)
    h, c = np.ones_like(X), np.ones((len(X), net.out_features), dtype)
    rows = np.abs(expected).sum(axis=(1, 2)).max(initial=1)
    assert_close(net.jvp(X, h), expected.sum(axis=2), size=rows)
    assert_close(net.vjp(X, c), expected.sum(axis=1), size=rows)


SMOOTH = [case for case in ACTIVATION_CASES if not case.kinks]


@by_either
@pytest.mark.parametrize("activation", SMOOTH, ids=lambda case: case.name)
def test_the_complex_step(rng, wrt, activation):
    width = activation.features
    net = fn.Network(
        [fn.Linear(4, width), getattr(fn, activation.cls)(**activation.args), fn.Linear(width, 3)],
        "float64",
        seed=1,
    )
    layers = [
        {"kind": "linear", "in_features": 4, "out_features": width, "bias": True},
        activation.description,
        {"kind": "linear", "in_features": width, "out_features": 3, "bias": True},
    ]
    X = rng.standard_normal((3, 4))
    expected = derivatives.complex_jacobian(layers, net.params, X, wrt)
    difference = np.abs(net.jacobian(X, wrt) - expected).max()
    assert difference <= 1e-13 * max(1, np.abs(expected).max())


# Shapes --------------------------------------------------------------------------------------


def formulas(net, X):
    """Return the Jacobians of Linear, Tanh, Linear by input and parameters, in float64."""
    first, last = net.layers[0], net.layers[2]
    (W1, b1), W2 = (a.astype(float) for a in (first.weight, first.bias)), last.weight.astype(float)
    X, n, n_out = X.astype(float), len(X), len(W2)
    a = np.tanh(X @ W1.T + b1)
    dz = W2 * (1 - a * a)[:, np.newaxis]  # (n, out, hidden)
    dW1 = np.einsum("nkh,ni->nkhi", dz, X).reshape(n, n_out, -1)
    dW2 = np.einsum("kl,nh->nklh", np.eye(n_out), a).reshape(n, n_out, -1)
    db2 = np.broadcast_to(np.eye(n_out), (n, n_out, n_out))
    return {"input": dz @ W1, "params": np.concatenate([dW1, dz, dW2, db2], axis=2)}


def guarded(shape, dtype):
    """Return an array to write to, and the larger array of numbers -7 around it."""
    size = int(np.prod(shape))
    around = np.full(size + 128, -7, dtype)
    return around[61 : 61 + size].reshape(shape), around


WIDTHS = [
    (1, 1, 1),
    (2, 3, 1),
    (1, 5, 8),
    (3, 64, 5),
    (4, 7, 15),
    (8, 16, 16),
    (16, 8, 17),
    (17, 33, 2),
    (31, 15, 9),
    (32, 4, 32),
    (33, 2, 31),
    (65, 65, 3),
    (5, 66, 36),
]


@by_either
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_every_width_and_number_of_rows(dtype, rng, widths, wrt):
    """`out=` is filled and returned, and the memory around it is not changed."""
    n_in, hidden, n_out = widths
    net = fn.Network([fn.Linear(n_in, hidden), fn.Tanh(), fn.Linear(hidden, n_out)], dtype, seed=0)
    net.params += rng.uniform(-0.1, 0.1, net.n_params).astype(dtype)
    rows = [1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 64, 65]
    X = rng.standard_normal((max(rows), n_in)).astype(dtype)
    expected = formulas(net, X)[wrt]
    for n in rows:
        out, around = guarded(expected[:n].shape, dtype)
        assert net.jacobian(X[:n], wrt, out=out) is out
        assert_close(out, expected[:n])
        assert (around[:61] == -7).all()
        assert (around[61 + out.size :] == -7).all()
        out.fill(np.nan)
        assert net.value_and_jacobian(X[:n], wrt, out=out)[1] is out
        assert_close(out, expected[:n])
    out, around = guarded(expected[0].shape, dtype)
    assert net.jacobian(X[0], wrt, out=out) is out
    assert_close(out, expected[0])
    assert (around != -7).sum() <= out.size


@by_either
@pytest.mark.parametrize("n", [257, 1000, 5_000, 20_000])
def test_large_batches_are_as_small_ones(dtype, rng, wrt, n):
    net = fn.Network([fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 2)], dtype, seed=0)
    X = rng.standard_normal((n, 3)).astype(dtype)
    expected = formulas(net, X)[wrt]
    J = net.jacobian(X, wrt)
    assert_close(J, expected)
    for start in (0, n // 2 - 100, n - 200):
        rows = slice(start, start + 200)
        assert_close(net.jacobian(X[rows], wrt), J[rows].astype(float))
    h = rng.standard_normal(X.shape if wrt == "input" else net.n_params).astype(dtype)
    c = rng.standard_normal((n, 2)).astype(dtype)
    jvp = np.einsum("nki,ni->nk" if wrt == "input" else "nki,i->nk", expected, h.astype(float))
    assert_close(net.jvp(X, h, wrt), jvp, size=10)
    vjp = np.einsum("nk,nki->ni" if wrt == "input" else "nk,nki->i", c.astype(float), expected)
    assert_close(net.vjp(X, c, wrt), vjp, size=np.sqrt(n))


@by_either
def test_no_rows(dtype, wrt):
    net = fn.Network([fn.Linear(3, 4), fn.ReLU(), fn.Linear(4, 2)], dtype, seed=0)
    X, c, last = np.empty((0, 3)), np.empty((0, 2)), {"input": 3, "params": net.n_params}[wrt]
    assert net.jacobian(X, wrt).shape == (0, 2, last)
    assert net.jacobian(X, wrt, out=np.empty((0, 2, last), dtype)).shape == (0, 2, last)
    value, J = net.value_and_jacobian(X, wrt)
    assert (value.shape, J.shape) == ((0, 2), (0, 2, last))
    h = X if wrt == "input" else np.ones(last)
    assert net.jvp(X, h, wrt).shape == (0, 2)
    vjp = net.vjp(X, c, wrt)
    assert vjp.shape == ((0, 3) if wrt == "input" else (last,))
    assert not vjp.any()


def test_no_parameters(dtype):
    net = fn.Network([fn.Standardize([1, 2], [2, 4]), fn.ReLU()], dtype)
    assert net.jacobian([3, 1]).tolist() == [[0.5, 0], [0, 0]]
    assert net.jacobian([[3, 1]], "params").shape == (1, 2, 0)
    assert net.jvp([3, 1], [], "params").tolist() == [0, 0]
    assert net.vjp([3, 1], [1, 1], "params").shape == (0,)


def test_standardize_divides_the_jacobian(dtype, rng):
    mean, scale = rng.standard_normal(3), rng.uniform(0.5, 2, 3)
    net = fn.Network(
        [fn.Standardize(mean, scale), fn.Linear(3, 4), fn.GELU(), fn.Linear(4, 2)], dtype, seed=0
    )
    rest = fn.Network([fn.Linear(3, 4), fn.GELU(), fn.Linear(4, 2)], dtype)
    rest.params = net.params
    X = rng.standard_normal((6, 3)).astype(dtype)
    Z = (X - mean) / scale
    assert_close(net.jacobian(X), rest.jacobian(Z) / scale)
    assert_close(net.jacobian(X, "params"), rest.jacobian(Z, "params").astype(float))


# What else holds -----------------------------------------------------------------------------


def call_all(net, X, h, c):
    """Return the results of all methods for Jacobians."""
    found = []
    for wrt, tangent in (("input", X), ("params", h)):
        found += [net.jacobian(X, wrt), *net.value_and_jacobian(X, wrt)]
        found += [net.jvp(X, tangent, wrt), net.vjp(X, c, wrt)]
    return found


def test_nothing_else_changes(dtype, rng):
    """Derivatives change no arguments, `grads`, earlier results, or state of `backward`."""
    net = fn.Network([fn.Linear(3, 4), fn.ELU(0.5), fn.Linear(4, 2)], dtype, seed=0)
    X, dY = rng.standard_normal((5, 3)).astype(dtype), rng.standard_normal((5, 2)).astype(dtype)
    h = rng.standard_normal(net.n_params).astype(dtype)
    net(X)
    dX, grads = net.backward(dY), net.grads.copy()
    before = [a.copy() for a in (X, h, dY, net.params)]
    net(X)
    net.grads[...] = 3
    first = call_all(net, X, h, dY)
    kept = [a.copy() for a in first]
    call_all(net, -X, -h, -dY)
    for array, copy in zip([X, h, dY, net.params, *first], [*before, *kept], strict=True):
        assert np.array_equal(array, copy)
    assert (net.grads == 3).all()
    assert np.array_equal(net.backward(dY), dX)
    assert np.array_equal(net.grads, grads)


def test_parameters_written_are_seen(dtype):
    net = fn.Network([fn.Linear(2, 1)], dtype, seed=0)
    for weights in ([[1, 2]], [[3, 4]]):
        net.layers[0].weight = weights
        assert net.jacobian([5, 6]).tolist() == weights
        assert net.jvp([5, 6], [1, 1]).tolist() == [sum(weights[0])]
        assert net.jacobian([5, 6], "params").tolist() == [[5, 6, 1]]


def test_threads_of_python_do_not_meet(dtype, rng):
    net = fn.Network([fn.Linear(6, 40), fn.ReLU(), fn.Linear(40, 5)], dtype, seed=0)
    h = rng.standard_normal(net.n_params)
    inputs = [rng.standard_normal((200, 6)) for _ in range(8)]
    c = rng.standard_normal((200, 5))
    expected = [call_all(net, X, h, c) for X in inputs]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda X: call_all(net, X, h, c), inputs * 3))
    for ours, theirs in zip(found, expected * 3, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
