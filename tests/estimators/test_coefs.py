"""`coefs_` and `intercepts_`: read, written, pruned, set before a fit, and drawn by a subclass."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
from problems import LABELS, X, Y
from sklearn import neural_network
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import LabelBinarizer

import fastnn as fn
from fastnn import sklearn as ours
from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BOTH = (neural_network, ours)


def test_they_are_plain_lists_among_the_attributes(classifier):
    for model in (classifier, copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        for name in ("coefs_", "intercepts_"):
            arrays = vars(model)[name]
            assert type(arrays) is list
            np.testing.assert_array_equal(arrays[1], getattr(classifier, name)[1])
        model.predict(X)
        assert model.coefs_[0].base is not None  # a view of the network that predicts
    state = classifier.__getstate__()
    assert "coefs_" not in state  # they are in the network


def test_what_is_written_or_assigned_counts(classifier):
    model = copy.deepcopy(classifier)
    before = model.predict_proba(X)
    model.coefs_[0][...] = 0
    assert not np.allclose(model.predict_proba(X), before)
    model.coefs_[0] = classifier.coefs_[0]
    np.testing.assert_array_equal(model.predict_proba(X), before)
    model.coefs_[1] *= 1.5
    model.intercepts_ = [b + 1 for b in model.intercepts_]
    hidden = np.tanh(
        np.tanh(X @ classifier.coefs_[0] + classifier.intercepts_[0] + 1)
        @ (classifier.coefs_[1] * 1.5)
        + classifier.intercepts_[1]
        + 1
    )
    logits = hidden @ classifier.coefs_[2] + classifier.intercepts_[2] + 1
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)
    np.testing.assert_array_equal(model.to_network().layers[0].bias, model.intercepts_[0])
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_what_does_not_fit_is_refused_when_it_is_used(classifier):
    for change, message in (
        (lambda m: m.coefs_.pop(), "coefs_ has 2 arrays; expected 3"),
        (lambda m: m.coefs_.__setitem__(0, 0), r"coefs_\[0\] has shape \(\); expected 2 axes"),
        (lambda m: m.coefs_.__setitem__(0, np.ones((3, 9))), "shapes of coefs_ do not fit"),
        (lambda m: m.intercepts_.__setitem__(0, np.ones(9)), r"intercepts_\[0\] has shape \(9,\)"),
        (lambda m: setattr(m, "n_features_in_", 2), "X has 2 features; the network takes 3"),
    ):
        model = copy.deepcopy(classifier)
        change(model)
        with pytest.raises(ValueError, match=message):
            model.predict(X[:, : model.n_features_in_])


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_pruned_units(solver):
    models = []
    for module in BOTH:
        model = module.MLPRegressor(
            hidden_layer_sizes=(7, 5), solver=solver, max_iter=5, random_state=0, batch_size=20
        ).fit(X, Y)
        keep = [0, 2, 3, 6]
        model.coefs_[0] = model.coefs_[0][:, keep]
        model.intercepts_[0] = model.intercepts_[0][keep]
        model.coefs_[1] = model.coefs_[1][keep]
        models.append(model)
    first, second = models
    np.testing.assert_allclose(second.predict(X), first.predict(X), rtol=1e-9)
    assert second.jacobian(X).shape == (60, 3, 3)
    for model in models:
        model.set_params(warm_start=True).fit(X, Y)
    for mine, other in zip(second.coefs_, first.coefs_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-8, atol=1e-8)
    second.partial_fit(X, Y)
    assert second.coefs_[1].shape == (4, 5)


@pytest.mark.parametrize("way", ["partial_fit", "warm start", "fit"])
def test_values_that_are_set_before_a_fit(way):
    rng = np.random.default_rng(1)
    coefs, intercepts = [rng.normal(size=(3, 4)), rng.normal(size=(4, 3))], [np.ones(4), np.ones(3)]
    models = []
    for module in BOTH:
        model = module.MLPRegressor(
            hidden_layer_sizes=(4,),
            solver="sgd",
            max_iter=1,
            shuffle=False,
            random_state=0,
            warm_start=way == "warm start",
        )
        model.coefs_, model.intercepts_ = [0] * 2, [0] * 2
        for i in range(2):
            model.coefs_[i], model.intercepts_[i] = coefs[i].copy(), intercepts[i].copy()
        model.n_layers_, model.n_outputs_, model.out_activation_ = 3, 3, "identity"
        model.t_, model.n_iter_, model.best_loss_, model.loss_curve_ = 0, 0, np.inf, []
        model._no_improvement_count = 0
        models.append(model.partial_fit(X, Y) if way == "partial_fit" else model.fit(X, Y))
    for mine, other in zip(models[1].coefs_, models[0].coefs_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-10)
    assert (np.abs(models[1].coefs_[0] - coefs[0]).max() < 0.1) == (way != "fit")


def test_predictions_of_values_that_are_set_by_hand():
    fitted = neural_network.MLPClassifier((4,), max_iter=5, random_state=0).fit(X, LABELS)
    model = MLPClassifier((4,))
    model.coefs_, model.intercepts_ = fitted.coefs_, fitted.intercepts_
    with pytest.raises(ValueError, match="out_activation_ is not set"):
        model.predict_proba(X)
    model.out_activation_, model.n_outputs_ = "softmax", 3
    model._label_binarizer = LabelBinarizer().fit(LABELS)
    model.classes_ = model._label_binarizer.classes_
    np.testing.assert_allclose(model.predict_proba(X), fitted.predict_proba(X), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), fitted.predict(X))
    with pytest.raises(ValueError, match="X has 2 features"):
        model.predict(X[:, :2])
    with pytest.raises(NotFittedError):
        MLPClassifier().predict(X)


def subclass(module, kind):
    class Orthogonal(getattr(module, kind)):
        def _init_coef(self, fan_in, fan_out, dtype):
            weight, bias = super()._init_coef(fan_in, fan_out, dtype)
            scale = 1 + self._random_state.uniform() + len(self.coefs_)
            return weight * dtype.type(scale), bias * 0

    return Orthogonal


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("activation", ["logistic", "relu"])
def test_a_subclass_that_draws_its_own_initial_values(kind, activation):
    models = [
        subclass(m, kind)(
            hidden_layer_sizes=(6, 4),
            activation=activation,
            max_iter=3,
            random_state=2,
            batch_size=20,
        ).fit(X, LABELS if kind == "MLPClassifier" else Y)
        for m in BOTH
    ]
    plain = getattr(ours, kind)(
        hidden_layer_sizes=(6, 4), activation=activation, max_iter=3, random_state=2, batch_size=20
    ).fit(X, LABELS if kind == "MLPClassifier" else Y)
    for mine, other in zip(models[1].coefs_, models[0].coefs_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-8, atol=1e-8)
    assert np.abs(models[1].coefs_[0] - plain.coefs_[0]).max() > 0.01
    assert "_random_state" not in vars(models[1])


def test_initial_values_of_a_wrong_shape_leave_the_last_fit():
    class Wrong(MLPRegressor):
        def _init_coef(self, fan_in, fan_out, dtype):
            return np.ones((fan_out, fan_in)), np.ones(fan_out)

    model = Wrong(hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    with pytest.raises(ValueError, match="weight_init"):
        model.fit(X, Y)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("sizes", [(), (5,)])
def test_each_layers_initial_values_fit_its_own_activation(sizes, activation):
    model = MLPRegressor(hidden_layer_sizes=sizes, activation=activation, random_state=0)
    as_layers = MLPRegressor(
        hidden_layer_sizes=sizes,
        random_state=0,
        activation={
            "identity": fn.Identity(),
            "logistic": fn.Sigmoid(),
            "tanh": fn.Tanh(),
            "relu": fn.ReLU(),
        }[activation],
    )
    for one in (model, as_layers):
        one.set_params(max_iter=1, learning_rate_init=1e-300).fit(X, Y)
        for weight in one.coefs_:
            bound = np.sqrt((2 if activation == "logistic" else 6) / sum(weight.shape))
            assert 0.7 * bound < np.abs(weight).max() <= bound
