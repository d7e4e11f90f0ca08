"""Dates: the trend and the cyclical parts."""

import datetime

import numpy as np
import pytest
from test_numeric_columns import realmlp

from fastnn.tabular import TableEncoder


def reference(dates):
    """The unscaled outputs for Python's datetimes."""
    rows = []
    for date in dates:
        start = datetime.datetime(1970, 1, 1)
        hour = (date.hour + date.minute / 60 + (date.second + date.microsecond / 1e6) / 3600) / 24
        angles = [hour, date.weekday() / 7, (date.timetuple().tm_yday - 1) / 366]
        row = [(date - start).total_seconds() / 86400]
        for angle in angles:
            row += [np.sin(2 * np.pi * angle), np.cos(2 * np.pi * angle)]
        rows.append(row)
    return np.array(rows)


@pytest.fixture
def dates(rng):
    start = datetime.datetime(1938, 3, 1)
    return [start + datetime.timedelta(seconds=int(s)) for s in rng.integers(0, 4e9, 500)]


def test_the_parts(dates):
    X = np.array(dates, "datetime64[us]")[:, np.newaxis]
    encoder = TableEncoder(dtype="float64").fit(X)
    np.testing.assert_allclose(encoder.transform(X), realmlp(reference(dates)), atol=1e-9)
    assert list(encoder.get_feature_names_out()) == [
        "x0_trend",
        "x0_hour_sin",
        "x0_hour_cos",
        "x0_weekday_sin",
        "x0_weekday_cos",
        "x0_day_of_year_sin",
        "x0_day_of_year_cos",
    ]
    assert encoder.columns_[0].kind == "datetime"
    assert encoder.n_numeric_ == 7


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_units_and_objects(dates, unit):
    X = np.array(dates, "datetime64[s]")[:, np.newaxis]
    encoder = TableEncoder().fit(X)
    wanted = encoder.transform(X)
    np.testing.assert_array_equal(encoder.transform(X.astype(f"datetime64[{unit}]")), wanted)
    for values in (dates, [str(date) for date in dates], [date.isoformat() for date in dates]):
        objects = [[value] for value in values]
        np.testing.assert_array_equal(encoder.transform(objects), wanted)
        assert TableEncoder().fit(objects).columns_[0].kind == "datetime"


def test_parts_that_do_not_vary():
    days = np.array(["2024-01-01", "2024-01-08", "2024-01-15"], "datetime64[D]")[:, np.newaxis]
    encoder = TableEncoder().fit(days)
    assert list(encoder.get_feature_names_out()) == [
        "x0_trend",
        "x0_day_of_year_sin",
        "x0_day_of_year_cos",
    ]
    assert encoder.transform(days).shape == (3, 3)
    assert TableEncoder().fit([["2024-01-01", 1], ["2024-01-01", 2]]).columns_[0].kind == "constant"


def test_gaps(dates):
    X = np.array(dates, "datetime64[us]")[:, np.newaxis]
    X[::5] = "NaT"
    encoder = TableEncoder(dtype="float64").fit(X)
    Z = encoder.transform(X)
    assert Z.shape == (500, 8)
    assert (Z[::5, :7] == 0).all()
    np.testing.assert_allclose(Z[:, 7:], realmlp(np.isnat(X).astype(float)))
    plain = TableEncoder(dtype="float64").fit(X[1:5])
    assert (plain.transform(X[:1]) == 0).all()


def test_what_is_no_date():
    """Texts that only look like dates are categories, and a wrong date is named at prediction."""
    for texts in (["2024-02-30", "2024-01-01"], ["2024-1-1", "2024-1-2"], ["2024-01-01", "soon"]):
        assert TableEncoder().fit([[text] for text in texts]).columns_[0].kind == "category"
    kinds = TableEncoder(categorical=[0]).fit([["2024-01-01"], ["2024-01-02"]]).columns_[0].kind
    assert kinds == "category"
    encoder = TableEncoder().fit([["2024-01-01"], ["2024-01-02"]])
    with pytest.raises(ValueError, match="column 0, row 1 is 'soon'; a date is wanted"):
        encoder.transform([["2024-01-01"], ["soon"]])
    with pytest.raises(ValueError, match="column 0, row 0 is 3; a date is wanted"):
        encoder.transform([[3]])
    with pytest.raises(ValueError, match=r"column 0, row 1 is 4\.0; a date is wanted"):
        encoder.transform(np.array([[np.nan], [4.0]]))
    assert np.isfinite(encoder.transform([[None]])).all()
