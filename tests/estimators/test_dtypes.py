"""The dtype of a prediction is scikit-learn's, and so are its values."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
from problems import LABELS, X, Y
from sklearn import neural_network

from fastnn import sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("fitted", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs", "lm"])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_predictions_follow_the_dtype_of_x_and_of_the_fit(kind, solver, fitted):
    y = LABELS if kind == "MLPClassifier" else Y
    parameters = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}
    theirs = getattr(neural_network, kind)(solver="adam", **parameters).fit(X.astype(fitted), y)
    model = getattr(ours, kind)(solver=solver, **parameters).fit(X.astype(fitted), y)
    if solver == "lbfgs":  # theirs becomes float64
        assert model.coefs_[0].dtype == fitted
    theirs.coefs_ = [w.copy() for w in model.coefs_]
    theirs.intercepts_ = [b.copy() for b in model.intercepts_]
    counts = np.round(np.abs(X * 10))
    methods = ["predict", "predict_proba", "predict_log_proba"]
    for given in (
        X.astype(np.float32),
        X.astype(np.float64),
        np.round(X * 10).astype(int),
        counts.astype(np.uint8),
        counts.astype(np.int16),
        X > 0,
        X.astype(np.float16),
        X.tolist(),
        X.astype(">f4"),
        X.astype(object),
    ):
        for method in methods if kind == "MLPClassifier" else methods[:1]:
            mine, other = getattr(model, method)(given), getattr(theirs, method)(given)
            assert mine.dtype == other.dtype, (method, np.asarray(given).dtype)
            if other.dtype.kind == "f":
                rounding = 1e-5 if other.dtype == np.float32 else 1e-12
                np.testing.assert_allclose(mine, other, rtol=rounding, atol=rounding)
            else:
                np.testing.assert_array_equal(mine, other)


def test_doubles_beyond_float32_are_taken_by_a_float32_model():
    model = ours.MLPRegressor(hidden_layer_sizes=(5,), max_iter=3).fit(X.astype(np.float32), Y)
    assert np.isfinite(model.predict(1e100 * X)).all()
    assert model.jacobian(X).dtype == model.hidden_activations(X).dtype == np.float64
