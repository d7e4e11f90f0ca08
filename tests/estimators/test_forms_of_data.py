"""The estimators take every form of an array, and learn from it what they do from the plain one."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
from array_forms import forms

from fastnn.sklearn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(5)
N = 12
X = RNG.integers(0, 4, (N, 3)).astype(float)
SEVERAL = RNG.integers(0, 2, (N, 4)).astype(float)
SEVERAL[:4] = np.eye(4)
REAL = RNG.integers(-3, 4, (N, 2)).astype(float)
LABELS = np.arange(N) % 3.0
TWO = np.arange(N) % 2.0
WEIGHT = 1 + np.arange(N) % 3.0
SOLVERS = ["adam", "sgd", "lbfgs", "lm"]


def model(kind, solver, **settings):
    settings = {"max_iter": 2, "random_state": 0, "hidden_layer_sizes": (5,), **settings}
    return kind(solver=solver, **settings)


def learned(estimator, *data, **settings):
    estimator.fit(*data, **settings)
    return [*estimator.coefs_, *estimator.intercepts_, estimator.predict(X)]


CALLS = {}
for s in ("adam", "lbfgs"):
    CALLS[f"several labels, {s}"] = SEVERAL, lambda y, s=s: learned(model(MLPClassifier, s), X, y)
    CALLS[f"labels, {s}"] = LABELS, lambda y, s=s: learned(model(MLPClassifier, s), X, y)
    CALLS[f"two labels, {s}"] = TWO, lambda y, s=s: learned(model(MLPClassifier, s), X, y)
    CALLS[f"several targets, {s}"] = REAL, lambda y, s=s: learned(model(MLPRegressor, s), X, y)
    CALLS[f"target, {s}"] = LABELS, lambda y, s=s: learned(model(MLPRegressor, s), X, y)
    CALLS[f"X, {s}"] = X, lambda x, s=s: learned(model(MLPRegressor, s), x, REAL)
    CALLS[f"weights, {s}"] = (
        WEIGHT,
        lambda w, s=s: learned(model(MLPClassifier, s), X, LABELS, sample_weight=w),
    )
CALLS["class_weight"] = (
    SEVERAL,
    lambda y: learned(model(MLPClassifier, "adam", class_weight=[{0: 1, 1: 3}] * 4), X, y),
)
CALLS["early stopping, several labels"] = (
    SEVERAL,
    lambda y: learned(
        model(MLPClassifier, "adam", early_stopping=True, validation_fraction=0.3), X, y
    ),
)
CALLS["X_val"] = (
    X,
    lambda x: learned(model(MLPClassifier, "adam"), X, LABELS, X_val=x, y_val=LABELS),
)
CALLS["y_val"] = (
    SEVERAL,
    lambda y: learned(model(MLPClassifier, "adam"), X, SEVERAL, X_val=X, y_val=y),
)
CALLS["sample_weight_val"] = (
    WEIGHT,
    lambda w: learned(
        model(MLPRegressor, "adam"), X, REAL, X_val=X, y_val=REAL, sample_weight_val=w
    ),
)
FITTED = {}


def once(name, make):
    if name not in FITTED:
        FITTED[name] = make()
    return FITTED[name]


def several():
    return once("several", lambda: model(MLPClassifier, "adam").fit(X, SEVERAL))


def regressor():
    return once("regressor", lambda: model(MLPRegressor, "adam").fit(X, REAL))


CALLS["predict"] = X, lambda x: regressor().predict(x)
CALLS["predict_proba"] = X, lambda x: several().predict_proba(x)
CALLS["predict_log_proba"] = X, lambda x: several().predict_log_proba(x)
CALLS["jacobian"] = X, lambda x: regressor().jacobian(x)
CALLS["hidden_activations"] = X, lambda x: regressor().hidden_activations(x)
CALLS["partial_fit, classes"] = (
    np.arange(3.0),
    lambda c: model(MLPClassifier, "adam").partial_fit(X, LABELS, classes=c).predict(X),
)
REFUSED_BY_SCIKIT_LEARN = {"__array__", "memoryview", "bfloat16"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", CALLS)
def test_an_estimator_takes_every_form(call, tmp_path):
    plain, method = CALLS[call]
    wanted = method(plain.copy())
    of_x = plain is X
    for name, form in forms(plain, tmp_path):
        if name in REFUSED_BY_SCIKIT_LEARN:
            continue
        dtype = getattr(form, "dtype", None)
        in_float32 = of_x and (dtype == np.float32 or name in ("f2", "float32, Fortran order"))
        if in_float32 and call != "predict":
            continue  # the network's dtype follows that of X
        found = method(form)
        for one, other in zip(
            found if isinstance(found, list) else [found],
            wanted if isinstance(wanted, list) else [wanted],
            strict=True,
        ):
            np.testing.assert_allclose(
                np.asarray(one, float),
                np.asarray(other, float),
                rtol=1e-12,
                atol=1e-12,
                err_msg=f"{call}: {name}",
            )


@pytest.mark.parametrize("solver", SOLVERS)
def test_dummies_of_iris_are_learned_as_scikit_learn_learns_them(solver):
    pd = pytest.importorskip("pandas")
    from sklearn.datasets import load_iris

    iris = load_iris()
    y = pd.get_dummies(iris.target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = MLPClassifier(random_state=0, solver=solver, learning_rate_init=0.01).fit(
            iris.data, y
        )
    assert found.score(iris.data, y) > 0.85


def test_coefficients_are_real_numbers_in_range():
    estimator = model(MLPRegressor, "lbfgs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, REAL)
    before = [w.copy() for w in estimator.coefs_]
    predicted = estimator.predict(X)
    for wrong in (before[0] + 0j, np.full_like(before[0], np.nan), before[0][0]):
        estimator.coefs_ = [wrong, before[1]]
        with pytest.raises((TypeError, ValueError), match=r"coefs_\[0\]"):
            estimator.predict(X)
    estimator.coefs_ = before
    np.testing.assert_array_equal(estimator.predict(X), predicted)
    estimator.coefs_ = [np.asfortranarray(w) for w in before]
