"""`import_onnx` returns the network that other libraries and fastnn itself have written."""

import contextlib
import os
import warnings

import numpy as np
import pytest
from keras_backend import keras_or_skip
from onnx_cases import CASES, inputs_of, network_of, run

import fastnn as fn

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def resaved(path, change):
    """Change the model in a file."""
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())


def without_metadata(model):
    del model.metadata_props[:]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_of_fastnn_gives_the_same_network(case, make_network, rng, dtype, tmp_path):
    net = network_of(case, make_network, rng, dtype)
    net.class_labels = list(range(max(net.out_features, 2)))
    net.export_onnx(tmp_path / "net.onnx")
    found = fn.import_onnx(tmp_path / "net.onnx")
    assert repr(found) == repr(net)
    assert found.class_labels == net.class_labels
    np.testing.assert_array_equal(found.params, net.params)
    X = inputs_of(case, rng, dtype)
    np.testing.assert_array_equal(found.predict(X), net.predict(X))


CHAIN = {"linear", "standardize", "layer_norm", "batch_norm", "softmax", "log_softmax", "identity"}
CHAIN |= {"relu", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "softplus", "gelu", "silu"}
CHAIN |= {"mish", "abs", "hard_tanh", "scale", "unstandardize", "dropout"}
CHAINS = [case for case in CASES if {layer["kind"] for layer in case.layers} <= CHAIN]


@pytest.mark.parametrize("case", CHAINS, ids=lambda case: case.name)
def test_a_chain_is_recognised_by_its_nodes(case, make_network, rng, tmp_path):
    net = network_of(case, make_network, rng, "float32")
    net.export_onnx(tmp_path / "net.onnx")
    resaved(tmp_path / "net.onnx", without_metadata)
    found = fn.import_onnx(tmp_path / "net.onnx")
    assert found.dtype == "float32"
    X = inputs_of(case, rng, "float32", 50)
    np.testing.assert_allclose(
        found.predict(X), net.predict(X), rtol=1e-5, atol=1e-6 * abs(net.predict(X)).max()
    )


def torch_module():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    nn = torch.nn
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(),
        nn.Linear(4, 40),  # an array of more than 1 kB, which may have a file of its own
        nn.ReLU(),
        nn.LayerNorm(40, eps=1e-3),
        nn.BatchNorm1d(40, momentum=0.2),
        nn.Dropout(0.3),
        nn.Sequential(nn.GELU(), nn.SiLU(), nn.Mish(), nn.Softplus(), nn.Hardtanh()),
        nn.ELU(0.7),
        nn.SELU(),
        nn.LeakyReLU(0.2),
        nn.PReLU(init=0.3),
        nn.Linear(40, 5, bias=False),
        nn.Tanh(),
        nn.Sigmoid(),
        nn.Linear(5, 3),
        nn.Identity(),
        nn.LogSoftmax(1),
    )
    module[4].running_mean[:] = torch.randn(40)
    module[4].running_var[:] = torch.rand(40) + 0.5
    return torch, module.eval()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("opset", [9, 11, 17, 18, "dynamo"])
def test_a_file_of_pytorch(opset, rng, dtype, tmp_path):
    torch, module = torch_module()
    module.to(getattr(torch, dtype))
    X = rng.normal(size=(20, 4)).astype(dtype)
    x, path = torch.tensor(X), tmp_path / "net.onnx"
    if opset == "dynamo":
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
        batch = ({0: torch.export.Dim("n")},)
        torch.onnx.export(module, (x,), path, dynamo=True, dynamic_shapes=batch, verbose=False)
    else:
        torch.onnx.export(module, (x,), path, dynamo=False, opset_version=opset)
    net = fn.import_onnx(path)
    assert net.dtype == dtype
    assert repr(net.layers[2]) == "LayerNorm(features=40, eps=0.001)"
    assert repr(net.layers[3]) == "BatchNorm(features=40, eps=1e-05, momentum=0.2)"
    wanted = module(x).detach().numpy()
    np.testing.assert_allclose(net.predict(X), wanted, rtol=1e-6 if dtype == "float32" else 1e-7)


def estimators():
    sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    y = np.arange(60) % 3
    args = {"hidden_layer_sizes": (7, 5), "max_iter": 5, "random_state": 0}
    assert sklearn
    return {
        "three classes": (MLPClassifier(**args), y),
        "two classes": (MLPClassifier(**args, activation="tanh"), y % 2),
        "texts": (MLPClassifier(**args), np.array(["no", "yes"])[y % 2]),
        "scaled": (make_pipeline(StandardScaler(), MLPRegressor(**args)), 1.0 * y),
        "logistic": (MLPRegressor(**args, activation="logistic"), 1.0 * y),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["three classes", "two classes", "texts", "scaled", "logistic"])
def test_a_file_of_skl2onnx(name, rng, dtype, tmp_path):
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    estimator, y = estimators()[name]
    X = rng.normal(size=(60, 4)).astype(dtype)
    model = skl2onnx.to_onnx(estimator.fit(X, y), X[:1])
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    net = fn.import_onnx(tmp_path / "net.onnx")
    if hasattr(estimator, "classes_"):
        assert net.class_labels == list(estimator.classes_)
        wanted = estimator.predict_proba(X)
    else:
        wanted = estimator.predict(X)[:, np.newaxis]
    np.testing.assert_allclose(net.predict(X), wanted, rtol=2e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_file_of_keras(rng, tmp_path):
    keras = keras_or_skip()
    if keras.backend.backend() != "torch":
        pytest.skip("Keras has another backend")
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(9, activation="gelu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(5, activation="silu"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    X = rng.normal(size=(20, 4)).astype(np.float32)
    wanted = model.predict(X, verbose=0)
    model.export(tmp_path / "net.onnx", format="onnx", verbose=False)
    found = fn.import_onnx(tmp_path / "net.onnx").predict(X)
    np.testing.assert_allclose(found, wanted, rtol=2e-6)


# ------------------------------------------------------------------ invalid files


@pytest.fixture
def path(tmp_path):
    net = fn.Network([fn.Linear(3, 4), fn.ReLU(), fn.Linear(4, 2), fn.Softmax()], seed=0)
    net.export_onnx(tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def test_metadata_is_not_trusted(path):
    """The graph counts if the two differ."""

    def change(model):
        model.graph.node[1].op_type = "Tanh"

    resaved(path, change)
    net = fn.import_onnx(path)
    assert isinstance(net.layers[1], fn.Tanh)
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    X = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(net.predict(X), run(path, X), rtol=1e-6)


def test_the_first_unknown_node_is_named(path):
    def change(model):
        for node in model.graph.node[1::2]:
            node.op_type = "Einsum"

    resaved(path, change)
    with pytest.raises(fn.ModelFileError, match=r"net\.onnx: the node '1.Relu' \(Einsum\)"):
        fn.import_onnx(path)


def set_array(name, value):
    def change(model):
        for tensor in model.graph.initializer:
            if tensor.name == name:
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(value), name))

    return change


def set_external(location, **other):
    def change(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": location, **other}.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value

    return change


def make_cycle(model):
    model.graph.node[0].input[0] = model.graph.node[1].output[0]


def shorten(model):
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]


def make_shape(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "k"


def name_twice(model):
    model.graph.node[1].output[0] = model.graph.node[0].output[0]


def set_axis(model):
    model.graph.node[3].attribute[0].i = 0


def add_input(model):
    model.graph.input.add().name = "other"


def set_opset(version):
    def change(model):
        model.opset_import[0].version = version

    return change


BROKEN = {
    "NaN": (set_array("2.weight", np.full((2, 4), np.nan, "f4")), "2.weight holds NaN"),
    "infinity": (set_array("0.bias", np.full(4, np.inf, "f4")), "0.bias holds NaN or infinity"),
    "width": (set_array("2.weight", np.zeros((2, 5), "f4")), "2.Gemm.* takes 5 features; 4 come"),
    "shape": (set_array("2.weight", np.zeros((2, 4, 1), "f4")), "a matrix is wanted"),
    "bias": (set_array("0.bias", np.zeros(3, "f4")), r"shape \(3,\); \(4,\) is wanted"),
    "dtype": (set_array("0.bias", np.zeros(4, "f2")), "0.bias has dtype float16"),
    "cycle": (make_cycle, r"'0.Gemm' \(Gemm\) reads '1.Relu', which no node before it returns"),
    "bytes": (shorten, "the array 0.weight is damaged"),
    "unknown width": (make_shape, r"the input has shape \[0, 0\]"),
    "two names": (name_twice, "two nodes or arrays return '0.Gemm'"),
    "axis": (set_axis, "the axis is 0; 1, the columns, is wanted"),
    "inputs": (add_input, r"the inputs \['x', 'other'\]; one is wanted"),
    "old opset": (set_opset(3), "the opset is 3; 7 to"),
    "new opset": (set_opset(9999), "the opset is 9999; 7 to"),
    "other folder": (set_external("../secret"), "in '../secret'; a file in the folder"),
    "absolute path": (set_external("/etc/passwd"), "in '/etc/passwd'; a file in the folder"),
    "beyond": (set_external("data", offset="8"), "goes beyond its file"),
    "negative": (set_external("data", offset="-8"), "goes beyond its file"),
    "no number": (set_external("data", offset="a"), "invalid literal"),
    "link": (set_external("link"), "in 'link'; a file in the folder"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file(name, path):
    change, message = BROKEN[name]
    (path.parent / "data").write_bytes(bytes(48))
    os.symlink("data", path.parent / "link")
    resaved(path, change)
    with pytest.raises(fn.ModelFileError, match=rf"net\.onnx: .*{message}"):
        fn.import_onnx(path)


def test_arrays_in_a_file_beside_the_model(path):
    weight = fn.import_onnx(path).layers[0].weight
    (path.parent / "data").write_bytes(b"1234" + (2 * weight).tobytes())
    resaved(path, set_external("data", offset="4"))
    np.testing.assert_array_equal(fn.import_onnx(path).layers[0].weight, 2 * weight)


def test_the_file_of_arrays_is_missing(path):
    resaved(path, set_external("data"))
    with pytest.raises(FileNotFoundError, match="data"):
        fn.import_onnx(path)


def test_approximate_gelu_is_refused_by_name(tmp_path):
    helper = onnx.helper
    x, y = (helper.make_tensor_value_info(name, 1, ["n", 2]) for name in "xy")
    node = helper.make_node("Gelu", ["x"], ["y"], name="act", approximate="tanh")
    opset = [helper.make_opsetid("", 20)]
    model = helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=opset)
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(fn.ModelFileError, match="'act'.*approximate is 'tanh'; 'none' is wanted"):
        fn.import_onnx(tmp_path / "net.onnx")


def test_no_file_and_no_onnx(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        fn.import_onnx(tmp_path / "net.onnx")
    (tmp_path / "net.onnx").write_bytes(b"text")
    with pytest.raises(fn.ModelFileError, match="not an ONNX file"):
        fn.import_onnx(tmp_path / "net.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'fastnn\[onnx\]'"):
        fn.import_onnx(tmp_path / "net.onnx")


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_raise_model_file_errors(seed, path):
    """Truncated files, and files with wrong bytes: an error, or a network."""
    rng = np.random.default_rng(seed)
    layers = [fn.Standardize(np.zeros(3), np.ones(3)), fn.Linear(3, 4), fn.LayerNorm(4), fn.GELU()]
    fn.Network(layers).export_onnx(path)
    whole = path.read_bytes()
    for trial in range(150):
        content = bytearray(whole)
        if trial % 3 == 0:
            content = content[: rng.integers(len(content))]
        else:
            for place in rng.integers(len(content), size=rng.integers(1, 4)):
                content[place] = rng.integers(256)
        path.write_bytes(content)
        documented = contextlib.suppress(fn.ModelFileError)
        with warnings.catch_warnings(action="ignore"), documented:
            assert isinstance(fn.import_onnx(path), fn.Network)
