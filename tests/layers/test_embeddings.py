"""Embeddings of columns: their formulas, arguments, codes and bins, and PyTorch as an oracle.

Derivatives of every kind are tested for the rows of the table in `helpers/cases.py`.
"""

import copy
import pickle

import numpy as np
import pytest
from embeddings import ALL, EDGES, categorical, inputs, network, periodic
from stop_after import StopAfter
from torch_counterparts import needs_torch

import fastnn as fn

# The formulas ----------------------------------------------------------------------------------


@pytest.mark.parametrize("joined", [True, False])
def test_the_periodic_embedding(rng, dtype, isa, joined):
    layer = periodic(size=3, joined=joined)
    X = rng.standard_normal((9, 4)).astype(dtype)
    expected = []
    for c in range(2):
        features = np.cos(2 * np.pi * X[:, c : c + 1] * layer.frequency[c] + layer.phase[c])
        expected += [X[:, c : c + 1]] * joined + [features @ layer.weight[c].T + layer.bias[c]]
    expected = np.hstack([*expected, X[:, 2:]])
    assert layer.out_features == expected.shape[1] == 2 * (3 + joined) + 2
    y = layer(X)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, atol=20 * np.finfo(dtype).eps)


def test_initial_values_of_the_periodic_embedding():
    layer = fn.PeriodicEmbedding(50, frequencies=64, size=7, sigma=0.3)
    fn.Network([layer], seed=1)
    assert layer.frequency.std() == pytest.approx(0.3, rel=0.05)
    assert np.abs(layer.frequency.mean()) < 0.02
    for values, bound in [(layer.phase, np.pi), (layer.weight, 1 / 8), (layer.bias, 1 / 8)]:
        assert np.abs(values).max() <= bound
        assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.1)
    assert fn.PeriodicEmbedding(3, sigma=0).frequency.any() == 0


def test_the_defaults_are_those_of_realmlp():
    layer = fn.PeriodicEmbedding(5)
    assert layer.out_features == 20
    assert {name: value.shape for name, value in layer.arrays().items()} == {
        "frequency": (5, 16),
        "phase": (5, 16),
        "weight": (5, 3, 16),
        "bias": (5, 3),
    }


def test_the_piecewise_linear_encoding(dtype, isa):
    layer = fn.PiecewiseLinearEmbedding(2, bins=EDGES, size=3)
    layer.weight = np.stack([np.eye(3), np.eye(3)])
    layer.bias = np.zeros((2, 3))
    points = {  # below the first edge, in each bin, at an edge, above the last edge
        -3.0: [-2, 0, 0],
        -0.25: [0.75, 0, 0],
        0.0: [1, 0, 0],
        0.125: [1, 0.25, 0],
        1.25: [1, 1, 0.5],
        5.0: [1, 1, 3],
    }
    for x, expected in points.items():
        y = layer(np.array([x, x], dtype))
        assert y[:3].tolist() == expected
        assert y[3:].tolist() == [x, 0, 0]  # one bin: linear


def test_the_slope_at_an_edge_is_the_one_from_below(dtype, isa):
    layer = fn.PiecewiseLinearEmbedding(1, bins=[[0.0, 1.0, 3.0]], size=2)
    layer.weight = [[[1.0, 10.0], [0.0, 1.0]]]
    for x, slope in [(0.0, 1), (1.0, 1), (1.5, 5), (3.0, 5), (-7.0, 1), (9.0, 5)]:
        assert layer.vjp(np.array([x], dtype), np.array([1, 0], dtype)).tolist() == [slope]
        assert layer.jacobian(np.array([x], dtype)).to_dense()[0] == slope


def test_the_categorical_embedding(dtype, isa):
    layer = categorical()
    layer.weight = np.arange(16.0)
    small, wide = layer.tables
    assert small.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert wide.tolist() == [[6, 7, 8, 9, 10], [11, 12, 13, 14, 15]]
    y = layer(np.array([[7, 8, 2, 0], [1, 2, 0, 1]], dtype))
    assert y.tolist() == [[7, 8, 4, 5, 6, 7, 8, 9, 10], [1, 2, 0, 1, 11, 12, 13, 14, 15]]


@pytest.mark.parametrize("code", [-1, -0.6, 3, 2.5, 1e9, -1e30, 3e38])
def test_a_code_that_is_no_category_becomes_zeros(dtype, isa, code):
    layer = fn.CategoricalEmbedding(2, [3], size=4)
    x = np.array([5, code], dtype)
    assert layer(x).tolist() == [5, 0, 0, 0, 0]
    assert not layer.jacobian(x, "params").to_dense().any()
    net = network(layer, dtype)
    net(x[np.newaxis])
    net.backward(np.ones((1, 2), dtype))
    assert not layer.weight_grad.any()


def test_codes_are_rounded(dtype, isa):
    layer = fn.CategoricalEmbedding(1, [3], size=2)
    for code, row in [(-0.4, 0), (0.49, 0), (0.5, 1), (1.4, 1), (2.49, 2)]:
        assert (
            layer(np.array([code], dtype)).tolist() == layer.tables[0][row].astype(dtype).tolist()
        )


def test_the_largest_codes_are_exact(isa):
    count = 2**24
    layer = fn.CategoricalEmbedding(1, [count], size=1)
    layer.weight = np.arange(count) % 1000
    for code in (count - 1, count - 2, 2**23 + 1, 2**23, 2**23 - 1):
        assert layer(np.array([code], np.float32)).tolist() == [code % 1000]
    assert layer(np.array([count], np.float32)).tolist() == [0]


def test_embeddings_one_after_the_other(rng, dtype, isa):
    """Numeric columns, other columns and codes, as a table has them."""
    layers = [fn.PeriodicEmbedding(6, columns=2), fn.CategoricalEmbedding(12, [4, 9], size=3)]
    X = np.hstack([rng.standard_normal((20, 4)), rng.integers(0, [4, 9], (20, 2))]).astype(dtype)
    net = fn.Network(layers, dtype, seed=0)
    y = net.predict(X)
    assert y.shape == (20, 2 * 4 + 2 + 2 * 3)
    assert np.array_equal(y[:, 8:10], X[:, 2:4])
    assert np.array_equal(y[:, 0], X[:, 0])
    assert np.array_equal(y[:, 10:13], layers[1].tables[0][X[:, 4].astype(int)])


# Training --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", ALL)
def test_the_same_bits_for_any_number_of_threads(rng, dtype, isa, make):
    found = []
    for n_threads in (1, 2):
        net = network(make(), dtype)
        X = inputs(net.layers[0], np.random.default_rng(0), 700)
        y = X[:, :2]
        net.fit(
            X, y, loss=fn.MeanSquaredError(), epochs=3, batch_size=600, n_threads=n_threads, seed=0
        )
        found.append((net.params.tobytes(), net.predict(X, n_threads=n_threads).tobytes()))
    assert found[0] == found[1]


@pytest.mark.parametrize("make", ALL)
def test_a_frozen_embedding_is_not_changed(rng, dtype, isa, make):
    net = network(make(), dtype)
    X = inputs(net.layers[0], rng)
    net.layers[0].trainable = False
    before = net.params.copy()
    net.fit(X, X[:, :2], loss=fn.MeanSquaredError(), epochs=2)
    n = net.layers[0].n_params
    assert np.array_equal(net.params[:n], before[:n])
    assert not np.array_equal(net.params[n:], before[n:])


@needs_torch
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_a_fit_follows_pytorch(rng, isa, optimizer):
    import torch

    layers = [
        fn.PeriodicEmbedding(5, columns=2, frequencies=7, size=3),
        fn.CategoricalEmbedding(11, [4, 6], size=[3, 2]),
        fn.Linear(14, 2),
    ]
    net = fn.Network(layers, "float64", seed=3)
    X = np.hstack([rng.standard_normal((40, 3)), rng.integers(0, [4, 6], (40, 2))])
    y = rng.standard_normal((40, 2))

    own = {
        name: torch.tensor(np.array(value), requires_grad=True)
        for name, value in layers[0].arrays().items()
    }
    tables = [torch.tensor(np.array(table), requires_grad=True) for table in layers[1].tables]
    weight, bias = (
        torch.tensor(np.array(a), requires_grad=True) for a in layers[2].arrays().values()
    )
    rate = {"SGD": 0.1, "Adam": 0.01}[optimizer]
    steps = getattr(torch.optim, optimizer)([*own.values(), *tables, weight, bias], lr=rate)
    x, codes = torch.tensor(X[:, :3]), torch.tensor(X[:, 3:]).long()
    for _ in range(25):
        angle = 2 * torch.pi * x[:, :2, None] * own["frequency"] + own["phase"]
        mapped = torch.einsum("ncf,cof->nco", torch.cos(angle), own["weight"]) + own["bias"]
        joined = torch.cat([x[:, :2, None], mapped], 2).flatten(1)
        chosen = [torch.nn.functional.embedding(codes[:, i], t) for i, t in enumerate(tables)]
        out = torch.cat([joined, x[:, 2:], *chosen], 1) @ weight.T + bias
        steps.zero_grad()
        torch.nn.functional.mse_loss(out, torch.tensor(y)).backward()
        steps.step()

    net.fit(
        X,
        y,
        loss=fn.MeanSquaredError(),
        optimizer=getattr(fn, optimizer)(rate),
        epochs=25,
        batch_size=40,
        shuffle=False,
    )
    np.testing.assert_allclose(layers[0].frequency, own["frequency"].detach(), atol=1e-12)
    np.testing.assert_allclose(layers[0].phase, own["phase"].detach(), atol=1e-12)
    np.testing.assert_allclose(layers[0].weight, own["weight"].detach(), atol=1e-12)
    np.testing.assert_allclose(layers[2].weight, weight.detach(), atol=1e-12)
    for table, expected in zip(layers[1].tables, tables, strict=True):
        np.testing.assert_allclose(table, expected.detach(), atol=1e-12)


def test_a_million_categories(rng):
    layer = fn.CategoricalEmbedding(2, [1_000_000], size=2)
    net = fn.Network([layer, fn.Linear(3, 1)], "float64", seed=0)  # float32 rounds updates away
    X = np.stack([rng.standard_normal(500), rng.integers(0, 1_000_000, 500)], 1)
    before = layer.weight.copy()
    net.fit(X, X[:, :1], loss=fn.MeanSquaredError(), optimizer=fn.SGD(0.1), epochs=2)
    changed = np.unique(np.flatnonzero(layer.weight != before) // 2)
    assert np.array_equal(changed, np.unique(X[:, 1].astype(int)))
    assert net.predict(X).shape == (500, 1)


@pytest.mark.parametrize("make", ALL)
def test_sparse_rows_give_the_same_results(rng, dtype, isa, make):
    sparse = pytest.importorskip("scipy.sparse")
    nets = [network(make(), dtype) for _ in range(2)]
    X = inputs(nets[0].layers[0], rng, 60)
    X[rng.random(X.shape) < 0.6] = 0
    X = X.astype(dtype)
    y = rng.standard_normal((60, 2))
    for net, rows in zip(nets, (X, sparse.csr_array(X)), strict=True):
        net.fit(rows, y, loss=fn.MeanSquaredError(), epochs=3, batch_size=16, seed=0)
    assert np.array_equal(nets[0].params, nets[1].params)
    assert np.array_equal(nets[0].predict(X), nets[1].predict(sparse.csr_array(X)))


@pytest.mark.parametrize("make", ALL)
def test_many_networks_at_once(rng, dtype, isa, make):
    nets = [network(make(), dtype, seed) for seed in range(3)]
    X = inputs(nets[0].layers[0], rng).astype(dtype)
    for net, y in zip(nets, fn.predict_many(nets, X), strict=True):
        assert np.array_equal(net.predict(X), y)
    for net, J in zip(nets, fn.jacobian_many(nets, X), strict=True):
        assert np.array_equal(net.jacobian(X), J)


def test_networks_with_other_tables_are_not_alike(rng, dtype):
    """The tables have as many parameters in all, so that the operations differ in nothing else."""
    nets = [network(fn.CategoricalEmbedding(3, sizes), dtype) for sizes in ([2, 3], [3, 2])]
    X = np.hstack([rng.standard_normal((4, 1)), [[2, 0], [1, 2], [0, 1], [2, 2]]]).astype(dtype)
    with pytest.raises(ValueError, match="layers|networks|nets"):
        fn.predict_many(nets, X)


# Copies and files ------------------------------------------------------------------------------


@pytest.mark.parametrize("make", ALL)
def test_copies_and_files(tmp_path, rng, dtype, make):
    net = network(make(), dtype)
    X = inputs(net.layers[0], rng)
    net.save(tmp_path / "net.safetensors")
    for again in (
        fn.load(tmp_path / "net.safetensors"),
        pickle.loads(pickle.dumps(net)),
        copy.deepcopy(net),
    ):
        assert repr(again) == repr(net)
        assert np.array_equal(again.predict(X), net.predict(X))
        again.fit(X, X[:, :2], loss=fn.MeanSquaredError(), epochs=1)
    layer = make()
    y = layer(X)  # draws the values
    assert np.array_equal(pickle.loads(pickle.dumps(layer))(X), y)


@pytest.mark.parametrize("make", ALL)
def test_a_fit_is_resumed(tmp_path, dtype, make):
    X = inputs(make(), np.random.default_rng(0))
    arguments = {"loss": fn.MeanSquaredError(), "batch_size": 8, "seed": 1}
    whole, halved = network(make(), dtype), network(make(), dtype)
    whole.fit(X, X[:, :2], epochs=4, **arguments)
    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        halved.fit(X, X[:, :2], epochs=4, checkpoint=path, callbacks=[StopAfter(2)], **arguments)
    again = network(make(), dtype, seed=9)
    same = {"checkpoint": path, "resume": True, "callbacks": [StopAfter()]}
    again.fit(X, X[:, :2], epochs=4, **same, **arguments)
    assert np.array_equal(again.params, whole.params)


@pytest.mark.parametrize("make", ALL)
def test_damaged_descriptions(make):
    layer = make()
    config, arrays = layer.config(), layer.arrays()
    for name, array in arrays.items():
        for wrong in ({}, {name: array.ravel()[:-1]}):
            left = {key: value for key, value in arrays.items() if key != name}
            with pytest.raises((ValueError, TypeError, KeyError)):
                type(layer).from_config(config, {**left, **wrong})
    with pytest.raises((ValueError, TypeError, KeyError)):
        type(layer).from_config(config, {**arrays, "other": np.zeros(2)})
