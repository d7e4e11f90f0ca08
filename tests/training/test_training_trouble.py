"""Fits that end early or cannot start: divergence, Ctrl-C, invalid parameters."""

import copy
import itertools
import pickle
import signal
import threading
import time

import numpy as np
import pytest
from custom_loss import Python

import fastnn as fn
from fastnn import _core


@pytest.mark.parametrize("wrap", [lambda loss: loss, Python], ids=["engine", "stepwise"])
@pytest.mark.parametrize("batch_size", [4, 10])
def test_divergence(isa, dtype, rng, wrap, batch_size):
    X, y = rng.standard_normal((10, 3)), rng.standard_normal(10)
    loss = wrap(fn.HalfSquaredError())

    def fit(epochs):
        net = fn.Network([fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 1)], dtype, seed=0)
        settings = {"loss": loss, "optimizer": fn.SGD(30, momentum=0.9)}
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                net.fit(X, y, epochs=epochs, batch_size=batch_size, seed=1, **settings)
        except fn.DivergenceError as error:
            return net, error
        return net, None

    net, error = fit(5000)
    assert isinstance(error, ArithmeticError)
    assert f"epoch {error.epoch}, step {error.step} " in str(error)
    assert 0 <= error.step < -(-10 // batch_size)
    assert len(error.history["loss"]) == error.epoch > 0
    assert np.isfinite(error.history["loss"]).all()
    assert np.isfinite(net.params).all()
    last_good, nothing = fit(error.epoch)
    assert nothing is None
    assert np.array_equal(net.params, last_good.params)
    assert fit(error.epoch + 1)[1] is not None  # the reported epoch is the one that diverged
    net.params[...] = 0
    net.fit(X, y, loss=loss, optimizer=fn.SGD(0.01, momentum=0.9), epochs=2)  # a fresh start
    assert np.isfinite(net.params).all()


def test_divergence_tells_the_rates_of_the_epochs_before(rng):
    net = fn.Network([fn.Linear(3, 1)], seed=0)
    X, y = rng.standard_normal((10, 3)), rng.standard_normal(10)
    optimizer = fn.SGD(fn.schedules.StepDecay(1e-3, every=2, factor=1e200))
    with pytest.raises(fn.DivergenceError) as info:
        net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=4)
    assert info.value.history["learning_rate"] == [1e-3] * 2
    assert list(info.value.history) == ["loss", "learning_rate", "seconds"]


SCALED = "(y - y.mean()) / y.std()"
ADVICE = {  # factors of the features and the targets, the optimizer, and parts of the advice
    "features": (1e6, 1, fn.SGD(0.01), ["features X reach 3", "column 1", "Standardize."]),
    "targets": (1, 1e9, fn.SGD(0.5), ["targets y reach", SCALED, "0.5: try 0.05"]),
    "rate": (1, 1, fn.SGD(100.0), ["The learning rate is 100: try 10", "Adam"]),
    "schedule": (1, 1, fn.SGD(fn.schedules.Constant(100.0)), ["Constant(rate=100.0)", "a tenth"]),
    "adam": (1, 1, fn.Adam(1e35), ["1e+35: try 1e+34", "clip_norm=1.0"]),
}


@pytest.mark.parametrize("case", ADVICE)
@pytest.mark.parametrize("wrap", [lambda loss: loss, Python], ids=["engine", "stepwise"])
def test_divergence_says_what_to_try(wrap, case):
    features, targets, optimizer, said = ADVICE[case]
    X = np.random.default_rng(0).standard_normal((100, 2))
    y = targets * (X[:, 0] - 1)
    X[7, 1] = 3.5
    net = fn.Network([fn.Linear(2, 16), fn.ReLU(), fn.Linear(16, 1)], seed=0)
    with np.errstate(all="ignore"), pytest.raises(fn.DivergenceError) as info:
        net.fit(
            X * features,
            y,
            loss=wrap(fn.MeanSquaredError()),
            optimizer=optimizer,
            epochs=500,
            seed=0,
        )
    assert all(words in str(info.value) for words in said)
    assert ("features X" in str(info.value)) == (case == "features")
    assert ("targets y" in str(info.value)) == (case == "targets")


def test_divergence_crosses_processes():
    error = fn.DivergenceError(3, 7, fn.History({"loss": [1.0, 2.0, 3.0], "seconds": [0.1] * 3}))
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (again.epoch, again.step, again.history["loss"]) == (3, 7, [1.0, 2.0, 3.0])
        assert str(again) == str(error)


@pytest.fixture
def ctrl_c():
    """Send SIGINT after a moment, as a terminal does on Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    yield timer
    timer.join()
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("widths", "n", "batch_size"),
    [((2, 8, 1), 4, 4), ((20, 512, 512, 1), 20_000, 20_000)],
    ids=["a million tiny epochs", "one huge batch"],
)
def test_ctrl_c(isa, rng, ctrl_c, widths, n, batch_size):
    layers = [fn.Linear(a, b) for a, b in itertools.pairwise(widths)]
    net = fn.Network(layers, seed=0)
    X, y = rng.standard_normal((n, widths[0])), rng.standard_normal(n)
    settings = {"loss": fn.MeanSquaredError(), "optimizer": fn.SGD(1e-3)}
    before = net.params.copy()

    def press():
        """Wait for the first epoch, which on a busy machine begins late; a huge one never ends."""
        deadline = time.monotonic() + 60
        while batch_size == 4 and np.array_equal(net.params, before):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    ctrl_c.function = press
    ctrl_c.args = []
    ctrl_c.start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=20_000_000, batch_size=batch_size, n_threads=1, **settings)
    assert np.isfinite(net.params).all()
    assert batch_size > 4 or not np.array_equal(net.params, before)
    net.fit(X[:8], y[:8], epochs=1, **settings)


def test_prediction_comes_back_to_hear_ctrl_c(rng, monkeypatch):
    """A call of the engine takes about 10**9 floating point operations, also for validation."""
    net = fn.Network([fn.Linear(20, 1000), fn.ReLU(), fn.Linear(1000, 1000)], seed=0)
    X = rng.standard_normal((5_000, 20)).astype("f")
    expected = net(X)
    rows, engine_predict = [], _core.engine.predict

    def predict(plan, params, constants, x, *rest):
        rows.append(len(x))
        return engine_predict(plan, params, constants, x, *rest)

    monkeypatch.setattr(_core.engine, "predict", predict)
    assert np.array_equal(net.predict(X), expected)
    assert sum(rows) == 5_000
    assert 256 <= max(rows) < 1_000


def test_backward_after_fit_wants_a_new_forward(rng):
    net = fn.Network([fn.Linear(3, 2)], seed=0)
    X = rng.standard_normal((4, 3))
    net(X)
    net.fit(X, [0, 1, 0, 1], epochs=1)
    with pytest.raises(RuntimeError, match="call forward"):
        net.backward(np.ones((4, 2)))


def test_no_training_from_parameters_that_are_not_numbers(rng):
    net = fn.Network([fn.Linear(3, 2)], seed=0)
    net.params[0] = np.nan
    with pytest.raises(ValueError, match="params are read-only, or hold NaN"):
        net.fit(rng.standard_normal((4, 3)), [0, 1, 0, 1])
