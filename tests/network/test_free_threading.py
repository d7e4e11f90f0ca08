"""Many threads at once get the results of one thread, with and without Python's lock (the GIL)."""

import os
import subprocess
import sys
import sysconfig
import threading
from functools import partial

import numpy as np
import pytest
from at_once import run_at_once

import fastnn as fn

THREADS = 4
RNG = np.random.default_rng(0)
LOSSES = [fn.HalfSquaredError(), fn.Huber(0.3), fn.MeanSquaredError(), fn.Pinball(0.2)]
LABELS = fn.SoftmaxCrossEntropy()


def same_as_alone(calls, rounds):
    """Check that threads which repeat these calls get what each call returns alone."""

    def numbers(call):
        found = call()
        parts = found if isinstance(found, tuple) else (found,)
        return [np.asarray(part).tobytes() for part in parts]

    wanted = [numbers(call) for call in calls]
    wrong = []

    def work(first):
        for i in range(first, first + rounds):
            i %= len(calls)
            if numbers(calls[i]) != wanted[i]:
                wrong.append(i)

    run_at_once([lambda i=i: work(i * len(calls) // THREADS) for i in range(THREADS)])
    assert not wrong


def network(width=6, seed=0, dtype="float32"):
    layers = [fn.Linear(5, width), fn.Tanh(), fn.Linear(width, width), fn.ReLU()]
    return fn.Network([*layers, fn.Linear(width, 3)], dtype, seed=seed)


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="Python has the GIL")
def test_importing_leaves_the_lock_off():
    code = "import sys, fastnn, fastnn.sklearn; assert not sys._is_gil_enabled()"
    subprocess.run([sys.executable, "-P", "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("width", "n"), [(6, 1), (6, 8), (64, 40)])
def test_calls_of_a_shared_network(isa, dtype, width, n):
    net = network(width, dtype=dtype)
    calls = []
    for loss in LOSSES:
        x, y = RNG.normal(size=(n, 5)), RNG.normal(size=(n, 3))
        v, labels = RNG.normal(size=net.n_params), RNG.integers(3, size=n)
        calls += [
            lambda x=x: net.predict(x),
            lambda x=x: net.predict(x.tolist()),
            lambda x=x: net.jacobian(x),
            lambda x=x: net.jacobian(x[0], wrt="params"),
            lambda x=x, y=y: net.vjp(x, y, wrt="params"),
            lambda x=x, v=v: net.jvp(x, v, wrt="params"),
            lambda x=x, y=y, loss=loss: net.loss_and_grad(x, y, loss),
            lambda x=x, labels=labels: net.loss_and_grad(x, labels, LABELS),
            lambda x=x, y=y, loss=loss: net.sample_grads(x, y, loss),
            lambda x=x, y=y, loss=loss: loss.value_and_grad(net.predict(x), y),
            lambda x=x, y=y, v=v: net.hvp(x, y, fn.LogCosh(), v),
            lambda x=x: net.layers[0](x),
        ]
    same_as_alone(calls, 2000 if n < 40 else 300)


def test_calls_of_many_networks():
    nets = [network(seed=seed) for seed in range(8)]
    x = RNG.normal(size=(4, 5)).astype("f")
    calls = [lambda: fn.predict_many(nets, x), lambda: fn.jacobian_many(nets, x)]
    same_as_alone(calls + [lambda net=net: net.predict(x) for net in nets], 300)


def test_fits_saved_files_and_estimators(tmp_path):
    sklearn = pytest.importorskip("fastnn.sklearn")
    X, y = RNG.normal(size=(200, 5)), RNG.integers(3, size=200)
    estimator = sklearn.MLPRegressor(
        hidden_layer_sizes=(8,), max_iter=5, tol=0, n_iter_no_change=99, random_state=0
    )
    with pytest.warns(UserWarning, match="Maximum iterations"):
        estimator.fit(X, X[:, 0])

    def fitted(seed, optimizer):
        net = network(seed=seed)
        net.fit(X, y, epochs=3, seed=seed, optimizer=optimizer, n_threads=1, progress=False)
        # the same file in all threads; but Windows does not replace a file that is open
        path = tmp_path / ("model" if os.name == "posix" else f"model of {threading.get_ident()}")
        net.save(path)
        loaded = fn.load(path)
        assert loaded.n_params == net.n_params
        return net.params

    optimizers = [fn.SGD(0.1), fn.Adam(0.01), fn.RMSprop(0.01)]
    calls = [lambda i=i, o=o: fitted(i, o) for i, o in enumerate(optimizers)]
    same_as_alone([*calls, lambda: estimator.predict(X), lambda: estimator.score(X, X[:, 0])], 10)


def test_readers_do_not_disturb_a_fit():
    X, y = RNG.normal(size=(400, 5)), RNG.normal(size=(400, 3))
    settings = {"loss": LOSSES[0], "epochs": 40, "seed": 1, "n_threads": 1, "progress": False}
    alone, net = network(16), network(16)
    alone.fit(X, y, **settings)
    ended = threading.Event()

    def fit():
        try:
            net.fit(X, y, **settings)
        finally:
            ended.set()

    def read():
        while not ended.is_set():
            assert np.isfinite(net.predict(X[:9])).all()
            assert np.isfinite(net.jacobian(X[:3])).all()
            assert np.isfinite(net.loss_and_grad(X[:9], y[:9], LOSSES[1])[1]).all()

    run_at_once([fit, read, read, read])
    np.testing.assert_array_equal(net.params, alone.params)


@pytest.mark.parametrize("optimizer", [fn.SGD(2.0**-10), fn.Adam(2.0**-10)], ids=["SGD", "Adam"])
def test_first_and_later_steps_of_several_threads_all_count(optimizer):
    def take_steps(net):
        for _ in range(500):
            net.step(np.ones(net.n_params), optimizer)

    for _ in range(20):
        net, alone = network(dtype="float64"), network(dtype="float64")
        run_at_once([partial(take_steps, net)] * THREADS)
        for _ in range(THREADS):
            take_steps(alone)
        assert net.optimizer_state.step == 500 * THREADS
        np.testing.assert_array_equal(net.params, alone.params)


def test_a_step_is_counted_or_refused_while_others_fit():
    net, optimizer, done = network(), fn.SGD(1e-4), []
    X, y = RNG.normal(size=(32, 5)), RNG.normal(size=(32, 3))

    def step():
        net.step(np.ones(net.n_params, np.float32), optimizer)

    def fit():  # one update
        net.fit(X, y, loss=LOSSES[0], optimizer=optimizer, epochs=1, progress=False)

    def repeat(update, times):
        for _ in range(times):
            try:
                update()
            except RuntimeError as error:
                if "being trained" not in str(error):
                    raise
            else:
                done.append(1)

    run_at_once([partial(repeat, step, 2000), partial(repeat, fit, 100)] * 2)
    assert net.optimizer_state.step == len(done)
    assert np.isfinite(net.params).all()


def test_backward_of_several_threads_is_right_or_refused():
    net, counts = network(), {"right": 0, "refused": 0}
    data = [(RNG.normal(size=(8, 5)), RNG.normal(size=(8, 3))) for _ in range(THREADS)]
    copying = threading.Lock()  # once `grads` is read, another thread may overwrite it

    def gradient(x, dy):
        net.forward(x)
        with copying:
            net.backward(dy)
            return net.grads.copy()

    wanted = [gradient(*pair) for pair in data]

    def work(i):
        for _ in range(300):
            try:
                found = gradient(*data[i])
            except RuntimeError:
                counts["refused"] += 1
            else:
                np.testing.assert_array_equal(found, wanted[i])
                counts["right"] += 1

    run_at_once([lambda i=i: work(i) for i in range(THREADS)])
    assert counts["right"] > 0


def test_a_list_that_changes_while_it_is_read():
    net, ended = network(), threading.Event()
    row = [0.5] * 5
    rows, wanted = [row] * 3, net.predict([row] * 3)

    def change():
        while not ended.is_set():
            del row[2:], rows[1:]
            rows.extend([row] * 2)
            row.extend([0.5] * 3)

    def read():
        seen = 0
        for _ in range(3000):
            try:
                found = net.predict(rows)
            except (ValueError, TypeError, IndexError):
                continue
            seen += 1
            np.testing.assert_array_equal(found, wanted[: len(found)])
        return seen

    def read_all():
        try:
            read()
        finally:
            ended.set()

    run_at_once([change, read_all])


def test_the_error_names_a_list_that_another_thread_shortens():
    class Row:
        """Shortens the list at the moment in which NumPy reads it."""

        def __len__(self):
            del rows[2:]
            return 5

        def __getitem__(self, i):
            return ([0.5] * 5)[i]

    rows = [[0.5] * 5, Row(), [0.5] * 5]
    with pytest.raises(ValueError, match="^X is not a rectangular array of numbers: Inconsistent"):
        network().predict(rows)
