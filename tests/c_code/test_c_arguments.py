"""The arguments of `export_c`: errors, names, and files."""

import os
import re

import custom_layers
import numpy as np
import pytest
from c_programs import ACTIVATIONS, Program
from systems import FolderError

import fastnn as fn


@pytest.fixture
def net():
    return fn.Network([fn.Linear(2, 3), fn.Tanh(), fn.Linear(3, 2)], seed=0)


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("net.cpp", {}, r"path is .*net\.cpp.*; a file name that ends in \.c is wanted"),
        ("net", {}, "path is "),
        (".c", {}, "path is "),
        ('a".c', {}, "path is "),
        ("a\r.c", {}, "path is "),
        ("math.c", {}, "path is .*, and its header would hide math.h"),
        ("2nd.c", {}, "name is '2nd'; an identifier of C is wanted"),
        ("my net.c", {}, "name is 'my net'"),
        ("net.c", {"name": "a-b"}, "name is 'a-b'"),
        ("net.c", {"name": ""}, "name is ''"),
        ("net.c", {"name": "é"}, "name is 'é'"),
        ("net.c", {"name": "net\n"}, "name is "),
        ("net.c", {"name": "NET2"}, "name is 'NET2'; one with a small letter is wanted"),
        ("net.c", {"hessian": True}, "hessian is True, but the network has 2 outputs; one is"),
        ("net.c", {"quantize": np.ones((3, 2)), "unroll": True}, "quantize and unroll are given"),
        ("net.c", {"dtype": "int8"}, "dtype is 'int8'"),
        ("net.c", {"quantize": np.ones((3, 1))}, r"X has shape \(3, 1\)"),
        ("net.c", {"quantize": np.ones((3, 2)), "jvp": True}, "quantize and jvp are given"),
        ("net.c", {"quantize": np.ones((3, 2)), "dtype": "float32"}, "quantize and dtype are"),
    ],
)
def test_bad_values(net, tmp_path, path, arguments, message):
    with pytest.raises(ValueError, match=message):
        net.export_c(tmp_path / path, **arguments)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        (None, {}, "path is None; a file name that ends in .c is wanted"),
        (b"net.c", {}, "path is b'net.c'"),
        ("net.c", {"name": 3}, "name is 3; an identifier of C is wanted"),
        ("net.c", {"unroll": 1}, "unroll is 1; True or False is wanted"),
        ("net.c", {"jacobian": 1}, "jacobian is 1; True or False is wanted"),
        ("net.c", {"hessian": "no"}, "hessian is 'no'; True or False is wanted"),
    ],
)
def test_bad_types(net, tmp_path, monkeypatch, path, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=message):
        net.export_c(path, **arguments)
    assert os.listdir(tmp_path) == []


def test_custom_layers_are_named(tmp_path):
    net = fn.Network([fn.Linear(2, 3), custom_layers.PythonTanh()])
    with pytest.raises(TypeError, match="the custom layer PythonTanh.*, whose code is Python"):
        net.export_c(tmp_path / "net.c")
    assert os.listdir(tmp_path) == []


def test_parameters_must_be_finite(net, tmp_path):
    net.params[3] = np.nan
    with pytest.raises(ValueError, match="params hold NaN or infinity"):
        net.export_c(tmp_path / "net.c")
    assert os.listdir(tmp_path) == []


def test_no_partial_file_is_left(net, tmp_path):
    """The header cannot be written, so the old source stays."""
    (tmp_path / "net.c").write_text("old", encoding="utf-8")
    (tmp_path / "net.h").mkdir()
    with pytest.raises(FolderError, match=r"net\.h"):
        net.export_c(tmp_path / "net.c")
    assert (tmp_path / "net.c").read_text(encoding="utf-8") == "old"
    assert sorted(os.listdir(tmp_path)) == ["net.c", "net.h"]
    with pytest.raises(FileNotFoundError, match=r"missing/net\.c"):
        net.export_c(tmp_path / "missing" / "net.c")


def test_two_programs_in_one(net, tmp_path, rng):
    """Names begin with that of the program, so two programs can be linked together."""
    other = fn.Network([fn.Linear(2, 3), fn.Tanh(), fn.Linear(3, 2)], seed=1)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = Program(net, tmp_path / "a", name="a"), Program(other, tmp_path / "b", name="b")
    X = rng.normal(size=(5, 2)).astype("float32")
    np.testing.assert_allclose(first("predict", X), net.predict(X), rtol=1e-5)
    np.testing.assert_allclose(second("predict", X), other.predict(X), rtol=1e-5)


def test_names_that_differ_in_case_only(net, tmp_path):
    """Their macros differ, so a program can contain both."""
    other = fn.Network([fn.Linear(5, 1)], seed=0)
    net.export_c(tmp_path / "a.c", name="net")
    other.export_c(tmp_path / "b.c", name="Net")
    heads = [
        set(re.findall(r"#define (\w+)", (tmp_path / own).read_text(encoding="utf-8")))
        for own in ("a.h", "b.h")
    ]
    assert {"NET_H", "NET_IN_FEATURES"} < heads[0]
    assert {"Net_H", "Net_IN_FEATURES"} < heads[1]
    assert not heads[0] & heads[1]


def test_nan_goes_through(dtype, tmp_path):
    """Every activation, softmax and embedding returns NaN for NaN."""
    layers = [activation() for activation in ACTIVATIONS]
    layers += [fn.PeriodicEmbedding(1), fn.CategoricalEmbedding(1, [3]), fn.LayerNorm(1)]
    layers += [fn.PiecewiseLinearEmbedding(1, bins=[[0.0, 1.0]]), fn.Softmax(), fn.LogSoftmax()]
    net = fn.Network([fn.Parallel([[own] for own in layers], combine="concat")], dtype, seed=0)
    x = np.array([[np.nan], [0.5]], dtype)
    found = Program(net, tmp_path)("predict", x)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


def test_networks_without_operations(dtype, tmp_path, rng):
    """Layers that do nothing in predictions, alone and in a block."""
    net = fn.Network(
        [fn.Parallel([[fn.Dropout()], [], [fn.Identity()]], combine="concat"), fn.Linear(6, 1)],
        dtype,
        seed=0,
    )
    X = rng.normal(size=(5, 2)).astype(dtype)
    outputs, jacobians = Program(net, tmp_path, "jacobian")("jacobian", X)
    np.testing.assert_allclose(outputs, net.predict(X), rtol=1e-5)
    np.testing.assert_allclose(jacobians, net.jacobian(X), rtol=1e-5)


def texts(folder):
    return [(folder / name).read_text(encoding="utf-8") for name in ("net.c", "net.h")]


def test_a_dtype_of_the_program(tmp_path):
    """A program in double is that of the network in float64 with the same numbers."""
    narrow, wide = (
        fn.Network(
            [fn.Standardize([1, 2], [3, 4]), fn.Linear(2, 3), fn.BatchNorm(3)], dtype, seed=0
        )
        for dtype in ("float32", "float64")
    )
    wide.params[...] = narrow.params
    for net, dtype, name in ((narrow, "float64", "a"), (wide, None, "b")):
        (tmp_path / name).mkdir()
        net.export_c(tmp_path / name / "net.c", jacobian=True, dtype=dtype)
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
    wide.params[0] = 1e300
    with pytest.raises(ValueError, match="a number of the network is out of the range of float32"):
        wide.export_c(tmp_path / "net.c", dtype="float32")
    tiny = fn.Network([fn.Standardize([0], [1e-50]), fn.Linear(1, 1)], "float64", seed=0)
    with pytest.raises(ValueError, match="a number of the network is out of the range of float32"):
        tiny.export_c(tmp_path / "net.c", dtype="float32")  # it would divide by 0


def test_a_calibration_set(net, tmp_path, rng):
    X = rng.normal(size=(20, 2))
    (tmp_path / "a").mkdir()
    net.export_c(tmp_path / "net.c", quantize=X)
    net.quantize(X).export_c(tmp_path / "a" / "net.c")
    assert texts(tmp_path) == texts(tmp_path / "a")


def test_large_networks_are_not_unrolled(tmp_path):
    net = fn.Network([fn.Linear(64, 63), fn.Linear(63, 1)], seed=0)
    with pytest.raises(
        ValueError, match="unroll is True, but the network has 4,159 parameters; at"
    ):
        net.export_c(tmp_path / "net.c", unroll=True)
