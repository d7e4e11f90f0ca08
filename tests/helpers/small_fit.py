"""A small fit with a checkpoint, and what breaks it off, for the tests of checkpoints."""

import numpy as np

import fastnn as fn
from fastnn.files import model_file

SETTINGS = {"optimizer": fn.Adam(0.01), "epochs": 9, "batch_size": 7, "seed": 3}


class Interrupt(fn.Callback):
    """Break off at the end of an epoch, as a crash would."""

    def __init__(self, epoch):
        self.epoch = epoch

    def epoch_end(self, net, epoch, metrics):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def network(dtype="float64"):
    layers = [
        fn.Standardize(np.arange(5.0), np.arange(1.0, 6.0)),
        fn.Linear(5, 8),
        fn.Tanh(),
        fn.Linear(8, 3),
    ]
    return fn.Network(layers, dtype, seed=0)


def bits(net, history):
    columns = {name: column for name, column in history.items() if name != "seconds"}
    state = net._optimizer_state
    return net.params.tobytes(), net.grads.tobytes(), state.arrays.tobytes(), state.step, columns


def epochs_done(path):
    return model_file.read(path)[0]["fit"]["parts"]["trainer"]["epoch"]
