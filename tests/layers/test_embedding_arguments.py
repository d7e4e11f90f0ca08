"""Arguments and inputs of the embeddings, and the bins of the piecewise-linear one."""

import numpy as np
import pytest
from embeddings import ALL, EDGES, network, periodic, piecewise

import fastnn as fn

# Bins ------------------------------------------------------------------------------------------


def test_bins_are_quantiles(rng):
    X = rng.standard_normal((1000, 3))
    X[:, 1] = rng.integers(0, 3, 1000)
    X[:, 2] = 7
    layer = fn.PiecewiseLinearEmbedding.from_data(X, bins=10, size=2)
    assert layer.n_bins == (10, 2, 1)
    np.testing.assert_allclose(layer.bins[0], np.quantile(X[:, 0], np.linspace(0, 1, 11)))
    assert layer.bins[1].tolist() == [0, 1, 2]
    assert layer.bins[2].tolist() == [7, 8]
    assert layer(X).shape == (1000, 6)
    some = fn.PiecewiseLinearEmbedding.from_data(X[:1], columns=1)
    assert (some.columns, some.n_bins, some.size, some.out_features) == (1, (1,), 16, 18)


@pytest.mark.parametrize("offset", [0, 1e6, -3e30])
def test_bins_of_float32_data_suit_a_float32_network(rng, offset):
    X = (rng.standard_normal((300, 2)) + offset).astype(np.float32)
    net = fn.Network([fn.PiecewiseLinearEmbedding.from_data(X)], seed=0)
    assert np.isfinite(net.predict(X)).all()


def test_edges_must_differ_in_the_dtype():
    bins = [[1e9, 1e9 + 1, 1e9 + 2]]
    fn.Network([fn.PiecewiseLinearEmbedding(1, bins=bins)], "float64")
    with pytest.raises(
        ValueError, match=r"bins\[0\] has edges that are equal or infinite in float32"
    ):
        fn.Network([fn.PiecewiseLinearEmbedding(1, bins=bins)], "float32")
    with pytest.raises(ValueError, match=r"bins\[0\]"):
        fn.PiecewiseLinearEmbedding(1, bins=bins)(np.ones(1, np.float32))


@pytest.mark.parametrize("x", [0.0, 0.5, 0.3])
def test_the_gradient_check_knows_the_edges(x):
    net = network(piecewise())
    X = np.array([[x, 0.4, 1.0]])
    report = fn.check_gradient(net, X, np.zeros((1, 2)), fn.MeanSquaredError(), wrt="input")
    assert report
    assert {(kink.unit, kink.entry) for kink in report.kinks} == (
        {(0, "x[0, 0]")} if x != 0.3 else set()
    )


# Arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "in_features is 0"),
        ((2, 3), "columns is 3; at most 2"),
        ((2, 0), "columns is 0"),
        ((2, 1, 0), "frequencies is 0"),
        ((2, 1, 4, 0), "size is 0"),
        ((2, 1, 4, 3, -0.1), "sigma is -0.1"),
        ((2, 1, 4, 3, np.nan), "sigma is nan"),
        ((2, 1, 4, 3, 0.1, 1), "joined is 1"),
        ((2.5,), "in_features is 2.5"),
        ((2, True), "columns is True"),
        ((2, 1, 2**40), "too many"),
        ((2**31, 1), "too many"),
    ],
)
def test_wrong_arguments_of_the_periodic_embedding(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fn.PeriodicEmbedding(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bins": None}, "bins is None"),
        ({"bins": 48}, "bins is 48"),
        ({"bins": [[0, 1]]}, "edges of 1 columns; 2"),
        ({"bins": [[0, 1], [0]]}, r"bins\[1\] has 1 edges; at least 2"),
        ({"bins": [[0, 1], [0, 2, 2]]}, r"bins\[1\] has 2 before 2; ascending"),
        ({"bins": [[0, 1], [0, np.nan]]}, r"bins\[1\]"),
        ({"bins": [[0, 1], [0, np.inf]]}, r"bins\[1\]"),
        ({"bins": [[0, 1], ["a", "b"]]}, r"bins\[1\]"),
        ({"bins": EDGES, "size": 0}, "size is 0"),
        ({"bins": EDGES, "columns": 3}, "columns is 3; at most 2"),
        ({"bins": EDGES, "columns": 1}, "edges of 2 columns; 1"),
    ],
)
def test_wrong_arguments_of_the_piecewise_linear_embedding(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fn.PiecewiseLinearEmbedding(2, **arguments)


@pytest.mark.parametrize(
    ("X", "arguments", "message"),
    [
        (np.ones(3), {}, r"X has shape \(3,\)"),
        (np.ones((0, 3)), {}, r"X has shape \(0, 3\)"),
        (np.array([[np.nan]]), {}, r"X\[:, 0\]"),
        (np.ones((2, 3)), {"columns": 4}, "columns is 4; at most 3"),
        (np.ones((2, 3)), {"bins": 0}, "bins is 0"),
    ],
)
def test_wrong_data_for_bins(X, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fn.PiecewiseLinearEmbedding.from_data(X, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, [2]), "in_features is 0"),
        ((2, []), "cardinalities is empty"),
        ((2, 3), "cardinalities is 3"),
        ((2, "ab"), "cardinalities is 'ab'"),
        ((2, [2, 0]), r"cardinalities\[1\] is 0"),
        ((2, [2.0]), r"cardinalities\[0\] is 2.0"),
        ((2, [2, 2, 2]), "cardinalities has 3 numbers; at most 2"),
        ((2, [2**24 + 1]), r"cardinalities\[0\] is 16,777,217"),
        ((2, [2, 3], [1]), "size has 1 numbers; one number, or 2"),
        ((2, [2, 3], [1, 0]), r"size\[1\] is 0"),
        ((2, [2, 3], 0), "size is 0"),
        ((2, [2], 2**31), "too many"),
        ((2**31, [2]), "too many"),
    ],
)
def test_wrong_arguments_of_the_categorical_embedding(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fn.CategoricalEmbedding(*arguments)


@pytest.mark.parametrize("make", ALL)
def test_wrong_inputs_and_values(make):
    layer = make()
    for wrong in (np.ones(9), np.ones((2, 9)), np.full(layer.in_features, np.nan), "x", None):
        with pytest.raises((ValueError, TypeError)):
            layer(wrong)
    with pytest.raises(ValueError, match="weight"):
        layer.weight = np.ones(3)
    with pytest.raises(AttributeError):
        layer.size = 3
    with pytest.raises(ValueError, match="takes"):
        fn.Network([layer, fn.Linear(layer.out_features + 1, 1)])


@pytest.mark.parametrize("make", ALL)
def test_no_sample_and_one_sample(dtype, isa, make):
    net = network(make(), dtype)
    width = net.in_features
    assert net.predict(np.zeros((0, width), dtype)).shape == (0, 2)
    assert net.jacobian(np.zeros((0, width), dtype)).shape == (0, 2, width)
    assert net.predict(np.zeros(width, dtype)).shape == (2,)
    assert net.layers[0](np.zeros((0, width), dtype)).shape == (0, net.layers[0].out_features)


@pytest.mark.parametrize("make", [periodic, piecewise])
def test_huge_inputs_stay_finite(dtype, isa, make):
    layer = make()
    X = np.array([[1e30, -1e30, 1, 1], [1e6, -1e6, 1, 1]], dtype)[:, : layer.in_features]
    assert np.isfinite(layer(X)).all()
    assert np.isfinite(layer.vjp(X, np.ones((2, layer.out_features), dtype))).all()


@pytest.mark.parametrize("make", ALL)
def test_text_and_trace(make):
    net = network(make())
    assert type(net.layers[0]).__name__ in repr(net)
    assert f"{net.layers[0].n_params:,}" in net.summary()
    trace = net.trace(np.zeros(net.in_features))
    np.testing.assert_allclose(trace.jacobian, net.jacobian(np.zeros(net.in_features)), atol=1e-12)
    assert trace[0].output.shape == (net.layers[0].out_features,)
