"""Threads that share a network get their own gradients, or an error."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from at_once import run_at_once

import fastnn as fn
from fastnn import _checks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 400, 8))
DY = RNG.normal(size=(2, 400, 3))
LOSS = fn.HalfSquaredError()


def network():
    return fn.Network([fn.Linear(8, 32), fn.Tanh(), fn.Linear(32, 3)], "float64", seed=1)


def in_thread(function, *arguments):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


def test_gradients_of_two_threads_are_right_or_refused():
    net, wanted = network(), []
    for x, dy in zip(X, DY, strict=True):
        net.forward(x)
        wanted.append((net.backward(dy), net.grads.copy()))
    counts = {"right": 0, "wrong": 0, "refused": 0}

    def work(i):
        for _ in range(200):
            try:
                net.forward(X[i])
                found = net.backward(DY[i]), net.grads.copy()
            except RuntimeError:
                counts["refused"] += 1
                continue
            same = all(np.array_equal(a, b) for a, b in zip(found, wanted[i], strict=True))
            counts["right" if same else "wrong"] += 1

    run_at_once([partial(work, i) for i in range(2)])
    assert counts["wrong"] == 0, counts
    assert counts["right"] > 0
    assert sum(counts.values()) == 400


def test_backward_wants_a_forward_of_its_own_thread():
    net = network()
    net.forward(X[0])
    with pytest.raises(RuntimeError, match="of this thread since the last fit"):
        in_thread(net.backward, DY[0])
    assert net.backward(DY[0]).shape == (400, 8)


def test_predicting_in_another_thread_leaves_the_activations_alone():
    net = network()
    net.forward(X[0])
    wanted = net.backward(DY[0])
    net.forward(X[0])
    in_thread(net, X[1])
    np.testing.assert_array_equal(net.backward(DY[0]), wanted)


def test_a_gradient_that_was_not_read_is_not_overwritten_by_another_thread():
    net = network()

    def step():
        net.forward(X[1])
        net.backward(DY[1])
        return net.grads.copy()

    wanted = in_thread(step)
    net.forward(X[0])
    net.backward(DY[0])
    with pytest.raises(RuntimeError, match="would overwrite grads"):
        in_thread(step)
    assert not np.array_equal(net.grads, wanted)
    np.testing.assert_array_equal(in_thread(step), wanted)  # after the gradient was read


def test_the_gradient_of_a_thread_that_has_ended_may_be_overwritten():
    net = network()

    def forward_and_backward():
        net.forward(X[0])
        net.backward(DY[0])

    in_thread(forward_and_backward)
    in_thread(forward_and_backward)
    forward_and_backward()


def test_threads_of_a_pool_may_take_turns():
    net, alone = network(), network()

    def step(model, i):
        model.forward(X[i])
        model.backward(DY[i])
        model.params -= 0.01 * model.grads

    with ThreadPoolExecutor(4) as pool:
        for i in range(20):
            pool.submit(step, net, i % 2).result()
    for i in range(20):
        step(alone, i % 2)
    np.testing.assert_array_equal(net.params, alone.params)


def test_a_fit_of_another_thread_makes_forward_and_the_gradient_stale():
    net = network()
    net.forward(X[0])
    net.backward(DY[0])
    in_thread(lambda: net.fit(X[1], DY[1], loss=LOSS, epochs=1))
    with pytest.raises(RuntimeError, match="has overwritten the gradient"):
        _ = net.grads
    with pytest.raises(RuntimeError, match="since the last fit"):
        net.backward(DY[0])


def test_a_forward_during_a_fit_is_stale_after_it():
    net = network()
    in_fit, done = threading.Event(), threading.Event()

    class Wait(fn.Callback):
        def epoch_begin(self, net, epoch):
            in_fit.set()
            done.wait(10)

    fit = threading.Thread(
        target=lambda: net.fit(X[1], DY[1], loss=LOSS, epochs=1, callbacks=[Wait()])
    )
    fit.start()
    in_fit.wait(10)
    net.forward(X[0])
    with pytest.raises(RuntimeError, match="being trained"):
        net.backward(DY[0])
    done.set()
    fit.join()
    with pytest.raises(RuntimeError, match="since the last fit"):
        net.backward(DY[0])


def test_fit_is_refused_while_another_thread_is_in_backward():
    net = network()
    net.forward(X[0])
    net._passes.begin_backward(net._passes.kept()[3])
    with pytest.raises(RuntimeError, match="in backward"):
        in_thread(lambda: net.fit(X[1], DY[1], loss=LOSS, epochs=1))
    net._passes.end_backward()
    net.fit(X[1], DY[1], loss=LOSS, epochs=1)


def changed_after(monkeypatch, array, value, name):
    """Change `array` as soon as the checks have read it or a copy."""
    real = getattr(np, name)

    def then_change(*arguments, **settings):
        found = real(*arguments, **settings)
        array[...] = value
        return found

    monkeypatch.setattr(_checks.arrays.np, name, then_change)


def test_labels_written_between_check_and_use_do_no_harm(monkeypatch):
    labels = np.zeros(6, np.int64)
    changed_after(monkeypatch, labels, 10**6, "floor")
    checked = _checks.class_labels(labels, "y", 6, 2)
    assert labels[0] == 10**6
    np.testing.assert_array_equal(checked, 0)


def test_rows_written_while_they_are_checked_do_no_harm():
    """The checks read a copy, so the result is in range whatever is written meanwhile."""
    rows, stop = np.zeros(100_000, np.int64), threading.Event()

    def write():
        while not stop.is_set():
            rows[...] = 10**9
            rows[...] = 0

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            try:
                assert _checks.row_indices(rows, "rows", 5).max() < 5
                assert _checks.class_labels(rows, "y", len(rows), 2).max() < 2
            except ValueError:
                continue
    finally:
        stop.set()
        writer.join()


def test_labels_written_during_an_estimators_fit_do_no_harm(monkeypatch):
    """A write after the classes are learned, and before the labels are encoded by them."""
    module = pytest.importorskip("fastnn.sklearn.classifier")
    y = np.array([0, 1, 2] * 10)
    encode = module.encode
    encoded = []

    def encode_after_a_write(binarizer, classes, given):
        y[...] = 10**6
        encoded.append(encode(binarizer, classes, given))
        return encoded[-1]

    monkeypatch.setattr(module, "encode", encode_after_a_write)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        module.MLPClassifier(max_iter=1).fit(RNG.normal(size=(30, 3)), y)
    assert y[0] == 10**6
    np.testing.assert_array_equal(encoded[0], [0, 1, 2] * 10)
