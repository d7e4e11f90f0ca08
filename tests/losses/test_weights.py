"""Sample weights: the same as in the reference, and as many copies of a row."""

import cases
import numpy as np
import pytest
import reference
import reference_derivatives as derivatives
import reference_optimizers
import reference_training
from case_inputs import sample_params
from cases import LOSS_CASES, SMOOTH_LOSS_CASES
from custom_loss import Weighted

import fastnn as fn

all_losses = pytest.mark.parametrize("case", LOSS_CASES, ids=lambda case: case.name)
smooth_losses = pytest.mark.parametrize("case", SMOOTH_LOSS_CASES, ids=lambda case: case.name)
both_reductions = pytest.mark.parametrize("reduction", ["mean", "sum"])


def made(case, reduction="mean"):
    """Return the loss."""
    return getattr(fn, case.cls)(**case.args, reduction=reduction)


def sample_weights(rng, n, dtype):
    """Return weights of which a third are 0."""
    return np.where(np.arange(n) % 3 == 1, 0, rng.uniform(0.1, 3, n)).astype(dtype)


@pytest.fixture
def problem(rng, dtype, make_network):
    """Return a network that suits a loss, n samples, targets and weights, and all in float64."""

    def make(case, n):
        layers = [cases.linear(3, 4), {"kind": "tanh"}, cases.linear(4, 3)]
        layers += [{"kind": "softmax"}] * (case.kind == "negative_log_likelihood")
        network = cases.NetworkCase("net", layers)
        params = sample_params(network, rng, dtype)
        X = rng.standard_normal((n, 3)).astype(dtype)
        y, w = case.make_y(rng, n, 3, dtype), sample_weights(rng, n, dtype)
        exact_y = y if case.target == "labels" else y.astype(float)
        exact = layers, params.astype(float), X.astype(float), exact_y, case.description
        return make_network(network, dtype, params), X, y, w, exact

    return make


def tolerance(dtype, units=100):
    return units * float(np.finfo(dtype).eps)


# Value and gradient ----------------------------------------------------------------------------


@all_losses
@both_reductions
def test_value_and_gradient(isa, case, dtype, rng, reduction):
    y_pred, y = case.make_y_pred(rng, 11, 4, dtype), case.make_y(rng, 11, 4, dtype)
    w = sample_weights(rng, 11, dtype)
    value, gradient = made(case, reduction).value_and_grad(y_pred, y, w)
    exact_y = y if case.target == "labels" else y.astype(float)
    expected = reference_training.loss_value_and_grad(
        case.description, y_pred.astype(float), exact_y, reduction, w.astype(float)
    )
    rtol = tolerance(dtype, 30)
    assert value == pytest.approx(expected[0], rel=rtol)
    np.testing.assert_allclose(gradient, expected[1], rtol=rtol, atol=rtol)
    assert not gradient[w == 0].any()


@all_losses
@both_reductions
@pytest.mark.parametrize("n", [7, 5000])  # 5000 rows take more than one chunk
def test_a_weight_is_as_many_copies_of_the_sample(isa, problem, case, dtype, rng, reduction, n):
    net, X, y, _, _ = problem(case, n)
    copies = rng.integers(0, 4, n)
    loss = made(case, reduction)
    value, gradient = net.loss_and_grad(X, y, loss, copies)
    repeated = net.loss_and_grad(np.repeat(X, copies, axis=0), np.repeat(y, copies, axis=0), loss)
    rtol = tolerance(dtype)
    assert value == pytest.approx(repeated[0], rel=rtol)
    size = np.abs(repeated[1]).max() + (1 if reduction == "mean" else n)
    np.testing.assert_allclose(gradient, repeated[1], rtol=rtol, atol=rtol * size)


def test_what_weighs_nothing_may_be_infinite(isa, dtype):
    loss = fn.NegativeLogLikelihood()
    value, gradient = loss.value_and_grad(np.array([[1, 0], [0.5, 0.5]], dtype), [1, 0], [0, 2])
    assert value == pytest.approx(np.log(2))
    assert gradient.tolist() == [[0, 0], [-2, 0]]
    huge = np.array([[1000.0], [0.0]], dtype)  # e^1000 is infinite
    value, gradient = fn.Poisson().value_and_grad(huge, [1, 3], [0, 1])
    assert (value, gradient.tolist()) == (1, [[0], [-2]])


def test_no_samples_and_no_weights():
    value, gradient = fn.Huber().value_and_grad(np.empty((0, 2)), np.empty((0, 2)), [])
    assert (value, gradient.shape) == (0, (0, 2))


def test_small_and_large_weights_are_only_relative(isa, dtype, rng):
    y_pred, y, w = rng.standard_normal((9, 3)), rng.integers(3, size=9), rng.random(9)
    loss = fn.SoftmaxCrossEntropy()
    value, gradient = loss.value_and_grad(y_pred.astype(dtype), y, w)
    for factor in (1e-30, 1e30):
        scaled = loss.value_and_grad(y_pred.astype(dtype), y, factor * w)
        assert scaled[0] == pytest.approx(value, rel=1e-6)
        np.testing.assert_allclose(scaled[1], gradient, rtol=1e-5)


# Second derivatives ----------------------------------------------------------------------------


@smooth_losses
@both_reductions
def test_gram_hvp_and_hessian(isa, problem, case, dtype, rng, reduction):
    net, X, y, w, exact = problem(case, 7)
    layers, params, exact_X, exact_y, description = exact
    loss, v = made(case, reduction), rng.standard_normal(net.n_params).astype(dtype)
    w64 = w.astype(float)
    J = reference.jacobian(layers, params, exact_X, "params")
    H = derivatives.loss_hessians(description, reference.forward(layers, params, exact_X), exact_y)
    matrix, gradient = net.gram(X, y, loss, sample_weight=w)
    expected = [
        derivatives.gauss_newton(J, H, reduction, w64),
        derivatives.gradient(*exact, reduction, w64),
        derivatives.hvp(*exact, v.astype(float), reduction, w64),
        derivatives.hvp(*exact, v.astype(float), reduction, w64),
    ]
    found = [
        matrix,
        gradient,
        net.hvp(X, y, loss, v, sample_weight=w),
        net.hessian(X, y, loss, sample_weight=w).astype(float) @ v,
    ]
    for ours, theirs in zip(found, expected, strict=True):
        atol = tolerance(dtype, 300) * max(1, np.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("loss", [fn.MeanAbsoluteError(), fn.Pinball(0.2)], ids=repr)
def test_a_piecewise_linear_loss_has_no_hessian(rng, loss):
    net = fn.Network([fn.Linear(2, 1)], seed=0)
    X, y = rng.standard_normal((5, 2)), rng.standard_normal(5)
    for call in (
        lambda: net.gram(X, y, loss),
        lambda: net.hvp(X, y, loss, np.ones(3)),
        lambda: net.hessian(X, y, loss),
    ):
        with pytest.raises(TypeError, match="piecewise linear and has no Hessian"):
            call()
    with pytest.raises(ValueError, match="y is None; the Hessian of Huber depends on y"):
        net.gram(X, loss=fn.Huber())


# Training --------------------------------------------------------------------------------------


@all_losses
@both_reductions
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("dtype", ["float64"])
def test_training_agrees_with_the_oracle(isa, problem, case, reduction, shuffle):
    net, X, y, w, (layers, params, _, _, description) = problem(case, 23)
    w[10:15] = 0  # in the natural order a whole batch
    history = net.fit(
        X,
        y,
        loss=made(case, reduction),
        optimizer=fn.SGD(0.01, momentum=0.9),
        epochs=4,
        batch_size=5,
        seed=4,
        shuffle=shuffle,
        sample_weight=w,
    )
    expected, losses = reference_training.train(
        layers,
        params,
        X,
        y,
        loss=description,
        epochs=4,
        batch_size=5,
        optimizer=reference_optimizers.SGD(0.01, momentum=0.9),
        rng=np.random.default_rng(4) if shuffle else None,
        reduction=reduction,
        weights=w,
    )
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-10)


@both_reductions
@pytest.mark.parametrize("batch_size", [5, 5000])  # a batch of more rows than a chunk
def test_a_loss_written_in_python_trains_alike(isa, dtype, rng, reduction, batch_size):
    n = 40 if batch_size == 5 else 9000
    X, y, w = rng.standard_normal((n, 3)), rng.integers(4, size=n), sample_weights(rng, n, dtype)
    w[5:10] = 0
    loss, nets = fn.SoftmaxCrossEntropy(reduction), []
    rate = 0.1 if reduction == "mean" else 0.5 / n
    for given in (loss, Weighted(loss)):
        net = fn.Network([fn.Linear(3, 6), fn.ReLU(), fn.Linear(6, 4)], dtype, seed=0)
        settings = {"optimizer": fn.SGD(rate, momentum=0.5), "epochs": 4, "shuffle": False}
        history = net.fit(
            X,
            y,
            loss=given,
            batch_size=batch_size,
            sample_weight=w,
            validation_data=(X, y, w),
            **settings,
        )
        value, gradient = net.loss_and_grad(X, y, given, w)
        nets.append((net.params, gradient, [value, *history["loss"], *history["val_loss"]]))
    rtol = 1e-4 if dtype == "float32" else 1e-11
    for ours, theirs in zip(*nets, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)


def test_neither_threads_nor_weights_of_one_change_what_is_trained(isa, dtype, rng):
    X, y = rng.standard_normal((600, 100)).astype(dtype), rng.integers(5, size=600)
    w = rng.random(600).astype(dtype)

    def trained(**settings):
        net = fn.Network([fn.Linear(100, 128), fn.ReLU(), fn.Linear(128, 5)], dtype, seed=0)
        net.fit(X, y, epochs=2, batch_size=250, seed=0, **settings)
        return net.params

    one, two = (trained(sample_weight=w, n_threads=n) for n in (1, 2))
    assert np.array_equal(one, two)
    assert not np.allclose(one, trained())
    rtol = 1e-3 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(trained(sample_weight=np.ones(600)), trained(), rtol=rtol, atol=rtol)


def test_validation_weighs_its_samples(rng):
    X, y = rng.standard_normal((30, 3)), rng.integers(3, size=30)
    w = rng.random(30)
    net = fn.Network([fn.Linear(3, 3)], "float64", seed=0)
    history = net.fit(X, y, epochs=2, validation_data=(X, y, w))
    outputs = net(X)
    assert history["val_loss"][-1] == pytest.approx(
        fn.SoftmaxCrossEntropy().value_and_grad(outputs, y, w)[0], rel=1e-12
    )
    right = outputs.argmax(axis=1) == y
    assert history["val_accuracy"][-1] == pytest.approx(np.average(right, weights=w), rel=1e-12)
    y = rng.standard_normal((30, 2))
    net = fn.Network([fn.Linear(3, 2)], "float64", seed=0)
    history = net.fit(X, y, loss=fn.Huber(), epochs=2, validation_data=(X, y, w))
    mean = np.average(((net(X) - y) ** 2).mean(axis=1), weights=w)
    assert history["val_rmse"][-1] == pytest.approx(np.sqrt(mean), rel=1e-12)


# Class weights ---------------------------------------------------------------------------------


X = np.arange(12.0).reshape(4, 3) / 12
Y = np.array([0, 1, 1, 0])


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, 2, 3], ValueError, r"has shape \(3,\); \(4,\) is wanted"),
        (np.ones((4, 1)), ValueError, r"has shape \(4, 1\); \(4,\)"),
        (2.0, ValueError, r"has shape \(\)"),
        ([1, -1, 1, 1], ValueError, r"\[1\] is -1.* at least 0 is wanted"),
        ([1, np.nan, 1, 1], ValueError, r"\[1\] is nan"),
        ([1, np.inf, 1, 1], ValueError, r"\[1\] is inf"),
        ([1e300, 1, 1, 1], ValueError, r"\[0\] is 1e\+300, too large for float32"),
        ([0, 0, 0, 0], ValueError, "is 0 for every sample"),
        ([1e-300] * 4, ValueError, "is 0 for every sample"),
        ("balanced", TypeError, "real numbers are wanted"),
    ],
)
def test_bad_sample_weights(weights, error, message):
    net, loss = fn.Network([fn.Linear(3, 2)], seed=0), fn.SoftmaxCrossEntropy()
    before = net.params.copy()
    for name, call in {
        "sample_weight": lambda: net.fit(X, Y, sample_weight=weights),
        r"validation_data\[2\]": lambda: net.fit(X, Y, validation_data=(X, Y, weights)),
    }.items():
        with pytest.raises(error, match=name + ".*" + message):
            call()
    for call in (
        lambda: net.loss_and_grad(X, Y, loss, weights),
        lambda: loss.value_and_grad(net(X), Y, weights),
        lambda: net.gram(X, Y, loss, sample_weight=weights),
        lambda: net.hvp(X, Y, loss, net.params, sample_weight=weights),
        lambda: net.hessian(X, Y, loss, sample_weight=weights),
    ):
        with pytest.raises(error, match="sample_weight.*" + message):
            call()
    assert np.array_equal(net.params, before)


def test_a_loss_of_ones_own_that_takes_no_weights():
    class Plain:
        def value_and_grad(self, y_pred, y):
            return 0.0, np.zeros_like(y_pred)

    class Taking(Plain):
        def value_and_grad(self, y_pred, y, **more):
            assert set(more) == {"sample_weight"}
            return super().value_and_grad(y_pred, y)

    net = fn.Network([fn.Linear(3, 2)])
    for call in (
        lambda loss: net.fit(X, Y, loss=loss, sample_weight=[1, 2, 3, 4], epochs=1),
        lambda loss: net.loss_and_grad(X, Y, loss, [1, 2, 3, 4]),
        lambda loss: net.fit(
            X[:2],
            Y[:2],
            loss=loss,
            sample_weight=[1, 2],
            validation_data=(X, Y, [1, 2, 3, 4]),
            epochs=1,
        ),
    ):
        with pytest.raises(TypeError, match="value_and_grad takes no sample_weight"):
            call(Plain())
        call(Taking())
