"""The estimators inside scikit-learn's own machinery."""

import os

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
import joblib
import threadpoolctl
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnn as fn
from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, y = load_iris(return_X_y=True)


def classifier(**parameters):
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (8,),
            "solver": "lbfgs",
            "max_iter": 50,
            "random_state": 0,
            **parameters,
        }
    )


def test_a_grid_search_over_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), classifier())
    grid = {"mlpclassifier__alpha": [1e-3, 1e6], "mlpclassifier__activation": ["tanh", "relu"]}
    search = GridSearchCV(pipeline, grid, cv=3, return_train_score=True).fit(X, y)
    assert search.best_params_["mlpclassifier__alpha"] == 1e-3
    assert search.best_score_ > 0.9
    assert search.best_estimator_.predict_proba(X[:2]).shape == (2, 3)


def test_calibration():
    model = CalibratedClassifierCV(classifier(), cv=3).fit(X, y)
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert model.score(X, y) > 0.9


def test_permutation_importance_finds_the_feature_that_matters():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((200, 3))
    model = MLPRegressor(hidden_layer_sizes=(10,), solver="lbfgs", random_state=0)
    model.fit(features, features[:, 1] ** 2)
    importance = permutation_importance(model, features, features[:, 1] ** 2, random_state=0)
    assert importance.importances_mean.argmax() == 1
    assert importance.importances_mean[1] > 10 * importance.importances_mean[[0, 2]].max()


def test_partial_dependence_is_that_of_the_function_learned():
    rng = np.random.default_rng(0)
    features = rng.uniform(-1, 1, (300, 2))
    model = MLPRegressor(hidden_layer_sizes=(20,), activation="tanh", solver="lbfgs", alpha=1e-6)
    model.set_params(max_iter=2000, random_state=0).fit(features, features[:, 0] ** 2)
    found = partial_dependence(model, features, [0], grid_resolution=9)
    np.testing.assert_allclose(found["average"][0], found["grid_values"][0] ** 2, atol=0.05)


def test_sample_weights_are_routed_through_a_pipeline():
    with config_context(enable_metadata_routing=True):
        model = classifier().set_fit_request(sample_weight=True, X_val=False, y_val=False)
        pipeline = make_pipeline(StandardScaler(), model)
        request = pipeline.get_metadata_routing()
    assert "sample_weight" in str(request)


def test_an_estimator_has_a_picture():
    assert "MLPClassifier" in classifier(alpha=0.5)._repr_html_()
    assert repr(classifier(alpha=0.5)).startswith("MLPClassifier(alpha=0.5")


def threads_of_a_worker():
    return fn.get_num_threads()


def test_workers_share_the_processors():
    """A process of joblib's takes its share of the threads, and so does a limited block."""
    with threadpoolctl.threadpool_limits(1):
        assert fn.get_num_threads() == 1
    n_workers = 2
    found = joblib.Parallel(n_jobs=n_workers, backend="loky")(
        joblib.delayed(threads_of_a_worker)() for _ in range(n_workers)
    )
    assert max(found) <= max(1, os.cpu_count() // n_workers)


def test_parallel_cross_validation_gives_the_same_scores():
    model = classifier(max_iter=20)
    expected = cross_val_score(model, X, y, cv=3)
    np.testing.assert_array_equal(cross_val_score(model, X, y, cv=3, n_jobs=2), expected)


def test_an_estimator_in_a_file_that_is_mapped_to_read_trains_on(tmp_path):
    model = MLPClassifier((4,), max_iter=3, random_state=0).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    again = joblib.load(tmp_path / "model", mmap_mode="r")
    again.partial_fit(X, y)
    np.testing.assert_array_equal(again.coefs_[0], model.partial_fit(X, y).coefs_[0])
