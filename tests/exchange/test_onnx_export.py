"""onnxruntime computes from the files of `export_onnx` what `predict` returns."""

import json
import sys

import numpy as np
import pytest
from case_inputs import special_inputs
from custom_layers import PythonTanh
from onnx_cases import CASES, inputs_of, network_of, run

import fastnn as fn

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

TOLERANCE = {"float32": 1e-6, "float64": 2e-14}  # relative to the largest output


def assert_same(path, net, X):
    y, wanted = run(path, X), net.predict(X)
    assert y.dtype == wanted.dtype
    assert y.shape == wanted.shape
    size = max(abs(wanted).max(), 1e-6)  # LayerNorm of one feature, behind a softmax, is 0
    assert abs(y - wanted).max() <= TOLERANCE[str(wanted.dtype)] * size


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_outputs_are_the_same(case, make_network, rng, dtype, tmp_path):
    net = network_of(case, make_network, rng, dtype)
    net.export_onnx(tmp_path / "net.onnx")
    for n in (1, 7, 100):
        assert_same(tmp_path / "net.onnx", net, inputs_of(case, rng, dtype, n))


@pytest.mark.parametrize("layer", ["GELU", "SiLU", "Mish", "Softplus", "ELU", "SELU", "Tanh"])
def test_awkward_inputs(layer, dtype, tmp_path):
    net = fn.Network([fn.Standardize([0.0], [1.0]), getattr(fn, layer)()], dtype)
    net.export_onnx(tmp_path / "net.onnx")

    class Column:
        features = 1

    small = np.linspace(-9, 9, 1001, dtype=dtype)[:, np.newaxis]
    for X in (small, special_inputs(Column, dtype)):
        assert_same(tmp_path / "net.onnx", net, X)


@pytest.mark.parametrize("layers", [[fn.Identity], [fn.Dropout], [fn.ReLU, fn.Dropout]])
def test_layers_without_operators(layers, dtype, tmp_path):
    net = fn.Network([fn.Residual([fn.Linear(3, 3)]), *(layer() for layer in layers)], dtype)
    net.export_onnx(tmp_path / "net.onnx")
    assert_same(tmp_path / "net.onnx", net, np.ones((4, 3), dtype))


def test_a_network_of_dropout_only(dtype, tmp_path):
    net = fn.Network([fn.Parallel([[]]), fn.Residual([fn.Scale(2)])], dtype)
    inner = fn.Network([fn.Parallel([[], [fn.Scale(2)]], combine="concat")], dtype)
    for made in (net, inner):
        made.export_onnx(tmp_path / "net.onnx")
        assert_same(tmp_path / "net.onnx", made, np.ones((4, 2), dtype))


def test_input_output_and_metadata(dtype, tmp_path):
    net = fn.Network([fn.Linear(2, 3), fn.Softmax()], dtype)
    net.class_labels, net.feature_names = ["a", "b", "c"], ["left", "right"]
    net.export_onnx(tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [opset.version for opset in model.opset_import] == [17]
    for given, name, width in ((model.graph.input, "x", 2), (model.graph.output, "y", 3)):
        (value,) = given
        assert value.name == name
        kind = value.type.tensor_type
        assert onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type) == dtype
        batch, columns = kind.shape.dim
        assert (batch.dim_param, columns.dim_value) == ("n", width)
    (entry,) = model.metadata_props
    found = json.loads(entry.value)
    assert entry.key == "fastnn"
    assert found["class_labels"] == ["a", "b", "c"]
    assert found["feature_names"] == ["left", "right"]
    weight = {array.name: onnx.numpy_helper.to_array(array) for array in model.graph.initializer}
    np.testing.assert_array_equal(weight["0.weight"], net.layers[0].weight)


def test_a_custom_layer_is_refused_by_name(tmp_path):
    net = fn.Network([fn.Linear(2, 3), PythonTanh()])
    (tmp_path / "net.onnx").write_bytes(b"old")
    with pytest.raises(TypeError, match=r"layers\[1\] is PythonTanh.* written in Python"):
        net.export_onnx(tmp_path / "net.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    assert (tmp_path / "net.onnx").read_bytes() == b"old"


def test_what_cannot_be_written(tmp_path):
    net = fn.Network([fn.Linear(2, 3)])
    with pytest.raises(OSError, match=r"missing/net\.onnx"):
        net.export_onnx(tmp_path / "missing" / "net.onnx")
    net.params[1] = np.nan
    with pytest.raises(ValueError, match="params hold NaN"):
        net.export_onnx(tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_a_network_larger_than_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("fastnn.onnx_export.model.MOST_BYTES", 30)
    with pytest.raises(ValueError, match="36 bytes; ONNX files hold less than 2 GiB"):
        fn.Network([fn.Linear(2, 3)]).export_onnx(tmp_path / "net.onnx")


def test_without_onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"needs onnx: pip install 'fastnn\[onnx\]'"):
        fn.Network([fn.Linear(2, 3)]).export_onnx(tmp_path / "net.onnx")
