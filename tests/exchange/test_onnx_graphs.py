"""`import_onnx` of graphs that are written node by node."""

import warnings

import numpy as np
import pytest

import fastnn as fn

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def graph_file(path, nodes, arrays=(), sizes=("n", 3), opset=17):
    """Write a graph from x to y, where y has 3 columns."""
    helper = onnx.helper
    x = helper.make_tensor_value_info("x", 1, sizes)
    y = helper.make_tensor_value_info("y", 1, ["n", 3])
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in dict(arrays).items()]
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=domains), path)


WEIGHT = {"w": np.eye(3, dtype="f4")}


@pytest.mark.parametrize("training", [False, True])
def test_the_training_mode_of_dropout(training, tmp_path):
    node = onnx.helper.make_node
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Dropout", ["a", "r", "t"], ["y"], name="d")]
    path = tmp_path / "net.onnx"
    graph_file(path, nodes, {**WEIGHT, "r": np.float32(0.25), "t": np.bool_(training)})
    if training:
        with pytest.raises(fn.ModelFileError, match="'d'.*training_mode is true; a model in eval"):
            fn.import_onnx(path)
    else:
        assert fn.import_onnx(path).layers[1].p == 0.25


@pytest.mark.parametrize("used", [False, True])
def test_a_flatten_that_the_output_does_not_use(used, tmp_path):
    node = onnx.helper.make_node
    nodes = [node("Flatten", ["x"], ["f"])]
    nodes.append(node("MatMul", ["f" if used else "x", "w"], ["y"]))
    path = tmp_path / "net.onnx"
    graph_file(path, nodes, WEIGHT, ["n", 3, 1])
    if used:
        assert fn.import_onnx(path).in_features == 3
    else:
        with pytest.raises(fn.ModelFileError, match=r"shape \[0, 3, 1\], and no Flatten after it"):
            fn.import_onnx(path)


def test_arrays_that_a_cast_rounds(tmp_path):
    """The network has the numbers and the dtype after the Cast."""
    node = onnx.helper.make_node
    weight = np.full((3, 3), 0.1)
    nodes = [node("Cast", ["w"], ["c"], to=1), node("MatMul", ["x", "c"], ["y"])]
    graph_file(tmp_path / "net.onnx", nodes, {"w": weight})
    net = fn.import_onnx(tmp_path / "net.onnx")
    assert net.dtype == "float32"
    np.testing.assert_array_equal(net.layers[0].weight, weight.astype("f4"))
    graph_file(tmp_path / "net.onnx", nodes, {"w": 1e300 * weight})
    with pytest.raises(fn.ModelFileError, match="c holds NaN or infinity"):
        fn.import_onnx(tmp_path / "net.onnx")
    nodes.insert(0, node("Cast", ["w"], ["v"], to=1))  # to float32, and to float64 again
    nodes[1] = node("Cast", ["v"], ["c"], to=11)
    graph_file(tmp_path / "net.onnx", nodes, {"w": weight})
    net = fn.import_onnx(tmp_path / "net.onnx")
    assert net.dtype == "float64"
    np.testing.assert_array_equal(net.layers[0].weight, weight.astype("f4"))


@pytest.mark.parametrize("width", [2**40, 2**62])
@pytest.mark.parametrize("operator", ["Mul", "Sub"])
def test_widths_that_no_memory_holds(operator, width, tmp_path):
    node = onnx.helper.make_node(operator, ["x", "w"], ["y"], name="n")
    graph_file(tmp_path / "net.onnx", [node], {"w": np.float32([2])}, ["n", width])
    with pytest.raises(fn.ModelFileError, match=r"net\.onnx: "):
        fn.import_onnx(tmp_path / "net.onnx")


def test_a_scaler_by_zero(tmp_path):
    nodes = [onnx.helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", scale=[1.0, 0, 1])]
    graph_file(tmp_path / "net.onnx", nodes)
    refused = pytest.raises(fn.ModelFileError, match="the scale of Scaler holds 0; other numbers")
    with warnings.catch_warnings(action="error"), refused:
        fn.import_onnx(tmp_path / "net.onnx")


@pytest.mark.parametrize("axes", [[0], [-2], [1, 0]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_means_along_other_axes(axes, keepdims, tmp_path):
    """Only the mean along the columns, which keeps the axis, is a part of LayerNorm."""
    node = onnx.helper.make_node
    options = {"axes": axes, "keepdims": keepdims}

    def nodes(options):
        return [
            node("ReduceMean", ["x"], ["m"], **options), node("Sub", ["x", "m"], ["c"]),
            node("Pow", ["c", "two"], ["s"]), node("ReduceMean", ["s"], ["v"], **options),
            node("Add", ["v", "eps"], ["e"]), node("Sqrt", ["e"], ["q"]),
            node("Div", ["c", "q"], ["d"]), node("Mul", ["d", "g"], ["p"]),
            node("Add", ["p", "b"], ["y"]),
        ]  # fmt: skip

    arrays = {"two": np.float32(2), "eps": np.float32(1e-5), "g": np.ones(3, "f4"),
              "b": np.zeros(3, "f4")}  # fmt: skip
    graph_file(tmp_path / "net.onnx", nodes({"axes": [-1]}), arrays)
    assert isinstance(fn.import_onnx(tmp_path / "net.onnx").layers[0], fn.LayerNorm)
    for wrong in (options, {"axes": [-1], "keepdims": 0}):
        graph_file(tmp_path / "net.onnx", nodes(wrong), arrays)
        with pytest.raises(fn.ModelFileError, match="no layer of fastnn"):
            fn.import_onnx(tmp_path / "net.onnx")


@pytest.mark.parametrize("alpha", [1.0, 1.5])
def test_the_alpha_of_swish(alpha, tmp_path):
    node = onnx.helper.make_node("Swish", ["a"], ["y"], name="s", alpha=alpha)
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["a"]), node]
    if onnx.defs.onnx_opset_version() < 24:
        pytest.skip("this onnx has no Swish")
    graph_file(tmp_path / "net.onnx", nodes, WEIGHT, opset=24)
    if alpha == 1:
        assert isinstance(fn.import_onnx(tmp_path / "net.onnx").layers[1], fn.SiLU)
    else:
        with pytest.raises(fn.ModelFileError, match="'s'.*alpha is 1.5; 1 is wanted"):
            fn.import_onnx(tmp_path / "net.onnx")


def test_residual_connections(rng, tmp_path):
    """Inside each other, one after the other, and in both orders of the summands."""
    node = onnx.helper.make_node
    nodes = [
        node("MatMul", ["x", "u"], ["a"]), node("Tanh", ["a"], ["b"]), node("Relu", ["b"], ["c"]),
        node("Add", ["b", "c"], ["d"]), node("MatMul", ["d", "w"], ["e"]),
        node("Add", ["e", "x"], ["f"]), node("Identity", ["f"], ["g"]),
        node("Sigmoid", ["g"], ["h"]), node("Add", ["g", "h"], ["y"]),
    ]  # fmt: skip
    arrays = {name: rng.normal(size=(3, 3)).astype("f4") for name in "uw"}
    graph_file(tmp_path / "net.onnx", nodes, arrays)
    net = fn.import_onnx(tmp_path / "net.onnx")
    assert [type(layer) for layer in net.layers] == [fn.Residual, fn.Residual]
    X = rng.normal(size=(5, 3)).astype("f4")
    b = np.tanh(X @ arrays["u"])
    f = (b + np.maximum(b, 0)) @ arrays["w"] + X
    np.testing.assert_allclose(net.predict(X), f + 1 / (1 + np.exp(-f)), rtol=1e-5, atol=1e-6)


def test_residual_blocks_of_other_libraries(rng, tmp_path):
    """A file of fastnn without its metadata is one of any library."""
    blocks = [fn.Residual([fn.Linear(3, 5), fn.GELU(), fn.Linear(5, 3)]) for _ in range(3)]
    net = fn.Network([*blocks, fn.LayerNorm(3), fn.Linear(3, 2)], seed=0)
    net.export_onnx(tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "net.onnx")
    found = fn.import_onnx(tmp_path / "net.onnx")
    assert repr(found) == repr(net)
    X = rng.normal(size=(5, 3)).astype("f4")
    np.testing.assert_allclose(found.predict(X), net.predict(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["same", "two branches", "widths"])
def test_sums_that_are_no_residual_connection(kind, tmp_path):
    node = onnx.helper.make_node
    nodes = {
        "same": [node("Add", ["x", "x"], ["y"])],
        "two branches": [
            node("Relu", ["x"], ["a"]), node("Tanh", ["x"], ["b"]), node("Add", ["a", "b"], ["y"])
        ],
        "widths": [node("MatMul", ["x", "w"], ["a"]), node("Add", ["a", "x"], ["y"])],
    }[kind]  # fmt: skip
    graph_file(tmp_path / "net.onnx", nodes, {"w": np.ones((3, 1), "f4")})
    with pytest.raises(fn.ModelFileError, match=r"the node 'y' \(Add\)"):
        fn.import_onnx(tmp_path / "net.onnx")


@pytest.mark.filterwarnings("ignore")
def test_a_residual_network_of_pytorch(rng, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 9), nn.SiLU(), nn.Linear(9, 4))

        def forward(self, x):
            return x + self.inner(x)

    module = nn.Sequential(nn.Linear(3, 4), Block(), Block(), nn.ReLU(), nn.Linear(4, 2)).eval()
    x = torch.tensor(rng.normal(size=(6, 3)).astype("f4"))
    torch.onnx.export(module, (x,), tmp_path / "net.onnx", dynamo=False, opset_version=17)
    net = fn.import_onnx(tmp_path / "net.onnx")
    assert [type(layer) for layer in net.layers[1:3]] == [fn.Residual, fn.Residual]
    np.testing.assert_allclose(net.predict(x.numpy()), module(x).detach().numpy(), atol=1e-6)
