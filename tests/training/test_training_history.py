"""What `fit` reports: the History, validation and the progress bar."""

import numpy as np
import pytest

import fastnn as fn


def test_history(rng):
    X, y = rng.standard_normal((40, 3)), rng.integers(3, size=40)
    net = fn.Network([fn.Linear(3, 3)], "float64", seed=0)
    history = net.fit(X[:30], y[:30], epochs=4, validation_data=(X[30:], y[30:]))
    assert list(history) == ["loss", "val_loss", "val_accuracy", "learning_rate", "seconds"]
    assert all(len(column) == 4 for column in history.values())
    assert all(type(value) is float for column in history.values() for value in column)
    assert all(seconds > 0 for seconds in history["seconds"])
    held_out = fn.SoftmaxCrossEntropy().value_and_grad(net.predict(X[30:]), y[30:])[0]
    assert history["val_loss"][-1] == pytest.approx(held_out, rel=1e-12)
    right = (net.predict(X[30:]).argmax(axis=1) == y[30:]).mean()
    assert history["val_accuracy"][-1] == right
    assert repr(history).startswith("History(4 epochs; last: loss=")
    nothing = net.fit(X, y, epochs=0, optimizer=fn.Adam())
    assert list(nothing) == ["loss", "seconds"]
    assert nothing["loss"] == []


def test_validation_does_not_change_training(rng):
    X, y = rng.standard_normal((40, 3)), rng.standard_normal((40, 2))
    loss = fn.MeanSquaredError()
    nets = [fn.Network([fn.Linear(3, 2)], "float64", seed=0) for _ in range(2)]
    plain = nets[0].fit(X, y, loss=loss, optimizer=fn.SGD(0.1), epochs=5, seed=0)
    measured = nets[1].fit(
        X, y, loss=loss, optimizer=fn.SGD(0.1), epochs=5, seed=0, validation_data=(X, y)
    )
    assert np.array_equal(nets[0].params, nets[1].params)
    assert plain["loss"] == measured["loss"]
    rmse = np.sqrt(np.mean((nets[0].predict(X) - y) ** 2))
    assert measured["val_rmse"][-1] == pytest.approx(rmse, rel=1e-12)


def test_binary_accuracy(rng):
    X = rng.standard_normal((60, 2))
    y = (X[:, 0] > 0).astype(int)
    net = fn.Network([fn.Linear(2, 1)], seed=0)
    history = net.fit(X, y, loss=fn.BinaryCrossEntropy(), validation_data=(X, y))
    assert history["val_accuracy"][-1] == np.mean((net.predict(X).ravel() > 0) == y) > 0.9


def test_progress_bar(rng, capsys):
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    net = fn.Network([fn.Linear(3, 1)], seed=0)
    settings = {"loss": fn.MeanSquaredError(), "optimizer": fn.SGD(0.05), "epochs": 3}
    net.fit(X, y, **settings)
    assert capsys.readouterr().err == ""  # by default only in a terminal
    net.fit(X, y, progress=True, validation_data=(X, y), **settings)
    shown = capsys.readouterr().err
    for text in ("epoch 3/3", "loss=", "val_rmse=", "120/120", "sample/s"):
        assert text in shown


def test_the_progress_bar_is_on_in_a_terminal():
    import os
    import subprocess
    import sys

    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")

    code = (
        "import fastnn as fn; fn.Network([fn.Linear(1, 1)]).fit([[1], [2]], [1, 2],"
        " loss=fn.MeanSquaredError(), optimizer=fn.SGD(0.01), epochs=3)"
    )
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    subprocess.run([sys.executable, "-P", "-c", code], stderr=theirs, timeout=60, check=True)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)
    assert "epoch 3/3" in shown
