"""scikit-learn's own estimators, as the oracle: the same parameters after the same epochs."""

import functools
import warnings

import numpy as np
import pytest
from problems import numbered, targets

pytest.importorskip("sklearn", minversion="1.7")
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning

from fastnn import sklearn as ours

EPOCHS = 50
SOLVERS = {
    "plain": {"solver": "sgd", "momentum": 0},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd"},
    "momentum of 1": {"solver": "sgd", "momentum": 1.0, "learning_rate_init": 1e-4},
    "adam": {"solver": "adam", "epsilon": 1e-3, "beta_1": 0.8, "beta_2": 0.99},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
    # so large a tolerance that the rate drops every third epoch
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 10, "n_iter_no_change": 2},
}
TARGETS = ["binary", "multiclass", "multilabel", "regression", "outputs"]


def data(target):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((50, 4))
    return X, targets(X @ rng.standard_normal((4, 3)))[target]


def estimator(module, target, **parameters):
    kind = "MLPRegressor" if target in ("regression", "outputs") else "MLPClassifier"
    defaults = {
        "hidden_layer_sizes": (6, 5),
        "batch_size": 16,
        "alpha": 0.02,
        "learning_rate_init": 0.03,
        "max_iter": EPOCHS,
        "tol": 0,
        "n_iter_no_change": EPOCHS,
        "random_state": 3,
    }
    return getattr(module, kind)(**{**defaults, **parameters})


def fitted(model, X, y, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, **arguments)


@functools.cache
def theirs(target, solver, activation, **parameters):
    model = estimator(
        neural_network, target, activation=activation, **SOLVERS[solver], **parameters
    )
    return fitted(model, *data(target))


def assert_same(a, b, tolerance=1e-8):
    for mine, other in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)
    assert a.n_iter_ == b.n_iter_
    assert a.t_ == b.t_


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_same_seed_gives_the_same_network(isa, solver, target):
    check_the_same_seed(solver, "relu", target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh"])
@pytest.mark.parametrize("solver", ["nesterov", "adam"])
def test_the_same_seed_whatever_the_activation(solver, activation, target):
    check_the_same_seed(solver, activation, target)


def check_the_same_seed(solver, activation, target):
    """Initial values, the orders of shuffled epochs and every step agree."""
    expected = theirs(target, solver, activation)
    model = estimator(ours, target, activation=activation, **SOLVERS[solver])
    X, y = data(target)
    fitted(model, X, y)
    assert_same(model, expected)
    if target != "outputs":  # theirs is the mean over outputs there, and no loss of that gradient
        np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-8)
        np.testing.assert_allclose(model.best_loss_, expected.best_loss_, rtol=1e-8)
    np.testing.assert_allclose(model._optimizer.learning_rate, rate_of(expected), rtol=1e-12)


def rate_of(expected):
    optimizer = expected._optimizer  # Adam's holds its rate of the last step
    return getattr(
        optimizer, "learning_rate_init" if expected.solver == "adam" else "learning_rate"
    )


@pytest.mark.parametrize("solver", ["adam", "nesterov", "lbfgs"])
@pytest.mark.parametrize("target", TARGETS)
def test_weights_of_samples(isa, target, solver):
    if (target, solver) == ("outputs", "lbfgs"):
        pytest.skip("theirs has not the gradient of its loss")
    X, y = data(target)
    weight = np.random.default_rng(2).choice([0.25, 0.5, 1, 3], len(X))
    weight[7] = 0
    parameters = {"solver": "lbfgs", "max_iter": 10} if solver == "lbfgs" else SOLVERS[solver]
    models = [
        fitted(estimator(m, target, **parameters), X, y, sample_weight=weight)
        for m in (neural_network, ours)
    ]
    assert_same(*models, tolerance=1e-7 if solver == "lbfgs" else 1e-8)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_the_poisson_loss(solver, weighted, outputs):
    if "loss" not in neural_network.MLPRegressor().get_params():
        pytest.skip("this version of scikit-learn has no Poisson loss")
    X, _ = data("regression")
    draw = np.random.default_rng(3)
    y = draw.poisson(np.exp(X[:, :outputs])).astype(float).squeeze()
    weights = {"sample_weight": draw.uniform(size=len(X))} if weighted else {}
    models = [
        fitted(
            estimator(
                m,
                "regression",
                loss="poisson",
                solver=solver,
                max_iter=10,
                shuffle=False,
                batch_size=len(X),
            ),
            X,
            y,
            **weights,
        )
        for m in (neural_network, ours)
    ]
    assert_same(*models, tolerance=1e-7)
    first, second = models
    assert second.loss_ == pytest.approx(first.loss_)
    assert second.out_activation_ == "exp"
    np.testing.assert_allclose(second.predict(X), first.predict(X), rtol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("solver", ["nesterov", "adam"])
def test_given_weights_in_the_natural_order(solver, target):
    X, y = data(target)
    rng = np.random.default_rng(1)
    models = []
    for module in (neural_network, ours):
        model = estimator(
            module, target, max_iter=1, warm_start=True, shuffle=False, **SOLVERS[solver]
        )
        models.append(fitted(model, X, y))
    first, second = models
    coefs = [rng.standard_normal(w.shape) / 2 for w in first.coefs_]
    intercepts = [rng.standard_normal(b.shape) for b in first.intercepts_]
    for model in models:
        model.coefs_ = [w.copy() for w in coefs]  # theirs trains the very arrays
        model.intercepts_ = [b.copy() for b in intercepts]
        model.set_params(max_iter=EPOCHS)
        fitted(model, X, y)
    assert_same(second, first)


@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel", "regression"])
def test_predictions_agree(target):
    X, y = data(target)
    expected = theirs(target, "adam", "tanh")
    model = fitted(estimator(ours, target, activation="tanh", **SOLVERS["adam"]), X, y)
    if target == "regression":
        np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-8, atol=1e-8)
    else:
        np.testing.assert_array_equal(model.predict(X), expected.predict(X))
        for method in ("predict_proba", "predict_log_proba"):
            mine, other = getattr(model, method)(X), getattr(expected, method)(X)
            np.testing.assert_allclose(mine, other, rtol=1e-7, atol=1e-8)
        np.testing.assert_array_equal(model.classes_, expected.classes_)
    assert model.score(X, y) == pytest.approx(expected.score(X, y))
    for name in ("n_outputs_", "n_layers_", "out_activation_", "n_features_in_"):
        assert getattr(model, name) == getattr(expected, name)


@pytest.mark.parametrize("target", ["binary", "regression"])
def test_early_stopping_agrees(target):
    X, y = data(target)
    y = numbered(y)
    models = []
    for module in (neural_network, ours):
        model = estimator(
            module,
            target,
            early_stopping=True,
            tol=1e-3,
            n_iter_no_change=5,
            max_iter=200,
            validation_fraction=0.3,
        )
        models.append(fitted(model, X, y))
    assert_same(*models)
    first, second = models
    assert second.n_iter_ < 200
    np.testing.assert_allclose(second.validation_scores_, first.validation_scores_, rtol=1e-8)
    assert second.best_validation_score_ == pytest.approx(first.best_validation_score_)
    assert second.best_loss_ is first.best_loss_ is None


@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel", "regression"])
def test_the_loss_stops_training_at_the_same_epoch(target):
    X, y = data(target)
    models = [
        fitted(estimator(m, target, tol=0.01, n_iter_no_change=3, max_iter=500), X, y)
        for m in (neural_network, ours)
    ]
    assert_same(*models)
    assert models[1].n_iter_ < 500


@pytest.mark.parametrize("target", TARGETS)
def test_partial_fit_and_warm_start_continue_alike(target):
    X, y = data(target)
    models = []
    for module in (neural_network, ours):
        model = estimator(module, target, solver="sgd", learning_rate="invscaling", max_iter=4)
        classes = {"multilabel": np.arange(3)}.get(target, np.unique(y))
        arguments = {} if target in ("regression", "outputs") else {"classes": classes}
        for rows in (slice(0, 30), slice(30, 50), slice(0, 30)):
            model.partial_fit(X[rows], y[rows], **arguments)
        models.append(fitted(model.set_params(warm_start=True), X, y))
    assert_same(*models)
    assert len(models[1].loss_curve_) == len(models[0].loss_curve_) == 3 + 4


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_keeps_the_optimizer_whatever_the_parameters_become(solver):
    X, y = data("regression")
    models = []
    for module in (neural_network, ours):
        model = estimator(module, "regression", solver=solver).partial_fit(X, y)
        model.set_params(solver="sgd", learning_rate="invscaling", learning_rate_init=1)
        for _ in range(3):
            model.partial_fit(X, y)
        models.append(model.set_params(learning_rate="adaptive", n_iter_no_change=1, tol=10))
        for _ in range(3):
            model.partial_fit(X, y)
    assert_same(*models)


@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel", "regression"])
def test_lbfgs_agrees(target):
    X, y = data(target)
    models = [
        fitted(estimator(m, target, solver="lbfgs", max_iter=15, activation="tanh"), X, y)
        for m in (neural_network, ours)
    ]
    assert models[1].n_iter_ == models[0].n_iter_ == 15
    assert models[1].loss_ == pytest.approx(models[0].loss_, rel=1e-8)
    for mine, other in zip(models[1].coefs_, models[0].coefs_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("target", ["binary", "multiclass", "regression"])
def test_float32_is_kept_and_close(target):
    X, y = data(target)
    models = [
        fitted(estimator(m, target, max_iter=10), X.astype(np.float32), y)
        for m in (neural_network, ours)
    ]
    for mine, other in zip(models[1].coefs_, models[0].coefs_, strict=True):
        assert mine.dtype == other.dtype == np.float32
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-4)


def test_several_outputs_have_the_gradient_of_their_loss():
    """By L-BFGS, whose line search fails where value and gradient are not of one function."""
    X, y = data("outputs")
    model = estimator(ours, "outputs", solver="lbfgs", max_iter=1000, alpha=0, activation="tanh")
    model.set_params(hidden_layer_sizes=(30,), tol=1e-6)
    fitted(model, X, y)
    residual = model.predict(X) - y
    assert model.loss_ == pytest.approx(0.5 * (residual**2).sum() / len(X))
    assert model.loss_ < 1e-3
