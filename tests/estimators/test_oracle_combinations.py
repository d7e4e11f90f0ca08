"""scikit-learn's estimators as the oracle of the losses that are reported, and of when to stop."""

import warnings

import numpy as np
import pytest
from problems import numbered, targets

pytest.importorskip("sklearn", minversion="1.7")  # the first with weights and the Poisson loss
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning

from fastnn import sklearn as ours

TARGETS = ["binary", "multiclass", "multilabel", "regression", "outputs", "poisson"]


def data(target):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((70, 4))
    signal = X @ rng.standard_normal((4, 3))
    y = {**targets(signal), "poisson": rng.poisson(np.exp(X[:, 0])).astype(float)}[target]
    return X, y, rng.choice([0.1, 0.5, 1, 6], 70)


def fitted_by_both(target, X, y, weight, **parameters):
    regression = target in ("regression", "outputs", "poisson")
    y = numbered(y) if parameters.get("early_stopping") else y
    defaults = {"hidden_layer_sizes": (6,), "batch_size": 16, "alpha": 0.02, "random_state": 3}
    if target == "poisson":
        defaults["loss"] = "poisson"
    models = []
    for module in (neural_network, ours):
        cls = module.MLPRegressor if regression else module.MLPClassifier
        model = cls(**{**defaults, **parameters})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            models.append(model.fit(X, y, sample_weight=weight))
    return models


def assert_the_same_fit(theirs, mine, tolerance=1e-8):
    assert mine.n_iter_ == theirs.n_iter_
    assert mine.t_ == theirs.t_
    both = zip(mine.coefs_ + mine.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True)
    for one, other in both:
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(mine.loss_curve_, theirs.loss_curve_, rtol=1e-8, atol=1e-12)
    for name in ("loss_", "best_loss_", "best_validation_score_"):
        one, other = getattr(mine, name), getattr(theirs, name)
        assert (one is None) == (other is None)
        if one is not None:
            assert one == pytest.approx(other, rel=1e-8)
    if theirs.validation_scores_ is not None:
        np.testing.assert_allclose(mine.validation_scores_, theirs.validation_scores_, rtol=1e-8)
    rates = [getattr(m._optimizer, "learning_rate", None) for m in (mine, theirs)]
    if mine.solver == "sgd":
        assert rates[0] == pytest.approx(rates[1])


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "parameters",
    [
        {"solver": "adam", "learning_rate_init": 0.02},
        {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.05},
        {"solver": "sgd", "learning_rate": "invscaling", "shuffle": False},
    ],
    ids=["adam", "adaptive", "invscaling"],
)
def test_training_ends_in_the_same_epoch(parameters, target, weighted, early_stopping):
    X, y, weight = data(target)
    models = fitted_by_both(
        target,
        X,
        y,
        weight if weighted else None,
        max_iter=150,
        tol=3e-3,
        n_iter_no_change=4,
        early_stopping=early_stopping,
        validation_fraction=0.3,
        **parameters,
    )
    assert_the_same_fit(*models)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("sizes", [(), (5,), (5, 4)])
def test_every_activation_with_and_without_hidden_layers(sizes, activation, target):
    X, y, weight = data(target)
    models = fitted_by_both(
        target, X, y, weight, hidden_layer_sizes=sizes, activation=activation, max_iter=5
    )
    assert_the_same_fit(*models)


@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel", "regression", "poisson"])
@pytest.mark.parametrize("sizes", [(), (5,)])
def test_lbfgs_with_weights(sizes, target):
    X, y, weight = data(target)
    theirs, mine = fitted_by_both(
        target,
        X,
        y,
        weight,
        hidden_layer_sizes=sizes,
        activation="logistic",
        max_iter=8,
        solver="lbfgs",
        early_stopping=True,
    )
    assert mine.n_iter_ == theirs.n_iter_
    assert mine.loss_ == pytest.approx(theirs.loss_, rel=1e-8)
    np.testing.assert_allclose(mine.coefs_[0], theirs.coefs_[0], rtol=1e-6, atol=1e-6)


def test_batches_without_weight_have_no_loss():
    """scikit-learn divides by 0 there."""
    X, y, _ = data("poisson")
    weight = np.ones(70)
    weight[16:32] = 0
    kept = weight > 0
    parameters = {"batch_size": 16, "shuffle": False, "max_iter": 1, "alpha": 0, "loss": "poisson"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for momentum in (0, 0.9):
            model = ours.MLPRegressor(
                hidden_layer_sizes=(4,),
                solver="sgd",
                momentum=momentum,
                random_state=0,
                learning_rate_init=1e-12,
                **parameters,
            )
            loss = model.fit(X, y, sample_weight=weight).loss_
            assert loss == pytest.approx(model.fit(X[kept], y[kept]).loss_, rel=1e-6)
