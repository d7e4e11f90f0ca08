"""Resumed fits equal uninterrupted ones, bit for bit."""

import os

import numpy as np
import pytest
from custom_loss import Python
from small_fit import SETTINGS, Interrupt, bits, epochs_done, network

import fastnn as fn
from fastnn import schedules
from fastnn.files import model_file
from fastnn.training import loop
from fastnn.training.checkpoints import Checkpoints


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.checkpoint"


@pytest.fixture
def data(rng):
    return rng.standard_normal((50, 5)), rng.integers(3, size=50)


@pytest.mark.parametrize("wrap", [lambda loss: loss, Python], ids=["engine", "stepwise"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("every", [1, 2, 4])
def test_a_fit_broken_off_between_epochs(isa, dtype, path, data, wrap, shuffle, every):
    settings = SETTINGS | {
        "loss": wrap(fn.SoftmaxCrossEntropy()),
        "shuffle": shuffle,
        "validation_data": 0.2,
    }
    whole, broken, resumed = (network(dtype) for _ in range(3))
    expected = bits(whole, whole.fit(*data, callbacks=[Interrupt(-1)], **settings))
    keep = {"checkpoint": path, "checkpoint_every": every}
    with pytest.raises(KeyboardInterrupt):
        broken.fit(*data, callbacks=[Interrupt(6)], **keep, **settings)
    assert not path.exists() or epochs_done(path) == 6 // every * every
    history = resumed.fit(
        *data, callbacks=[Interrupt(-1)], resume=True, n_threads=2, **keep, **settings
    )
    assert bits(resumed, history) == expected
    assert all(len(column) == 9 for column in history.values())


@pytest.mark.parametrize("wrap", [lambda loss: loss, Python], ids=["engine", "stepwise"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_fit_broken_off_within_an_epoch(isa, dtype, path, rng, monkeypatch, wrap, shuffle):
    """A fit can be resumed wherever a trainer returns, also within a batch."""
    X, y = rng.standard_normal((3_000, 5)), rng.integers(3, size=3_000)
    settings = {
        "loss": wrap(fn.SoftmaxCrossEntropy()),
        "optimizer": fn.SGD(0.01, momentum=0.9),
        "epochs": 3,
        "batch_size": 2_500,
        "seed": 3,
        "shuffle": shuffle,
    }
    layers = [fn.Linear(5, 200), fn.Tanh(), fn.Linear(200, 3)]

    def wide():
        return fn.Network([type(layer)(**layer.config()) for layer in layers], dtype, seed=0)

    whole = wide()
    expected = bits(whole, whole.fit(X, y, **settings))
    monkeypatch.setattr(loop, "SLICE_SECONDS", 0.0)
    places = set()
    resumed = wide()
    write = Checkpoints.write

    def write_and_break_off(self, net, parts):
        write(self, net, parts)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "write", write_and_break_off)
    keep = {"checkpoint": path, "checkpoint_every": "0.000001s", "resume": True}
    for _ in range(1000):
        resumed = wide()
        try:
            history = resumed.fit(X, y, **keep, **settings)
            break
        except KeyboardInterrupt:
            place = model_file.read(path)[0]["fit"]["parts"]["trainer"]
            places.add((place["epoch"], place["position"]))
    assert len(places) > 3
    assert any(position % 2_500 for _, position in places) or isinstance(settings["loss"], Python)
    assert bits(resumed, history) == expected


class HugeFrom(schedules.Schedule):
    """A schedule that makes training diverge at a given update."""

    def __init__(self, update):
        self.update = update

    def rates(self, updates, updates_per_epoch, total_updates):
        return np.where(updates < self.update, 1e-3, 1e250)


def test_what_a_callback_wrote_before_it_was_broken_off(isa, dtype, path, rng, monkeypatch):
    """If the resumed epoch diverges, the parameters that the callback wrote are restored."""

    class Write(fn.Callback):
        def epoch_begin(self, net, epoch):
            net.params[...] = 0.25 * epoch

    X, y = rng.standard_normal((3_000, 5)), rng.standard_normal((3_000, 3))
    settings = {
        "loss": fn.MeanSquaredError(),
        "optimizer": fn.SGD(HugeFrom(4)),
        "epochs": 3,
        "batch_size": 1_000,
        "seed": 3,
    }
    keep = {"checkpoint": path, "checkpoint_every": "0.000001s", "callbacks": [Write()]}
    monkeypatch.setattr(loop, "SLICE_SECONDS", 0.0)

    def write_and_break_off(self, net, parts):
        write(self, net, parts)
        place = model_file.read(path)[0]["fit"]["parts"]["trainer"]
        if place["epoch"] == 1 and place["position"]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        write = Checkpoints.write
        patch.setattr(Checkpoints, "write", write_and_break_off)
        with pytest.raises(KeyboardInterrupt):
            network(dtype).fit(X, y, **keep, **settings)
    net = network(dtype)
    with pytest.raises(fn.DivergenceError) as info:
        net.fit(X, y, resume=True, **keep, **settings)
    assert info.value.epoch == 1
    assert (net.params == 0.25).all()


class Counting(fn.Callback):
    """A callback that saves a number, an array, and when it was called."""

    def __init__(self, break_off=None):
        self.break_off, self.total, self.trace, self.calls = break_off, 0, np.zeros(3), []

    def fit_begin(self, net):
        self.calls.append("begin")

    def epoch_end(self, net, epoch, metrics):
        self.calls.append(epoch)
        if epoch == self.break_off:
            raise KeyboardInterrupt
        self.total += epoch
        self.trace[epoch % 3] += metrics["loss"]

    def state(self):
        return {"total": self.total, "trace": self.trace}

    def restore(self, state):
        self.total, self.trace = state["total"], state["trace"]


def test_callbacks_go_on_too(path, data):
    straight, broken, resumed = Counting(), Counting(6), Counting()
    network().fit(*data, callbacks=[straight], **SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        network().fit(*data, callbacks=[broken], checkpoint=path, **SETTINGS)
    network().fit(*data, callbacks=[resumed], checkpoint=path, resume=True, **SETTINGS)
    assert resumed.total == straight.total == sum(range(9))
    assert np.array_equal(resumed.trace, straight.trace)
    assert resumed.calls == [6, 7, 8]


@pytest.mark.parametrize("break_off", [1, 5, 9])
def test_early_stopping_goes_on(path, rng, break_off):
    """The best parameters may come from before the interruption."""
    X = rng.standard_normal((60, 5))
    y = X[:, :3].argmax(axis=1)
    y[:20] = rng.integers(3, size=20)
    settings = SETTINGS | {
        "epochs": 300,
        "optimizer": fn.SGD(0.3, momentum=0.9),
        "validation_data": (X[20:], y[20:]),
    }
    stoppers = [fn.EarlyStopping(patience=10) for _ in range(3)]
    whole, broken, resumed = (network() for _ in range(3))

    def fit(net, i, breaking, **keep):
        callbacks = [stoppers[i], Interrupt(breaking)]
        return net.fit(X[:20], y[:20], callbacks=callbacks, **keep, **settings)

    expected = bits(whole, fit(whole, 0, -1))
    assert len(expected[-1]["loss"]) < 300
    with pytest.raises(KeyboardInterrupt):
        fit(broken, 1, break_off, checkpoint=path)
    history = fit(resumed, 2, -1, checkpoint=path, resume=True)
    assert bits(resumed, history) == expected
    assert stoppers[2].best_epoch == stoppers[0].best_epoch
    again = network()  # a fit that was stopped by a callback is not continued
    assert bits(again, fit(again, 1, -1, checkpoint=path, resume=True)) == expected


def test_more_epochs_than_at_first(path, data):
    whole, first, more = (network() for _ in range(3))
    expected = bits(whole, whole.fit(*data, **SETTINGS))
    first.fit(*data, checkpoint=path, **SETTINGS | {"epochs": 4})
    assert epochs_done(path) == 4
    assert bits(more, more.fit(*data, checkpoint=path, resume=True, **SETTINGS)) == expected


class Halved(schedules.Schedule):
    """A user's own schedule."""

    def rates(self, updates, updates_per_epoch, total_updates):
        return 0.1 / (1 + updates // updates_per_epoch)


@pytest.mark.parametrize("make", [Halved, lambda: schedules.Warmup(Halved(), epochs=2)])
def test_a_schedule_of_ones_own_goes_on(path, data, make):
    """In another process it is a different object, with another address."""
    whole, first, more = (network() for _ in range(3))
    settings = [SETTINGS | {"optimizer": fn.SGD(make())} for _ in range(3)]
    expected = bits(whole, whole.fit(*data, **settings[0]))
    first.fit(*data, checkpoint=path, **settings[1] | {"epochs": 4})
    assert bits(more, more.fit(*data, checkpoint=path, resume=True, **settings[2])) == expected


def test_without_a_seed_the_file_holds_it(path, data):
    settings = SETTINGS | {"seed": None, "validation_data": 0.2}
    first = network().fit(*data, checkpoint=path, **settings | {"epochs": 4})
    history = network().fit(*data, checkpoint=path, resume=True, **settings)
    assert history["val_loss"][:4] == first["val_loss"]
    assert len(history["val_loss"]) == 9


def test_without_a_file_it_starts_afresh(path, data):
    plain, kept = network(), network()
    expected = bits(plain, plain.fit(*data, **SETTINGS))
    assert bits(kept, kept.fit(*data, checkpoint=path, resume=True, **SETTINGS)) == expected
    assert os.listdir(path.parent) == [path.name]
