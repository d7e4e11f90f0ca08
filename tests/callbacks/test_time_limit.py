"""TimeLimit stops between epochs."""

import math
import time

import numpy as np
import pytest
from callback_fits import network, train, without_time

import fastnn as fn
from fastnn.callbacks import TimeLimit


class Wait(fn.Callback):
    def __init__(self, seconds):
        self.seconds = seconds

    def epoch_end(self, net, epoch, metrics):
        time.sleep(self.seconds)


def test_a_time_limit_ends_after_the_epoch_in_which_it_passes(data):
    net = network()
    begin = time.monotonic()
    history = train(net, data, Wait(0.05), TimeLimit(0.12), epochs=1000)
    assert 0.12 <= time.monotonic() - begin < 5
    n = len(history["loss"])
    assert 1 <= n <= 3
    same = network()
    train(same, data, epochs=n)
    assert np.array_equal(net.params, same.params)  # whole epochs
    again = train(net, data, Wait(0.05), TimeLimit(0.12), epochs=1000)  # from zero
    assert len(again["loss"]) >= 1


def test_a_limit_that_does_not_pass_changes_nothing(data):
    limited, free = network(), network()
    train(limited, data, TimeLimit(3600))
    train(free, data)
    assert np.array_equal(limited.params, free.params)


def test_a_time_limit_with_early_stopping(data):
    """The best parameters are restored when the limit ends training."""
    net = network()
    stopping = fn.EarlyStopping(patience=1000)
    limit = TimeLimit(0.1)
    history = train(net, data, stopping, Wait(0.02), limit, epochs=1000, validation_data=data)
    best = min(history["val_loss"])
    assert np.mean((net.predict(data[0]) - data[1]) ** 2) == pytest.approx(best)


def test_a_fit_goes_on_after_a_time_limit(data, tmp_path):
    """A resumed fit has the whole limit again, and equals a fit without limits."""
    settings = {"checkpoint": tmp_path / "fit", "resume": True, "epochs": 12}
    whole, limited = network(), network()
    expected = train(whole, data, epochs=12)
    lengths = []
    for _ in range(20):
        limited = network()
        history = train(limited, data, Wait(0.04), TimeLimit(0.1), **settings)
        lengths.append(len(history["loss"]))
        if lengths[-1] == 12:
            break
    assert lengths[0] < 12
    assert lengths[-1] == 12
    assert without_time(history) == without_time(expected)
    assert np.array_equal(limited.params, whole.params)


def test_a_stopped_fit_does_not_go_on_because_of_a_time_limit(data, tmp_path):
    class Stop(fn.Callback):
        def epoch_end(self, net, epoch, metrics):
            return epoch == 1

    settings = {"checkpoint": tmp_path / "fit", "resume": True, "epochs": 12}
    for _ in range(2):
        history = train(network(), data, Stop(), TimeLimit(1e-9), Wait(0), **settings)
    assert len(history["loss"]) == 2


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, True, "1h", None])
def test_bad_limits(seconds):
    with pytest.raises((ValueError, TypeError), match="seconds is "):
        TimeLimit(seconds)
