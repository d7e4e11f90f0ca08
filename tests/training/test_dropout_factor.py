"""The factor of dropout: a schedule that multiplies the probability of each Dropout."""

import numpy as np
import pytest
from custom_layers import PythonTanh
from custom_loss import Python
from sparse_cases import FEATURES, matrices

import fastnn as fn
from fastnn.schedules import Constant, CosineDecay, FlatCosine, ReduceOnPlateau, Schedule
from fastnn.training import rates

SETTINGS = {"epochs": 4, "batch_size": 16, "seed": 7, "optimizer": fn.SGD(0.05, momentum=0.9)}


@pytest.fixture
def data(rng):
    return rng.standard_normal((50, 4)), rng.integers(3, size=50)


def network(p=0.4, dtype="float64", activation=fn.Tanh, first=4):
    inner = fn.Residual([fn.Linear(20, 20), activation() if activation is fn.Tanh else fn.Tanh()])
    block = fn.Residual([fn.Dropout(p / 2), fn.Linear(20, 20), inner])
    layers = [fn.Linear(first, 20), fn.BatchNorm(20), activation(), fn.Dropout(p), block]
    return fn.Network([*layers, fn.Linear(20, 3)], dtype, seed=1)


def trained(net, data, **settings):
    net.fit(*data, **{**SETTINGS, **settings})
    return net.params


@pytest.mark.parametrize("way", ["engine", "python", "custom layer", "sparse", "memmap"])
def test_a_constant_factor_is_another_probability(isa, dtype, data, tmp_path, way):
    """It acts on every Dropout, also inside blocks; p and the factor are exact in binary."""
    X, y = data
    settings, first, activation = {}, 4, fn.Tanh
    if way == "python":
        settings["loss"] = Python(fn.SoftmaxCrossEntropy())
    if way == "custom layer":
        activation = PythonTanh
    if way == "sparse":
        X, first = matrices()[0][1], FEATURES
        y = np.arange(X.shape[0]) % 3
    if way == "memmap":
        X = np.memmap(tmp_path / "x", "float32", "w+", shape=data[0].shape)
        X[...] = data[0]
    nets = [network(p, dtype, activation, first) for p in (0.5, 0.25, 0.5, 0.5)]
    found = [
        trained(nets[0], (X, y), dropout_factor=Constant(0.5), **settings),
        trained(nets[1], (X, y), **settings),
        trained(nets[2], (X, y), **settings),
        trained(nets[3], (X, y), dropout_factor=Constant(1.0), **settings),
    ]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[2], found[3])
    assert not np.allclose(found[0], found[2])
    assert np.array_equal(nets[0]._model.constants, nets[1]._model.constants)


def test_a_factor_of_0_drops_nothing(isa, dtype, data):
    class Zero(Schedule):
        def rates(self, updates, updates_per_epoch, total_updates):
            return np.zeros(len(updates))

    nothing = trained(network(0.0, dtype), data)
    assert np.array_equal(trained(network(0.5, dtype), data, dropout_factor=Zero()), nothing)


@pytest.mark.parametrize("rate", [0.05, CosineDecay(0.05)])
def test_each_update_has_its_own_factor(isa, dtype, data, monkeypatch, rate):
    """The updates are repeated from Python with the factor of each."""
    monkeypatch.setattr(rates, "UPDATES_AHEAD", 3)  # fewer than an epoch
    X, y = data[0].astype(dtype), data[1]
    net, other = network(0.4, dtype), network(0.4, dtype)
    factor = FlatCosine(2.0, flat=0.25)
    optimizer = fn.SGD(rate)
    history = net.fit(X, y, **SETTINGS | {"optimizer": optimizer, "dropout_factor": factor})
    assert "dropout_factor" not in history
    steps = np.arange(16)
    factors = factor.rates(steps, 4, 16)
    learning_rates = np.full(16, 0.05) if rate == 0.05 else rate.rates(steps, 4, 16)
    assert len(set(factors)) > 10
    draw, model, loss = np.random.default_rng(7), other._model, fn.SoftmaxCrossEntropy()
    [key] = np.random.SeedSequence(7, spawn_key=(0,)).generate_state(1, np.uint64)
    step = 0
    for epoch in range(4):
        order = draw.permutation(50)
        for position in range(0, 50, 16):
            rows = order[position : position + 16]
            training = (int(key), epoch, position, float(factors[step]))
            activations, outputs = model.forward(X[rows], 1, training)
            gradient = loss.value_and_grad(outputs, y[rows])[1]
            model.backward(X[rows], activations, gradient, model.grads, 1, training=True)
            other.params[...] -= learning_rates[step].astype(dtype) * model.grads
            step += 1
    tolerance = 2e-4 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(net.params, other.params, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        model.constants, net._model.constants, rtol=tolerance, atol=tolerance
    )


def test_threads_chunks_and_many_networks_keep_the_bits(dtype, rng):
    X, y = rng.standard_normal((3000, 30)), rng.standard_normal(3000)

    def made():
        layers = [fn.Linear(30, 128), fn.Tanh(), fn.Dropout(0.3), fn.Linear(128, 1)]
        return fn.Network(layers, dtype, seed=0)

    settings = {
        "loss": fn.MeanSquaredError(),
        "epochs": 2,
        "batch_size": 3000,
        "seed": 5,
        "dropout_factor": FlatCosine(2.0, flat=0.0),
    }
    nets = [made() for _ in range(4)]
    nets[0].fit(X, y, n_threads=1, **settings)
    nets[1].fit(X, y, n_threads=2, **settings)
    fn.fit_many(nets[2:], X, y, **settings)
    for net in nets[1:]:
        assert np.array_equal(net.params, nets[0].params)
    python = made()
    python.fit(X, y, **settings | {"loss": Python(fn.MeanSquaredError())})
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(python.params, nets[0].params, rtol=tolerance, atol=tolerance)


def test_checkpoints_are_of_one_factor(data, tmp_path):
    settings = {"checkpoint": tmp_path / "run", "dropout_factor": Constant(0.5)}
    trained(network(), data, **settings)
    for factor in (None, Constant(0.25)):
        with pytest.raises(ValueError, match="another dropout_factor: 'Constant"):
            trained(network(), data, resume=True, **settings | {"dropout_factor": factor})
    longer = {"epochs": 6}
    resumed = trained(network(), data, resume=True, **settings, **longer)
    whole = trained(network(), data, dropout_factor=Constant(0.5), **longer)
    assert np.array_equal(resumed, whole)
    settings["dropout_factor"] = FlatCosine(0.5)
    trained(network(), data, **settings)
    with pytest.raises(ValueError, match="another epochs: 4 there, 6 here"):
        trained(network(), data, resume=True, **settings, **longer)


def test_partial_fit_takes_it(data):
    net, other = network(0.5), network(0.25)
    net.partial_fit(*data, dropout_factor=Constant(0.5), seed=0)
    other.partial_fit(*data, seed=0)
    assert np.array_equal(net.params, other.params)


@pytest.mark.parametrize(
    ("factor", "error", "message"),
    [
        (Constant(2.5), ValueError, r"dropout_factor: Constant.* probability 0.4 of .* 1; below 1"),
        (
            FlatCosine(3.0),
            ValueError,
            r"dropout_factor: FlatCosine.* 0.4 of a Dropout 1.2; below 1",
        ),
        (ReduceOnPlateau(1.0), ValueError, "dropout_factor is ReduceOnPlateau.*follows a metric"),
        (0.5, TypeError, "dropout_factor is 0.5; a schedule such as FlatCosine"),
        (FlatCosine, TypeError, "dropout_factor is <class"),
    ],
)
def test_bad_factors(data, factor, error, message):
    net = network()
    before = net.params.copy()
    with pytest.raises(error, match=message):
        trained(net, data, dropout_factor=factor)
    assert np.array_equal(net.params, before)
    trained(net, data, dropout_factor=Constant(2.49))


def test_where_there_is_nothing_to_multiply(data):
    plain = fn.Network([fn.Linear(4, 3)], seed=0)
    with pytest.raises(ValueError, match="dropout_factor is Constant.* the network has no Dropout"):
        trained(plain, data, dropout_factor=Constant(0.5))
    net = fn.Network([fn.Linear(4, 3), fn.Dropout()], seed=0)
    with pytest.raises(ValueError, match="dropout_factor is Constant.* X is an iterable"):
        net.fit([data], dropout_factor=Constant(0.5))

    class Wrong(Schedule):
        def rates(self, updates, updates_per_epoch, total_updates):
            return np.full(len(updates), np.nan)

    with pytest.raises(ValueError, match=r"^dropout_factor: .*Wrong\(\) gave \[nan"):
        trained(net, data, dropout_factor=Wrong())


def test_no_sample_and_no_epoch():
    net = network()
    net.fit(np.ones((4, 4)), np.zeros(4, int), epochs=0, dropout_factor=FlatCosine(1.0))
