"""Training with layers in Python: the same course as with their compiled counterparts."""

import copy
import signal
import threading
import time

import numpy as np
import pytest
from closeness import assert_close
from custom_layers import PLACES, PythonLinear, PythonTanh, Quadratic, Scaling, networks
from custom_loss import Python
from optimizer_cases import OPTIMIZER_CASES
from stop_after import StopAfter

import fastnn as fn

N = 40


@pytest.fixture
def data(rng):
    return rng.standard_normal((N, 3)), rng.standard_normal((N, 4))


def trained(net, data, **settings):
    given = {"loss": fn.MeanSquaredError(), "epochs": 4, "batch_size": 8, "seed": 0, **settings}
    return net.fit(*data, **given)


@pytest.mark.parametrize("place", PLACES)
def test_the_same_course(place, dtype, data):
    own, compiled = networks(place, dtype)
    settings = {"optimizer": fn.SGD(0.05, momentum=0.9), "validation_data": 0.2}
    found, expected = (trained(net, data, metrics=["r2"], **settings) for net in (own, compiled))
    assert_close(own.params, compiled.params, 5000)
    assert_close(own._model.constants, compiled._model.constants, 5000)
    assert found.keys() == expected.keys()
    for name in ("loss", "val_loss", "val_rmse", "val_r2"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3)


@pytest.mark.parametrize("case", OPTIMIZER_CASES, ids=lambda case: case.name)
def test_every_optimizer(case, data):
    own, compiled = networks("two in a row")
    for net in (own, compiled):
        trained(net, data, optimizer=getattr(fn, case.cls)(**case.args))
        assert net.optimizer_state.step == 20
    assert_close(own.params, compiled.params, 10_000)


@pytest.mark.parametrize(
    "optimizer", [fn.LBFGS(), fn.LevenbergMarquardt(), fn.LevenbergMarquardt(bayesian=True)]
)
def test_optimizers_that_use_all_samples(optimizer, data):
    own, compiled = networks("two in a row")
    found, expected = (trained(n, data, optimizer=optimizer, epochs=5) for n in (own, compiled))
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-6)
    np.testing.assert_allclose(own.params, compiled.params, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "loss",
    [
        fn.SoftmaxCrossEntropy(label_smoothing=0.1),
        fn.NegativeLogLikelihood(),
        Python(fn.SoftmaxCrossEntropy("sum")),
    ],
)
def test_classification(loss, data, rng):
    place = "before softmax" if isinstance(loss, fn.NegativeLogLikelihood) else "middle"
    labels, weights = rng.integers(4, size=N), rng.random(N)
    settings = {"loss": loss, "optimizer": fn.SGD(0.05)}
    if not isinstance(loss, Python):
        settings |= {"sample_weight": weights, "class_weight": "balanced"}
    own, compiled = networks(place)
    found, expected = (trained(net, (data[0], labels), **settings) for net in (own, compiled))
    np.testing.assert_allclose(found["loss"], expected["loss"])
    assert_close(own.params, compiled.params, 5000)


def test_the_default_optimizer_trains(rng):
    X = rng.uniform(-1, 1, (200, 2))
    y = X[:, 0] * X[:, 1]
    net = fn.Network([Quadratic(2, 1)], seed=0)
    history = net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.Adam(0.05), epochs=100, seed=0)
    assert history["loss"][-1] < 1e-6
    net.partial_fit(X, y, loss=fn.MeanSquaredError())


def test_frozen_layers_stay(data):
    own, compiled = networks("two in a row")
    for net in (own, compiled):
        net.layers[2].trainable = False
        before = net.params.copy()
        trained(net, data)
        assert np.array_equal(net.params[20:56], before[20:56])
        assert not np.array_equal(net.params[56:], before[56:])
    assert_close(own.params, compiled.params, 5000)


def test_two_dropouts_have_different_masks(rng):
    """Each is the first operation of its segment."""
    layers = [fn.Dropout(0.5), PythonTanh(), fn.Dropout(0.5), PythonTanh(), PythonLinear(64, 64)]
    net = fn.Network(layers, "float64", seed=0)
    net.layers[-1].parameters["weight"][...] = np.eye(64)
    outputs = net.forward(np.ones((200, 64)), training=True)
    kept = (outputs != 0).mean()
    assert 0.23 < kept < 0.27  # and not a half, as for equal masks
    assert not np.array_equal(outputs, net.forward(np.ones((200, 64)), training=True))


def test_dropout_in_a_fit_follows_the_seed(data):
    def fit(seed, n_threads=1):
        layers = [fn.Linear(3, 8), PythonTanh(), fn.Dropout(0.3), fn.Linear(8, 4)]
        net = fn.Network(layers, "float64", seed=0)
        trained(net, data, seed=seed, n_threads=n_threads)
        return net.params

    assert np.array_equal(fit(1), fit(1, n_threads=2))
    assert not np.array_equal(fit(1), fit(2))


@pytest.mark.parametrize("place", ["middle", "between normalisations"])
def test_a_checkpoint_is_resumed_to_the_same_bits(place, data, tmp_path):
    settings = {"checkpoint": tmp_path / "c", "callbacks": [StopAfter()], "validation_data": 0.25}
    whole, broken, resumed = (networks(place)[0] for _ in range(3))
    history = trained(whole, data, validation_data=0.25, callbacks=[StopAfter()])
    with pytest.raises(KeyboardInterrupt):
        trained(broken, data, **settings | {"callbacks": [StopAfter(2)]})
    found = trained(resumed, data, resume=True, **settings)
    assert np.array_equal(resumed.params, whole.params)
    assert found["loss"] == history["loss"]
    classes = {cls.name: cls for cls in (PythonLinear, PythonTanh)}
    loaded = fn.load(tmp_path / "c", custom_layers=classes)
    assert np.array_equal(loaded.predict(data[0]), whole.predict(data[0]))
    with pytest.raises(fn.ModelFileError, match="custom_layers="):
        fn.load(tmp_path / "c")


def test_many_networks_at_once(data):
    nets = [networks("two in a row", seed=i)[0] for i in range(3)]
    alone = [copy.deepcopy(net) for net in nets]
    settings = {"loss": fn.MeanSquaredError(), "epochs": 3, "seed": 0}
    fn.fit_many(nets, *data, n_threads=2, **settings)
    for net, other in zip(nets, alone, strict=True):
        other.fit(*data, **settings)
        assert np.array_equal(net.params, other.params)


def test_early_stopping_restores(data):
    net = networks("middle")[0]
    history = trained(
        net, data, epochs=60, validation_data=0.3, callbacks=[fn.EarlyStopping(patience=2)]
    )
    assert len(history["loss"]) < 60


class Failing(Scaling):
    """Does what `act` says at call number `at` of a method."""

    def __init__(self, features, method="forward", at=8, act=None):
        super().__init__(features)
        self.method, self.left, self.act = method, at, act

    def forward(self, x, params):
        return self._count("forward", super().forward(x, params))

    def vjp(self, x, params, cotangent):
        return self._count("vjp", super().vjp(x, params, cotangent))

    def _count(self, method, result):
        self.left -= method == self.method
        return self.act(result) if self.left <= 0 and method == self.method else result


def refuse(result):
    raise LookupError("mine")


@pytest.mark.parametrize("method", ["forward", "vjp"])
def test_an_exception_arrives_unchanged(method, data):
    net = fn.Network([fn.Linear(3, 4), Failing(4, method, 8, refuse)], "float64", seed=0)
    before = net.params.copy()
    with pytest.raises(LookupError, match="mine"):
        trained(net, data)
    assert net.optimizer_state.step == 7
    assert np.isfinite(net.params).all()
    assert not np.array_equal(net.params, before)
    net.layers[1].left = 10**9
    trained(net, data)  # the network can be trained again


@pytest.mark.parametrize("method", ["forward", "vjp"])
def test_nan_in_a_fit_is_divergence(method, data):
    def spoil(result):
        if method == "forward":
            return result * np.nan
        return result[0] * np.nan, result[1]

    net = fn.Network([fn.Linear(3, 4), Failing(4, method, 8, spoil)], "float64", seed=0)
    with pytest.raises(fn.DivergenceError, match=rf"Failing\.{method} returned NaN"):
        trained(net, data)
    assert np.isfinite(net.params).all()


def test_overflow_in_a_fit_is_divergence(data):
    net = fn.Network([fn.Linear(3, 4), Quadratic(4, 4)], seed=0)
    with np.errstate(all="ignore"), pytest.raises(fn.DivergenceError):
        trained(net, data, optimizer=fn.SGD(1e6), epochs=20)
    assert np.isfinite(net.params).all()


def test_ctrl_c(data):
    net = networks("middle")[0]
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    start = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        trained(net, data, epochs=10**6)
    assert time.monotonic() - start < 10
    assert np.isfinite(net.params).all()
    trained(net, data)


def test_data_that_is_not_in_memory(data, tmp_path):
    net, other = (networks("middle")[0] for _ in range(2))
    np.save(tmp_path / "x.npy", data[0].astype("f4"))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    trained(net, (mapped, data[1]))
    trained(other, (np.array(mapped), data[1]))
    assert np.array_equal(net.params, other.params)
    with pytest.raises(TypeError, match=r"iterable.*custom layer PythonTanh\(\)"):
        net.fit([data], loss=fn.MeanSquaredError())


def test_the_estimators_refuse_custom_layers(data):
    from fastnn.sklearn import MLPRegressor

    layers = [fn.Linear(3, 5), PythonTanh(), fn.Linear(5, 4)]
    with pytest.raises(TypeError, match=r"custom layer PythonTanh\(\).*Network\.fit"):
        MLPRegressor(network=layers).fit(*data)


@pytest.mark.parametrize("place", ["between normalisations"])
def test_batch_norm_needs_batches_of_two(place, data):
    net = networks(place)[0]
    with pytest.raises(ValueError, match="BatchNorm needs two or more"):
        trained(net, data, batch_size=39)
    dropping = fn.Network([fn.Linear(3, 4), fn.Dropout(0.2), PythonTanh()])
    with pytest.raises(ValueError, match=r"Dropout"):
        trained(dropping, data, optimizer=fn.LBFGS())
