"""The estimators on sparse matrices, beside scikit-learn's and beside dense data."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn.neural_network import MLPClassifier as SklearnClassifier

from fastnn.sklearn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = sparse.random(150, 60, 0.05, format="csr", random_state=0)
LABELS = RNG.integers(0, 3, 150)
VALUES = RNG.normal(size=150)
SETTINGS = {"hidden_layer_sizes": (9,), "random_state": 0, "max_iter": 6}


@pytest.fixture(autouse=True)
def short_fits_do_not_converge():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_a_classifier_does_what_scikit_learns_does(solver):
    found = MLPClassifier(solver=solver, **SETTINGS).fit(X, LABELS)
    expected = SklearnClassifier(solver=solver, **SETTINGS).fit(X, LABELS)
    for one, other in zip(found.coefs_, expected.coefs_, strict=True):
        np.testing.assert_allclose(one, other, 1e-6, 1e-8)
    assert found.loss_ == pytest.approx(expected.loss_)
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X), 1e-6)
    assert (found.predict(X) == expected.predict(X)).all()
    assert found.score(X, LABELS) == expected.score(X, LABELS)


@pytest.mark.parametrize(
    "make", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix, sparse.csr_array]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs", "lm"])
def test_a_regressor_does_what_it_does_on_dense_data(solver, dtype, make):
    given = make(X.astype(dtype))
    settings = SETTINGS | {"hidden_layer_sizes": (2,), "solver": solver}
    found = MLPRegressor(**settings).fit(given, VALUES)
    expected = MLPRegressor(**settings).fit(X.toarray().astype(dtype), VALUES)
    tolerance = 1e-2 if dtype == np.float32 else 1e-5
    np.testing.assert_allclose(
        found.predict(given), expected.predict(X.toarray().astype(dtype)), tolerance, tolerance
    )
    assert found.coefs_[0].dtype == dtype


def test_the_arguments_of_fit():
    weight = np.linspace(0, 2, 150)
    for settings, more in (
        ({"early_stopping": True}, {}),
        ({"class_weight": "balanced"}, {}),
        ({"batch_size": 7, "shuffle": False}, {"sample_weight": weight}),
        ({"dropout": 0.3}, {"X_val": X[:40], "y_val": LABELS[:40]}),
    ):
        dense = {k: v.toarray() if k == "X_val" else v for k, v in more.items()}
        found = MLPClassifier(**SETTINGS | settings).fit(X, LABELS, **more)
        expected = MLPClassifier(**SETTINGS | settings).fit(X.toarray(), LABELS, **dense)
        np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, 1e-9)
        assert found.validation_scores_ == expected.validation_scores_
        np.testing.assert_allclose(found.coefs_[0], expected.coefs_[0], 1e-7, 1e-9)


def test_partial_fit_and_warm_start_keep_the_optimizer():
    found, expected = (MLPClassifier(**SETTINGS, warm_start=True) for _ in range(2))
    for _ in range(3):
        found.partial_fit(X, LABELS, classes=[0, 1, 2])
        expected.partial_fit(X.toarray(), LABELS, classes=[0, 1, 2])
    found.fit(X, LABELS)
    expected.fit(X.toarray(), LABELS)
    np.testing.assert_allclose(found.coefs_[0], expected.coefs_[0], 1e-7, 1e-9)


def test_standard_deviations_and_inspection_take_sparse_data():
    model = MLPRegressor(**SETTINGS | {"hidden_layer_sizes": (2,)}, store_covariance=True)
    model.fit(X, VALUES)
    for one, other in zip(
        model.predict(X, return_std=True), model.predict(X.toarray(), return_std=True), strict=True
    ):
        np.testing.assert_allclose(one, other, 1e-8)
    assert model.jacobian(X).shape == X.shape
    assert model.hidden_activations(X).shape == (150, 2)
