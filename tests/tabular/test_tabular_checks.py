"""scikit-learn's own checks of an estimator, for both estimators."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
from sklearn.utils import estimator_checks

from fastnn.tabular import TabularClassifier, TabularRegressor

WEIGHTS = "a row of weight 2 is held out or not; of two equal rows one may be"
ESTIMATORS = [TabularClassifier("fast", epochs=60), TabularRegressor("fast", epochs=60)]
ESTIMATORS += [TabularClassifier(epochs=60), TabularRegressor(epochs=60)]


@estimator_checks.parametrize_with_checks(
    ESTIMATORS,
    expected_failed_checks=lambda _: {"check_sample_weight_equivalence_on_dense_data": WEIGHTS},
)
def test_check(estimator, check, monkeypatch):
    if check.func.__name__ == "check_methods_subset_invariance":
        # Predictions are float32: those of one row and of many differ in the last digits.
        monkeypatch.setattr(estimator_checks, "assert_allclose", close_in_float32)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "column .* integer in each row", UserWarning)
        check(estimator)


def close_in_float32(actual, desired, atol, err_msg):
    np.testing.assert_allclose(actual, desired, rtol=1e-5, atol=1e-6, err_msg=err_msg)
