"""scikit-learn's own checks of an estimator, for both estimators."""

import warnings

import pytest

pytest.importorskip("sklearn", minversion="1.6")
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastnn.tabular import TabularClassifier, TabularRegressor

SUBSETS = "predictions are float32: those of one row and of many differ in the last digits"
WEIGHTS = "a row of weight 2 is held out or not; of two equal rows one may be"
ESTIMATORS = [TabularClassifier("fast", epochs=60), TabularRegressor("fast", epochs=60)]
ESTIMATORS += [TabularClassifier(epochs=60), TabularRegressor(epochs=60)]


def expected_failures(estimator):
    """Return the checks that fail, with the reasons."""
    expected = {"check_sample_weight_equivalence_on_dense_data": WEIGHTS}
    if isinstance(estimator, TabularRegressor) and estimator.preset == "default":
        expected["check_methods_subset_invariance"] = SUBSETS
    return expected


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_check(estimator, check):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "column .* integer in each row", UserWarning)
        check(estimator)
