"""Tables in npz archives: dtypes, headers, damaged and hostile files."""

import io
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnn.datasets import read_table


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
    with pytest.raises(ValueError, match="X is not in the format of NumPy"):
        read_table(path)


def test_npz_does_not_unpickle(npz_file, monkeypatch):
    path = npz_file(X=np.array([[object]]))
    monkeypatch.setattr("pickle.load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(ValueError, match="of Python objects, which only pickle reads"):
        read_table(path)


def npz_with_header(path, text, data=bytes(48), method=zipfile.ZIP_STORED, name="X.npy"):
    """Write an archive of one array with any text as its header."""
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
    monkeypatch.setattr("fastnn.files.npz_file.available_memory", lambda: 10**7)
    with pytest.raises(ValueError, match="which needs more memory than is available"):
        read_table(path)


def test_npz_longdouble_beyond_float64(npz_file):
    if np.finfo(np.longdouble).max == np.finfo(float).max:
        pytest.skip("long double is float64 here")
    X = np.array([[1, np.longdouble("1e400")]])
    with pytest.raises(ValueError, match=r"X\[0, 1\] is 1e\+400, too large for float64"):
        read_table(npz_file(X=X))


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
