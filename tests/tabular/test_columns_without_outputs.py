"""Constant, duplicate, ID-like and dropped columns."""

import numpy as np
import pytest

from fastnn.tabular import TableEncoder


def kinds(X, **arguments):
    return [column.kind for column in TableEncoder(**arguments).fit(X).columns_]


def test_constant_columns():
    X = [[1.0, 5, "a", True, None, 1], [2.0, 5, "a", True, None, 2], [4.0, 5, "a", True, None, 9]]
    encoder = TableEncoder().fit(X)
    assert kinds(X) == ["numeric", *["constant"] * 4, "numeric"]
    assert [column.outputs for column in encoder.columns_] == [(0,), *[()] * 4, (1,)]
    assert encoder.columns_[1].reading == "one value in all rows: 5"
    assert encoder.columns_[4].reading == "no values"
    assert encoder.transform([[1.0, 7, "b", False, 3, 2]]).shape == (1, 2)


def test_duplicates(rng):
    X = np.empty((30, 7), dtype=object)
    X[:, 0] = rng.normal(size=30)
    X[:, 1] = X[:, 0]
    X[:, 2] = X[::-1, 0]  # the same quantiles, but another column
    X[:, 3] = rng.choice([*"abc"], 30)
    X[:, 4] = X[:, 3]
    X[:, 5] = X[::-1, 3]
    X[:, 6] = X[:, 0] * 2
    encoder = TableEncoder().fit(X)
    assert kinds(X) == [
        "numeric",
        "duplicate",
        "numeric",
        "category",
        "duplicate",
        "category",
        "numeric",
    ]
    assert encoder.columns_[4].reading == "equal to column 3"
    assert encoder.transform(X).shape == (30, 3 + 6)


def test_duplicates_with_gaps():
    day = np.array(["2024-01-01", "NaT", "2024-02-01", "2024-02-05"], "datetime64[D]")
    number = np.array([1.0, np.nan, 2.0, 3.0])
    rows = [[day[i], day[i], number[i], number[i], [*"a-bc"][i], [*"a-bc"][i]] for i in range(4)]
    assert kinds(rows) == ["datetime", "duplicate", "numeric", "duplicate", "category", "duplicate"]


@pytest.mark.parametrize("n", [19, 20, 100])
def test_texts_that_are_ids(n):
    X = [[i % 5, f"name {i}"] for i in range(n)]
    assert kinds(X)[1] == ("id" if n >= 20 else "category")
    assert kinds(X, categorical=[1])[1] == "category"
    X[3][1] = X[4][1]
    assert kinds(X)[1] == "category"


def test_integers_that_are_ids(rng):
    ids = rng.permutation(100)[:80] + 5000
    X = np.column_stack([rng.integers(0, 9, 80), ids])
    with pytest.warns(UserWarning, match=r"different integer in each row of the columns \[1\]"):
        encoder = TableEncoder().fit(X)
    assert [column.kind for column in encoder.columns_] == ["numeric", "id"]
    assert encoder.transform(X).shape == (80, 1)
    assert kinds(X, numeric=[1]) == ["numeric", "numeric"]
    assert kinds(X.astype(float)) == ["numeric", "numeric"]  # floats are never IDs
    assert kinds(X[:, 1:]) == ["numeric"]  # no other column is left
    X[:, 1] *= 3  # the range is too wide for numbers of rows
    assert kinds(X) == ["numeric", "numeric"]


def test_a_column_equal_to_an_id_is_judged_by_itself(rng):
    ids = rng.permutation(40) + 100
    X = np.column_stack([ids, ids, rng.integers(0, 9, 40)])
    with pytest.warns(UserWarning, match="different integer"):
        assert kinds(X, numeric=[1]) == ["id", "numeric", "numeric"]
    with pytest.warns(UserWarning, match=r"of the columns \[0, 1\]"):
        assert kinds(X) == ["id", "id", "numeric"]
    assert kinds(X, numeric=[0, 1]) == ["numeric", "duplicate", "numeric"]
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"row": ids, "size": ids.astype(float), "x": X[:, 2]})
    with pytest.warns(UserWarning, match=r"of the columns \['row'\]"):
        assert kinds(frame) == ["id", "numeric", "numeric"]
    assert kinds(X[:, :2]) == ["numeric", "duplicate"]  # no other column is left


def test_dropped_columns():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [{}, []], "c": ["x", "y"]})
    encoder = TableEncoder(drop=["b"]).fit(frame)
    assert [column.kind for column in encoder.columns_] == ["numeric", "dropped", "category"]
    assert encoder.transform(frame).shape == (2, 2)
    assert kinds(np.eye(3), drop=[1]) == ["numeric", "dropped", "numeric"]
