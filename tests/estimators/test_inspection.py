"""Derivatives, hidden layers, log-probabilities and fitted attributes."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
from problems import LABELS, SIGNAL, X, Y
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastnn.sklearn import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def differences(predict, X):
    """Central differences of a prediction by each feature: (n, n_outputs, n_features)."""
    step = 1e-6
    columns = [
        (predict(X + step * e) - predict(X - step * e)) / (2 * step) for e in np.eye(X.shape[1])
    ]
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("y", [LABELS, LABELS == "red", SIGNAL > 0], ids=["three", "two", "labels"])
def test_a_classifiers_jacobian_is_that_of_its_probabilities(y):
    model = MLPClassifier((6,), "tanh", max_iter=10, random_state=0).fit(X, y.astype(y.dtype))
    found = model.jacobian(X)
    assert found.shape == (60, model.predict_proba(X).shape[1], 3)
    np.testing.assert_allclose(found, differences(model.predict_proba, X), atol=1e-8)


def test_a_regressors_jacobian_is_that_of_its_predictions(regressor):
    np.testing.assert_allclose(regressor.jacobian(X), differences(regressor.predict, X), atol=1e-8)
    one = clone(regressor).fit(X, Y[:, 0])
    assert one.jacobian(X).shape == (60, 3)
    np.testing.assert_allclose(one.jacobian(X), differences(one.predict, X), atol=1e-8)


def test_hidden_activations(classifier):
    first = np.tanh(X @ classifier.coefs_[0] + classifier.intercepts_[0])
    second = np.tanh(first @ classifier.coefs_[1] + classifier.intercepts_[1])
    np.testing.assert_allclose(classifier.hidden_activations(X), second, rtol=1e-12)
    np.testing.assert_allclose(classifier.hidden_activations(X, layer=1), first, rtol=1e-12)
    np.testing.assert_array_equal(classifier.hidden_activations(X, layer=0), X)
    np.testing.assert_array_equal(
        classifier.hidden_activations(X, layer=-1), classifier.predict_proba(X)
    )
    with pytest.raises(ValueError, match="layer is 4; there are 4 layers"):
        classifier.hidden_activations(X, layer=4)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("y", [LABELS, LABELS == "red", SIGNAL > 0], ids=["three", "two", "labels"])
def test_log_probabilities_are_those_of_probabilities_and_finite(y, dtype):
    model = MLPClassifier((), max_iter=20, random_state=0).fit(X.astype(dtype), y)
    least = np.finfo(dtype).tiny
    for scale in (1, 30, 1e3, 1e6):
        x = (scale * X).astype(dtype)
        probabilities, logs = model.predict_proba(x), model.predict_log_proba(x)
        assert probabilities.dtype == logs.dtype == dtype
        np.testing.assert_array_equal(logs, np.log(probabilities))
        assert np.isfinite(logs).all()
        assert probabilities.min() >= least
        if y.ndim == 1:
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        logits = x.astype(float) @ model.coefs_[0] + model.intercepts_[0]
        if logits.shape[1] == 1:
            logits = np.hstack([np.zeros_like(logits), logits])
        if y.ndim == 1:
            expected = np.maximum(log_softmax(logits, axis=1), np.log(least))
            np.testing.assert_allclose(logs, expected, rtol=1e-4, atol=1e-6)
    assert probabilities.min() == least


def test_a_fit_that_was_refused_is_none():
    model = MLPClassifier((4,))
    with pytest.raises(ValueError, match="activation has 1 elements"):
        model.set_params(activation=["tanh"], hidden_layer_sizes=(4, 3)).fit(X, LABELS)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert not hasattr(model, "coefs_")


def test_before_fit_there_is_nothing():
    model = MLPClassifier()
    assert not hasattr(model, "coefs_")
    for method in ("predict", "predict_proba", "jacobian", "hidden_activations"):
        with pytest.raises(NotFittedError):
            getattr(model, method)(X)
    with pytest.raises(NotFittedError):
        model.to_network()
    with pytest.raises(AttributeError, match="partial_fit"):
        MLPClassifier(solver="lm").partial_fit  # noqa: B018
