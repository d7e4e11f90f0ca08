"""Targets: classes, numbers, and transformations."""

import numpy as np
import pytest
from scipy import stats

from fastnn.tabular.targets import (
    TargetScaling,
    class_labels,
    real_targets,
    scalings_to_try,
    shape_of,
)


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


# ------------------------------------------------------------------ transformations


@pytest.mark.parametrize("kind", ["linear", "log", "asinh"])
def test_there_and_back(kind, rng):
    y = rng.lognormal(2, 1.5, 400)
    scaling = TargetScaling.from_data(y, kind)
    z = scaling.forward(y)
    assert z.mean() == pytest.approx(0, abs=1e-12)
    assert z.std() == pytest.approx(1)
    np.testing.assert_allclose(scaling.backward(z), y, rtol=1e-9)
    assert TargetScaling(**scaling.to_state()) == scaling
    far = scaling.backward(np.array([-1e30, 1e30, -50, 50]))
    np.testing.assert_allclose(far, [y.min(), y.max()] * 2)
    assert (far >= y.min()).all()
    assert (far <= y.max()).all()


def test_formulas(rng):
    y = rng.gamma(2, 3, 300)
    quartiles = np.quantile(y, [0.25, 0.5, 0.75])
    log, linear, asinh = (TargetScaling.from_data(y, k) for k in ("log", "linear", "asinh"))
    np.testing.assert_allclose(linear.forward(y), stats.zscore(y))
    np.testing.assert_allclose(log.forward(y), stats.zscore(np.log(y)))
    t = np.arcsinh((y - quartiles[1]) / (quartiles[2] - quartiles[0]))
    np.testing.assert_allclose(asinh.forward(y), stats.zscore(t))


def test_the_shape_of_a_distribution(rng):
    y = rng.lognormal(size=1000)
    found = shape_of(y)
    assert found == pytest.approx((stats.skew(y), stats.kurtosis(y)))
    assert shape_of(y * 1e300) == pytest.approx(found)
    assert shape_of(np.full(10, 7.0)) == (0, 0)


def test_which_scalings_are_tried(rng):
    def kinds(y):
        return [scaling.kind for scaling in scalings_to_try(y)]

    n = 2000
    assert kinds(rng.normal(size=n)) == ["linear"]
    assert kinds(rng.uniform(size=n)) == ["linear"]
    assert kinds(rng.lognormal(size=n)) == ["linear", "log"]
    assert kinds(rng.lognormal(size=n) - 1) == ["linear", "asinh"]
    assert kinds(rng.standard_t(2, size=n)) == ["linear", "asinh"]
    assert kinds(np.full(n, 3.0)) == ["linear"]


def test_wrong_kinds():
    with pytest.raises(ValueError, match="kind is 'sqrt'; 'linear', 'log' or 'asinh' is wanted"):
        TargetScaling.from_data(np.ones(3), "sqrt")
    with pytest.raises(ValueError, match=r"kind is 'log', but y has 0\.0; positive"):
        TargetScaling.from_data(np.arange(3.0), "log")
    constant = TargetScaling.from_data(np.full(5, 7.0))
    np.testing.assert_array_equal(constant.backward(np.array([-3.0, 0, 9])), 7)
