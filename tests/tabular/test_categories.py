"""Categories: one-hot outputs, codes, gaps, unseen values."""

import numpy as np
import pytest
from test_numeric_columns import realmlp

from fastnn.tabular import TableEncoder


def encoded(values, new=None, **arguments):
    """Return the encoder, and the outputs of a single column of objects."""
    encoder = TableEncoder(dtype="float64", **arguments)
    encoder.fit([[v] for v in values])
    return encoder, encoder.transform([[v] for v in (values if new is None else new)])


def test_one_hot():
    values = [*"aabbbc", None]
    encoder, Z = encoded(values)
    one_hot = np.array([[value == name for name in "abc"] for value in values], float)
    np.testing.assert_allclose(Z, realmlp(one_hot))
    assert list(encoder.get_feature_names_out()) == ["x0_a", "x0_b", "x0_c"]
    assert (encoder.n_numeric_, encoder.n_one_hot_, encoder.cardinalities_) == (0, 3, [])
    np.testing.assert_array_equal(encoder.transform([["new"]]), Z[-1:])


@pytest.mark.parametrize("values", ["aabbb", "ab", "aaaaaaaaab", "abbbbbbbb", "aab-", "abbb---"])
def test_two_categories(values):
    values = [None if value == "-" else value for value in values]
    encoder, Z = encoded(values)
    plain = np.array([[{"a": 1.0, "b": -1.0, None: 0.0}[value]] for value in values])
    np.testing.assert_allclose(Z, realmlp(plain))
    assert list(encoder.get_feature_names_out()) == ["x0_a"]


def test_one_category_and_gaps():
    encoder, Z = encoded(["a", None, "a", "a"])
    np.testing.assert_allclose(Z, realmlp([[1.0], [0], [1], [1]]))
    assert encoder.columns_[0].kind == "category"
    assert encoder.columns_[0].n_unique == 1


def test_the_number_of_one_hot_categories():
    """The gap counts as a category: by default, 8 categories are one-hot and 9 become codes."""
    for k, one_hot, cardinalities in ((8, 8, []), (9, 0, [10])):
        encoder, Z = encoded([str(i) for i in range(k)] * 3)
        assert (encoder.n_one_hot_, encoder.cardinalities_) == (one_hot, cardinalities)
        assert Z.shape == (3 * k, one_hot + len(cardinalities))
    assert encoded("abcabc", max_one_hot=3)[0].cardinalities_ == [4]
    assert encoded("abab", max_one_hot=0)[0].cardinalities_ == [3]


def test_codes():
    encoder, Z = encoded([*"dbca", None, *"dcba"], [*"abcd", None, "e"], max_one_hot=2)
    np.testing.assert_array_equal(Z[:, 0], [1, 2, 3, 4, 0, 0])
    assert encoder.cardinalities_ == [5]
    assert list(encoder.get_feature_names_out()) == ["x0"]
    assert encoder.columns_[0].gaps == 1


def test_booleans():
    for column in ([True, False, True, None], np.array([True, False, True])[:, np.newaxis]):
        X = column if isinstance(column, np.ndarray) else [[v] for v in column]
        encoder = TableEncoder(dtype="float64").fit(X)
        assert encoder.columns_[0].kind == "boolean"
        Z = encoder.transform([[True], [False], [None]])
        assert Z.shape == (3, 1)
        assert Z[0] < Z[2] < Z[1]
        np.testing.assert_array_equal(encoder.transform([[1.0], [0], [np.nan]]), Z)


def test_numbers_as_categories():
    """The same number has the same category in every dtype, and as a text."""
    encoder = TableEncoder(categorical=[0], max_one_hot=0)
    encoder.fit(np.array([[10], [2], [3], [10]]))
    for X in (
        np.array([[2], [10], [3], [7]]),
        np.array([[2], [10], [3], [7]], "float32"),
        np.array([["2"], ["10"], ["3"], [""]]),
        [[2.0], [10], ["3"], [None]],
        np.array([[2], [10], [3], [np.nan]]),
    ):
        np.testing.assert_array_equal(encoder.transform(X), [[2], [1], [3], [0]])
    many = np.tile(np.array([[2], [10], [3], [7]]), (1000, 1))
    np.testing.assert_array_equal(encoder.transform(many)[:4, 0], [2, 1, 3, 0])


def test_mixtures():
    kinds = {
        "category": [1, "a", 2.0, "a", 1],
        "numeric": [1, "2.5", 3.0, " 4 ", None],
        "boolean": [True, None, False, True, True],
    }
    for kind, values in kinds.items():
        encoder, Z = encoded(values)
        assert encoder.columns_[0].kind == kind
        assert np.isfinite(Z).all()
    encoder, _ = encoded([1, "1", 1.0, "a", 2])
    assert encoder.columns_[0].n_unique == 3
    assert encoded(["1", "2", "1"])[0].columns_[0].kind == "category"
    assert encoded(["1", "2", "1"], numeric=[0])[0].columns_[0].kind == "numeric"
    assert encoded([True, 2.5, False])[0].columns_[0].kind == "numeric"


def test_an_array_of_texts():
    X = np.array([["1", "x"], ["2.5", "y"], ["7", "x"]])
    encoder = TableEncoder(dtype="float64").fit(X)
    assert [column.kind for column in encoder.columns_] == ["numeric", "category"]
    np.testing.assert_allclose(encoder.transform(X)[:, :1], realmlp([[1.0], [2.5], [7]]))
    as_bytes = TableEncoder(dtype="float64").fit(X.astype("S"))
    np.testing.assert_array_equal(as_bytes.transform(X), encoder.transform(X))


def test_many_categories():
    """200,000 categories in 400,000 rows need little time and memory."""
    codes = np.random.default_rng(0).permutation(400_000) // 2
    X = np.array([f"c{code:06d}" for code in codes], dtype=object)[:, np.newaxis]
    encoder = TableEncoder().fit(X)
    assert encoder.cardinalities_ == [200_001]
    np.testing.assert_array_equal(encoder.transform(X)[:, 0], codes + 1)
    assert encoder.transform([["c000007"], ["c2"]]).tolist() == [[8], [0]]


def test_too_many_categories_for_the_dtype(monkeypatch):
    from fastnn.tabular import encoder

    monkeypatch.setattr(encoder.np, "finfo", lambda dtype: type("few", (), {"nmant": 1}))
    with pytest.raises(ValueError, match="more than 4 categories; dtype=float64 is wanted"):
        TableEncoder(max_one_hot=0).fit([[text] for text in "abcd"])
