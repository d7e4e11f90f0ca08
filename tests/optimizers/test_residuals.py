"""Least squares on residuals written in Python."""

import copy

import numpy as np
import pytest
from custom_loss import Python

import fastnn as fn
from fastnn.model import model_of


class Errors:
    """The residuals of HalfSquaredError."""

    def residuals(self, y_pred, y):
        slopes = np.broadcast_to(np.eye(y_pred.shape[1]), (*y_pred.shape, y_pred.shape[1]))
        return y_pred - y, slopes


class Decay:
    """The residuals of u' + u = 0 by central differences, and of u(0) = 1.

    The network's outputs are u(t - h), u(t) and u(t + h). `y` marks the rows where t is 0.
    """

    h = 0.1

    def residuals(self, y_pred, y):
        before, now, after = y_pred.T
        r = np.stack([(after - before) / (2 * self.h) + now, y[:, 0] * (now - 1)], 1)
        slopes = np.zeros((len(y_pred), 2, 3))
        slopes[:, 0] = [-1 / (2 * self.h), 1, 1 / (2 * self.h)]
        slopes[:, 1, 1] = y[:, 0]
        return r, slopes


class Distance:
    """The distance of the point (ŷ₀, ŷ₁) from a circle around y with radius 1: one residual."""

    reduction = "sum"

    def residuals(self, y_pred, y):
        apart = y_pred - y
        length = np.linalg.norm(apart, axis=1, keepdims=True)
        return length - 1, (apart / length)[:, np.newaxis]


class Stretched:
    """Five residuals of two outputs, nonlinear."""

    def residuals(self, y_pred, y):
        a, b = y_pred.T
        r = np.stack([a - y[:, 0], b - y[:, 1], a * b, np.sin(a), 0.1 * b**2], 1)
        slopes = np.zeros((len(a), 5, 2))
        slopes[:, 0, 0] = slopes[:, 1, 1] = 1
        slopes[:, 2] = np.stack([b, a], 1)
        slopes[:, 3, 0] = np.cos(a)
        slopes[:, 4, 1] = 0.2 * b
        return r, slopes


CASES = {"errors": (Errors(), 2), "decay": (Decay(), 3), "distance": (Distance(), 2)}
CASES["stretched"] = Stretched(), 2


def network(n_out, dtype="float64", layers=()):
    return fn.Network([fn.Linear(2, 4), fn.Tanh(), *layers, fn.Linear(4, n_out)], dtype, seed=0)


def problem(rng, n_out, n=40):
    return rng.standard_normal((n, 2)), rng.standard_normal((n, n_out))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("hidden", [(), (4, fn.Tanh), (4, fn.LayerNorm)], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_it_reaches_the_minimum_of_scipy(name, hidden, weighted, rng):
    optimize = pytest.importorskip("scipy.optimize")
    loss, n_out = CASES[name]
    X = rng.standard_normal((60, 2))
    y = X @ rng.standard_normal((2, n_out)) + 0.1 * rng.standard_normal((60, n_out))
    weights = rng.integers(0, 3, len(X)).astype(float) if weighted else None
    layers = [fn.Linear(2, n_out)]
    if hidden:
        width, between = hidden
        between = between(width) if between is fn.LayerNorm else between()
        layers = [fn.Linear(2, width), between, fn.Linear(width, n_out)]
    net = fn.Network(layers, "float64", seed=0)
    start, trial = net.params.copy(), copy.deepcopy(net)

    def residuals(params):
        trial.params = params
        r = loss.residuals(trial.predict(X), y)[0]
        return (r if weights is None else r * np.sqrt(weights)[:, np.newaxis]).ravel()

    optimizer = fn.LevenbergMarquardt(tolerance=1e-12)
    history = net.fit(X, y, loss=loss, optimizer=optimizer, epochs=200, sample_weight=weights)
    cost = 0.5 * (residuals(net.params) ** 2).sum()
    total = len(X) if weights is None else weights.sum()
    divisor = 1 if getattr(loss, "reduction", "mean") == "sum" else total
    assert history["loss"][-1] == pytest.approx(cost / divisor, rel=1e-9, abs=1e-25)
    if hidden:  # there are several minima
        assert cost < 0.5 * (residuals(start) ** 2).sum()
        again = optimize.least_squares(residuals, net.params.copy(), max_nfev=10)
        assert again.cost >= 0.98 * cost - 1e-12
    else:
        assert cost == pytest.approx(optimize.least_squares(residuals, start).cost, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bayesian", [False, True])
def test_the_residuals_of_a_squared_error(bayesian, dtype, rng):
    X, y = problem(rng, 2)
    nets, histories = (network(2, dtype), network(2, dtype)), []
    for net, loss in zip(nets, (Errors(), fn.HalfSquaredError()), strict=True):
        net.layers[0].trainable = False
        optimizer = fn.LevenbergMarquardt(bayesian=bayesian)
        histories.append(net.fit(X, y, loss=loss, optimizer=optimizer, epochs=5))
    rtol = 1e-7 if dtype == "float64" else 2e-3
    assert histories[0].keys() == histories[1].keys()
    for name in set(histories[0]) - {"seconds"}:
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=rtol)
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", CASES)
def test_the_gram_matrix_of_the_step(name, rng):
    """It equals (∂r/∂ŷ J)ᵀ (∂r/∂ŷ J), also over several blocks of samples."""

    loss, n_out = CASES[name]
    X, y = problem(rng, n_out, 700)
    net = network(n_out)
    _, slopes = loss.residuals(net.predict(X), y)
    jacobian = np.einsum("nko,nop->nkp", slopes, net.jacobian(X, wrt="params"))
    expected = np.einsum("nkp,nkq->pq", jacobian, jacobian)
    found = model_of(net).gram(
        X, None, None, fn.HalfSquaredError("sum"), 2, None, np.ascontiguousarray(slopes)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    one = model_of(net).gram(
        X, None, None, fn.HalfSquaredError("sum"), 1, None, np.ascontiguousarray(slopes)
    )
    assert one.tobytes() == found.tobytes()


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_by_finite_differences(name, rng):
    loss, n_out = CASES[name]
    X, y = problem(rng, n_out, 12)
    net = network(n_out)
    weights = rng.random(12)
    value, grad = net.loss_and_grad(X, y, loss, weights)
    r = loss.residuals(net.predict(X), y)[0]
    divisor = 1 if getattr(loss, "reduction", "mean") == "sum" else weights.sum()
    assert value == pytest.approx(0.5 * (weights[:, np.newaxis] * r**2).sum() / divisor)
    for i in range(0, net.n_params, 5):
        values = []
        for step in (1e-6, -1e-6):
            net.params[i] += step
            values.append(net.loss_and_grad(X, y, loss, weights)[0])
            net.params[i] -= step
        assert grad[i] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("optimizer", [fn.Adam(0.02), fn.SGD(0.003), fn.LBFGS()], ids=repr)
def test_other_optimizers_take_residuals_too(optimizer, rng):
    if isinstance(optimizer, fn.LBFGS):
        pytest.importorskip("scipy")
    X, y = problem(rng, 2)
    net = network(2)
    history = net.fit(X, y, loss=Distance(), optimizer=optimizer, epochs=50, validation_data=(X, y))
    assert history["val_loss"][-1] < 0.8 * history["val_loss"][0]
    rows = net.sample_grads(X, y, Distance())
    np.testing.assert_allclose(rows.sum(axis=0), net.loss_and_grad(X, y, Distance())[1])


def test_an_object_with_both_methods(rng):
    """LevenbergMarquardt uses the residuals, every other method the value."""

    class Both(Errors):
        def value_and_grad(self, y_pred, y):
            return 7.0, np.zeros_like(y_pred)

    X, y = problem(rng, 2)
    net = network(2)
    assert net.loss_and_grad(X, y, Both())[0] == 7
    optimizer = fn.LevenbergMarquardt()
    history = net.fit(X, y, loss=Both(), optimizer=optimizer, epochs=3, validation_data=(X, y))
    assert history["loss"][-1] < 7
    assert set(history["val_loss"]) == {7}


def test_a_resumed_fit(tmp_path, rng):
    X, y = problem(rng, 2)
    nets = network(2), network(2)
    settings = {"loss": Stretched(), "optimizer": fn.LevenbergMarquardt(bayesian=True)}
    nets[0].fit(X, y, epochs=6, **settings)
    nets[1].fit(X, y, epochs=3, checkpoint=tmp_path / "c", **settings)
    net = fn.load(tmp_path / "c")
    net.fit(X, y, epochs=6, checkpoint=tmp_path / "c", resume=True, **settings)
    np.testing.assert_allclose(net.params, nets[0].params, rtol=1e-12)


def test_targets_of_any_kind(rng):
    """y is whatever the object takes, with a row for each sample."""

    class Named:
        def residuals(self, y_pred, y):
            assert y.dtype == object
            goal = np.array([[{"a": 1.0, "b": -1.0}[name]] for name in y])
            return y_pred - goal, np.ones((len(y), 1, 1), np.float32)

    X = rng.standard_normal((20, 2))
    y = np.where(X[:, 0] > 0, "a", "b").astype(object)
    net = network(1, "float32")
    net.fit(X, y, loss=Named(), optimizer=fn.LevenbergMarquardt(), epochs=50)
    assert (np.sign(net.predict(X)[:, 0]) == np.sign(X[:, 0])).mean() > 0.9


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (lambda r, d: r, TypeError, "a pair"),
        (lambda r, d: (r[:, 0], d), ValueError, "shapes"),
        (lambda r, d: (r[:-1], d[:-1]), ValueError, "shapes"),
        (lambda r, d: (r, d[:, :, :1]), ValueError, "shapes"),
        (lambda r, d: (r[:, :0], d[:, :0]), ValueError, "shapes"),
        (lambda r, d: (r, d * 1j), TypeError, "dtype complex"),
        (lambda r, d: (r.astype(str), d), TypeError, "dtype"),
    ],
)
def test_a_wrong_result(returned, error, message, rng):
    class Wrong(Errors):
        def residuals(self, y_pred, y):
            return returned(*super().residuals(y_pred, y))

    X, y = problem(rng, 2)
    net = network(2)
    before = net.params.copy()
    for optimizer in (fn.LevenbergMarquardt(), fn.Adam()):
        with pytest.raises(error, match=message):
            net.fit(X, y, loss=Wrong(), optimizer=optimizer, epochs=1)
    assert np.array_equal(net.params, before)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_residuals_that_are_not_finite(value, rng):
    class Wrong(Errors):
        def residuals(self, y_pred, y):
            r, d = super().residuals(y_pred, y)
            r[0] = value
            return r, d

    X, y = problem(rng, 2)
    net = network(2)
    before = net.params.copy()
    with pytest.raises(fn.DivergenceError):
        net.fit(X, y, loss=Wrong(), optimizer=fn.LevenbergMarquardt(), epochs=3)
    assert np.array_equal(net.params, before)
    weights = np.ones(len(X))
    weights[0] = 0  # the sample is ignored
    net.fit(X, y, loss=Wrong(), optimizer=fn.LevenbergMarquardt(), epochs=3, sample_weight=weights)
    assert not np.array_equal(net.params, before)


def test_what_is_refused(rng):
    X, y = problem(rng, 2)
    net = network(2)
    with pytest.raises(TypeError, match="residuals"):
        net.fit(X, y, loss=Python(fn.MeanSquaredError()), optimizer=fn.LevenbergMarquardt())
    with pytest.raises(TypeError, match="loss is"):
        net.fit(X, y, loss=Errors, optimizer=fn.LevenbergMarquardt())
    with pytest.raises(TypeError, match="Hessian"):
        net.gram(X, y, Errors())
    loss, weights = fn.HalfSquaredError(negative_weights=True), np.ones(len(X))
    net.fit(X, y, loss=loss, optimizer=fn.LevenbergMarquardt(), epochs=1, sample_weight=weights)
    weights[3] = -1
    with pytest.raises(ValueError, match="least element -1"):
        net.fit(X, y, loss=loss, optimizer=fn.LevenbergMarquardt(), sample_weight=weights)
