"""A fitted encoder is saved and read again."""

import copy
import json
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from test_forms_of_tables import FORMS, ROWS

from fastnn.tabular import TableEncoder

WIDE = [[float(i % 7), f"city {i % 15}", [None, 1, 2][i % 3]] for i in range(60)]


@pytest.fixture(params=["rows", "pandas", "codes", "numbers"])
def encoder_and_table(request):
    if request.param == "codes":
        return TableEncoder(max_one_hot=3, categorical=(1,), dtype="float64").fit(WIDE), WIDE
    if request.param == "numbers":
        X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
        X[3, 1] = np.nan
        return TableEncoder(drop=np.array([0])).fit(X), X
    X = FORMS[request.param]()
    return TableEncoder().fit(X), X


def same(first, second, X):
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    assert first.columns_ == second.columns_
    assert first.cardinalities_ == second.cardinalities_
    assert (first.n_numeric_, first.n_one_hot_) == (second.n_numeric_, second.n_one_hot_)
    assert first.n_features_in_ == second.n_features_in_
    assert list(first.get_feature_names_out()) == list(second.get_feature_names_out())


def test_state(encoder_and_table):
    encoder, X = encoder_and_table
    state = encoder.to_state()
    same(encoder, TableEncoder.from_state(state), X)
    text = json.dumps(state, default=np.ndarray.tolist)
    again = TableEncoder.from_state(json.loads(text))
    same(encoder, again, X)
    assert json.dumps(again.to_state(), default=np.ndarray.tolist) == text
    again.fit(X)  # with the same arguments
    same(encoder, again, X)


def test_the_state_of_another_version():
    with pytest.raises(ValueError, match="format 2; 1 is wanted"):
        TableEncoder.from_state({"format": 2})


def test_pickle_and_copies(encoder_and_table):
    encoder, X = encoder_and_table
    same(encoder, pickle.loads(pickle.dumps(encoder)), X)
    same(encoder, copy.deepcopy(encoder), X)
    assert not hasattr(clone(encoder), "columns_")


def test_skops(encoder_and_table):
    skops = pytest.importorskip("skops.io")
    encoder, X = encoder_and_table
    data = skops.dumps(encoder)
    trusted = skops.get_untrusted_types(data=data)
    assert all(name.startswith("fastnn.tabular.") for name in trusted)
    same(encoder, skops.loads(data, trusted=trusted), X)


def test_a_second_fit_forgets_the_first():
    pd = pytest.importorskip("pandas")
    encoder = TableEncoder().fit(pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}))
    encoder.fit(np.eye(3))
    assert not hasattr(encoder, "feature_names_in_")
    assert encoder.cardinalities_ == []
    assert encoder.transform(np.eye(3)).shape == (3, 3)


def test_the_table_is_not_changed():
    X = np.array(ROWS, dtype=object)
    before = copy.deepcopy(X)
    TableEncoder().fit_transform(X)
    assert [[str(v) for v in row] for row in X] == [[str(v) for v in row] for row in before]
    numbers = np.array([[1.0, np.nan], [2, 3], [5, 4]])
    kept = numbers.copy()
    numbers.flags.writeable = False
    TableEncoder().fit_transform(numbers)
    np.testing.assert_array_equal(numbers, kept)
