"""scikit-learn's own checks of a transformer."""

import pytest
from sklearn.utils.estimator_checks import (
    check_set_output_transform,
    check_transformer_get_feature_names_out,
    parametrize_with_checks,
)

from fastnn.tabular import TableEncoder


@parametrize_with_checks([TableEncoder(), TableEncoder(missing="median", dtype="float64")])
def test_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check", [check_set_output_transform, check_transformer_get_feature_names_out]
)
def test_check_of_transformers(check):
    check("TableEncoder", TableEncoder())


def test_set_output():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": ["x", "y", "z"]}, index=[7, 8, 9])
    encoder = TableEncoder().set_output(transform="pandas")
    found = encoder.fit_transform(frame)
    assert list(found.columns) == ["a", "b_x", "b_y", "b_z"]
    assert list(found.index) == [7, 8, 9]
    assert type(encoder.encode(frame)).__name__ == "ndarray"
