"""Model files: round trips, damaged files, foreign files."""

import json
import os
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from safetensors.numpy import save
from systems import FolderError

from fastnn.files import model_file
from fastnn.files.model_file import ModelFileError

DESCRIPTION = {
    "layers": [{"type": "Linear", "in_features": 3, "out_features": 2}],
    "class_labels": ["ä", "b\n", None, 1, 2.5, True],
}

ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "bias": np.array([0.1, -np.inf]),
    "order": np.array([3, 1, 2]),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_round_trip(path):
    model_file.write(path, DESCRIPTION, ARRAYS)
    description, arrays = model_file.read(path)
    assert description == DESCRIPTION
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert_array_equal(arrays[name], array, strict=True)


def test_path_may_be_a_string(path):
    model_file.write(str(path), DESCRIPTION, ARRAYS)
    assert model_file.read(str(path))[0] == DESCRIPTION


@pytest.mark.parametrize(
    "array",
    [
        np.array(3.0),
        np.empty((0, 4)),
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12.0)[::-2],
        np.broadcast_to(np.float32(2), (3, 2)),
        np.arange(3, dtype=">f8"),
        np.array([True, False]),
        np.array([np.nan, -0.0, 5e-324]),
    ],
    ids=["0-d", "empty", "transposed", "strided", "broadcast", "big-endian", "bool", "special"],
)
def test_any_layout_of_array(path, array):
    model_file.write(path, {}, {"a": array})
    _, arrays = model_file.read(path)
    assert_array_equal(arrays["a"], array)
    assert arrays["a"].shape == array.shape
    assert arrays["a"].dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("dtype", model_file.DTYPES.values(), ids=str)
def test_a_file_in_the_other_byte_order_than_the_machines(path, monkeypatch, dtype):
    """On a big-endian machine this is every file."""
    array = np.arange(6).astype(dtype).reshape(2, 3)
    model_file.write(path, {}, {"a": array.byteswap()})
    other = {"little": ">", "big": "<"}[sys.byteorder]
    monkeypatch.setattr(model_file, "BYTE_ORDER", other)
    found = model_file.read(path)[1]["a"]
    assert found.dtype == dtype
    assert found.dtype.isnative
    assert_array_equal(found, array)


def test_arrays_are_fresh_and_writable(path):
    model_file.write(path, {}, ARRAYS)
    for array in model_file.read(path)[1].values():
        assert array.flags.owndata
        assert array.flags.writeable
        assert array.flags.c_contiguous
        assert array.dtype.isnative
        array[...] = 0
    assert_array_equal(model_file.read(path)[1]["weight"], ARRAYS["weight"])


def test_no_arrays(path):
    model_file.write(path, {"a": 1}, {})
    assert model_file.read(path) == ({"a": 1}, {})


def test_same_input_gives_same_bytes(path, tmp_path):
    model_file.write(path, DESCRIPTION, ARRAYS)
    model_file.write(tmp_path / "again", DESCRIPTION, ARRAYS)
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


def test_any_safetensors_reader_can_open_it(path):
    from safetensors import safe_open

    model_file.write(path, DESCRIPTION, ARRAYS)
    with safe_open(path, framework="numpy") as file:
        assert json.loads(file.metadata()["fastnn"]) == {**DESCRIPTION, "format_version": 1}
        assert_array_equal(file.get_tensor("weight"), ARRAYS["weight"])


def test_truncation_at_every_length(path):
    model_file.write(path, DESCRIPTION, ARRAYS)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"model\.safetensors: not a safetensors file"):
            model_file.read(path)


def test_flipped_header_bytes_give_a_model_or_a_model_file_error(path):
    model_file.write(path, DESCRIPTION, ARRAYS)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    refused = 0
    for position in range(header):
        for flip in (0x01, 0x10, 0x80):
            damaged = bytearray(content)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            try:
                model_file.read(path)
            except ModelFileError:
                refused += 1
    assert refused > header


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"a,b\n1,2\n" * 100, b"PK\x03\x04" + bytes(100), b"\x80\x04N." + bytes(50)],
    ids=["empty", "short", "csv", "zip", "pickle"],
)
def test_foreign_file(path, content):
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.safetensors: not a safetensors file"):
        model_file.read(path)


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}], ids=["none", "empty", "other"])
def test_foreign_safetensors(path, metadata):
    path.write_bytes(save({"a": np.zeros(2)}, metadata=metadata))
    with pytest.raises(ModelFileError, match="not a fastnn model"):
        model_file.read(path)


@pytest.mark.parametrize(("dtype", "size"), [("BF16", 2), ("C64", 8)])
def test_dtype_that_no_network_has(path, dtype, size):
    header = json.dumps({"a": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    with pytest.raises(ModelFileError, match=f"{dtype}|not a safetensors file.*Header"):
        model_file.read(path)


def test_shape_that_numpy_cannot_hold(path):
    shape = {"dtype": "F32", "shape": [0, 2**63], "data_offsets": [0, 0]}
    header = json.dumps({"a": shape}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelFileError):
        model_file.read(path)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "is a list"),
        ("{}", "version None"),
        ('{"format_version": 2}', "format version 2, but this fastnn reads version 1"),
        ('{"format_version": "1"}', "format version '1'"),
    ],
    ids=["syntax", "depth", "no object", "no version", "newer", "text"],
)
def test_description_that_is_not_ours(path, description, message):
    path.write_bytes(save({"a": np.zeros(2)}, metadata={"fastnn": description}))
    with pytest.raises(ModelFileError, match=message) as info:
        model_file.read(path)
    assert str(path) in str(info.value)


def test_model_file_error_is_a_value_error():
    assert issubclass(ModelFileError, ValueError)


def test_read_passes_os_errors(path, tmp_path):
    with pytest.raises(FileNotFoundError):
        model_file.read(path)
    with pytest.raises(FolderError):
        model_file.read(tmp_path)


def test_description_that_json_cannot_hold(path):
    with pytest.raises(TypeError):
        model_file.write(path, {"a": object()}, {})
    assert os.listdir(path.parent) == []
