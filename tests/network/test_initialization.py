"""Initial weights from data, `Network.initialize`."""

import copy

import numpy as np
import pytest
from custom_layers import PythonLinear

import fastnn as fn


def pre_activations(net, X):
    """Return (layer, W a) for each linear layer at the top of a network."""
    X, found = np.asarray(X, net.dtype), []
    for layer in net.layers:
        if isinstance(layer, fn.Linear):
            found.append((layer, X.astype(float) @ layer.weight.astype(float).T))
        X = layer(X)
    return found


def network(dtype="float64", **arguments):
    layers = [
        fn.Scale(4),
        fn.Linear(4, 30),
        fn.Parametric(30, fn.Mish),
        fn.Linear(30, 20, bias=False),
        fn.ReLU(),
        fn.Linear(20, 3),
    ]
    return fn.Network(layers, dtype, seed=5, **arguments)


@pytest.fixture
def X(rng):
    return rng.standard_normal((300, 4)) * [1, 1e3, 1e-2, 5] + [0, -1e3, 0, 2]


def test_every_unit_has_variance_1_and_a_bias_within_the_data(isa, dtype, X):
    net = network(dtype)
    net.initialize(X, seed=1)
    layers = pre_activations(net, X)
    assert len(layers) == 3
    for layer, z in layers:
        np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-3 if dtype == "float32" else 1e-12)
        if layer.bias is not None:
            assert (-layer.bias > z.min(axis=0)).all()
            assert (-layer.bias < z.max(axis=0)).all()


@pytest.mark.parametrize("large", [False, True])
def test_the_rule(large, X, rng):
    """Every number from the same random ones, unit by unit; of many rows and units too."""
    net = network()
    if large:
        net, X = fn.Network([fn.Linear(4, 130)], "float64"), rng.standard_normal((2100, 4))
    net.initialize(X, seed=8)
    rng, a = np.random.default_rng(8), X
    for layer in net.layers:
        if isinstance(layer, fn.Linear):
            drawn = rng.standard_normal(layer.weight.shape)
            for own, weight in zip(drawn, layer.weight, strict=True):
                np.testing.assert_allclose(weight, own / np.std(a @ own), rtol=1e-9)
            if layer.bias is not None:
                rows = rng.integers(len(X), size=(5, layer.out_features))
                exponential = rng.standard_exponential((5, layer.out_features))
                for unit, weight in enumerate(layer.weight):
                    shares = exponential[:, unit] / exponential[:, unit].sum()
                    expected = -shares @ (a[rows[:, unit]] @ weight)
                    np.testing.assert_allclose(layer.bias[unit], expected, rtol=1e-9, atol=1e-12)
        a = layer(a)


def test_biases_are_drawn_as_realmlp_draws_them(rng):
    """Minus a mean of 5 independent draws with Dirichlet weights: the variance is 1/3 of z's."""
    net = fn.Network([fn.Linear(1, 20_000)], "float64")
    net.initialize(rng.standard_normal((400, 1)), seed=0)
    # Σ w² of 5 normalised exponentials has the mean 2 / 6
    assert np.var(net.layers[0].bias) == pytest.approx(1 / 3, rel=0.05)
    assert abs(np.mean(net.layers[0].bias)) < 0.05


def test_the_seed_decides(X):
    nets = [network() for _ in range(4)]
    for net, seed in zip(nets, [0, 0, 1, None], strict=True):
        net.initialize(X, seed)
    assert np.array_equal(nets[0].params, nets[1].params)
    assert not np.array_equal(nets[0].params, nets[2].params)
    assert not np.array_equal(nets[0].params, nets[3].params)


def test_other_parameters_and_frozen_layers_stay(X):
    net = network()
    net.layers[0].weight = [1, 2, 3, 4]
    net.layers[2].alpha[:] = 0.5
    net.layers[3].trainable = False
    frozen = net.layers[3].weight.copy()
    net.initialize(X, seed=0)
    assert net.layers[0].weight.tolist() == [1, 2, 3, 4]
    assert (net.layers[2].alpha == 0.5).all()
    assert np.array_equal(net.layers[3].weight, frozen)
    for layer, z in pre_activations(net, X):
        if layer.trainable:
            np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-12)


def test_blocks(X):
    inner, side = fn.Linear(6, 6), fn.Linear(6, 2)
    layers = [
        fn.Linear(4, 6),
        fn.Residual([fn.Tanh(), inner, fn.ReLU()]),
        fn.Parallel([[], [side]], combine="concat"),
        fn.Linear(8, 1),
    ]
    net = fn.Network(layers, "float64")
    net.initialize(X, seed=0)
    values = net.activations(X)
    inputs = {inner: values["1.layers.0.Tanh"], side: values["1.Residual"]}
    inputs[layers[3]] = values["2.Parallel"]
    for layer, a in inputs.items():
        np.testing.assert_allclose((a @ layer.weight.T).std(axis=0), 1, rtol=1e-10)


def test_custom_layers(rng):
    X = rng.standard_normal((50, 3))
    custom = PythonLinear(3, 4)
    net = fn.Network([custom, fn.Tanh(), fn.Linear(4, 2)], "float64", seed=0)
    before = {name: array.copy() for name, array in custom.parameters.items()}
    net.initialize(X, seed=0)
    for name, array in custom.parameters.items():
        assert np.array_equal(array, before[name])
    z = np.tanh(custom(X)) @ net.layers[2].weight.T
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-12)


def test_columns_and_units_that_are_constant(isa, dtype, rng):
    X = np.full((200, 5), 0.1)
    X[:, 1] = rng.standard_normal(200)
    net = fn.Network([fn.Linear(5, 7), fn.ReLU(), fn.Linear(7, 2)], dtype)
    net.initialize(X, seed=0)
    [(_, z), _] = pre_activations(net, X)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-3 if dtype == "float32" else 1e-12)
    X[:, 1] = 1e5 / 3  # constant up to the rounding of sums
    net.initialize(X, seed=0)
    drawn = np.random.default_rng(0).standard_normal((7, 5))
    np.testing.assert_allclose(net.layers[0].weight, drawn / np.sqrt(5), rtol=1e-6)


@pytest.mark.parametrize("X", [np.zeros(4), np.arange(4.0), np.zeros((3, 4))], ids=str)
def test_one_row_and_zeros(dtype, X):
    net = network(dtype)
    net.initialize(X, seed=0)
    assert np.isfinite(net.params).all()
    drawn = np.random.default_rng(0).standard_normal((30, 4))
    np.testing.assert_allclose(net.layers[1].weight, drawn / 2, rtol=1e-6)
    np.testing.assert_allclose(
        net.layers[1](np.atleast_2d(X)), 0, atol=1e-5 if dtype == "float32" else 1e-12
    )


def test_huge_and_tiny_numbers(dtype, rng):
    X = rng.standard_normal((100, 4))
    for size in (1e-30, 1e30) if dtype == "float32" else (1e-200, 1e200):
        net = fn.Network([fn.Linear(4, 5)], dtype)
        net.initialize(X * size, seed=0)
        assert net.predict(X * size).std(axis=0) == pytest.approx(np.ones(5), rel=1e-3)


def test_many_rows_are_sampled(rng):
    X = rng.standard_normal((20_000, 4))
    X[:10_000] += 3
    net = network()
    net.initialize(X, seed=0)
    for _, z in pre_activations(net, X):
        deviation = z.std(axis=0)
        assert (abs(deviation - 1) < 0.05).all()
        assert (deviation != 1).any()


def test_forms_of_data(X):
    sparse = pytest.importorskip("scipy.sparse")
    pandas = pytest.importorskip("pandas")
    kept = np.where(abs(X) > 1, X, 0)
    expected = network()
    expected.initialize(kept, seed=2)
    for form in (
        sparse.csr_array(kept),
        pandas.DataFrame(kept, columns=list("abcd")),
        kept.tolist(),
        np.asfortranarray(kept),
    ):
        net = network()
        net.initialize(form, seed=2)
        assert np.array_equal(net.params, expected.params)
    many = np.tile(kept, (40, 1))
    nets = network(), network()
    for net, form in zip(nets, (many, sparse.csr_array(many)), strict=True):
        net.initialize(form, seed=2)
    assert np.array_equal(nets[0].params, nets[1].params)


def test_the_optimizer_starts_anew(X):
    net = network()
    y = np.arange(len(X)) % 3
    net.initialize(X, seed=0)
    again = copy.deepcopy(net)
    net.fit(X, y, optimizer=fn.Adam(), epochs=2, seed=0)
    assert net.optimizer_state.step
    net.initialize(X, seed=0)
    assert not net.optimizer_state.step
    again.params = net.params
    for one in (net, again):
        one.fit(X, y, optimizer=fn.Adam(), epochs=2, seed=0)
    assert np.array_equal(net.params, again.params)


@pytest.mark.parametrize(
    ("X", "seed", "error", "message"),
    [
        (np.empty((0, 4)), None, ValueError, "X has no samples"),
        (np.ones((3, 5)), None, ValueError, "X has shape"),
        ([[1, 2, 3, np.nan]], None, ValueError, r"X\[0, 3\] is nan"),
        ([["a", "b", "c", "d"]], None, (ValueError, TypeError), "X"),
        (None, None, TypeError, "X"),
        (np.ones((3, 4)), -1, ValueError, "seed is -1"),
        (np.ones((3, 4)), 1.5, TypeError, r"seed is 1\.5"),
        (np.full((3, 4), 1.7e308), None, ValueError, "pre-activations of Linear.* overflow"),
    ],
)
def test_bad_arguments(X, seed, error, message):
    net = network()
    before = net.params.copy()
    with pytest.raises(error, match=message):
        net.initialize(X, seed)
    assert np.array_equal(net.params, before)


def test_a_later_overflow_restores_the_parameters(rng):
    net = fn.Network([fn.Linear(2, 3), fn.Scale(3), fn.Linear(3, 1)], "float64", seed=0)
    net.layers[1].weight[:] = 1.7e308
    before = net.params.copy()
    with pytest.raises(ValueError, match=r"outputs of Scale\(3\) that overflow"):
        net.initialize(rng.standard_normal((50, 2)) * 3, seed=0)
    assert np.array_equal(net.params, before)


def test_a_network_that_is_trained_is_refused(X):
    net = network()

    class Callback(fn.Callback):
        def epoch_begin(self, trained, epoch):
            with pytest.raises(RuntimeError, match="being trained"):
                net.initialize(X)
            seen.append(epoch)

    seen = []
    net.fit(X, np.zeros(len(X), int), epochs=1, callbacks=[Callback()])
    assert seen == [0]
