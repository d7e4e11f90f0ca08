"""Wrong tables and arguments raise errors that name what is wrong."""

import numpy as np
import pytest

from fastnn.tabular import TableEncoder

GOOD = [[1.0, "a"], [2.0, "b"], [3.0, "a"]]


class Ragged:
    def __init__(self, values):
        self.values = values


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.empty((0, 3)), ValueError, r"0 sample\(s\) \(shape=\(0, 3\)\)"),
        (np.empty((5, 0)), ValueError, r"0 feature\(s\) \(shape=\(5, 0\)\)"),
        ([], ValueError, "Reshape your data"),
        ([[]], ValueError, r"0 feature\(s\)"),
        ([[1.0, 2.0]], ValueError, "X has 1 sample; a fit needs at least two"),
        ([1.0, 2.0], ValueError, r"X has shape \(2,\); a table .* Reshape your data"),
        (np.zeros((2, 2, 2)), ValueError, r"X has shape \(2, 2, 2\)"),
        ([[1, 2], [3]], ValueError, "X has rows of different lengths"),
        (5, TypeError, "X is a int; a data frame, an array or a list of rows is wanted"),
        (None, TypeError, "X is a NoneType; a data frame, an array or a list of rows is wanted"),
        ("text", TypeError, "X is a str; a data frame, an array or a list of rows is wanted"),
        (
            {"a": [1, 2]},
            TypeError,
            "X is a dict; a data frame, an array or a list of rows is wanted",
        ),
        (
            np.ones((3, 2)),
            ValueError,
            "no column that can be used: column 0: one value in all rows",
        ),
        (np.eye(3) * 1j, ValueError, "Complex data not supported: X, column 0"),
        ([[1, {}], [2, "a"]], TypeError, r"column 1, row 0 is \{\}, of type dict"),
        ([[1, "a"], [2, [3]]], TypeError, r"column 1, row 1 is \[3\], of type list"),
        ([[1, Ragged(1)], [2, "a"]], TypeError, "column 1, row 0 is .*, of type Ragged"),
        ([[1, 2], [2, 3j]], TypeError, "column 1, row 1 is 3j, of type complex"),
        (np.zeros(3, [("a", "f8", (2,))]), TypeError, r"column 'a' has an array of shape \(2,\)"),
        (
            np.array([[300000], [0]]).astype("M8[Y]"),
            ValueError,
            "column 0, row 0 is 301970; a year",
        ),
        (np.ma.masked_array(np.eye(3), np.eye(3) == 1), TypeError, "X is a masked array"),
    ],
)
def test_tables(X, error, message):
    with pytest.raises(error, match=message):
        TableEncoder().fit(X)


def test_sparse_matrices():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="Sparse data was passed for X, but dense data is required"):
        TableEncoder().fit(sparse.eye(3).tocsr())


def test_two_columns_with_one_name():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(np.eye(4), columns=["a", "b", "a", "b"])
    with pytest.raises(ValueError, match="more than one column named 'a', 'b'"):
        TableEncoder().fit(frame)
    encoder = TableEncoder().fit(frame.iloc[:, :2])
    with pytest.raises(ValueError, match="more than one column named 'a'"):
        encoder.transform(frame.iloc[:, :3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_one_hot": -1}, "max_one_hot"),
        ({"max_one_hot": 2.5}, "max_one_hot"),
        ({"missing": "mean"}, "missing"),
        ({"categorical": "colour"}, "categorical"),
        ({"categorical": ["colour"]}, "categorical names 'colour', which is no column of X"),
        ({"numeric": [2]}, "numeric names 2, which is no column of X"),
        ({"drop": [-1]}, "drop names -1, which is no column of X"),
        ({"drop": [True]}, "drop names True, which is no column of X"),
        ({"numeric": [0], "drop": [0]}, "column 0 is named in drop and in another"),
        ({"numeric": [1]}, "X, column 1, row 0 is 'a'; a number is wanted"),
        ({"dtype": "int64"}, "dtype is 'int64'; float32 or float64 is wanted"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TableEncoder(**arguments).fit(GOOD)


def test_the_row_of_a_text_that_is_no_number():
    X = [["1"], ["2"], ["2"], ["2,5"], [None]]
    with pytest.raises(ValueError, match="X, column 0, row 3 is '2,5'; a number is wanted"):
        TableEncoder(numeric=[0]).fit(X)


def test_dates_named_as_numbers():
    X = np.array([["2024-01-01"], ["2024-01-02"]], "datetime64[D]")
    with pytest.raises(ValueError, match="X, column 0 has dates; numbers are wanted"):
        TableEncoder(numeric=[0]).fit(X)


def test_a_failed_fit_leaves_the_encoder_unfitted():
    from sklearn.exceptions import NotFittedError

    encoder = TableEncoder()
    with pytest.raises(TypeError):
        encoder.fit([[1, {}], [2, {}]])
    for call in (encoder.transform, lambda X: encoder.to_state()):
        with pytest.raises(NotFittedError):
            call(GOOD)


# ------------------------------------------------------------------ prediction


@pytest.fixture
def frame():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({"age": [20, 30, 50], "city": ["A", "B", "A"], "on": [True, False, True]})


def test_reordered_columns(frame):
    encoder = TableEncoder().fit(frame)
    Z = encoder.transform(frame)
    np.testing.assert_array_equal(encoder.transform(frame[["on", "age", "city"]]), Z)


def test_missing_and_additional_columns(frame):
    encoder = TableEncoder().fit(frame)
    with pytest.raises(ValueError, match="seen at fit time, yet now missing:\n- city"):
        encoder.transform(frame[["age", "on"]])
    with pytest.raises(ValueError, match="unseen at fit time:\n- town"):
        encoder.transform(frame.assign(town="A"))
    with pytest.raises(ValueError, match="(?s)unseen .*- town\n.*missing:\n- city"):
        encoder.transform(frame.rename(columns={"city": "town"}))
    with pytest.raises(ValueError, match="X has 2 features, but TableEncoder is expecting 3"):
        encoder.transform(frame[["age", "on"]].to_numpy())


def test_values_of_another_kind(frame):
    encoder = TableEncoder().fit(frame)
    wrong = frame.astype({"age": object})
    wrong.loc[1, "age"] = "thirty"
    with pytest.raises(ValueError, match="X, column 'age', row 1 is 'thirty'; a number is wanted"):
        encoder.transform(wrong)
    wrong.loc[1, "age"] = [30]
    with pytest.raises(TypeError, match=r"X, column 'age', row 1 is \[30\], of type list"):
        encoder.transform(wrong)
    np.testing.assert_array_equal(
        encoder.transform(frame.astype({"age": str})), encoder.transform(frame)
    )
    infinite = frame.assign(age=[1.0, 2.0, np.inf])
    with pytest.raises(ValueError, match="X, column 'age', row 2 is inf"):
        encoder.transform(infinite)


def test_no_rows(frame):
    encoder = TableEncoder().fit(frame)
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        encoder.transform(frame[:0])
    plain = TableEncoder().fit(np.eye(3))
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        plain.transform(np.empty((0, 3)))
    with pytest.raises(ValueError, match="X has 2 features, but TableEncoder is expecting 3"):
        plain.transform(np.ones((1, 2)))
