"""Targets: classes and numbers."""

import numpy as np
import pytest

from fastnn.tabular import TabularRegressor
from fastnn.tabular.targets import class_labels, real_targets


def frame_columns(values):
    pd = pytest.importorskip("pandas")
    pl = pytest.importorskip("polars")
    return [pd.Series(values), pl.Series(values), pd.DataFrame({"y": values})["y"]]


# ------------------------------------------------------------------ classes


@pytest.mark.parametrize(
    "values", [["b", "a", "c", "a"], [3, 1, 3, 7], [True, False, True, True], [1.0, 0.0, 1.0, 1.0]]
)
def test_classes(values):
    """As `numpy.unique` gives them, in every form."""
    classes, codes = np.unique(values, return_inverse=True)
    forms = [values, np.array(values), np.array(values, dtype=object), *frame_columns(values)]
    pd = pytest.importorskip("pandas")
    forms += [pd.Series(values).astype("category"), pd.Series(values).convert_dtypes()]
    for y in forms:
        found, found_codes = class_labels(y, 4)
        assert found.tolist() == classes.tolist()
        assert found_codes.tolist() == codes.tolist()
        assert found_codes.dtype == np.int64
        assert found[found_codes].tolist() == values
    assert class_labels(np.array(values), 4)[0].dtype == np.array(values).dtype


def test_an_unused_category():
    pd = pytest.importorskip("pandas")
    y = pd.Series(pd.Categorical(["b", "c", "b"], categories=["c", "b", "a"]))
    classes, codes = class_labels(y, 3)
    assert classes.tolist() == ["b", "c"]
    assert codes.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (["a", None, "b", np.nan], ValueError, "y is missing in 2 rows: 1, 3; drop these rows"),
        ([1.0, np.nan, 2.0, 1.0], ValueError, "y is missing in 1 row: 1; drop this row"),
        ([None] * 4, ValueError, "y is missing in 4 rows"),
        (["a"] * 4, ValueError, "y has one class, 'a'; at least two are wanted"),
        ([1, 1, 1, 1], ValueError, r"y has one class, .*1.*; at least two are wanted"),
        ([0.5, 1, 2, 3], ValueError, "Unknown label type: y has the number 0.5"),
        (["a", "b"], ValueError, "y has 2 values, but X has 4 rows"),
        ([1, "a", 2, "b"], TypeError, "y has labels of different types: int, str"),
        ([[1, 2]] * 4, ValueError, r"y has shape \(4, 2\)"),
        ([[1], [1, 2], 3, 4], ValueError, "y has values of different lengths"),
        ([{}, {}, {}, {}], TypeError, "y, row 0 is {}, of type dict"),
        (None, ValueError, "y is None"),
        (np.array(["2024-01-01"] * 4, "M8[D]"), ValueError, "Unknown label type: y has dates"),
        (np.ma.masked_array([1, 2, 3, 4], [0, 0, 0, 1]), TypeError, "y is a masked array"),
    ],
)
def test_wrong_classes(y, error, message):
    with pytest.raises(error, match=message):
        class_labels(y, 4)


def test_a_column_vector():
    from sklearn.exceptions import DataConversionWarning

    with pytest.warns(DataConversionWarning):
        assert class_labels(np.array([["a"], ["b"]]), 2)[1].tolist() == [0, 1]
    with pytest.warns(DataConversionWarning):
        assert real_targets([[1.0], [2.0]], 2).tolist() == [1, 2]


# ------------------------------------------------------------------ numbers


def test_numbers():
    for values in ([1, 2, 5], [1.5, 2, -3], [True, False, True]):
        for y in (values, np.array(values), np.array(values, dtype=object), *frame_columns(values)):
            found = real_targets(y, 3)
            assert found.dtype == np.float64
            assert found.tolist() == [float(value) for value in values]
    assert real_targets(["1.5", "2"], 2).tolist() == [1.5, 2]


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([1.0, np.nan, None], ValueError, "y is missing in 2 rows: 1, 2"),
        ([1.0, np.inf, 2], ValueError, "y, row 1 is inf; finite numbers are wanted"),
        (["1", "2", "x"], ValueError, "y, row 2 is 'x'; a number is wanted"),
        ([1.0, 2.0], ValueError, "y has 2 values, but X has 3 rows"),
        (np.array(["2024-01-01"] * 3, "M8[D]"), ValueError, "y has dates; numbers are wanted"),
        ([1, 2, 3j], ValueError, "Complex data not supported: y"),
        (np.ones((3, 2)), ValueError, r"y has shape \(3, 2\)"),
    ],
)
def test_wrong_numbers(y, error, message):
    with pytest.raises(error, match=message):
        real_targets(y, 3)


def test_many_gaps_are_not_all_listed():
    with pytest.raises(ValueError, match="in 50 rows: 0, 1, 2, 3, 4, …; drop"):
        real_targets([np.nan] * 50, 50)


# ------------------------------------------------------------------ skewed targets


def test_a_transformed_target(rng):
    """The estimator in scikit-learn's transformer is the estimator of the transformed target."""
    compose = pytest.importorskip("sklearn.compose")
    X = rng.standard_normal((120, 3))
    y = np.exp(2 * X[:, 0])
    settings = {"preset": "fast", "epochs": 4, "random_state": 0}
    model = compose.TransformedTargetRegressor(
        TabularRegressor(**settings), func=np.log1p, inverse_func=np.expm1
    ).fit(X, y)
    by_hand = TabularRegressor(**settings).fit(X, np.log1p(y))
    np.testing.assert_array_equal(model.predict(X), np.expm1(by_hand.predict(X)))


@pytest.mark.parametrize("preset", ["fast", "default"])
def test_a_heavy_tailed_target(rng, preset):
    """A few huge values do not make the training diverge, and predictions stay in their range."""
    X = rng.standard_normal((300, 3))
    y = X[:, 0] + rng.standard_t(1, 300) * 0.1
    y[:3] = [1e12, -1e9, 1e6]
    model = TabularRegressor(preset=preset, epochs=4, random_state=0).fit(X, y)
    predicted = model.predict(X)
    assert np.isfinite(predicted).all()
    assert predicted.min() >= y.min()
    assert predicted.max() <= y.max()
