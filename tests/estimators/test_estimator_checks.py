"""scikit-learn's own checks of what an estimator is, on both, with every solver."""

import warnings

import pytest

pytest.importorskip("sklearn", minversion="1.7")
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastnn.sklearn import MLPClassifier, MLPRegressor

ESTIMATORS = [
    MLPClassifier(),
    MLPClassifier(solver="sgd", learning_rate="adaptive", learning_rate_init=0.1),
    MLPClassifier(solver="lbfgs"),
    MLPClassifier((), solver="lbfgs"),
    MLPClassifier((), "logistic", solver="lm", max_iter=50),
    MLPClassifier((5,), "tanh", solver="lm", alpha=0.1, max_iter=50),
    MLPRegressor(),
    MLPRegressor(solver="sgd", nesterovs_momentum=False),
    MLPRegressor(solver="lbfgs"),
    MLPRegressor(hidden_layer_sizes=(), activation="identity", learning_rate_init=0.05),
    MLPRegressor("squared_error", (5,), "tanh", solver="lm", max_iter=50, store_covariance=True),
]


@parametrize_with_checks(ESTIMATORS)
def test_check(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)
