"""What the estimators refuse, by the name of the argument."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")
from problems import LABELS, SIGNAL, X, Y
from sklearn.base import clone

import fastnn as fn
from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_weights_that_are_none():
    for weight in (np.zeros(60), -np.ones(60)):
        with pytest.raises(ValueError, match=r"weight"):
            MLPRegressor().fit(X, Y, sample_weight=weight)
    with pytest.raises(ValueError, match="no weight may be negative"):
        MLPClassifier(class_weight={"red": -1, "green": 1, "blue": 1}).fit(X, LABELS)


def test_what_does_not_fit_the_network_so_far_is_refused():
    model = MLPRegressor(hidden_layer_sizes=(4,), warm_start=True, max_iter=2).fit(X, Y[:, 0])
    before = model.coefs_[1].copy()
    with pytest.raises(ValueError, match="ask for 3 outputs and 'identity' after them; the net"):
        model.fit(X, Y)
    with pytest.raises(ValueError, match="ask for 3 outputs"):
        model.partial_fit(X, Y)
    with pytest.raises(ValueError, match="ask for 1 outputs and 'exp'"):
        model.set_params(loss="poisson").fit(X, np.abs(Y[:, 0]))
    with pytest.raises(ValueError, match="X has 2 features"):
        model.partial_fit(X[:, :2], Y[:, 0])
    np.testing.assert_array_equal(model.coefs_[1], before)
    two = MLPClassifier((4,), warm_start=True, max_iter=2).fit(X, LABELS == "red")
    with pytest.raises(ValueError, match="ask for 2 outputs and 'softmax'"):
        two.set_params(loss=fn.SoftmaxCrossEntropy()).fit(X, LABELS == "red")
    with pytest.raises(ValueError, match="`y` has classes not in"):
        MLPClassifier((4,)).partial_fit(X, LABELS, classes=["red", "green"])
    three = MLPClassifier((4,), max_iter=2).fit(X, SIGNAL.argmax(axis=1))
    with pytest.raises(ValueError, match="several labels of a sample"):
        three.partial_fit(X, SIGNAL > 0)
    with pytest.raises(ValueError, match="several labels of a sample"):
        three.fit(X, SIGNAL.argmax(axis=1), X_val=X, y_val=SIGNAL > 0)


def test_held_out_samples_are_checked():
    model = MLPClassifier((4,), max_iter=3, random_state=0)
    for arguments, message in (
        ({"X_val": X}, "X_val and y_val go together"),
        ({"X_val": X[:, :2], "y_val": LABELS}, "X has 2 features"),
        ({"X_val": X, "y_val": LABELS[:5]}, "inconsistent numbers of samples"),
        ({"X_val": X, "y_val": np.full(60, "violet")}, "`y` has classes not in"),
        ({"X_val": X, "y_val": LABELS, "sample_weight_val": np.zeros(60)}, "(?i)weight"),
        ({"X_val": X, "y_val": LABELS, "sample_weight_val": np.ones(5)}, "sample_weight"),
        ({"sample_weight_val": np.ones(5)}, "without X_val and y_val"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X, LABELS, **arguments)
    weight = np.arange(60)
    model.fit(X, LABELS, X_val=X, y_val=LABELS, sample_weight_val=weight)
    assert model.validation_scores_[-1] == model.score(X, LABELS, weight)
    model.set_params(warm_start=True).fit(X, LABELS, X_val=X[:2], y_val=LABELS[:2])
    assert model.validation_scores_[-1] == model.score(X[:2], LABELS[:2])


def test_samples_held_out_need_a_weight():
    model = MLPClassifier((4,), early_stopping=True, random_state=0)
    with pytest.raises(ValueError, match="is 0 for all samples"):
        model.fit(X, LABELS == "red", sample_weight=np.arange(60) == 0)


def test_widths_are_whole_numbers():
    for sizes in ((2.5,), [3.0], (4, "5")):
        with pytest.raises(TypeError):
            MLPClassifier(sizes).fit(X, LABELS)
    assert MLPClassifier(np.array([2, 3]), max_iter=2).fit(X, LABELS).n_layers_ == 4


def test_what_is_no_plain_array_goes_through_the_checks(classifier, isa):
    model = clone(classifier).set_params(max_iter=2).fit(X, LABELS)
    expected = model.predict_proba(X)
    for same in (X.tolist(), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        np.testing.assert_allclose(model.predict_proba(same), expected, rtol=1e-12)
    for wrong, message in (
        (X[0], "Expected 2D array"),
        (X[:, :2], "X has 2 features"),
        (X[:0], "0 sample"),
        (np.where(X[3, 1] == X, np.nan, X), "contains NaN"),
        (X.astype(complex), "Complex data"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict(wrong)
    many = np.repeat(X, 5000, axis=0)
    np.testing.assert_array_equal(model.predict(many), np.repeat(model.predict(X), 5000))
    many[-1, -1] = np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        model.predict(many)
