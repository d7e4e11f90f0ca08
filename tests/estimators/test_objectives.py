"""Losses of fastnn, and the weights of classes and samples."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
from problems import LABELS, SIGNAL, X, Y
from sklearn.base import clone

import fastnn as fn
from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_losses_of_fastnn():
    rng = np.random.default_rng(4)
    features, noise = rng.standard_normal((400, 2)), rng.exponential(size=400)
    y = features[:, 0] + noise
    parameters = {"hidden_layer_sizes": (), "max_iter": 300, "learning_rate_init": 0.02}
    quantiles = (0.1, 0.5, 0.9)
    model = MLPRegressor(fn.Pinball(quantiles), random_state=0, **parameters).fit(features, y)
    predicted = model.predict(features)
    assert predicted.shape == (400, 3)
    shares = (y[:, np.newaxis] <= predicted).mean(axis=0)
    np.testing.assert_allclose(shares, quantiles, atol=0.03)
    # an intercept that the losses' minima shift: the mean is 1, the median ln 2
    for loss, low, high in (
        ("squared_error", 0.9, 1.1),
        ("absolute_error", 0.55, 0.8),
        ("huber", 0.7, 0.95),
        (fn.Huber(0.01), 0.55, 0.8),
    ):
        model = MLPRegressor(loss, random_state=0, **parameters).fit(features, y)
        assert low < model.intercepts_[0][0] < high
    with pytest.raises(ValueError, match="at least 0"):
        MLPRegressor("poisson").fit(features, -y)


QUANTILES = fn.Pinball((0.1, 0.9))


@pytest.mark.parametrize("loss", [QUANTILES, fn.Pinball(0.8)], ids=["two", "one"])
def test_the_score_of_quantiles_is_the_share_of_their_loss_explained(loss):
    y, weight = Y[:, 0], np.arange(60)
    model = MLPRegressor(loss, (5,), max_iter=40, random_state=0, learning_rate_init=0.02)
    predicted = model.fit(X, y).predict(X).reshape(60, -1)
    shares = []
    for tau, quantile in zip(np.atleast_1d(loss.quantiles), predicted.T, strict=True):
        losses = [
            np.average(np.maximum(tau * error, (tau - 1) * error), weights=weight)
            for error in (y - quantile, *(y - constant for constant in y))
        ]
        shares.append(1 - losses[0] / min(losses[1:]))  # the best constant is one of the targets
    assert model.score(X, y, weight) == pytest.approx(np.mean(shares), rel=1e-9)
    assert model.score(X, y.reshape(60, 1).tolist()) == model.score(X, y)
    assert 0.1 < model.score(X, y) < 1
    with pytest.raises(ValueError, match=r"y has shape \(60, 3\)"):
        model.score(X, Y)


def test_quantiles_stop_early_by_their_score():
    seen = []

    class Recorder(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            seen.append(metrics["val_d2"])

    model = MLPRegressor(
        QUANTILES,
        (5,),
        early_stopping=True,
        random_state=0,
        callbacks=[Recorder()],
        learning_rate_init=0.02,
        n_iter_no_change=5,
    )
    model.fit(X[:40], Y[:40, 0], X_val=X[40:], y_val=Y[40:, 0])
    assert seen == model.validation_scores_
    assert model.best_validation_score_ == max(seen)
    assert model.score(X[40:], Y[40:, 0]) == pytest.approx(max(seen), rel=1e-12)
    model.set_params(callbacks=None).fit(X, Y[:, 0])  # a share held out
    # a callback that stops early looks for the largest
    stopping = fn.EarlyStopping("val_d2", patience=2)
    model.set_params(callbacks=[stopping], early_stopping=False, max_iter=30)
    model.fit(X[:40], Y[:40, 0], X_val=X[40:], y_val=Y[40:, 0])
    assert model.score(X[40:], Y[40:, 0]) == pytest.approx(max(model.validation_scores_), rel=1e-12)


@pytest.mark.parametrize("solver", ["adam", "lm"])
def test_shares_are_predicted_as_shares(solver):
    share = 1 / (1 + np.exp(-2 * SIGNAL[:, 0]))
    model = MLPRegressor(
        fn.BinaryCrossEntropy(),
        (),
        solver=solver,
        max_iter=2000,
        alpha=0,
        random_state=0,
        learning_rate_init=0.02,
        tol=1e-9,
    )
    predicted = model.fit(X, share).predict(X)
    assert model.out_activation_ == "logistic"
    np.testing.assert_allclose(predicted, share, atol=1e-3)
    assert model.score(X, share) == pytest.approx(1, abs=1e-4)
    logits = model.to_network().predict(X)[:, 0]
    np.testing.assert_allclose(predicted, 1 / (1 + np.exp(-logits)), rtol=1e-12)
    slope = (predicted * (1 - predicted))[:, np.newaxis] * model.coefs_[0].T
    np.testing.assert_allclose(model.jacobian(X), slope, rtol=1e-9)
    again = MLPRegressor.from_network(model.to_network(), loss=fn.BinaryCrossEntropy())
    np.testing.assert_array_equal(again.predict(X), predicted)


@pytest.mark.parametrize("loss", [fn.SoftmaxCrossEntropy(), fn.NegativeLogLikelihood()])
def test_a_regressor_refuses_losses_of_classes(loss):
    with pytest.raises(ValueError, match="loss is .*, which takes classes; MLPRegressor"):
        MLPRegressor(loss).fit(X, Y)


def test_losses_of_classes():
    smooth = MLPClassifier(
        (), loss=fn.SoftmaxCrossEntropy(label_smoothing=0.3), solver="lbfgs", max_iter=1000, alpha=0
    )
    surest = smooth.fit(X, LABELS).predict_proba(X).max()
    assert 0.7 < surest < 0.95
    two = smooth.fit(X, LABELS == "red")
    assert two.n_outputs_ == 2
    assert two.predict(X).dtype == bool
    assert two.score(X, LABELS == "red") > 0.9
    with pytest.raises(ValueError, match="loss is BinaryCrossEntropy"):
        MLPClassifier(loss=fn.BinaryCrossEntropy()).fit(X, LABELS)
    with pytest.raises(ValueError, match="loss is SoftmaxCrossEntropy"):
        MLPClassifier(loss=fn.SoftmaxCrossEntropy()).fit(X, SIGNAL > 0)


@pytest.mark.parametrize("solver", ["adam", "lm"])
def test_weights_of_classes_are_weights_of_their_samples(solver):
    model = MLPClassifier((4,), "tanh", solver=solver, max_iter=10, random_state=0)
    by_class = clone(model).set_params(class_weight={"red": 3, "green": 0.5}).fit(X, LABELS)
    weight = np.select([LABELS == "red", LABELS == "green"], [3, 0.5], 1)
    by_sample = clone(model).fit(X, LABELS, sample_weight=weight)
    np.testing.assert_array_equal(by_class.coefs_[0], by_sample.coefs_[0])
    both = clone(by_class).fit(X, LABELS, sample_weight=weight)
    twice = clone(model).fit(X, LABELS, sample_weight=weight**2)
    np.testing.assert_array_equal(both.coefs_[0], twice.coefs_[0])
    balanced = clone(model).set_params(class_weight="balanced").fit(X, LABELS)
    counts = {label: (label == LABELS).sum() for label in balanced.classes_}
    weight = [60 / (3 * counts[label]) for label in LABELS]
    expected = clone(model).fit(X, LABELS, sample_weight=weight)
    np.testing.assert_allclose(balanced.coefs_[0], expected.coefs_[0], rtol=1e-9)
