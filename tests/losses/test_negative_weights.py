"""Negative sample weights, which a loss allows by its argument."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from cases import LOSS_CASES
from custom_loss import Weighted

import fastnn as fn

N = 30


@pytest.fixture
def weights(rng):
    weights = rng.standard_normal(N)
    weights[::7] = 0
    return weights


def network(dtype="float64", seed=0, softmax=False):
    layers = [fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 2)]
    return fn.Network([*layers, *([fn.Softmax()] if softmax else [])], dtype, seed=seed)


def problem(loss, rng):
    X = rng.standard_normal((N, 3))
    y = rng.integers(2, size=N) if loss.takes_labels else rng.random((N, 2))
    return X, y, network(softmax=loss.takes_probabilities)


LOSSES = [
    fn.HalfSquaredError(negative_weights=True),
    fn.MeanSquaredError("sum", negative_weights=True),
    fn.MeanAbsoluteError(negative_weights=True),
    fn.Huber(0.3, negative_weights=True),
    fn.LogCosh(negative_weights=True),
    fn.Pinball((0.2, 0.7), negative_weights=True),
    fn.Poisson(negative_weights=True),
    fn.BinaryCrossEntropy(negative_weights=True, label_smoothing=0.1),
    fn.NegativeLogLikelihood(negative_weights=True),
    fn.SoftmaxCrossEntropy(negative_weights=True, label_smoothing=0.1),
    fn.SoftmaxCrossEntropy("sum", negative_weights=True),
]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_it_is_the_weighted_sum_divided_by_the_number_of_samples(loss, weights, rng):
    X, y, net = problem(loss, rng)
    rows = net.sample_grads(X, y, loss)
    value, grad = net.loss_and_grad(X, y, loss, weights)
    each = [net.loss_and_grad(X[i : i + 1], y[i : i + 1], loss)[0] for i in range(N)]
    divisor = 1 if loss.reduction == "sum" else N
    assert value == pytest.approx(weights @ each / divisor, rel=1e-12)
    np.testing.assert_allclose(grad, weights @ rows / divisor, rtol=1e-9, atol=1e-12)
    found = loss.value_and_grad(net.predict(X), y, weights)
    assert found[0] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss.has_hessian], ids=repr)
def test_second_derivatives(loss, weights, rng):
    X, y, net = problem(loss, rng)
    direction = rng.standard_normal(net.n_params)
    product = net.hvp(X, y, loss, direction, sample_weight=weights)
    gradients = []
    for step in (1e-5, -1e-5):
        net.params += step * direction
        gradients.append(net.loss_and_grad(X, y, loss, weights)[1])
        net.params -= step * direction
    np.testing.assert_allclose(product, (gradients[0] - gradients[1]) / 2e-5, atol=1e-6)
    with pytest.raises(ValueError, match="sum of squares"):
        net.gram(X, y, loss, sample_weight=weights)
    matrix, grad = net.gram(X, y, loss, sample_weight=np.abs(weights))
    strict = replace(loss, negative_weights=False)
    ratio = 1 if loss.reduction == "sum" else np.abs(weights).sum() / N
    expected = net.gram(X, y, strict, sample_weight=np.abs(weights))
    np.testing.assert_allclose(matrix, ratio * expected[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(grad, ratio * expected[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_a_fit_takes_the_same_steps(loss, shuffle, dtype, weights, rng):
    """As by hand, with batches of 8, 8, 8 and 6 samples. A custom loss agrees."""
    X, y, _ = problem(loss, rng)
    fitted, custom, by_hand = (network(dtype, softmax=loss.takes_probabilities) for _ in range(3))
    optimizer, values, order = fn.SGD(0.01), [], np.arange(N)
    settings = {"epochs": 2, "batch_size": 8, "shuffle": shuffle, "seed": 0}
    settings |= {"optimizer": optimizer, "sample_weight": weights}
    history = fitted.fit(X, y, loss=loss, **settings)
    own = Weighted(loss)
    own.negative_weights = True
    assert custom.fit(X, y, loss=own, **settings)["loss"] == pytest.approx(
        history["loss"], rel=1e-4 if dtype == "float32" else 1e-9
    )
    draws = np.random.default_rng(0)
    for _ in range(2):
        order = draws.permutation(N) if shuffle else order
        values.append(0.0)
        for first in range(0, N, 8):
            rows = order[first : first + 8]
            value, grad = by_hand.loss_and_grad(X[rows], y[rows], loss, weights[rows])
            values[-1] += value * (1 if loss.reduction == "sum" else len(rows) / N)
            by_hand.step(grad, optimizer)
    assert fitted.params.tobytes() == by_hand.params.tobytes()
    assert history["loss"] == pytest.approx(values, rel=1e-5 if dtype == "float32" else 1e-12)


def test_validation_ignores_them_in_metrics(weights, rng):
    loss = fn.SoftmaxCrossEntropy(negative_weights=True)
    X, y, net = problem(loss, rng)
    history = net.fit(
        X, y, loss=loss, optimizer=fn.SGD(1e-9), epochs=1, validation_data=(X, y, weights)
    )
    assert history["val_accuracy"][0] == (net.predict(X).argmax(axis=1) == y).mean()
    assert history["val_loss"][0] == pytest.approx(net.loss_and_grad(X, y, loss, weights)[0])


def test_weights_that_are_all_0(rng):
    loss = fn.SoftmaxCrossEntropy(negative_weights=True)
    X, y, net = problem(loss, rng)
    value, grad = net.loss_and_grad(X, y, loss, np.zeros(N))
    assert value == 0
    assert not grad.any()
    before = net.params.copy()
    history = net.fit(X, y, loss=loss, optimizer=fn.SGD(1.0), epochs=2, sample_weight=np.zeros(N))
    assert history["loss"] == [0, 0]
    assert np.array_equal(net.params, before)


@pytest.mark.parametrize("case", LOSS_CASES, ids=lambda case: case.name)
def test_other_losses_refuse_them(case, weights, rng):
    loss = getattr(fn, case.cls)(**case.args)
    X, y, net = problem(loss, rng)
    with pytest.raises(ValueError, match="negative_weights=True"):
        net.loss_and_grad(X, y, loss, weights)
    with pytest.raises(ValueError, match="negative_weights=True"):
        net.fit(X, y, loss=loss, sample_weight=weights)


def test_invalid_weights_and_arguments(weights, rng):
    loss = fn.HalfSquaredError(negative_weights=True)
    X, y, net = problem(loss, rng)
    weights[3] = np.nan
    with pytest.raises(ValueError, match=r"sample_weight\[3\] is nan"):
        net.loss_and_grad(X, y, loss, weights)
    with pytest.raises(ValueError, match="sample_weight has shape"):
        net.loss_and_grad(X, y, loss, weights[1:])
    for wrong in (1, None, "yes"):
        with pytest.raises(TypeError, match="negative_weights"):
            fn.Huber(negative_weights=wrong)


def test_text_pickles_and_older_pickles():
    """The text without the argument is as in earlier versions, which checkpoints compare."""
    assert repr(fn.Huber(2.0)) == "Huber(reduction='mean', delta=2.0)"
    loss = fn.Huber(2.0, negative_weights=True)
    assert repr(loss) == "Huber(reduction='mean', negative_weights=True, delta=2.0)"
    assert pickle.loads(pickle.dumps(loss)) == loss != fn.Huber(2.0)
    old = fn.Huber(2.0)
    del vars(old)["negative_weights"]
    assert (old.negative_weights, repr(old)) == (False, repr(fn.Huber(2.0)))


def test_a_checkpoint_of_another_kind_of_weights(tmp_path, weights, rng):
    X, y, net = problem(fn.HalfSquaredError(), rng)
    settings = {"sample_weight": np.abs(weights), "checkpoint": tmp_path / "c", "resume": True}
    net.fit(X, y, loss=fn.HalfSquaredError(negative_weights=True), epochs=1, **settings)
    with pytest.raises(ValueError, match="loss"):
        net.fit(X, y, loss=fn.HalfSquaredError(), epochs=2, **settings)
    net.fit(X, y, loss=fn.HalfSquaredError(negative_weights=True), epochs=1, **settings)
