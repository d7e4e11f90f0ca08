"""Uncertainty of regressions: against closed forms, the delta method in NumPy, and simulations."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fn


def linear_problem(rng, dtype, n=40, n_out=2):
    """Return a linear network, X, y with a noise per output, and the design matrix."""
    net = fn.Network([fn.Linear(3, n_out)], dtype, seed=0)
    X = rng.standard_normal((n, 3)).astype(dtype)
    y = X @ rng.standard_normal((3, n_out)) + rng.standard_normal((n, n_out)) * [0.1, 2.0][:n_out]
    return net, X, y.astype(dtype), np.column_stack([X, np.ones(n)]).astype(float)


def set_parameters(net, solutions):
    """Set the parameters of a linear network: a column (w, b) for each output."""
    net.layers[0].weight[...] = solutions[:-1].T
    net.layers[0].bias[...] = solutions[-1]


def test_bayesian_linear_regression_is_exact(isa, dtype, rng):
    net, X, y, A = linear_problem(rng, dtype)
    alpha, sigma2 = 0.7, np.array([0.3, 2.5])
    inverses = [np.linalg.inv(A.T @ A / s + alpha * np.eye(4)) for s in sigma2]
    set_parameters(
        net, np.stack([c @ A.T @ y[:, j] / sigma2[j] for j, c in enumerate(inverses)], axis=1)
    )
    posterior = net.posterior(X, y, prior_precision=alpha, noise_variance=sigma2)
    new = rng.standard_normal((9, 3)).astype(dtype)
    B = np.column_stack([new, np.ones(9)]).astype(float)
    expected = np.stack([np.einsum("ij,jk,ik->i", B, c, B) for c in inverses], axis=1)
    found = posterior.variance(new)
    np.testing.assert_allclose(found.epistemic, expected, rtol=1e-9)
    np.testing.assert_allclose(found.total, expected + sigma2, rtol=1e-9)
    np.testing.assert_array_equal(found.noise, np.broadcast_to(sigma2, (9, 2)))
    mean, std = posterior.predict(new, return_std=True)
    assert np.array_equal(mean, net.predict(new))
    assert np.array_equal(mean, posterior.predict(new))
    np.testing.assert_allclose(std**2, found.total)
    # parameters: the weights of output 0 and 1, then both biases
    order = [0, 1, 2, 6]
    np.testing.assert_allclose(posterior.covariance[np.ix_(order, order)], inverses[0], rtol=1e-9)
    gamma = [4 - alpha * np.trace(c) for c in inverses]
    np.testing.assert_allclose(posterior.effective_parameters, gamma, rtol=1e-9)
    single = posterior.variance(new[2])
    assert single.total.shape == (2,)
    np.testing.assert_allclose(single.total, found.total[2])


@pytest.mark.parametrize("weighted", [False, True])
def test_ordinary_least_squares_has_the_textbooks_standard_errors(dtype, rng, weighted):
    net, X, y, A = linear_problem(rng, dtype)
    w = rng.integers(1, 4, 40) if weighted else np.ones(40, int)
    A2, y2 = np.repeat(A, w, axis=0), np.repeat(y.astype(float), w, axis=0)
    solutions = np.linalg.lstsq(A2, y2, rcond=None)[0]
    set_parameters(net, solutions)
    posterior = net.posterior(X, y, sample_weight=w if weighted else None)
    s2 = ((A2 @ solutions - y2) ** 2).sum(axis=0) / (len(A2) - 4)
    rtol = 1e-4 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(posterior.noise_variance, s2, rtol=rtol)
    np.testing.assert_allclose(posterior.effective_parameters, [4, 4], rtol=1e-6)
    h = np.einsum("ij,jk,ik->i", A, np.linalg.inv(A2.T @ A2), A)
    np.testing.assert_allclose(posterior.variance(X).epistemic, h[:, None] * s2, rtol=rtol)


def test_missing_targets_are_no_data(rng):
    net, X, y, A = linear_problem(rng, "float64")
    y[rng.random(y.shape) < 0.3] = np.nan
    seen = ~np.isnan(y)
    fits = [np.linalg.lstsq(A[s], y[s, j], rcond=None)[0] for j, s in enumerate(seen.T)]
    set_parameters(net, np.stack(fits, axis=1))
    posterior = net.posterior(X, y, ignore_nan=True)
    for j, s in enumerate(seen.T):
        s2 = ((A[s] @ fits[j] - y[s, j]) ** 2).sum() / (s.sum() - 4)
        h = np.einsum("ij,jk,ik->i", A, np.linalg.inv(A[s].T @ A[s]), A)
        np.testing.assert_allclose(posterior.noise_variance[j], s2, rtol=1e-8)
        np.testing.assert_allclose(posterior.variance(X).epistemic[:, j], s2 * h, rtol=1e-8)
    with pytest.raises(ValueError, match=r"y\[.*\] is nan; finite numbers"):
        net.posterior(X, y)
    with pytest.raises(ValueError, match="y is missing for every sample"):
        net.posterior(X, np.full_like(y, np.nan), ignore_nan=True)


def curved(dtype="float64", **settings):
    """Return a network that is trained on a curve, its data, and its History."""
    rng = np.random.default_rng(7)
    X = rng.uniform(-2, 2, (120, 1))
    y = np.column_stack([np.sin(2 * X[:, 0]), X[:, 0] ** 2])
    y += rng.standard_normal(y.shape) * [0.1, 0.3]
    net = fn.Network([fn.Linear(1, 6), fn.Tanh(), fn.Linear(6, 2)], dtype, seed=1)
    loss = fn.HalfSquaredError(output_weight=[9, 1])
    history = net.fit(X, y, loss=loss, optimizer=fn.LevenbergMarquardt(**settings), epochs=60)
    return net, X, y, history


def test_the_delta_method_of_a_network():
    net, X, y, _ = curved()
    sigma2, alpha = np.array([0.02, 0.08]), 0.05
    J = net.jacobian(X, "params")
    H = np.einsum("ijp,j,ijq->pq", J, 1 / sigma2, J) + alpha * np.eye(net.n_params)
    posterior = net.posterior(X, y, prior_precision=alpha, noise_variance=sigma2)
    np.testing.assert_allclose(posterior.covariance, np.linalg.inv(H), rtol=1e-6, atol=1e-8)
    expected = np.einsum("ijp,pq,ijq->ij", J, np.linalg.inv(H), J)
    np.testing.assert_allclose(posterior.variance(X).epistemic, expected, rtol=1e-7)
    estimated = net.posterior(X, y, prior_precision=alpha)
    s2, gamma = estimated.noise_variance, estimated.effective_parameters
    squares = ((net.predict(X) - y) ** 2).sum(axis=0)
    np.testing.assert_allclose(s2, squares / (120 - gamma), rtol=1e-6)  # they agree
    assert 0 < gamma.sum() < net.n_params
    np.testing.assert_allclose(s2, [0.01, 0.09], rtol=0.4)


def test_the_bayesian_fit_gives_prior_and_noise():
    net, X, y, history = curved(bayesian=True)
    alpha, beta = history["weight_precision"][-1], history["noise_precision"][-1]
    noise = 1 / (beta * np.array([9, 1]))
    posterior = net.posterior(X, y, prior_precision=alpha, noise_variance=noise)
    # γ of the evidence is that of the posterior
    assert posterior.effective_parameters.sum() == pytest.approx(
        history["effective_parameters"][-1], rel=1e-3
    )
    np.testing.assert_allclose(noise, [0.01, 0.09], rtol=0.5)


def test_float32_and_threads_agree():
    net, X, y, _ = curved()
    settings = {"prior_precision": 0.01, "noise_variance": 0.1}
    one = net.posterior(X, y, n_threads=1, **settings)
    two = net.posterior(X, y, n_threads=2, **settings)
    assert np.array_equal(one.variance(X).total, two.variance(X, n_threads=2).total)
    single = fn.Network([fn.Linear(1, 6), fn.Tanh(), fn.Linear(6, 2)], "float32")
    single.params = net.params
    other = single.posterior(X, y, **settings)
    np.testing.assert_allclose(other.variance(X).total, one.variance(X).total, rtol=1e-3)
    assert other.predict(X).dtype == np.float32


def test_intervals_cover_new_targets():
    net, X, y, _ = curved(bayesian=True)
    posterior = net.posterior(X, y, prior_precision=0.1)
    rng = np.random.default_rng(3)
    new = rng.uniform(-1.9, 1.9, (4000, 1))
    target = np.column_stack([np.sin(2 * new[:, 0]), new[:, 0] ** 2])
    target += rng.standard_normal(target.shape) * [0.1, 0.3]
    mean, std = posterior.predict(new, return_std=True)
    covered = (np.abs(target - mean) < 1.96 * std).mean(axis=0)
    assert (np.abs(covered - 0.95) < 0.04).all()
    far = posterior.variance([[20.0]]).epistemic
    assert (far > posterior.variance([[0.0]]).epistemic).all()


def test_the_estimate_covers_the_true_function_over_repeated_data():
    rng, hits = np.random.default_rng(5), []
    X = rng.standard_normal((30, 2))
    truth = X @ [1.0, -2.0] + 0.5
    A = np.column_stack([X, np.ones(30)])
    for _ in range(200):
        y = truth + 0.3 * rng.standard_normal(30)
        net = fn.Network([fn.Linear(2, 1)], "float64")
        set_parameters(net, np.linalg.lstsq(A, y, rcond=None)[0][:, None])
        std = np.sqrt(net.posterior(X, y).variance(X).epistemic[:, 0])
        hits.append(np.mean(np.abs(net.predict(X)[:, 0] - truth) < 1.96 * std))
    assert np.mean(hits) == pytest.approx(0.95, abs=0.03)


def test_more_parameters_than_targets(rng):
    X, y = rng.standard_normal((10, 2)), rng.standard_normal(10)
    net = fn.Network([fn.Linear(2, 20), fn.ReLU(), fn.Linear(20, 1)], "float64", seed=0)
    with pytest.raises(ValueError, match=r"output 0 has 10 targets for 10 effective parameters"):
        net.posterior(X, y)
    given = net.posterior(X, y, noise_variance=0.5)  # the data determine 10 directions
    assert given.root.shape == (net.n_params, 10)
    np.testing.assert_allclose(given.variance(X).epistemic, 0.5, rtol=1e-6)  # it interpolates
    penalised = net.posterior(X, y, prior_precision=1.0)
    assert 0 < penalised.effective_parameters.sum() < 10
    assert (penalised.variance(X).epistemic > 0).all()
    tiny = net.posterior(X, y, prior_precision=1e-30, noise_variance=0.5)  # as good as 0
    np.testing.assert_allclose(tiny.variance(X).epistemic, 0.5, rtol=1e-6)


def test_exact_targets_have_the_noise_of_rounding(rng):
    net = fn.Network([fn.Linear(2, 1)], "float64", seed=0)
    X = rng.standard_normal((20, 2))
    posterior = net.posterior(X, net.predict(X))
    assert np.isfinite(posterior.variance(X).total).all()
    assert (posterior.variance(X).total < 1e-28).all()


def test_frozen_layers_have_no_variance(rng):
    X, y = rng.standard_normal((50, 2)), rng.standard_normal(50)
    net = fn.Network([fn.Linear(2, 4), fn.Tanh(), fn.Linear(4, 1)], "float64", seed=0)
    net.layers[0].trainable = False
    posterior = net.posterior(X, y)
    assert not posterior.covariance[:12].any()
    J = net.jacobian(X, "params")[:, 0, 12:]
    expected = posterior.noise_variance * np.linalg.inv(J.T @ J)
    np.testing.assert_allclose(posterior.covariance[12:, 12:], expected, rtol=1e-7)


@pytest.mark.parametrize(
    "layer",
    [fn.Standardize([0.5, 1.0], [2.0, 3.0]), fn.BatchNorm(2), fn.Dropout(0.5), fn.LayerNorm(2)],
    ids=lambda layer: type(layer).__name__,
)
def test_other_layers(layer, rng):
    net = fn.Network([copy.deepcopy(layer), fn.Linear(2, 3)], "float64", seed=0)
    X, y = rng.standard_normal((40, 2)), rng.standard_normal((40, 3))
    posterior = net.posterior(X, y, prior_precision=0.1, noise_variance=[1, 2, 3])
    J = net.jacobian(X, "params")
    H = np.einsum("ijp,j,ijq->pq", J, 1 / np.array([1, 2, 3]), J) + 0.1 * np.eye(net.n_params)
    expected = np.einsum("ijp,pq,ijq->ij", J, np.linalg.inv(H), J)
    np.testing.assert_allclose(posterior.variance(X).epistemic, expected, rtol=1e-7)


def test_it_is_independent_of_later_training_and_can_be_copied(tmp_path):
    net, X, y, _ = curved()
    posterior = net.posterior(X, y, prior_precision=0.1)
    before = posterior.predict(X, return_std=True)
    net.params[...] = 0
    for other in (posterior, pickle.loads(pickle.dumps(posterior)), copy.deepcopy(posterior)):
        for ours, theirs in zip(other.predict(X, return_std=True), before, strict=True):
            assert np.array_equal(ours, theirs)
    assert repr(posterior).startswith("GaussianPosterior(noise_variance=[")
    assert type(posterior) is fn.GaussianPosterior


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"prior_precision": -1}, ValueError, "prior_precision is -1"),
        ({"prior_precision": "a"}, TypeError, "prior_precision is 'a'"),
        ({"noise_variance": 0}, ValueError, "noise_variance is 0; above 0"),
        ({"noise_variance": [1, -1]}, ValueError, r"noise_variance is \[1, -1\]; above 0"),
        ({"noise_variance": [1, 2, 3]}, ValueError, r"noise_variance has shape \(3,\)"),
        ({"noise_variance": np.inf}, ValueError, "noise_variance is inf; finite"),
        ({"ignore_nan": 1}, TypeError, "ignore_nan is 1"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"sample_weight": np.zeros(5)}, ValueError, "sample_weight is 0 for every sample"),
    ],
)
def test_wrong_arguments(arguments, error, message, rng):
    net = fn.Network([fn.Linear(1, 2)], seed=0)
    with pytest.raises(error, match=message):
        net.posterior(rng.standard_normal((5, 1)), rng.standard_normal((5, 2)), **arguments)


def test_wrong_inputs(rng):
    net = fn.Network([fn.Linear(1, 2)], seed=0)
    X, y = rng.standard_normal((9, 1)), rng.standard_normal((9, 2))
    posterior = net.posterior(X, y)
    for call in (posterior.variance, posterior.predict):
        with pytest.raises(ValueError, match=r"X has shape \(2, 2\)"):
            call(np.zeros((2, 2)))
    with pytest.raises(TypeError, match="return_std is 1"):
        posterior.predict(X, return_std=1)
    with pytest.raises(ValueError, match=r"y has shape \(9, 3\)"):
        net.posterior(X, np.zeros((9, 3)))
