"""Tables in CSV files: dialects, numbers, labels, and errors that name the place."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnn.datasets import column_names, read_table


def test_csv_with_class_names(csv_file):
    path = csv_file("a,kind,b\n1,cat,2.5\n-3e2,dog,0\n")
    table = read_table(path, "kind")
    assert_array_equal(table.X, [[1, 2.5], [-300, 0]], strict=True)
    assert_array_equal(table.y, ["cat", "dog"])
    assert table.feature_names == ["a", "b"]
    assert table.target_name == "kind"


def test_csv_with_numeric_target(csv_file):
    table = read_table(csv_file("a,y\n1,2\n3,4.5\n"), "y")
    assert_array_equal(table.y, np.array([2, 4.5]), strict=True)


def test_csv_without_target(csv_file):
    table = read_table(csv_file("a,b\n1,2\n"))
    assert_array_equal(table.X, [[1, 2]])
    assert table.y is None
    assert table.target_name is None


def test_csv_features_by_name(csv_file):
    path = csv_file("id,b,a\nx7,1,2\nx8,3,4\n")
    table = read_table(path, features=["a", "b"])
    assert_array_equal(table.X, [[2, 1], [4, 3]])
    assert table.feature_names == ["a", "b"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfa,b\n1,2\n3,4\n",
        b"a,b\r\n1,2\r\n3,4\r\n",
        b"a,b\n1,2\n3,4",
        b"a,b\n1,2\n\n3,4\n\n\n",
        b'"a","b"\n"1","2"\n3,"4"\n',
        b" a , b\n 1, 2 \n3 ,\t4\n",
    ],
    ids=["byte-order mark", "CRLF", "no last newline", "blank lines", "quotes", "spaces"],
)
def test_csv_dialects(csv_file, content):
    table = read_table(csv_file(content))
    assert_array_equal(table.X, [[1, 2], [3, 4]])
    assert table.feature_names == ["a", "b"]


def test_csv_quoted_cells_may_hold_commas_quotes_and_newlines(csv_file):
    path = csv_file('"x, y",kind\n1,"a ""b"""\n2,"two\r\nlines"\n')
    table = read_table(path, "kind")
    assert table.feature_names == ["x, y"]
    assert_array_equal(table.y, ['a "b"', "two\r\nlines"])


def test_decimal_commas_and_other_separators(csv_file, tmp_path):
    path = csv_file("a;b\n1,5;-2\n3;4,25e1\n")
    table = read_table(path, "b", decimal=",")
    assert_array_equal(table.X, [[1.5], [3]])
    assert_array_equal(table.y, [-2, 42.5])
    with pytest.raises(ValueError, match=r"line 2, column 'a'.*'1,5'"):
        read_table(path)
    with pytest.raises(ValueError, match=r"line 2, column 'a'.*'1\.5'"):
        read_table(csv_file("a;b\n1.5;2\n"), decimal=",")
    assert_array_equal(read_table(csv_file("a,x|b\n1|2\n"), separator="|").X, [[1, 2]])
    with pytest.raises(ValueError, match="decimal is 'x'"):
        read_table(path, decimal="x")
    tabs = tmp_path / "t.tsv"
    tabs.write_text("a,b,c\td\n1\t2\n", encoding="utf-8")
    assert read_table(tabs).feature_names == ["a,b,c", "d"]


def test_a_column_that_is_not_there(csv_file):
    path = csv_file("price,Town\n1,2\n")
    for name, message in (("prices", "did you mean 'price'"), ("town", "did you mean 'Town'")):
        with pytest.raises(ValueError, match=message):
            read_table(path, name)
    wide = csv_file(",".join(f"c{i}" for i in range(60)) + "\n" + ",".join("1" * 60) + "\n")
    with pytest.raises(ValueError, match="c49 and 10 more"):
        read_table(wide, "xyz")


def test_csv_suffix_in_capitals(tmp_path):
    path = tmp_path / "DATA.CSV"
    path.write_text("a\n1\n", encoding="utf-8")
    assert_array_equal(read_table(str(path)).X, [[1]])


@pytest.mark.parametrize(
    ("content", "target", "where", "what"),
    [
        ("a,b\n1,2\n3,x\n", None, "line 3, column 'b'", "'x'"),
        ("a,b\n1,\n", None, "line 2, column 'b'", "an empty cell"),
        ("a,b\n1,2\n , 3\n", None, "line 3, column 'a'", "an empty cell"),
        ("a,b\n1,nan\n", None, "line 2, column 'b'", "'nan'"),
        ("a,b\n\n\n-inf,1\n", None, "line 4, column 'a'", "'-inf'"),
        ("a,b\n1,1e999\n", None, "line 2, column 'b'", "'1e999'"),
        ("a,y\n1,2\n3,\n", "y", "line 3, column 'y'", "an empty cell"),
        ("a,y\n1,cat\n3,\n", "y", "line 3, column 'y'", "an empty cell"),
        ("a,y\n1,2\n3,NaN\n", "y", "line 3, column 'y'", "'NaN'"),
        ("a,y\n1,0.5\n2,1.5\n3,NA\n", "y", "line 4, column 'y'", "'NA'"),
        ("a,y\n1,cat\n2,2\n", "a", "line 2, column 'y'", "'cat'"),
        ("a,b\n1,2\n3\n", None, "line 3", "1 cells, but there are 2 columns"),
        ("a,b\n1,2,3\n", None, "line 2", "3 cells, but there are 2 columns"),
        ('a,b\n1,2\n3,"4', None, "line 3", "end of data"),
        ('a,b\n1,"2"x\n', None, "line 2", "expected after"),
        ("a\n1\n\n2\n", None, "line 3", "0 cells"),
        ("a,b,a\n1,2,3\n", None, "line 1", "two columns have the name 'a'"),
        ("a,,b\n1,2,3\n", None, "line 1", "column 2 has no name"),
        ("", None, "first line", "empty"),
        ("\na,b\n1,2\n", None, "first line", "empty"),
        ("a,b\n", None, "data.csv", "no data"),
        ("a,b\n1,2\n", "c", "no column 'c'", "the columns are a, b"),
        ("y\n1\n", "y", "data.csv", "no feature column"),
        (b"a,b\n1,\xff\n", None, "data.csv", "UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), None, "data.csv", "UTF-8"),
    ],
)
def test_csv_errors_name_the_place(csv_file, content, target, where, what):
    path = csv_file(content)
    with pytest.raises(ValueError, match=r"data\.csv") as info:
        read_table(path, target)
    message = str(info.value)
    assert message.startswith(str(path))
    assert where in message
    assert what in message


def test_csv_missing_feature(csv_file):
    with pytest.raises(ValueError, match=r"no column 'c'; the columns are a, b$"):
        read_table(csv_file("a,b\n1,2\n"), features=["a", "c"])


def test_csv_text_target_may_contain_numbers(csv_file):
    table = read_table(csv_file("a,y\n1,10\n2,10A\n3,10\n"), "y")
    assert_array_equal(table.y, ["10", "10A", "10"])


def test_column_names(csv_file):
    assert column_names(csv_file('a," b ","c,d"\nnot,read\n')) == ["a", "b", "c,d"]


@pytest.mark.parametrize(
    "text",
    ["0_3", "1_000", "1,000", "٣", "0x10", "1e", "e5", ".", "1 000", "--1", "Infinity", "1.5d3"],
)
def test_csv_cells_that_are_no_numbers(csv_file, text):
    with pytest.raises(ValueError, match="line 3, column 'a'"):
        read_table(csv_file(f'a,b\n1,2\n"{text}",2\n'))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("+1", 1),
        (" -2.5 ", -2.5),
        (".5", 0.5),
        ("5.", 5),
        ("1E3", 1000),
        ("1e-2", 0.01),
        ("007", 7),
    ],
)
def test_csv_cells_that_are_numbers(csv_file, text, value):
    assert_array_equal(read_table(csv_file(f"a\n{text}\n")).X, [[value]])


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["0", "3", "-1"], [0, 3, -1]),
        (["9007199254740992", "9007199254740993"], [2**53, 2**53 + 1]),
        (["9223372036854775807", "-9223372036854775808"], [2**63 - 1, -(2**63)]),
        (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
        (["01", "1"], ["01", "1"]),
        (["1.0", "2.0"], ["1.0", "2.0"]),
        (["+1", "-1"], ["+1", "-1"]),
        (["1_0", "2_0"], ["1_0", "2_0"]),
        (["-0", "0"], ["-0", "0"]),
        (["a\0", "a"], ["a\0", "a"]),
    ],
)
def test_a_csv_label_is_its_own_text(csv_file, cells, labels):
    table = read_table(csv_file("a,y\n" + "".join(f"1,{cell}\n" for cell in cells)), "y")
    assert table.labels.tolist() == labels
