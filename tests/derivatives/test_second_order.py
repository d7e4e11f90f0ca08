"""Gradients of each sample, Gauss-Newton matrices, Hessians and their products."""

from functools import cache

import cases
import layer_cases
import numpy as np
import pytest
import reference
import reference_derivatives as derivatives
from case_inputs import sample_params, smooth_inputs
from cases import LOSS_CASES, NETWORK_CASES, SMOOTH_LOSS_CASES
from closeness import assert_close

import fastnn as fn

all_networks = pytest.mark.parametrize("case", NETWORK_CASES, ids=lambda case: case.name)
all_losses = pytest.mark.parametrize("loss_case", LOSS_CASES, ids=lambda case: case.name)
smooth_losses = pytest.mark.parametrize("loss_case", SMOOTH_LOSS_CASES, ids=lambda case: case.name)
both_reductions = pytest.mark.parametrize("reduction", ["mean", "sum"])
pytestmark = pytest.mark.usefixtures("isa")


@pytest.fixture
def for_loss(rng, dtype, make_network):
    """Return a small network for a loss, n samples and targets, and all of them in float64."""

    def make(loss_case, n, hidden="tanh"):
        layers = [cases.linear(3, 5), {"kind": hidden}, cases.linear(5, 4)]
        if loss_case.kind == "negative_log_likelihood":
            layers.append({"kind": "softmax"})
        case = cases.NetworkCase("net", layers)
        params = sample_params(case, rng, dtype)
        X = rng.standard_normal((n, 3)).astype(dtype)
        y = loss_case.make_y(rng, n, 4, dtype)
        exact_y = y if loss_case.target == "labels" else y.astype(float)
        exact = layers, params.astype(float), X.astype(float), exact_y, loss_case.description
        return make_network(case, dtype, params), X, y, exact

    return make


def made(loss_case, reduction="mean"):
    """Return the loss."""
    return getattr(fn, loss_case.cls)(**loss_case.args, reduction=reduction)


class Quartic:
    """A custom loss: the mean over a batch of Σ (ŷ - y)⁴."""

    def value_and_grad(self, y_pred, y):
        d = y_pred - y
        return float((d**4).sum() / len(d)), 4 * d**3 / len(d)


# A gradient for each sample ----------------------------------------------------------------------


@all_losses
@both_reductions
@pytest.mark.parametrize("n", [1, 2, 17, 700])
def test_sample_grads(for_loss, dtype, loss_case, reduction, n):
    """Each row is the gradient of one sample; the rows sum to that of the summed loss."""
    net, X, y, exact = for_loss(loss_case, n)
    net.grads[...] = 3
    found = net.sample_grads(X, y, made(loss_case, reduction))
    assert (net.grads == 3).all()
    assert found.dtype == dtype
    assert found.shape == (n, net.n_params)
    layers, params, exact_X, exact_y, description = exact
    for i in {0, n // 2, n - 1}:
        one = slice(i, i + 1)
        expected = derivatives.gradient(
            layers, params, exact_X[one], exact_y[one], description, "sum"
        )
        assert_close(found[i], expected, size=np.abs(found).max())
    total = net.loss_and_grad(X, y, made(loss_case, "sum"))[1]
    summed = found.sum(axis=0, dtype=float)
    assert_close(total, summed, size=np.abs(found).sum(axis=0).max())


@all_networks
def test_sample_grads_of_every_network(isa, dtype, rng, case, make_network):
    params = sample_params(case, rng, dtype)
    X = smooth_inputs(case, params, rng, dtype)
    net = make_network(case, dtype, params)
    y = rng.standard_normal((len(X), net.out_features)).astype(dtype)
    Y = reference.forward(case.layers, params.astype(float), X.astype(float))
    J = reference.jacobian(case.layers, params.astype(float), X.astype(float), "params")
    expected = np.einsum("nk,nkp->np", Y - y, J)
    assert_close(net.sample_grads(X, y, fn.HalfSquaredError()), expected, units=500)


def test_sample_grads_of_a_custom_loss(dtype, rng):
    net = fn.Network([fn.Linear(3, 5), fn.SiLU(), fn.Linear(5, 2)], dtype, seed=0)
    X, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    found = net.sample_grads(X, y, Quartic())
    scale = np.abs(found).max()
    for i in range(20):
        alone = net.loss_and_grad(X[i : i + 1], y[i : i + 1], Quartic())[1]
        assert_close(found[i], alone.astype(float), size=scale)
    mean = net.loss_and_grad(X, y, Quartic())[1]
    assert_close(found.mean(axis=0), mean.astype(float), size=scale)


# Gauss-Newton --------------------------------------------------------------------------------


@smooth_losses
@both_reductions
@pytest.mark.parametrize("n", [1, 6, 37])
def test_gram_of_every_loss(for_loss, dtype, loss_case, reduction, n):
    """The results are Σ w Jᵀ H J and the gradient, with the oracle's J and H."""
    net, X, y, (layers, params, exact_X, exact_y, description) = for_loss(loss_case, n)
    Y = reference.forward(layers, params, exact_X)
    J = reference.jacobian(layers, params, exact_X, "params")
    H = derivatives.loss_hessians(description, Y, exact_y)
    expected = derivatives.gauss_newton(J, H, reduction)
    gradient = derivatives.gradient(layers, params, exact_X, exact_y, description, reduction)
    loss = made(loss_case, reduction)
    matrix, found = net.gram(X, y, loss)
    assert matrix.dtype == found.dtype == dtype
    assert_close(matrix, expected, units=1000)
    assert_close(found, gradient, units=1000)
    assert np.array_equal(matrix, matrix.T)
    if not loss.hessian_takes_target:
        without_targets, nothing = net.gram(X, loss=loss)
        assert nothing is None
        assert_close(without_targets, expected, units=1000)


@all_networks
def test_gram_of_every_network(isa, dtype, rng, case, make_network):
    """The default loss gives JᵀJ, and Jᵀr with the residuals r = ŷ - y."""
    params = sample_params(case, rng, dtype)
    X = smooth_inputs(case, params, rng, dtype)
    net = make_network(case, dtype, params)
    exact = case.layers, params.astype(float), X.astype(float)
    J = reference.jacobian(*exact, "params")
    y = rng.standard_normal(J.shape[:2]).astype(dtype)
    residuals = (reference.forward(*exact) - y).ravel()
    J = J.reshape(-1, net.n_params)
    matrix, gradient = net.gram(X, y)
    assert_close(matrix, J.T @ J, units=1000)
    assert_close(gradient, J.T @ residuals, units=1000)
    matrix, gradient = net.gram(X)
    assert gradient is None
    assert_close(matrix, J.T @ J, units=1000)


@pytest.mark.parametrize("n", [1, 5, 64, 257, 2000, 5000])
@pytest.mark.parametrize("widths", [(2, 3, 1), (8, 50, 1), (5, 7, 9), (3, 33, 3)], ids=str)
def test_gram_of_every_size(dtype, rng, widths, n):
    """The result equals JᵀJ with the network's own Jacobian."""
    n_in, hidden, n_out = widths
    net = fn.Network([fn.Linear(n_in, hidden), fn.ReLU(), fn.Linear(hidden, n_out)], dtype, seed=0)
    X = rng.standard_normal((n, n_in)).astype(dtype)
    J = net.jacobian(X, "params").reshape(-1, net.n_params).astype(float)
    matrix, _ = net.gram(X)
    assert_close(matrix, J.T @ J, units=1000)
    assert np.array_equal(matrix, matrix.T)


def test_a_gauss_newton_step_solves_a_linear_problem(dtype, rng):
    net = fn.Network([fn.Linear(3, 2)], dtype, seed=0)
    X, truth = rng.standard_normal((50, 3)), rng.standard_normal((3, 2))
    matrix, gradient = net.gram(X, X @ truth + 1)
    net.params -= np.linalg.solve(matrix.astype(float), gradient).astype(dtype)
    np.testing.assert_allclose(net.layers[0].weight, truth.T, atol=1e-4)
    np.testing.assert_allclose(net.layers[0].bias, 1, atol=1e-4)


# Hessians ------------------------------------------------------------------------------------


@smooth_losses
@both_reductions
@pytest.mark.parametrize("n", [1, 6, 300])
def test_hvp_of_every_loss(for_loss, dtype, rng, loss_case, reduction, n):
    net, X, y, exact = for_loss(loss_case, n)
    v = rng.standard_normal(net.n_params).astype(dtype)
    expected = derivatives.hvp(*exact, v.astype(float), reduction)
    net.grads[...] = 3
    found = net.hvp(X, y, made(loss_case, reduction), v)
    assert (net.grads == 3).all()
    assert found.dtype == dtype
    assert_close(found, expected, units=1000, size=1 if reduction == "mean" else n)


@all_networks
def test_hvp_of_every_network(isa, dtype, rng, case, make_network):
    params = sample_params(case, rng, dtype)
    X = smooth_inputs(case, params, rng, dtype)
    net = make_network(case, dtype, params)
    y = rng.standard_normal((len(X), net.out_features)).astype(dtype)
    v = rng.standard_normal(net.n_params).astype(dtype)
    arguments = case.layers, params.astype(float), X.astype(float), y.astype(float)
    expected = derivatives.hvp(*arguments, "half_squared_error", v.astype(float))
    assert_close(net.hvp(X, y, fn.HalfSquaredError(), v), expected, units=2000)


@pytest.mark.parametrize("activation", layer_cases.ACTIVATION_CASES, ids=lambda case: case.name)
@smooth_losses
def test_hvp_of_every_activation(rng, make_network, activation, loss_case):
    """In float64 it equals the complex step within 1e-12, away from kinks."""
    width = activation.features
    layers = [cases.linear(3, width), activation.description, cases.linear(width, 4)]
    if loss_case.kind == "negative_log_likelihood":
        layers.append({"kind": "softmax"})
    case = cases.NetworkCase(f"{activation.name}, {loss_case.name}", layers)
    params = sample_params(case, rng, float)
    X = rng.standard_normal((3, 3)) if width == 37 else smooth_inputs(case, params, rng, float, 3)
    y, v = loss_case.make_y(rng, 3, 4, float), rng.standard_normal(len(params))
    expected = derivatives.hvp(layers, params, X, y, loss_case.description, v)
    net = make_network(case, "float64", params)
    found = net.hvp(X, y, made(loss_case), v)
    assert np.abs(found - expected).max() <= 1e-12 * max(1, np.abs(expected).max())


@smooth_losses
@both_reductions
@pytest.mark.parametrize("hidden", ["tanh", "relu", "silu"])
def test_hessian(for_loss, dtype, loss_case, reduction, hidden):
    net, X, y, exact = for_loss(loss_case, 5, hidden)
    expected = derivatives.hessian(*exact, reduction)
    loss = made(loss_case, reduction)
    found = net.hessian(X, y, loss)
    assert found.dtype == dtype
    assert np.array_equal(found, found.T)
    assert_close(found, expected, units=1000)
    stacked = np.stack([net.hvp(X, y, loss, unit) for unit in np.eye(net.n_params)], axis=1)
    assert_close(found, stacked.astype(float), units=1000)


@cache
def by_jax(loss_name):
    """Return a network, data, and JAX's Hessian and Hessian-vector product."""
    import jax_network

    loss_case = next(case for case in SMOOTH_LOSS_CASES if case.name == loss_name)
    layers = [cases.linear(3, 4), {"kind": "gelu"}, cases.linear(4, 4), {"kind": "softplus"}]
    layers += [cases.linear(4, 3), {"kind": "softmax"}]
    rng = np.random.default_rng(5)
    case = cases.NetworkCase("net", layers)
    params = sample_params(case, rng, float)
    X, y, v = rng.standard_normal((4, 3)), loss_case.make_y(rng, 4, 3, float), params[::-1].copy()
    arguments = layers, params, X, y, loss_case.description
    return case, params, X, y, v, jax_network.hessian(*arguments), jax_network.hvp(*arguments, v)


@smooth_losses
def test_hessian_against_jax(make_network, loss_case):
    pytest.importorskip("jax")
    case, params, X, y, v, hessian, product = by_jax(loss_case.name)
    net, loss = make_network(case, "float64", params), made(loss_case, "sum")
    for found, expected in ((net.hessian(X, y, loss), hessian), (net.hvp(X, y, loss, v), product)):
        assert np.abs(found - expected).max() <= 1e-12 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("n", [1, 5, 257, 5000])
def test_hvp_is_a_difference_of_gradients(rng, n):
    """There are more samples than in one pass of the engine, and odd widths."""
    net = fn.Network(
        [fn.Linear(7, 17), fn.Tanh(), fn.Linear(17, 9), fn.Sigmoid(), fn.Linear(9, 3)],
        "float64",
        seed=0,
    )
    X, y = rng.standard_normal((n, 7)), rng.integers(3, size=n)
    v, loss, params = rng.standard_normal(net.n_params), fn.SoftmaxCrossEntropy(), net.params.copy()
    found, sides = net.hvp(X, y, loss, v), []
    for step in (1e-5, -1e-5):
        net.params = params + step * v
        sides.append(net.loss_and_grad(X, y, loss)[1])
    np.testing.assert_allclose(found, (sides[0] - sides[1]) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", ["ReLU", "LeakyReLU", "Abs"])
def test_pieces_that_are_straight_have_no_second_derivative(dtype, kind):
    """Also at kinks: the Hessian of such a network is then the Gauss-Newton matrix."""
    net = fn.Network([fn.Linear(2, 2), getattr(fn, kind)()], dtype, seed=0)
    net.layers[0].weight = [[1, -1], [1, 1]]
    X, y = [[2, 2], [1, -3], [0.5, 2]], [[1, 2], [3, 4], [5, 6]]  # the first meets a kink
    loss = fn.HalfSquaredError("sum")
    matrix, _ = net.gram(X, y, loss)
    np.testing.assert_allclose(net.hessian(X, y, loss), matrix, rtol=1e-6)


def test_more_samples_than_one_call_of_the_engine_takes(rng, isa):
    """Sums over the samples include all calls of the engine."""
    net = fn.Network([fn.Linear(64, 64), fn.Tanh(), fn.Linear(64, 64)], "float64", seed=0)
    loss = fn.HalfSquaredError("sum")
    X, y = rng.standard_normal((2, 6000, 64))
    v = rng.standard_normal(net.n_params)
    assert len(list(net._model.parts(len(X), 6))) > 1
    halves = slice(0, 3001), slice(3001, 6000)
    hvp = sum(net.hvp(X[half], y[half], loss, v) for half in halves)
    np.testing.assert_allclose(net.hvp(X, y, loss, v), hvp, rtol=1e-10, atol=1e-8)
    vjp = sum(net.vjp(X[half], y[half], "params") for half in halves)
    np.testing.assert_allclose(net.vjp(X, y, "params"), vjp, rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(net.jvp(X, v, "params"), net.jvp(X[::-1], v, "params")[::-1])
    small = fn.Network([fn.Linear(16, 16), fn.Tanh(), fn.Linear(16, 16)], "float64", seed=0)
    x = X[:, :16]
    assert len(list(small._model.parts(1000, small.n_params))) > 1
    gram = small.gram(x[:500])[0] + small.gram(x[500:1000])[0]
    np.testing.assert_allclose(small.gram(x[:1000])[0], gram, rtol=1e-10, atol=1e-8)
