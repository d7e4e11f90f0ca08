"""Losses of fastnn, and the weights of classes and samples."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")
from problems import LABELS, SIGNAL, X
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
        ("squared_error", 0.9, 1.1), ("absolute_error", 0.55, 0.8), ("huber", 0.7, 0.95),
        (fn.Huber(0.01), 0.55, 0.8),
    ):  # fmt: skip
        model = MLPRegressor(loss, random_state=0, **parameters).fit(features, y)
        assert low < model.intercepts_[0][0] < high
    with pytest.raises(ValueError, match="at least 0"):
        MLPRegressor("poisson").fit(features, -y)


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
