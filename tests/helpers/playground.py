"""What the tests of the playground share: its folder, the data, the same networks in fastnn."""

import numpy as np
from pages import ROOT

import fastnn as fn

FOLDER = ROOT / "docs" / "playground"
PAGE = FOLDER / "index.html"
ACTIVATIONS = [fn.Tanh, fn.ReLU, fn.Sigmoid]  # in the order of the enum in playground.c
XOR = np.array([[-1, -1, 0], [-1, 1, 1], [1, -1, 1], [1, 1, 0]], np.float32)


def network(hidden, activation, dtype="float64", probability=False):
    """Return a network of 2 inputs; its output is the logit, or the probability."""
    layers, width = [], 2
    for units in hidden:
        layers += [fn.Linear(width, units), activation()]
        width = units
    return fn.Network([*layers, fn.Linear(width, 1), *[fn.Sigmoid()] * probability], dtype, seed=0)
