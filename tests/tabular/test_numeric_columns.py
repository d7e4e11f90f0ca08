"""Numbers: the scaling, gaps, and numbers of extreme size."""

import dataclasses

import numpy as np
import pytest

from fastnn.tabular import TableEncoder


def realmlp(X):
    """The scaling as its paper states it, with NumPy's quantiles, in double precision."""
    X = np.asarray(X, np.float64)
    first, median, third = np.nanquantile(X, [0.25, 0.5, 0.75], axis=0)
    spread = third - first
    spread = np.where(spread == 0, (np.nanmax(X, 0) - np.nanmin(X, 0)) / 2, spread)
    z = (np.where(np.isnan(X), median, X) - median) / spread
    return z / np.sqrt(1 + (z / 3) ** 2)


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "int8", "int64", "uint16"])
@pytest.mark.parametrize("n", [2, 3, 4, 7, 40001])
def test_the_scaling(kind, n, rng):
    X = (rng.lognormal(size=(n, 3)) * 20).clip(0, 120).astype(kind)
    X[:2] = [[1, 2, 3], [4, 6, 5]]
    for order in ("C", "F"):
        Z = TableEncoder(dtype="float64", numeric=[0, 1, 2]).fit_transform(
            np.asarray(X, order=order)
        )
        np.testing.assert_allclose(Z, realmlp(X), rtol=1e-12, atol=1e-14)


def test_the_dtype_of_the_output(rng):
    X = rng.normal(size=(50, 2))
    for dtype in (np.float32, np.float64, "float32", np.dtype("float64")):
        Z = TableEncoder(dtype=dtype).fit_transform(X)
        assert Z.dtype == dtype
    assert TableEncoder().fit_transform(X).dtype == np.float32
    for dtype in ("int32", "float16", complex):
        with pytest.raises(ValueError, match="float32 or float64 is wanted"):
            TableEncoder(dtype=dtype).fit(X)


def test_equal_quartiles(rng):
    X = np.zeros((100, 1))
    X[:10, 0] = rng.normal(size=10) + 5
    Z = TableEncoder(dtype="float64").fit_transform(X)
    np.testing.assert_allclose(Z, realmlp(X), rtol=1e-12)
    assert Z[50, 0] == 0
    assert Z.max() == pytest.approx(2 / np.sqrt(1 + 4 / 9))


def test_both_ways_give_the_same_bits(rng):
    """The fast encoding of an array of numbers equals the encoding by columns."""
    X = rng.normal(size=(70001, 3)) * [1e-3, 1, 1e6]
    X[::7, 1] = np.nan
    for kind in ("float32", "float64"):
        for dtype in ("float32", "float64"):
            encoder = TableEncoder(dtype=dtype).fit(X.astype(kind))
            fast = encoder.encode(X.astype(kind))
            encoder._plan = dataclasses.replace(encoder._plan, alone=False)
            other = encoder.encode(X.astype(kind))
            np.testing.assert_array_equal(fast, other)
            assert fast.shape == (70001, 4)


@pytest.mark.parametrize("n_columns", [1, 127, 128, 129, 300])
def test_many_columns(n_columns, rng):
    """The formula holds for any number of columns, strides and byte order."""
    X = rng.normal(size=(40, n_columns))
    X[0] = np.nan
    encoder = TableEncoder(dtype="float64", missing="median").fit(X)
    wanted = realmlp(X)
    swapped = X.astype(X.dtype.newbyteorder())
    for form in (X, np.asfortranarray(X), np.repeat(X, 2, 1)[:, ::2], X[::-1][::-1], swapped):
        np.testing.assert_allclose(encoder.encode(form), wanted, rtol=1e-12, atol=1e-14)
    for row in (0, 39):
        np.testing.assert_array_equal(encoder.encode(X[row : row + 1])[0], encoder.encode(X)[row])
    X[5, -1] = -np.inf
    with pytest.raises(ValueError, match=f"column {n_columns - 1}, row 5 is -inf"):
        encoder.encode(X)


def test_gaps(rng):
    X = rng.normal(size=(200, 3))
    X[:50, 1] = np.nan
    encoder = TableEncoder(dtype="float64").fit(X)
    Z = encoder.transform(X)
    assert (encoder.n_numeric_, encoder.n_one_hot_) == (3, 1)
    np.testing.assert_allclose(Z[:, :3], realmlp(X), rtol=1e-12, atol=1e-14)
    indicator = np.isnan(X[:, 1:2]).astype(float)
    np.testing.assert_allclose(Z[:, 3:], realmlp(indicator), rtol=1e-12)
    assert list(encoder.get_feature_names_out()) == ["x0", "x1", "x2", "missingindicator_x1"]
    assert encoder.columns_[1].gaps == 50
    assert encoder.columns_[1].outputs == (1, 3)

    X[0, 0] = np.nan  # the column has no gaps in training
    np.testing.assert_array_equal(encoder.transform(X[:1])[0, :2], [0, 0])

    plain = TableEncoder(missing="median", dtype="float64").fit(X)
    assert (plain.n_numeric_, plain.n_one_hot_) == (3, 0)
    np.testing.assert_array_equal(plain.transform(X)[:, 1:], Z[:, 1:3])


def test_a_single_value_and_gaps():
    """A column of one value and gaps has an output that tells where the gaps are."""
    X = np.array([[1.0, 5.0], [2.0, np.nan], [3.0, 5.0], [4.0, 5.0]])
    encoder = TableEncoder().fit(X)
    Z = encoder.transform(X)
    assert Z.shape == (4, 3)
    assert (Z[:, 1] == 0).all()
    assert Z[1, 2] != Z[0, 2] == Z[2, 2]
    assert np.isfinite(encoder.transform([[1.0, 1e308]])).all()
    assert TableEncoder(missing="median").fit(X).columns_[1].kind == "constant"


def test_all_gaps():
    X = np.array([[1.0, np.nan], [2.0, np.nan]])
    encoder = TableEncoder().fit(X)
    assert encoder.columns_[1].kind == "constant"
    assert encoder.columns_[1].gaps == 2
    assert encoder.transform(X).shape == (2, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "column",
    [
        [-1.7e308, 1.7e308, 0.0, 1.0, -1e308, 1e308],
        [1e308, 1.1e308, 1.2e308, 1.3e308, 1.4e308, 1.5e308],
        [0.0, 5e-324, 1e-323, 1.5e-323, 2e-323, 3e-323],
        [1e-310, 2e-310, 3e-310, 4e-310, 5e-310, 6e-310],
        [0.0, 0.0, 0.0, 0.0, 0.0, 5e-324],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.7e308],
        [1e16, 1e16 + 4, 1e16 + 8, 1e16 + 12, 1e16 + 16],
        [3e38, -3e38, 1e38, -1e38, 0.0, 1.0],
    ],
)
def test_numbers_of_extreme_size(column, dtype):
    X = np.array(column)[:, np.newaxis]
    encoder = TableEncoder(dtype=dtype).fit(X)
    Z = encoder.transform(X)
    assert np.isfinite(Z).all()
    assert (np.abs(Z) <= 3).all()
    order = np.argsort(X[:, 0], kind="stable")
    assert (np.diff(Z[order, 0]) >= 0).all()
    far = encoder.transform(np.array([[1.7e308], [-1.7e308]]))
    assert np.isfinite(far).all()
    with np.errstate(all="ignore"):
        wanted = realmlp(X)
    if np.isfinite(wanted).all() and 1e-300 < np.abs(column).max() < 1e307:
        np.testing.assert_allclose(Z, wanted, rtol=1e-6, atol=1e-300)


def test_far_values_end_at_three(rng):
    for kind in ("float32", "float64"):
        encoder = TableEncoder(dtype="float64").fit(rng.normal(size=(100, 1)).astype(kind))
        far = np.array([[np.finfo(kind).max], [-np.finfo(kind).max]], kind)
        np.testing.assert_allclose(encoder.transform(far), [[3], [-3]], rtol=1e-15)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values(value, rng):
    X = rng.normal(size=(60000, 2))
    encoder = TableEncoder().fit(X)
    X[55555, 1] = value
    for call in (TableEncoder().fit, encoder.transform):
        for form in (X, X.astype("float32"), np.asfortranarray(X)):
            with pytest.raises(
                ValueError, match=rf"column 1, row 55555 is {value}; finite numbers"
            ):
                call(form)


def test_huge_integers():
    X = [[10**400, 1], [3, 2]]
    with pytest.raises(ValueError, match="column 0, row 0 is inf"):
        TableEncoder().fit(X)
    Z = TableEncoder(numeric=[0]).fit_transform(np.array([[2**63 - 1], [-(2**63)], [0]]))
    assert np.isfinite(Z).all()
    assert np.isfinite(TableEncoder().fit_transform(np.array([[2**64 - 1], [0]], "uint64"))).all()


def test_durations():
    X = np.array([[1], [2], [4], ["NaT"]], "timedelta64[h]")
    Z = TableEncoder(dtype="float64").fit_transform(X)
    np.testing.assert_allclose(Z[:, :1], realmlp([[3600.0], [7200], [14400], [np.nan]]))
