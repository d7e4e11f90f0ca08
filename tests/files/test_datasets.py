"""Reading tables, splitting them, and telling the task."""

import io
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnn.datasets import column_names, infer_task, load_digits, read_table, stratified_split


@pytest.fixture
def csv_file(tmp_path):
    """Write text or bytes to a CSV file and return its path."""

    def write(content):
        path = tmp_path / "data.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def npz_file(tmp_path):
    """Write arrays to an npz file and return its path."""

    def write(**arrays):
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return path

    return write


def test_digits():
    X, y = load_digits()
    assert X.shape == (1797, 64)
    assert X.dtype == np.float64
    assert y.shape == (1797,)
    assert y.dtype == np.int64
    assert (X.min(), X.max()) == (0, 16)
    assert_array_equal(np.bincount(y), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])


def test_digits_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_digits(return_X_y=True)
    assert_array_equal(load_digits()[0], X)
    assert_array_equal(load_digits()[1], y)


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


def test_csv_suffix_in_capitals(tmp_path):
    path = tmp_path / "DATA.CSV"
    path.write_text("a\n1\n")
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


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_missing_file(tmp_path, suffix):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / f"missing{suffix}")


def test_unknown_suffix(tmp_path):
    with pytest.raises(ValueError, match=r"data\.xlsx: expected a \.csv or \.npz file"):
        read_table(tmp_path / "data.xlsx")


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        ([0, 1], "i"),
        ([0.5, 1.5], "f"),
        ([True, False], "b"),
        (["a", "b"], "U"),
        ([b"a", b"b"], "U"),
    ],
    ids=["int", "float", "bool", "str", "bytes"],
)
def test_npz(npz_file, y, kind):
    table = read_table(npz_file(X=np.arange(6, dtype=np.uint8).reshape(2, 3), y=np.array(y)), "y")
    assert_array_equal(table.X, np.arange(6.0).reshape(2, 3), strict=True)
    assert table.y.dtype.kind == kind
    assert table.y.tolist() == [v.decode() if isinstance(v, bytes) else v for v in y]
    assert table.feature_names is None
    assert table.target_name == "y"


def test_npz_target_of_another_name(npz_file):
    table = read_table(npz_file(X=np.ones((2, 1)), y=np.zeros(2), z=np.array([3, 4])), "z")
    assert_array_equal(table.y, [3, 4])


def test_npz_target_is_optional(npz_file):
    assert read_table(npz_file(X=np.ones((2, 1)))).y is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((2, 1)), "y": np.ones(2)}, "no array 'X'; the arrays are x, y"),
        ({"X": np.ones((2, 1)), "labels": np.ones(2)}, "no array 'y'; the arrays are X, labels"),
        ({"X": np.ones(2), "y": np.ones(2)}, r"X must be .*\(2,\)"),
        ({"X": np.ones((0, 3)), "y": np.ones(0)}, r"X must be .*\(0, 3\)"),
        ({"X": np.array([["a"]]), "y": np.ones(1)}, "X must be numbers"),
        ({"X": np.ones((2, 1)) * 1j, "y": np.ones(2)}, "X must be numbers"),
        ({"X": np.array([[1, None]]), "y": np.ones(1)}, "X must be numbers"),
        ({"X": np.array([[1, 2], [3, np.nan]]), "y": np.ones(2)}, r"X\[1, 1\] is nan"),
        ({"X": np.ones((2, 1)), "y": np.array([1, -np.inf])}, r"y\[1\] is -inf"),
        ({"X": np.ones((2, 1)), "y": np.ones(3)}, r"y must be .*\(2,\).*\(3,\)"),
        ({"X": np.ones((2, 1)), "y": np.ones((2, 1))}, r"y must be .*\(2, 1\)"),
        ({"X": np.ones((2, 1)), "y": np.ones(2) * 1j}, "y must be numbers or text"),
    ],
)
def test_npz_errors(npz_file, arrays, message):
    path = npz_file(**arrays)
    with pytest.raises(ValueError, match=message) as info:
        read_table(path, "y")
    assert str(info.value).startswith(str(path))


def test_damaged_npz(npz_file):
    path = npz_file(X=np.ones((20, 3)), y=np.ones(20))
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"data\.npz"):
            read_table(path, "y")
    path.write_bytes(content.replace(np.float64(1).tobytes(), np.float64(2).tobytes()))
    with pytest.raises(ValueError, match=r"data\.npz: cannot be read as an \.npz archive"):
        read_table(path, "y")


def test_npy_and_other_zip_files_are_not_npz(tmp_path):
    path = tmp_path / "data.npz"
    buffer = io.BytesIO()
    np.save(buffer, np.ones((2, 2)))
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match=r"not an \.npz archive"):
        read_table(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X", "text")
    with pytest.raises(ValueError, match="X is not an array as NumPy saves them"):
        read_table(path)


def test_npz_does_not_unpickle(npz_file, monkeypatch):
    path = npz_file(X=np.array([[object]]))
    monkeypatch.setattr("pickle.load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(ValueError, match="of Python objects, which only pickle reads"):
        read_table(path)


def npz_with_header(path, text, data=bytes(48), method=zipfile.ZIP_STORED, name="X.npy"):
    """Write an archive of one array whose header says what it likes."""
    header = text.encode("latin-1")
    with zipfile.ZipFile(path, "w", method) as archive:
        content = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + data
        archive.writestr(name, content)
    return path


def header(descr="'<f8'", shape="(2, 3)", fortran="False"):
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
    "text",
    [
        header(),
        "{'shape':(2,3),'fortran_order':False,'descr':'<f8'}",
        header(shape="(2L, 3L)"),
        header("'=f8'"),
    ],
)
def test_npz_headers_as_others_write_them(tmp_path, text):
    data = np.arange(6.0)
    path = npz_with_header(tmp_path / "a.npz", text, data.tobytes())
    assert_array_equal(read_table(path).X, data.reshape(2, 3), strict=True)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", ">i2", "u1", "f2", "?", np.longdouble])
def test_npz_of_any_order_and_type(npz_file, dtype, order):
    X = np.array([[0, 1, 1], [1, 0, 0]], dtype, order=order)
    assert_array_equal(read_table(npz_file(X=X)).X, X.astype(float), strict=True)


@pytest.mark.parametrize(
    "text",
    [
        header("'M8[s/0]'"),
        header("[('a', 'M8[s/0]')]"),
        header("'|O'"),
        header("'<c16'"),
        header("'V8'"),
        header("'<U0'"),
        header("('<f8', (0, 1))"),
        header(shape="(-2, 3)"),
        header(shape="(2, 3.0)"),
        header(shape="(4, 3)"),
        header(shape="(281474976710655, 281474976710655)"),
        header(shape=f"({'9' * 5000},)"),
        header(shape="(" + "1, " * 40 + ")"),
        header(shape="(0, 9223372036854775808)"),
        header(fortran="None"),
        header() + "x",
        "{'descr': '<f8'}",
        "(" * 9_000,
        "",
        "é",
    ],
)
def test_npz_with_a_header_that_numpy_should_not_see(tmp_path, text):
    with pytest.raises(ValueError, match=r"a\.npz: "):
        read_table(npz_with_header(tmp_path / "a.npz", text))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_npz_of_every_compression(tmp_path, method):
    path = npz_with_header(tmp_path / "a.npz", header(), np.arange(6.0).tobytes(), method)
    assert_array_equal(read_table(path).X, np.arange(6.0).reshape(2, 3))
    content = path.read_bytes()
    refused = 0
    for position in range(30, content.index(b"PK\1\2")):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]
        )
        try:
            read_table(path)
        except ValueError:
            refused += 1
    assert refused > 50


def test_npz_larger_than_memory_is_not_allocated(tmp_path, monkeypatch):
    path = npz_with_header(
        tmp_path / "a.npz", header(shape="(100000, 100)"), bytes(80_000_000), zipfile.ZIP_DEFLATED
    )
    monkeypatch.setattr("fastnn.files.npz_file._memory", lambda: 10**7)
    with pytest.raises(ValueError, match="this machine has not the memory"):
        read_table(path)


def test_npz_longdouble_beyond_float64(npz_file):
    if np.finfo(np.longdouble).max == np.finfo(float).max:
        pytest.skip("long double is float64 here")
    X = np.array([[1, np.longdouble("1e400")]])
    with pytest.raises(ValueError, match=r"X\[0, 1\] is 1e\+400, too large for float64"):
        read_table(npz_file(X=X))


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


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        ([1.0, 2.0], [1, 2]),
        ([0.5, 1], [0.5, 1]),
        ([2.0**63, 1], [2.0**63, 1.0]),
        ([1e300, 0], [1e300, 0]),
    ],
)
def test_labels_of_floats_in_an_archive(npz_file, y, labels):
    assert read_table(npz_file(X=np.ones((2, 1)), y=np.array(y)), "y").labels.tolist() == labels


def test_time_does_not_grow_with_the_square_of_the_columns(csv_file):
    """Were it so, this would take minutes."""
    n = 200_000
    names = ",".join(f"c{i}" for i in range(n))
    table = read_table(csv_file(f"{names}\n{'1,' * (n - 1)}1\n"), f"c{n - 1}")
    assert table.X.shape == (1, n - 1)


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (["a", "b", "c"], "classification"),
        ([True, False], "classification"),
        ([0, 1], "classification"),
        ([1.0, 2.0, 1.0], "classification"),
        ([0, 0.5], "regression"),
        (np.arange(10) % 3, "classification"),
        (np.arange(10) % 4, "regression"),
        (np.arange(100) % 10, "classification"),
        (np.arange(100) % 11, "regression"),
        (np.arange(40_000) % 100, "classification"),
        (np.arange(40_000) % 101, "regression"),
        (np.arange(50), "regression"),
    ],
)
def test_infer_task(y, task):
    assert infer_task(y) == task


def test_digits_are_classes():
    assert infer_task(load_digits()[1]) == "classification"


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5, 0.9])
def test_split_is_a_partition_in_proportion(fraction):
    y = np.repeat([3, 1, 2, 7], [50, 7, 400, 2])
    train, validation = stratified_split(y, fraction, np.random.default_rng(0))
    assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(y.size))
    for label in np.unique(y):
        size = np.count_nonzero(y == label)
        share = np.count_nonzero(y[validation] == label)
        assert abs(share - fraction * size) < 1
        assert 1 <= share <= size - 1


def test_split_keeps_a_single_sample_for_training():
    train, validation = stratified_split(["a"] * 10 + ["b"], 0.5, np.random.default_rng(0))
    assert 10 in train
    assert validation.size == 5


def test_split_is_random_and_reproducible():
    y = np.arange(200) % 2
    splits = [
        stratified_split(y, 0.3, np.random.default_rng(seed))[1].tolist() for seed in (0, 0, 1)
    ]
    assert splits[0] == splits[1]
    assert splits[0] != splits[2]


def test_split_takes_any_member_of_a_class():
    seen = np.zeros(20, dtype=bool)
    for seed in range(100):
        seen[stratified_split(np.arange(20) % 2, 0.2, np.random.default_rng(seed))[1]] = True
    assert seen.all()


def test_split_without_classes():
    train, validation = stratified_split(np.zeros(101), 0.25, np.random.default_rng(0))
    assert (train.size, validation.size) == (76, 25)
    assert np.all(np.diff(train) > 0)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_split_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match="fraction"):
        stratified_split([0, 1], fraction, np.random.default_rng(0))
