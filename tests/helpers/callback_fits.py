"""A small fit with callbacks."""

import numpy as np

import fastnn as fn


def network(dtype="float64", seed=0):
    return fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 1)], dtype, seed=seed)


def train(net, data, *callbacks, epochs=5, **settings):
    settings = {"loss": fn.MeanSquaredError(), "optimizer": fn.Adam(0.01), "seed": 0} | settings
    return net.fit(*data, epochs=epochs, callbacks=callbacks, **settings)


class Fail(fn.Callback):
    """Raise an exception at the end of an epoch."""

    def __init__(self, epoch, error=RuntimeError):
        self.epoch, self.error = epoch, error

    def epoch_end(self, net, epoch, metrics):
        if epoch == self.epoch:
            raise self.error("stop")


def without_time(columns):
    return {name: column for name, column in columns.items() if name != "seconds"}


def expect_curves(curves, history, start=0):
    assert curves.keys() == history.keys()
    for name, column in history.items():
        assert [step for step, _ in curves[name]] == list(range(start, len(column)))
        np.testing.assert_allclose([v for _, v in curves[name]], column[start:], rtol=1e-6)
