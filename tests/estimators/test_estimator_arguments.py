"""What the estimators refuse, by the name of the argument, and leave as it was."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
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
    with pytest.raises(ValueError, match="need 3 outputs and out_activation_ 'identity'; the net"):
        model.fit(X, Y)
    with pytest.raises(ValueError, match="need 3 outputs"):
        model.partial_fit(X, Y)
    with pytest.raises(ValueError, match="need 1 outputs and out_activation_ 'exp'"):
        model.set_params(loss="poisson").fit(X, np.abs(Y[:, 0]))
    with pytest.raises(ValueError, match="X has 2 features"):
        model.partial_fit(X[:, :2], Y[:, 0])
    np.testing.assert_array_equal(model.coefs_[1], before)
    two = MLPClassifier((4,), warm_start=True, max_iter=2).fit(X, LABELS == "red")
    with pytest.raises(ValueError, match="need 2 outputs and out_activation_ 'softmax'"):
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
        ({"X_val": X}, "X_val and y_val must be given together"),
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


@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
@pytest.mark.parametrize(
    ("name", "parameters", "arguments"),
    [
        ("dropout", {"dropout": 0.5}, {}),
        ("callbacks", {"callbacks": [fn.Callback()]}, {}),
        ("X_val", {}, {"X_val": X, "y_val": LABELS}),
        ("Dropout", {"network": [fn.Linear(3, 4), fn.Dropout(0.5), fn.Linear(4, 3)]}, {}),
    ],
)
def test_what_a_solver_would_ignore_is_refused(solver, name, parameters, arguments):
    model = MLPClassifier((4,), solver=solver, max_iter=2, **parameters)
    with pytest.raises(ValueError, match=f"{name} is for solvers 'sgd' and 'adam'; solver is"):
        model.fit(X, LABELS, **arguments)
    assert not hasattr(model, "coefs_")
    model.set_params(solver="adam").fit(X, LABELS, **arguments)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("hidden_layer_sizes", (4,), (7,)),
        ("activation", "tanh", "relu"),
        ("activation", ["tanh"], [fn.GELU()]),
        ("dropout", 0.0, 0.5),
        ("network", None, [fn.Linear(3, 4), fn.Linear(4, 3)]),
        ("network", [fn.Linear(3, 4), fn.Linear(4, 3)], None),
    ],
)
def test_a_warm_start_goes_on_with_the_network_that_there_is(name, before, after):
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    model.set_params(**{name: before}).fit(X, Y)
    params = model.to_network().params
    model.set_params(**{name: after})
    with pytest.raises(ValueError, match="must not change for warm_start"):
        model.partial_fit(X, Y)
    with pytest.raises(ValueError, match=f"{name} is |when the network"):
        model.set_params(warm_start=True).fit(X, Y)
    np.testing.assert_array_equal(model.to_network().params, params)
    model.set_params(warm_start=False).fit(X, Y)  # another network


def test_a_warm_start_with_the_same_parameters_goes_on():
    layers = [fn.Linear(3, 4), fn.Linear(4, 3)]
    for parameters, same in (
        ({"hidden_layer_sizes": (4,)}, {"hidden_layer_sizes": np.array([4])}),
        ({"hidden_layer_sizes": [4]}, {"hidden_layer_sizes": 4}),
        ({"network": layers}, {"hidden_layer_sizes": (7,)}),  # without effect
        ({"activation": ["tanh"], "hidden_layer_sizes": 4}, {"activation": ["tanh"]}),
    ):
        model = MLPRegressor(max_iter=2, warm_start=True, **parameters).fit(X, Y)
        again = pickle.loads(pickle.dumps(copy.deepcopy(model)))
        seen = again.t_
        assert again.set_params(**same).fit(X, Y).t_ == seen + 120


@pytest.mark.parametrize(
    ("y", "y_val", "message"),
    [
        (Y, Y[:, 0], r"y_val has shape \(60,\); \(60, 3\) is wanted"),
        (Y, Y[:, :2], r"y_val has shape \(60, 2\); \(60, 3\) is wanted"),
        (Y[:, 0], Y, r"y_val has shape \(60, 3\); \(60, 1\) or \(60,\) is wanted"),
        (Y > 0, Y[:, :2] > 0, "y_val or .*: y has 2 labels; expected 3"),
        (Y > 0, Y[:, 0] > 0, "y_val or .*: y has one class per sample; the known classes have sev"),
        (Y[:, 0], np.full(60, np.nan), "y_val or .*: Input y contains NaN"),
    ],
    ids=["one of three", "two of three", "three of one", "labels", "no labels", "NaN"],
)
def test_held_out_targets_are_refused_before_training(y, y_val, message):
    model = (MLPClassifier if y.dtype == bool else MLPRegressor)(hidden_layer_sizes=(4,))
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, X_val=X, y_val=y_val)
    assert not hasattr(model, "coefs_")
    with pytest.raises(
        ValueError, match=r"y_val holds -0\..*; Poisson takes targets of at least 0"
    ):
        MLPRegressor("poisson").fit(X, Y**2, X_val=X, y_val=Y)


def test_held_out_targets_may_be_a_column():
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    flat = model.fit(X, Y[:, 0], X_val=X, y_val=Y[:, 0]).validation_scores_
    assert model.fit(X, Y[:, 0], X_val=X, y_val=Y[:, :1]).validation_scores_ == flat


def test_callbacks_are_a_list_of_callbacks():
    for wrong in ([3], (fn.Callback,), [None]):
        with pytest.raises(TypeError, match=r"callbacks\[0\] is .*; a Callback object is wanted"):
            MLPRegressor(callbacks=wrong).fit(X, Y)
    for wrong in (5, "x", {}, fn.Callback()):
        with pytest.raises(TypeError, match="'callbacks' parameter of MLPRegressor must be"):
            MLPRegressor(callbacks=wrong).fit(X, Y)


def test_a_network_is_layers():
    with pytest.raises(TypeError, match="network is a Network; pass a list of layers, or use `fr"):
        MLPRegressor(network=fn.Network([fn.Linear(3, 3)])).fit(X, Y)
    with pytest.raises(TypeError, match=r"hidden_layer_sizes is \[\[3\]\]; expected int"):
        MLPRegressor(hidden_layer_sizes=[[3]]).fit(X, Y)


def test_numbers_beyond_the_range_are_refused():
    with pytest.raises(ValueError, match=r"sample_weight\[0\] is 1e\+60, too large for float32"):
        MLPRegressor().fit(X.astype(np.float32), Y, sample_weight=np.full(60, 1e60))
    with pytest.raises(ValueError, match=r"y\[0, 0\] is .*e\+59, too large for float32"):
        MLPRegressor().fit(X.astype(np.float32), 1e60 * Y)
    with pytest.raises(ValueError, match="class_weight is .*; no weight may be negative, infinite"):
        MLPClassifier(class_weight={"red": np.inf, "green": 1, "blue": 1}).fit(X, LABELS)


def test_long_doubles_become_doubles():
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, random_state=0)
    expected = model.fit(X, Y, sample_weight=np.arange(60)).predict(X)
    long, weight = X.astype(np.longdouble), np.arange(60, dtype=np.longdouble)
    found = model.fit(long, Y.astype(np.longdouble), sample_weight=weight).predict(long)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float64
    if np.finfo(np.longdouble).max > np.finfo(float).max:
        with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"y\[0, 0\] is -?inf, too"):
            model.fit(X, Y * np.longdouble("1e4000"))


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_too_few_samples_to_hold_some_out_are_named(cls):
    model = cls(hidden_layer_sizes=(4,), early_stopping=True)
    with pytest.raises(
        ValueError, match="early_stopping=True holds out .*, but there is only 1 sampl"
    ):
        model.fit(X[:1], [1])
    for n in (2, 3):
        with pytest.raises(ValueError, match=f"too small: 1 of {n} samples|ha(ve|s) only 1 member"):
            model.fit(X[:n], np.arange(n))
    with pytest.raises(ValueError, match="too small: 1 of 3 samples"):
        model.fit(X[:3], ["a", "b", "c"] if cls is MLPClassifier else [1, 2, 3])
