"""Derivatives, hidden layers, log-probabilities and fitted attributes."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")
from problems import LABELS, SIGNAL, X, Y
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
    with pytest.raises(ValueError, match="layer is 4; one of 4 layers"):
        classifier.hidden_activations(X, layer=4)


@pytest.mark.parametrize("y", [LABELS, LABELS == "red", SIGNAL > 0], ids=["three", "two", "labels"])
def test_log_probabilities_stay_finite(y):
    model = MLPClassifier((), max_iter=20, random_state=0).fit(X, y)
    near = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict_log_proba(X), np.log(near))
    for scale in (1e3, 1e6):
        probabilities, logs = model.predict_proba(scale * X), model.predict_log_proba(scale * X)
        assert (probabilities == 0).any()
        assert np.isfinite(logs).all()
        assert (logs[probabilities == 0] < -30).all()
        logits = scale * X @ model.coefs_[0] + model.intercepts_[0]
        if logits.shape[1] == 1:
            logits = np.hstack([np.zeros_like(logits), logits])
        if y.ndim == 1:  # where all but one class has no chance, the log is a difference of logits
            expected = logits - logits.max(axis=1, keepdims=True)
            np.testing.assert_allclose(logs[expected < -800], expected[expected < -800], rtol=1e-9)


def test_coefs_and_intercepts_are_views_that_can_be_written(classifier):
    model = copy.deepcopy(classifier)
    before = model.predict_proba(X)
    model.coefs_[0][...] = 0
    assert not np.allclose(model.predict_proba(X), before)
    model.coefs_[0] = classifier.coefs_[0]
    np.testing.assert_array_equal(model.predict_proba(X), before)
    model.intercepts_ = [b + 1 for b in model.intercepts_]
    np.testing.assert_array_equal(model.intercepts_[0], classifier.intercepts_[0] + 1)
    with pytest.raises(ValueError):  # noqa: PT011  (NumPy's and Python's own)
        model.coefs_ = classifier.coefs_[:1]
    assert type(pickle.loads(pickle.dumps(model.coefs_))) is list


def test_a_fit_that_was_refused_is_none():
    model = MLPClassifier((4,))
    with pytest.raises(ValueError, match="activation has 1 elements"):
        model.set_params(activation=["tanh"], hidden_layer_sizes=(4, 3)).fit(X, LABELS)
    with pytest.raises(NotFittedError):
        model.predict(X)
    with pytest.raises(NotFittedError):
        model.coefs_ = [np.ones((3, 3))]
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
