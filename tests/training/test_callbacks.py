"""Callbacks: when they are called, what they may do, and early stopping."""

import numpy as np
import pytest
from custom_loss import Python

import fastnn as fn
from fastnn import schedules


@pytest.fixture
def problem(rng):
    """Return noisy data of a linear function, on whose 12 training samples a network overfits."""
    X = rng.standard_normal((60, 8))
    y = X[:, 0] + rng.standard_normal(60)
    return X[:12], y[:12], (X[12:], y[12:])


def network():
    layers = [fn.Linear(8, 16), fn.Tanh(), fn.Linear(16, 1)]
    return fn.Network(layers, "float64", seed=0)


SETTINGS = {"loss": fn.MeanSquaredError(), "optimizer": fn.SGD(0.05, momentum=0.9), "seed": 1}


class Recorder(fn.Callback):
    def __init__(self):
        self.calls = []

    def fit_begin(self, net):
        self.calls.append("fit_begin")

    def epoch_begin(self, net, epoch):
        self.calls.append(("begin", epoch))

    def epoch_end(self, net, epoch, metrics):
        self.calls.append(("end", epoch, metrics, net.params.copy()))

    def fit_end(self, net):
        self.calls.append("fit_end")


def test_a_callback_hears_each_epoch(isa, dtype, problem):
    X, y, held_out = problem
    watched, unwatched = (fn.Network([fn.Linear(8, 1)], dtype, seed=0) for _ in range(2))
    recorder = Recorder()
    history = watched.fit(
        X, y, epochs=3, validation_data=held_out, callbacks=[recorder], **SETTINGS
    )
    assert recorder.calls[0] == "fit_begin"
    assert recorder.calls[-1] == "fit_end"
    assert [call[:2] for call in recorder.calls[1:-1]] == [
        (kind, epoch) for epoch in range(3) for kind in ("begin", "end")
    ]
    for epoch, (_, _, metrics, params) in enumerate(recorder.calls[2:-1:2]):
        assert metrics == {name: column[epoch] for name, column in history.items()}
        same = fn.Network([fn.Linear(8, 1)], dtype, seed=0)
        same.fit(X, y, epochs=epoch + 1, **SETTINGS)
        assert np.array_equal(params, same.params)
    unwatched.fit(X, y, epochs=3, **SETTINGS)
    assert np.array_equal(watched.params, unwatched.params)


@pytest.mark.parametrize("optimizer", [fn.LBFGS(), fn.LevenbergMarquardt()], ids=lambda o: o.kind)
def test_an_epoch_after_convergence_does_not_begin(rng, optimizer):
    if isinstance(optimizer, fn.LBFGS):
        pytest.importorskip("scipy")
    X = rng.standard_normal((60, 8))
    recorder, net = Recorder(), fn.Network([fn.Linear(8, 1)], "float64", seed=0)
    history = net.fit(
        X,
        X[:, 0] - 1,
        loss=fn.MeanSquaredError(),
        optimizer=optimizer,
        epochs=500,
        callbacks=[recorder],
    )
    assert 1 < len(history["loss"]) < 100
    assert [call[:2] for call in recorder.calls[1:-1]] == [
        (kind, epoch) for epoch in range(len(history["loss"])) for kind in ("begin", "end")
    ]


@pytest.mark.parametrize("answer", [True, np.True_])
def test_a_callback_stops_training(problem, answer):
    class Stop(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            return answer if epoch == 4 else None

    X, y, _ = problem
    last = Recorder()
    net, same = network(), network()
    assert len(net.fit(X, y, epochs=50, callbacks=(Stop(), last), **SETTINGS)["loss"]) == 5
    assert last.calls[-1] == "fit_end"
    assert last.calls[-2][:2] == ("end", 4)  # the other callback is called too
    same.fit(X, y, epochs=5, **SETTINGS)
    assert np.array_equal(net.params, same.params)


def test_a_callback_may_use_and_change_the_network(problem, tmp_path):
    class Halve(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            net.save(tmp_path / f"{epoch}.safetensors")
            net.params *= 0.5
            net.predict(X)

    X, y, _ = problem
    net, by_hand = network(), network()
    net.fit(X, y, epochs=3, shuffle=False, callbacks=[Halve()], **SETTINGS)
    for epoch in range(3):
        by_hand.fit(X, y, epochs=1, shuffle=False, **SETTINGS)
        assert np.array_equal(fn.load(tmp_path / f"{epoch}.safetensors").params, by_hand.params)
        by_hand.params *= 0.5
    assert np.array_equal(net.params, by_hand.params)


@pytest.mark.parametrize("wrap", [lambda loss: loss, Python], ids=["engine", "stepwise"])
@pytest.mark.parametrize(
    ("moment", "epoch"), [("fit_begin", None), ("epoch_begin", 2), ("epoch_end", 1)]
)
def test_what_a_callback_writes_outlives_divergence(isa, dtype, problem, wrap, moment, epoch):
    def write(net, now=None, metrics=None):
        if now == epoch:
            net.params[...] = 0.25
            net.layers[1].running_mean = np.full(16, 0.5)

    X, y, _ = problem
    net = fn.Network([fn.Linear(8, 16), fn.BatchNorm(16), fn.Linear(16, 1)], dtype, seed=0)
    callback = fn.Callback()
    setattr(callback, moment, write)
    rate = schedules.StepDecay(1e-3, every=2, factor=1e250) if epoch else 1e250
    settings = SETTINGS | {"optimizer": fn.SGD(rate), "loss": wrap(fn.MeanSquaredError())}
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(fn.DivergenceError) as info:
        net.fit(X, y, epochs=4, batch_size=4, callbacks=[callback], **settings)
    assert info.value.epoch == (2 if epoch else 0)
    assert (net.params == 0.25).all()
    assert (net.layers[1].running_mean == 0.5).all()


def test_what_a_callback_writes_that_is_not_finite_does_not_stay(problem):
    class Spoil(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            if epoch == 1:
                net.params[0] = np.nan

    X, y, _ = problem
    net, same = network(), network()
    with pytest.raises(fn.DivergenceError):
        net.fit(X, y, epochs=4, callbacks=[Spoil()], **SETTINGS)
    same.fit(X, y, epochs=2, **SETTINGS)
    assert np.array_equal(net.params, same.params)


@pytest.mark.parametrize("moment", ["fit_begin", "epoch_begin", "epoch_end", "fit_end"])
def test_an_exception_in_a_callback_arrives_unchanged(problem, moment):
    error = LookupError("mine")

    def fail(*_):
        raise error

    X, y, _ = problem
    callback, net = fn.Callback(), network()
    setattr(callback, moment, fail)
    with pytest.raises(LookupError) as info:
        net.fit(X, y, epochs=3, callbacks=[callback], **SETTINGS)
    assert info.value is error
    assert np.isfinite(net.params).all()
    net.fit(X, y, epochs=1, **SETTINGS)


def test_a_callback_cannot_train_the_network(problem):
    class Greedy(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            net.fit(X, y, **SETTINGS)

    X, y, _ = problem
    with pytest.raises(RuntimeError, match="being trained by another call"):
        network().fit(X, y, epochs=2, callbacks=[Greedy()], **SETTINGS)


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping(problem, restore):
    X, y, held_out = problem
    stopper = fn.EarlyStopping(patience=7, restore_best=restore)
    net = network()
    history = net.fit(X, y, epochs=2000, validation_data=held_out, callbacks=[stopper], **SETTINGS)
    losses = np.array(history["val_loss"])
    assert stopper.best_epoch == losses.argmin() == len(losses) - 1 - 7
    assert stopper.best == losses.min() < losses[0]
    expected = network()
    epochs = stopper.best_epoch + 1 if restore else len(losses)
    expected.fit(X, y, epochs=epochs, **SETTINGS)
    assert np.array_equal(net.params, expected.params)


def test_the_best_epoch_comes_back_when_the_epochs_run_out(problem):
    X, y, held_out = problem
    stopper, net = fn.EarlyStopping(patience=10_000), network()
    history = net.fit(X, y, epochs=300, validation_data=held_out, callbacks=[stopper], **SETTINGS)
    assert len(history["loss"]) == 300 > stopper.best_epoch + 1
    value = fn.MeanSquaredError().value_and_grad(net.predict(held_out[0]), held_out[1])[0]
    assert value == pytest.approx(min(history["val_loss"]), rel=1e-12)


def values(numbers, **settings):
    """Return the epoch after which early stopping stops for these numbers, and the best epoch."""
    stopper = fn.EarlyStopping("figure", restore_best=False, **settings)
    stopper.fit_begin(None)
    for epoch, number in enumerate(numbers):
        if stopper.epoch_end(None, epoch, {"figure": number}):
            return epoch, stopper.best_epoch
    return None, stopper.best_epoch


def test_the_rules_of_early_stopping():
    nan = float("nan")
    assert values([3, 2, 1, 1, 1, 0], patience=2) == (4, 2)
    assert values([3, 2, 1, 1, 0, 0], patience=2) == (None, 4)
    assert values([3, 2.9, 2.8, 2.7, 2.6], patience=2, min_delta=0.5) == (2, 0)
    assert values([3, 2.9, 2.8, 2.4, 2.3, 2.2], patience=3, min_delta=0.5) == (None, 3)
    assert values([1, 2, 3, 2, 1], patience=2, mode="max") == (4, 2)
    assert values([1, 2, 3], patience=2) == (2, 0)
    assert values([nan, nan, 5, 6, nan], patience=2) == (1, 0)
    assert values([nan, 5, 6, nan], patience=2) == (3, 1)


def test_ties():
    nan = float("nan")
    numbers = [3, 2, 1, 1, 2, 1, 1.5]
    assert values(numbers, patience=None) == (None, 2)
    assert values(numbers, patience=None, ties="last") == (None, 5)
    assert values(numbers, patience=3, ties="last") == (5, 5)  # a tie is not an improvement
    assert values(numbers, patience=3) == (5, 2)
    assert values([0, 1, 1, 0.5], patience=9, mode="max", ties="last") == (None, 2)
    assert values([5, 5.2, 4.9, 5.3], patience=9, min_delta=0.25, ties="last") == (None, 2)
    assert values([5, 5.2, 5.4, 5.6], patience=9, min_delta=0.25, ties="last") == (None, 1)
    assert values([5, 4.9, 4.8, 4.7], patience=2, min_delta=0.25, ties="last") == (2, 2)
    assert values([nan, nan, 5, nan, 5], patience=None, ties="last") == (None, 4)
    assert values([nan, nan], patience=None, ties="last") == (None, 0)


def test_the_last_best_epoch_without_stopping(problem, tmp_path):
    """As RealMLP selects its epoch: all epochs run, and the last of the best comes back."""
    X, y, held_out = problem
    steps = [3.0, 1.0, 2.0, 1.0, 1.0, 4.0]

    class Snapshots(fn.Callback):
        def __init__(self):
            self.params = []

        def epoch_end(self, net, epoch, metrics):
            self.params.append(net.params.copy())

    def figure(outputs, y):
        return steps[len(snapshots.params)]

    for ties, best in (("first", 1), ("last", 4)):
        snapshots, net = Snapshots(), network()
        stopper = fn.EarlyStopping("val_figure", patience=None, ties=ties)
        net.fit(
            X,
            y,
            epochs=6,
            validation_data=held_out,
            metrics=[figure],
            callbacks=[stopper, snapshots],
            checkpoint=tmp_path / ties,
            **SETTINGS,
        )
        assert (len(snapshots.params), stopper.best_epoch, stopper.best) == (6, best, 1.0)
        assert np.array_equal(net.params, snapshots.params[best])


def test_callbacks_of_older_versions_prefer_the_first_tie():
    stopper = fn.EarlyStopping("figure", restore_best=False)
    del vars(stopper)["ties"]
    for epoch in range(3):
        stopper.epoch_end(None, epoch, {"figure": 1.0})
    assert stopper.best_epoch == 0


@pytest.mark.parametrize(
    ("monitor", "larger"), [("val_accuracy", True), ("val_r2", True), ("val_rmse", False)]
)
def test_what_is_better(monitor, larger):
    stopper = fn.EarlyStopping(monitor, restore_best=False)
    for epoch, figure in enumerate((0.5, 0.7, 0.3)):
        stopper.epoch_end(None, epoch, {monitor: figure})
    assert stopper.best == (0.7 if larger else 0.3)


def test_a_second_fit_starts_early_stopping_afresh(problem):
    X, y, held_out = problem
    stopper = fn.EarlyStopping(patience=5)
    counts = [
        len(
            network().fit(
                X, y, epochs=2000, validation_data=held_out, callbacks=[stopper], **SETTINGS
            )["loss"]
        )
        for _ in range(2)
    ]
    assert counts[0] == counts[1] < 2000


def test_nothing_by_the_name_to_monitor(problem):
    X, y, _ = problem
    with pytest.raises(ValueError, match=r"monitor is 'val_loss'; one of .*no validation_data"):
        network().fit(X, y, callbacks=[fn.EarlyStopping()], **SETTINGS)


def test_partial_fit_goes_on_with_the_optimizer(problem):
    X, y, _ = problem
    net, whole = network(), network()
    settings = SETTINGS | {"shuffle": False, "batch_size": 4}
    for start in (0, 4, 8):
        history = net.partial_fit(X[start : start + 4], y[start : start + 4], **settings)
        assert len(history["loss"]) == 1
    whole.fit(X, y, epochs=1, **settings)
    assert np.array_equal(net.params, whole.params)
    with pytest.raises(TypeError, match=r"^epochs is 2 in partial_fit.*fit\(X, y, epochs=2\)"):
        net.partial_fit(X, y, epochs=2)


class StopAtThird(fn.Callback):
    def epoch_end(self, net, epoch, metrics):
        return epoch == 2


class PauseAtThird(StopAtThird):
    pauses = True


@pytest.mark.parametrize(("callback", "resumed"), [(StopAtThird, 3), (PauseAtThird, 8)])
def test_a_resumed_fit_continues_if_its_callback_only_pauses(problem, tmp_path, callback, resumed):
    X, y, _ = problem
    settings = SETTINGS | {"epochs": 8, "checkpoint": tmp_path / "fit.checkpoint", "resume": True}
    counts = [
        len(network().fit(X, y, callbacks=[callback()], **settings)["loss"]) for _ in range(2)
    ]
    assert counts == [3, resumed]
