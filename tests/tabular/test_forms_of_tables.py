"""A table gives the same outputs, whichever library it comes from."""

import datetime
import subprocess
import sys

import numpy as np
import pytest

from fastnn.tabular import TableEncoder

ROWS = [
    (1.5, 3, "red", True, datetime.datetime(2024, 1, 5, 13, 30), None),
    (None, 5, "blue", False, datetime.datetime(2024, 3, 9), "x"),
    (2.25, 2, None, True, None, "y"),
    (-7.0, 9, "red", None, datetime.datetime(2023, 12, 31, 23, 59, 59), "y"),
    (4.0, 4, "green", False, datetime.datetime(2024, 7, 1), "z"),
]
NAMES = ["size", "count", "colour", "new", "day", "text"]
KINDS = ["numeric", "numeric", "category", "boolean", "datetime", "category"]


def pandas_frame(**dtypes):
    pd = pytest.importorskip("pandas")
    return pd.DataFrame([list(row) for row in ROWS], columns=NAMES).astype(dtypes)


def pandas_nullable():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame([list(row) for row in ROWS], columns=NAMES).convert_dtypes()
    assert {str(dtype) for dtype in frame.dtypes} >= {"Float64", "Int64", "boolean"}
    return frame


def pandas_arrow():
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame([list(row) for row in ROWS], columns=NAMES)
    return frame.convert_dtypes(dtype_backend="pyarrow")


def polars_frame():
    pl = pytest.importorskip("polars")
    return pl.DataFrame(ROWS, schema=NAMES, orient="row")


def polars_categorical():
    pl = pytest.importorskip("polars")
    return polars_frame().with_columns(
        pl.col("colour").cast(pl.Categorical), pl.col("text").cast(pl.Enum(["w", "z", "y", "x"]))
    )


def arrow_table():
    pa = pytest.importorskip("pyarrow")
    return pa.table({name: [row[i] for row in ROWS] for i, name in enumerate(NAMES)})


def structured():
    kinds = ["f8", "i8", object, object, "M8[us]", object]
    return np.array(ROWS, dtype=list(zip(NAMES, kinds, strict=True)))


FORMS = {
    "pandas": pandas_frame,
    "pandas, objects": lambda: pandas_frame(colour=object, new=object, day=object, text=object),
    "pandas, categorical": lambda: pandas_frame(colour="category", text="category"),
    "pandas, nullable": pandas_nullable,
    "pandas, Arrow": pandas_arrow,
    "polars": polars_frame,
    "polars, categorical": polars_categorical,
    "Arrow": arrow_table,
    "structured": structured,
    "rows": lambda: [list(row) for row in ROWS],
    "tuples": lambda: ROWS,
    "objects": lambda: np.array(ROWS, dtype=object),
}


@pytest.fixture
def wanted():
    return TableEncoder().fit(ROWS).transform(ROWS)


@pytest.mark.parametrize("form", FORMS)
def test_fit_and_transform(form, wanted):
    X = FORMS[form]()
    encoder = TableEncoder().fit(X)
    assert [column.kind for column in encoder.columns_] == KINDS
    assert [column.gaps for column in encoder.columns_] == [1, 0, 1, 1, 1, 1]
    assert [column.n_unique for column in encoder.columns_] == [4, 5, 3, 2, 4, 3]
    np.testing.assert_array_equal(encoder.transform(X), wanted)
    named = form not in ("rows", "tuples", "objects")
    assert hasattr(encoder, "feature_names_in_") == named
    if named:
        assert list(encoder.feature_names_in_) == NAMES
        assert encoder.get_feature_names_out()[0] == "size"


@pytest.mark.parametrize("form", FORMS)
def test_many_rows(form, wanted):
    """Long columns are read by their library, and short ones value by value."""
    if form in ("rows", "tuples"):
        X = FORMS[form]() * 200
    elif form.startswith("pandas"):
        pd = pytest.importorskip("pandas")
        X = pd.concat([FORMS[form]()] * 200, ignore_index=True)
    elif form.startswith("polars"):
        pl = pytest.importorskip("polars")
        X = pl.concat([FORMS[form]()] * 200)
    elif form == "Arrow":
        pa = pytest.importorskip("pyarrow")
        X = pa.concat_tables([FORMS[form]()] * 200)
    else:
        X = np.concatenate([FORMS[form]()] * 200)
    encoder = TableEncoder().fit(FORMS[form]())
    np.testing.assert_array_equal(encoder.transform(X), np.tile(wanted, (200, 1)))
    again = TableEncoder().fit(X)
    assert [column.kind for column in again.columns_] == KINDS
    assert [column.gaps for column in again.columns_] == [200, 0, 200, 200, 200, 200]


@pytest.mark.parametrize("trained", FORMS)
@pytest.mark.parametrize("given", ["pandas", "polars", "Arrow", "structured"])
def test_one_row_of_another_library(trained, given, wanted):
    X, encoder = FORMS[given](), TableEncoder().fit(FORMS[trained]())
    if not hasattr(encoder, "feature_names_in_"):
        with pytest.warns(UserWarning, match="X has feature names, but TableEncoder was fitted"):
            found = encoder.transform(X)
    else:
        found = encoder.transform(X[2:3])
        np.testing.assert_array_equal(found, wanted[2:3])
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            found = encoder.transform([list(row) for row in ROWS])
    np.testing.assert_array_equal(found, wanted)


def test_time_zones():
    """A date keeps the local time of its zone."""
    pd = pytest.importorskip("pandas")
    pl = pytest.importorskip("polars")
    naive = pd.Series(pd.date_range("2024-03-30 20:00", periods=12, freq="h"))
    aware = naive.dt.tz_localize("Asia/Tokyo")
    wanted = TableEncoder().fit_transform(pd.DataFrame({"t": naive}))
    for column in (aware, aware.astype(object)):
        found = TableEncoder().fit_transform(pd.DataFrame({"t": column}))
        np.testing.assert_array_equal(found, wanted)
    frame = pl.DataFrame({"t": naive.to_list()})
    zoned = frame.select(pl.col("t").dt.replace_time_zone("Asia/Tokyo"))
    for X in (frame, zoned):
        np.testing.assert_array_equal(TableEncoder().fit_transform(X), wanted)


def test_other_columns_of_pandas():
    pd = pytest.importorskip("pandas")
    n = 150
    frame = pd.DataFrame(
        {
            "period": pd.period_range("2024-01", periods=n, freq="D"),
            "sparse": pd.arrays.SparseArray(np.arange(n) % 3 * 1.5),
            "bins": pd.cut(np.arange(n) % 50, [-1, 10, 20, 60]),
            "wait": pd.to_timedelta(np.arange(n) % 7, unit="h"),
            "unused": pd.Categorical(["a", "b", "c"] * 50, categories=[*"abcdefghijkl"]),
            "float32": (np.arange(n) % 4).astype("float32"),
        }
    )
    encoder = TableEncoder().fit(frame)
    kinds = ["datetime", "numeric", "category", "numeric", "category", "numeric"]
    assert [column.kind for column in encoder.columns_] == kinds
    assert encoder.columns_[4].n_unique == 3
    np.testing.assert_array_equal(encoder.transform(frame.iloc[5:8]), encoder.transform(frame)[5:8])


def test_other_columns_of_polars():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "null": [None, None, None],
            "date": [datetime.date(2024, 1, 1), None, datetime.date(2024, 5, 1)],
            "duration": [datetime.timedelta(hours=1), None, datetime.timedelta(hours=3)],
            "int8": pl.Series([1, None, 3], dtype=pl.Int8),
            "decimal": pl.Series(["1.5", None, "3"]).cast(pl.Decimal(10, 2)),
        }
    )
    encoder = TableEncoder().fit(frame)
    kinds = ["constant", "datetime", "numeric", "numeric", "numeric"]
    assert [column.kind for column in encoder.columns_] == kinds
    with pytest.raises(TypeError, match=r"X, column 'list' has dtype List\(Int64\), which is not"):
        TableEncoder().fit(pl.DataFrame({"list": [[1], [2]]}))
    with pytest.raises(TypeError, match=r"X is a LazyFrame; a DataFrame is wanted: X\.collect\(\)"):
        TableEncoder().fit(frame.lazy())


def test_names_that_are_no_texts():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame([[1.0, "a"], [2.0, "b"]])
    encoder = TableEncoder().fit(frame)
    assert not hasattr(encoder, "feature_names_in_")
    np.testing.assert_array_equal(encoder.transform(frame), encoder.transform([[1, "a"], [2, "b"]]))
    with pytest.raises(TypeError, match="only supported if all input features have string names"):
        TableEncoder().fit(frame.rename(columns={0: "a"}))


def test_no_library_of_frames_is_imported():
    code = (
        "import sklearn.base, sklearn.utils.validation, sys\n"  # which may import pandas
        "before = set(sys.modules)\n"
        "from fastnn.tabular import TableEncoder\n"
        "TableEncoder().fit_transform([[1, 'a'], [2, 'b'], [3, None]])\n"
        "assert not {'pandas', 'polars', 'pyarrow'} & (set(sys.modules) - before)"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
