"""Residual and Parallel as layers: widths, parameters, calls alone, saving, and their Jacobians."""

import copy
import json
import pickle
import re

import numpy as np
import pytest
import reference
from block_cases import BLOCK_NETWORKS
from case_inputs import sample_inputs, sample_params, smooth_inputs
from cases import NETWORK_CASES, NetworkCase
from layer_cases import made

import fastnn as fn
from fastnn import jacobians
from fastnn.files import model_file

NETWORKS = {case.name: case for case in NETWORK_CASES if case.name in BLOCK_NETWORKS}
# each block of these networks, as a network of its own
BLOCKS = {
    f"{name}-{i}": NetworkCase(f"{name}-{i}", [layer])
    for name, case in NETWORKS.items()
    for i, layer in enumerate(case.layers)
    if reference.branches_of(layer)
    and any(leaf["kind"] in ("linear", "layer_norm") for leaf in reference.leaves([layer]))
    and reference.leaves([layer])[0]["kind"] in ("linear", "layer_norm")
}
all_blocks = pytest.mark.parametrize("case", BLOCKS.values(), ids=lambda case: case.name)


def block_with(case, params):
    """Return a block outside of a network that holds these parameters."""
    block = made(case.layers[0], fn)
    leaves = fn.layers.composition.leaves([block])
    for leaf, pair in zip(leaves, reference.unpack(case.layers, params), strict=True):
        for name, value in zip(("weight", "bias"), pair, strict=True):
            if value is not None:
                setattr(leaf, name, value)
    return block


@all_blocks
@pytest.mark.parametrize("n", [1, 9])
def test_a_block_alone_is_the_oracle(isa, dtype, rng, case, n):
    params = sample_params(case, rng, float).astype(dtype).astype(float)
    X = smooth_inputs(case, params, rng, dtype, n)
    block = block_with(case, params)
    expected = reference.forward(case.layers, params, X.astype(float))
    rtol = 1e-4 if dtype == "float32" else 1e-11
    for found in (block(X), np.stack([block(x) for x in X])):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)
    dy = rng.standard_normal(expected.shape)
    _, dx = reference.backward(case.layers, params, X.astype(float), dy)
    np.testing.assert_allclose(block.vjp(X, dy), dx, rtol=rtol, atol=rtol)
    by_input = reference.jacobian(case.layers, params, X.astype(float))
    np.testing.assert_allclose(block.dense_jacobian(X), by_input, rtol=rtol, atol=rtol)
    for wrt in ("input", "params"):
        matrix = reference.jacobian(case.layers, params, X[:1].astype(float), wrt)[0]
        operator = block.jacobian(X[0], wrt)
        assert operator.dtype == dtype
        assert operator.shape == matrix.shape
        np.testing.assert_allclose(operator.to_dense(), matrix, rtol=rtol, atol=rtol)
        h, c = rng.standard_normal(matrix.shape[1]), rng.standard_normal(matrix.shape[0])
        np.testing.assert_allclose(operator.matvec(h), matrix @ h, rtol=10 * rtol, atol=10 * rtol)
        np.testing.assert_allclose(operator.rmatvec(c), c @ matrix, rtol=10 * rtol, atol=10 * rtol)
        np.testing.assert_allclose(operator.T @ c, c @ matrix, rtol=10 * rtol, atol=10 * rtol)


def test_forms_of_input():
    block = fn.Residual([fn.Linear(2, 2), fn.Tanh()])
    x = np.array([[1.0, 2.0], [3.0, -4.0]])
    expected = x + block.layers[1](block.layers[0](x))
    np.testing.assert_array_equal(block(x), expected)
    np.testing.assert_array_equal(block(x.tolist()), expected)
    np.testing.assert_array_equal(block(np.asfortranarray(x)), expected)
    np.testing.assert_array_equal(block(np.repeat(x, 2, axis=1)[:, ::2]), expected)
    assert block(x[:0]).shape == (0, 2)
    with pytest.raises(ValueError, match=r"x has shape \(3,\)"):
        block([1, 2, 3])
    with pytest.raises(ValueError, match="nan"):
        block([1, np.nan])


def test_a_block_of_activations_takes_any_width():
    block = fn.Residual([fn.Tanh()])
    wide = fn.Parallel([[], [fn.ReLU()]], combine="concat")
    for n in (1, 5):
        x = np.linspace(-1, 1, n)
        np.testing.assert_allclose(block(x), x + np.tanh(x), rtol=1e-15)
        np.testing.assert_array_equal(wide(x), np.concatenate([x, np.maximum(x, 0)]))
    net = fn.Network([wide, block, fn.Linear(6, 2)], seed=0)
    assert (net.in_features, net.out_features) == (3, 2)


def test_branches_that_are_the_identity(dtype):
    x = np.array([[1.0, -2.0]], dtype)
    np.testing.assert_array_equal(fn.Parallel([[], [], []])(x), 3 * x)
    np.testing.assert_array_equal(fn.Parallel([[]])(x), x)
    np.testing.assert_array_equal(fn.Parallel([[], []], "concat")(x), [[1, -2, 1, -2]])


def test_parameters_have_the_order_of_the_layers(dtype):
    first, second, third = fn.Linear(3, 4), fn.Linear(4, 3), fn.Linear(3, 2, bias=False)
    norm = fn.LayerNorm(3)
    net = fn.Network(
        [fn.Parallel([[fn.Residual([first, fn.Tanh(), second])], [norm], [third]], "concat")],
        dtype,
        seed=0,
    )
    arrays = [first.weight, first.bias, second.weight, second.bias, norm.weight, norm.bias]
    arrays.append(third.weight)
    assert all(np.shares_memory(array, net.params) for array in arrays)
    np.testing.assert_array_equal(net.params, np.concatenate([array.ravel() for array in arrays]))
    assert net.layers[0].n_params == net.n_params == 16 + 15 + 6 + 6
    assert net.layers[0].in_network
    assert first.in_network


def test_initial_weights_are_those_of_the_same_layers_in_a_chain():
    """They are drawn in the same order, each for the activation that follows it."""
    chain = fn.Network(
        [fn.Linear(4, 6), fn.Linear(6, 5), fn.ReLU(), fn.Linear(5, 6), fn.SELU(), fn.Linear(6, 2)],
        seed=5,
    )
    block = fn.Residual([fn.Linear(6, 5), fn.ReLU(), fn.Linear(5, 6)])
    net = fn.Network([fn.Linear(4, 6), block, fn.SELU(), fn.Linear(6, 2)], seed=5)
    np.testing.assert_array_equal(net.params, chain.params)
    before = fn.Network(
        [fn.Linear(4, 6), fn.Parallel([[], [fn.ReLU()], [fn.SELU()]]), fn.Linear(6, 2)], seed=5
    )
    after = fn.Network([fn.Linear(4, 6), fn.ReLU(), fn.Linear(6, 2)], seed=5)
    np.testing.assert_array_equal(before.params, after.params)


# Saving ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", NETWORKS.values(), ids=lambda case: case.name)
def test_copies_and_files_hold_the_network(tmp_path, rng, make_network, case, dtype):
    net = make_network(case, dtype, sample_params(case, rng, dtype))
    X = sample_inputs(case, rng, dtype)
    net.save(tmp_path / "net.safetensors")
    copies = [
        fn.load(tmp_path / "net.safetensors"),
        pickle.loads(pickle.dumps(net)),
        copy.deepcopy(net),
    ]
    for again in copies:
        assert repr(again) == repr(net)
        assert again.summary() == net.summary()
        np.testing.assert_array_equal(again.params, net.params)
        np.testing.assert_array_equal(again.predict(X), net.predict(X))
    layers = [pickle.loads(pickle.dumps(layer)) for layer in net.layers]
    again = fn.Network(layers, dtype)
    np.testing.assert_array_equal(again.predict(X), net.predict(X))


def test_names_in_a_file_are_those_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")

    class Residual(torch.nn.Module):
        def __init__(self, *layers):
            super().__init__()
            self.layers = torch.nn.Sequential(*layers)

    class Parallel(torch.nn.Module):
        def __init__(self, *branches):
            super().__init__()
            self.branches = torch.nn.ModuleList(torch.nn.Sequential(*b) for b in branches)

    nn = torch.nn
    theirs = nn.Sequential(
        nn.Linear(3, 4),
        Residual(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4)),
        Parallel([nn.Linear(4, 2), Residual(nn.LayerNorm(2))], []),
    )
    ours = fn.Network(
        [
            fn.Linear(3, 4),
            fn.Residual([fn.Linear(4, 4), fn.ReLU(), fn.BatchNorm(4)]),
            fn.Parallel([[fn.Linear(4, 2), fn.Residual([fn.LayerNorm(2)])], []], "concat"),
        ]
    )
    ours.save(tmp_path / "net.safetensors")
    _, arrays = model_file.read(tmp_path / "net.safetensors")
    expected = {name: tuple(t.shape) for name, t in theirs.state_dict().items() if t.ndim}
    assert {name: array.shape for name, array in arrays.items()} == expected
    assert "1.layers.2.running_mean" in arrays
    assert "2.branches.0.1.layers.0.weight" in arrays


def damaged(description, arrays):
    """Yield damaged descriptions of a network with a Residual and a Parallel."""
    edits = [
        lambda d, a: d["layers"][1].pop("layers"),
        lambda d, a: d["layers"][1].update(layers=[]),
        lambda d, a: d["layers"][1].update(layers={"0": {"kind": "relu"}}),
        lambda d, a: d["layers"][1].update(layers="relu"),
        lambda d, a: d["layers"][1].update(layers=[3]),
        lambda d, a: d["layers"][1].update(layers=[{"kind": "relu"}]),
        lambda d, a: d["layers"][1]["layers"][0].update(out_features=7),
        lambda d, a: d["layers"][1].update(more=1),
        lambda d, a: d["layers"][1].update(trainable="no"),
        lambda d, a: d["layers"][2].update(combine="mean"),
        lambda d, a: d["layers"][2].update(combine=["sum"]),
        lambda d, a: d["layers"][2].update(branches=3),
        lambda d, a: d["layers"][2].update(branches=[[], None]),
        lambda d, a: d["layers"][2].update(branches=[[], {}]),
        lambda d, a: d["layers"][2]["branches"].pop(1),
        lambda d, a: d["layers"][2]["branches"].reverse(),
        lambda d, a: d["layers"][2]["branches"].append([[]]),
        lambda d, a: d["layers"][2]["branches"][1].append({"kind": "unknown"}),
        lambda d, a: a.pop("1.layers.0.weight"),
        lambda d, a: a.update({"1.layers.2.weight": a["1.layers.0.weight"]}),
        lambda d, a: a.update({"1.weight": a["1.layers.0.weight"]}),
        lambda d, a: a.update({"2.branches.weight": a["1.layers.0.weight"]}),
        lambda d, a: a.update({"2.branches.01.0.weight": a["1.layers.0.weight"]}),
        lambda d, a: a.update({"1.layers.0.weight": a["1.layers.0.weight"][:2]}),
    ]
    for edit in edits:
        d, a = json.loads(json.dumps(description)), dict(arrays)
        edit(d, a)
        yield d, a
    for depth in (21, 45):  # deeper than blocks may be; and as deep as a description may be
        bomb = {"kind": "relu"}
        for _ in range(depth):
            bomb = {"kind": "residual", "layers": [bomb]}
        d = json.loads(json.dumps(description))
        d["layers"].append(bomb)
        yield d, arrays
    d = json.loads(json.dumps(description))
    for _ in range(9):  # 4 * 50**9 columns
        d["layers"].append({"kind": "parallel", "branches": [[]] * 50, "combine": "concat"})
    yield d, arrays


def test_damaged_files_are_refused(tmp_path):
    net = fn.Network(
        [
            fn.Linear(3, 4),
            fn.Residual([fn.Linear(4, 4), fn.Tanh()]),
            fn.Parallel([[], [fn.Linear(4, 4)]]),
        ]
    )
    path = tmp_path / "net.safetensors"
    net.save(path)
    fn.load(path)
    for description, arrays in damaged(*model_file.read(path)):
        model_file.write(path, description, arrays)
        with pytest.raises(fn.ModelFileError, match="not a valid network"):
            fn.load(path)


def test_the_deepest_blocks_can_be_saved(tmp_path):
    block = fn.Parallel([[fn.Tanh()], []])
    for _ in range(19):
        block = fn.Residual([block])
    net = fn.Network([fn.Linear(2, 2), block])
    net.save(tmp_path / "net.safetensors")
    again = fn.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(again.predict([[0.1, 0.2]]), net.predict([[0.1, 0.2]]))
    with pytest.raises(ValueError, match="nested 21 deep; at most 20"):
        fn.Residual([copy.deepcopy(block)])


# Wrong arguments -------------------------------------------------------------------------------

SHARED = fn.Linear(3, 3)

WRONG = [
    (lambda: fn.Residual([fn.Linear(3, 4)]), ValueError, "takes 3 features and returns 4"),
    (lambda: fn.Residual([]), ValueError, "layers is empty"),
    (lambda: fn.Residual(fn.ReLU()), TypeError, "layers is ReLU()"),
    (lambda: fn.Residual([3]), TypeError, "layers[0] is 3"),
    (lambda: fn.Residual([fn.Linear(3, 4), fn.Linear(3, 3)]), ValueError, "layers[1] is"),
    (lambda: fn.Residual([fn.Parallel([[], []], "concat")]), ValueError, "2 times the width"),
    (lambda: fn.Residual([SHARED, SHARED]), ValueError, "layers[1]: this Linear(3, 3) already"),
    (lambda: fn.Parallel([]), ValueError, "branches is empty"),
    (lambda: fn.Parallel(fn.ReLU()), TypeError, "branches is ReLU()"),
    (lambda: fn.Parallel([fn.ReLU()]), TypeError, "branches[0] is ReLU()"),
    (lambda: fn.Parallel([[], ["x"]]), TypeError, "branches[1][0] is 'x'"),
    (lambda: fn.Parallel([[]], "mean"), ValueError, "combine is 'mean'"),
    (lambda: fn.Parallel([[SHARED], [SHARED]]), ValueError, "branches[1][0]: this"),
    (
        lambda: fn.Parallel([[fn.Linear(3, 4)], [fn.Linear(4, 4)]]),
        ValueError,
        "branches[0] takes 3 features and branches[1] 4",
    ),
    (
        lambda: fn.Parallel([[], [fn.Linear(3, 4)]]),
        ValueError,
        "branches[0] returns 3 features and branches[1] 4",
    ),
    (
        lambda: fn.Parallel([[fn.Linear(3, 4), fn.Tanh(), fn.Linear(3, 3)]]),
        ValueError,
        "branches[0][2] is Linear(3, 3), which takes 3 features, but Tanh() before it returns 4",
    ),
    (lambda: fn.Network([fn.Residual([SHARED]), SHARED]), ValueError, "layers[1]: this"),
    (lambda: fn.Network([fn.Residual([fn.Tanh()])]), ValueError, "at least one layer that fixes"),
    (
        lambda: fn.Network([fn.Linear(5, 4), fn.Residual([fn.Linear(3, 3)])]),
        ValueError,
        "which takes 3 features, but Linear(5, 4) before it returns 4",
    ),
    (
        lambda: fn.Network([fn.Parallel([[], []], "concat"), fn.Linear(5, 1)]),
        ValueError,
        "returns a multiple of 2",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG, ids=[m for _, _, m in WRONG])
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make()
    assert not SHARED.in_network


def test_a_layer_of_a_network_is_refused():
    net = fn.Network([fn.Residual([fn.Linear(3, 3)])])
    with pytest.raises(ValueError, match="already belongs to a network"):
        fn.Residual([net.layers[0].layers[0]])
    with pytest.raises(AttributeError, match="cannot be changed"):
        net.layers[0].layers = ()


# Printing --------------------------------------------------------------------------------------


def test_summary_indents_the_layers_of_a_block():
    net = fn.Network(
        [
            fn.Residual([fn.Linear(4, 2), fn.ReLU(), fn.Linear(2, 4)]),
            fn.Parallel([[fn.Linear(4, 3)], []], "concat"),
        ]
    )
    net.layers[1].branches[0][0].trainable = False
    lines = [line.split() for line in net.summary().splitlines()]
    assert ["Residual", "4", "22"] in lines
    assert ["Parallel,", "concat", "(frozen)", "7", "15"] in lines
    assert ["branches.1", "4", "0"] in lines
    assert "  Linear(4, 2)    " in net.summary()
    assert "\n    Linear(4, 3) (frozen)  " in net.summary()
    assert lines[-1] == ["total,", "float32", "37"]
    assert repr(net.layers[0]) == "Residual([Linear(4, 2), ReLU(), Linear(2, 4)])"
    assert repr(net.layers[1]) == "Parallel([[Linear(4, 3)], []], combine='concat')"


# Jacobians -------------------------------------------------------------------------------------


def test_jacobians_side_by_side(rng):
    A, B = rng.standard_normal((2, 3, 4))
    C = rng.standard_normal((2, 4)).astype(np.float32)
    for found, expected in (
        (jacobians.Sum([jacobians.Dense(A), jacobians.Dense(B)]), A + B),
        (jacobians.Stack([jacobians.Dense(A), jacobians.Dense(C)]), np.concatenate([A, C])),
        (
            jacobians.BlockDiagonal([jacobians.Dense(A), jacobians.Dense(C)]),
            np.block([[A, np.zeros((3, 4))], [np.zeros((2, 4)), C]]),
        ),
    ):
        assert found.shape == expected.shape
        assert found.dtype == np.float64
        x, y = rng.standard_normal((expected.shape[1], 2)), rng.standard_normal(expected.shape[0])
        np.testing.assert_allclose(found.to_dense(), expected, rtol=1e-15)
        np.testing.assert_allclose(found @ x, expected @ x, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(y @ found, y @ expected, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(found.T.to_dense(), expected.T, rtol=1e-15)
        product = (found @ jacobians.Dense(np.eye(expected.shape[1]))).to_dense()
        np.testing.assert_allclose(product, expected, rtol=1e-12)
    assert repr(jacobians.Sum([jacobians.Identity(2), jacobians.Identity(2)])) == (
        "<Sum (2, 2) float64: Identity + Identity>"
    )
    with pytest.raises(ValueError, match="the same shape is wanted"):
        jacobians.Sum([jacobians.Identity(2), jacobians.Identity(3)])
    with pytest.raises(ValueError, match="the same number is wanted"):
        jacobians.Stack([jacobians.Identity(2), jacobians.Identity(3)])
    with pytest.raises(TypeError, match="a Jacobian is wanted"):
        jacobians.BlockDiagonal([3])


def test_the_jacobian_of_a_residual_block_is_i_plus_j():
    block = fn.Residual([fn.Linear(3, 3)])
    found = block.jacobian(np.ones(3))
    assert isinstance(found, jacobians.Sum)
    assert isinstance(found.terms[0], jacobians.Identity)
    np.testing.assert_allclose(found.to_dense(), np.eye(3) + block.layers[0].weight)
