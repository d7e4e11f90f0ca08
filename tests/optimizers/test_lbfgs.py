"""LBFGS takes the iterations of SciPy's L-BFGS-B, one per epoch."""

import builtins
import gc
import signal
import threading

import numpy as np
import pytest
from custom_loss import Python

import fastnn as fn

scipy_optimize = pytest.importorskip("scipy.optimize")


def network(dtype="float64", seed=0):
    return fn.Network([fn.Linear(3, 8), fn.Tanh(), fn.Linear(8, 3)], dtype, seed=seed)


@pytest.fixture
def data(rng):
    return rng.standard_normal((60, 3)), rng.integers(3, size=60)


def by_hand(net, X, y, loss, weight_decay=0.0, **options):
    """Minimise by SciPy with `loss_and_grad`, as a user would."""

    def function(params):
        net.params = params
        value, gradient = net.loss_and_grad(X, y, loss)
        # rounded as in the optimizer, because the line search amplifies differences
        penalty = 0.5 * weight_decay * (params @ params)
        return value + penalty, gradient + weight_decay * params

    iterates = [net.params.astype(float)]
    result = scipy_optimize.minimize(
        function,
        iterates[0],
        jac=True,
        method="L-BFGS-B",
        callback=lambda x: iterates.append(+x),
        options=options,
    )
    return result, iterates[1:]


@pytest.mark.parametrize("wrap", [lambda loss: loss, Python], ids=["engine", "Python"])
@pytest.mark.parametrize("validated", [False, True])
def test_every_iterate_is_scipys(isa, dtype, data, wrap, validated):
    X, y = data
    loss = wrap(fn.SoftmaxCrossEntropy())
    net, other = network(dtype), network(dtype)
    _, expected = by_hand(other, X, y, loss, maxiter=12)
    held_out = {"validation_data": (X, y)} if validated else {}
    history = net.fit(X, y, loss=loss, optimizer=fn.LBFGS(), epochs=12, **held_out)
    assert len(expected) == len(history["loss"]) == 12
    assert np.array_equal(net.params, expected[-1].astype(dtype))
    losses = []
    for params in expected:
        other.params = params
        losses.append(other.loss_and_grad(X, y, loss)[0])
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-6 if dtype == "float32" else 1e-14)
    if validated:
        np.testing.assert_allclose(history["val_loss"], losses, rtol=1e-6)


def test_options(data):
    X, y = data
    loss = fn.SoftmaxCrossEntropy()
    net, other = network(), network()
    result, expected = by_hand(
        other, X, y, loss, weight_decay=0.01, maxcor=3, ftol=1e-7, gtol=1e-6, maxiter=500
    )
    optimizer = fn.LBFGS(3, tolerance_change=1e-7, tolerance_grad=1e-6, weight_decay=0.01)
    history = net.fit(X, y, loss=loss, optimizer=optimizer, epochs=500)
    assert len(history["loss"]) == result.nit < 500  # it converged
    np.testing.assert_allclose(net.params, expected[-1], rtol=1e-12)
    without_penalty = net.loss_and_grad(X, y, loss)[0]
    assert history["loss"][-1] == pytest.approx(without_penalty, rel=1e-12)


class Weighted(Python):
    def value_and_grad(self, y_pred, y, sample_weight=None):
        return self.loss.value_and_grad(y_pred, y, sample_weight)


@pytest.mark.parametrize("wrap", [lambda loss: loss, Weighted], ids=["engine", "Python"])
def test_a_weight_is_how_often_a_sample_is_given(dtype, rng, data, wrap):
    X, y = data
    weights = rng.integers(3, size=60)
    rows = np.repeat(np.arange(60), weights)
    nets = network(dtype), network(dtype)
    settings = {"loss": wrap(fn.SoftmaxCrossEntropy()), "optimizer": fn.LBFGS(), "epochs": 5}
    weighted = nets[0].fit(X, y, sample_weight=weights, **settings)
    repeated = nets[1].fit(X[rows], y[rows], **settings)
    tolerance = 1e-10 if dtype == "float64" else 1e-3
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=0, atol=tolerance)
    np.testing.assert_allclose(weighted["loss"], repeated["loss"], rtol=tolerance)


def test_frozen_layers_are_no_variables(dtype, data):
    """Frozen parameters have no penalty either."""
    X, y = data
    loss, optimizer = fn.SoftmaxCrossEntropy(), fn.LBFGS(weight_decay=0.1)
    net, other = network(dtype), network(dtype)
    net.layers[0].trainable = False
    frozen = slice(0, net.layers[0].n_params)
    free = slice(net.layers[0].n_params, None)

    def function(params):
        other.params[free] = params
        value, gradient = other.loss_and_grad(X, y, loss)
        return value + 0.05 * params @ params, gradient[free] + 0.1 * params

    expected = scipy_optimize.minimize(
        function,
        net.params[free].astype(float),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 8},
    )
    net.fit(X, y, loss=loss, optimizer=optimizer, epochs=8)
    assert np.array_equal(net.params[frozen], network(dtype).params[frozen])
    np.testing.assert_array_equal(net.params[free], expected.x.astype(dtype))
    net.layers[2].trainable = False
    assert net.fit(X, y, loss=loss, optimizer=optimizer, epochs=8)["loss"] == []


class Scale(fn.Callback):
    """Halves all parameters, frozen ones too, after the second epoch."""

    def epoch_end(self, net, epoch, metrics):
        if epoch == 1:
            net.params *= 0.5


@pytest.mark.parametrize("frozen", [False, True])
def test_parameters_written_by_a_callback_count(data, frozen):
    """Training continues like a new fit that starts at the written parameters."""
    X, y = data
    net, other = network(), network()
    net.layers[0].trainable = other.layers[0].trainable = not frozen
    history = net.fit(X, y, optimizer=fn.LBFGS(), epochs=5, callbacks=[Scale()])
    first = other.fit(X, y, optimizer=fn.LBFGS(), epochs=2)
    other.params *= 0.5
    second = other.fit(X, y, optimizer=fn.LBFGS(), epochs=3)
    assert history["loss"] == first["loss"] + second["loss"]
    assert np.array_equal(net.params, other.params)


def test_a_callback_that_leaves_the_minimum_lets_training_go_on(data):
    class Leave(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            if epoch == last:
                net.params[...] = start

    settings = {"loss": fn.MeanSquaredError(), "optimizer": fn.LBFGS(), "epochs": 200}
    net = fn.Network([fn.Linear(3, 1)], "float64", seed=0)
    start, y = net.params.copy(), data[0][:, 0]
    once = net.fit(data[0], y, **settings)["loss"]
    last = len(once) - 1
    net.params = start
    assert net.fit(data[0], y, callbacks=[Leave()], **settings)["loss"] == 2 * once


def test_checkpoints_are_refused(data, tmp_path):
    net = network()
    with pytest.raises(ValueError, match=r"checkpoint is .*LBFGS.*cannot be saved"):
        net.fit(*data, optimizer=fn.LBFGS(), checkpoint=tmp_path / "fit")
    assert not (tmp_path / "fit").exists()


def test_a_minimum_is_left_as_it_is(data):
    X, y = data
    net = network()
    net.fit(X, np.zeros((60, 3)), loss=fn.MeanSquaredError(), optimizer=fn.LBFGS(), epochs=500)
    net.params = before = 0 * net.params
    history = net.fit(
        X, np.zeros((60, 3)), loss=fn.MeanSquaredError(), optimizer=fn.LBFGS(), epochs=5
    )
    assert history["loss"] == []
    assert np.array_equal(net.params, before)
    assert net.fit(X, y, optimizer=fn.LBFGS(), epochs=0)["loss"] == []


def test_divergence(data):
    net = network("float32")
    net.params[:] = 3e38
    with pytest.raises(fn.DivergenceError, match="epoch 0, step 0"):
        net.fit(*data, optimizer=fn.LBFGS(), epochs=5)
    assert (net.params == np.float32(3e38)).all()


def test_an_exception_of_the_loss_arrives(data):
    class Failing(Python):
        calls = 0

        def value_and_grad(self, y_pred, y):
            self.calls += 1
            if self.calls == 5:
                raise OSError("the disk is full")
            return super().value_and_grad(y_pred, y)

    net, threads = network(), threading.active_count()
    with pytest.raises(OSError, match="the disk is full"):
        net.fit(*data, loss=Failing(fn.SoftmaxCrossEntropy()), optimizer=fn.LBFGS())
    assert threading.active_count() <= threads  # a thread of an earlier test may end meanwhile
    assert np.isfinite(net.params).all()
    net.fit(*data, optimizer=fn.LBFGS(), epochs=1)


def test_ctrl_c_ends_its_thread(rng):
    net = fn.Network([fn.Linear(50, 100), fn.Tanh(), fn.Linear(100, 1)], "float64", seed=0)
    X, y = rng.standard_normal((2000, 50)), rng.standard_normal(2000)
    optimizer = fn.LBFGS(tolerance_grad=0, tolerance_change=0)
    before, threads = (
        signal.signal(signal.SIGINT, signal.default_int_handler),
        threading.enumerate(),
    )
    start = net.params.copy()
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=10**6)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert not np.array_equal(net.params, start)
    gc.collect()
    for thread in set(threading.enumerate()).difference(threads):
        thread.join(10)
        assert not thread.is_alive()


def test_a_history_beyond_memory(data):
    for size in (10**9, 2**62 - 1):
        with pytest.raises(ValueError, match=f"history_size is {size}; fewer are wanted.*memory"):
            network().fit(*data, optimizer=fn.LBFGS(size))


def test_without_scipy(data, monkeypatch):
    there = builtins.__import__

    def without(name, *rest):
        if name.startswith("scipy"):
            raise ImportError(name)
        return there(name, *rest)

    net = network()
    before = net.params.copy()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"LBFGS needs SciPy.*fastnn\[scipy\]"):
        net.fit(*data, optimizer=fn.LBFGS())
    assert np.array_equal(net.params, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"history_size": 0}, "history_size is 0"),
        ({"tolerance_grad": -1}, "tolerance_grad is -1"),
        ({"tolerance_change": "x"}, "tolerance_change is 'x'"),
        ({"weight_decay": float("nan")}, "weight_decay is nan"),
    ],
)
def test_numbers_out_of_range(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fn.LBFGS(**arguments)
