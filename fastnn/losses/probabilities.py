"""How the outputs of a network become probabilities of classes, for each kind of link."""

import numpy as np

from fastnn._core.arrays import Array
from fastnn.layers import Sigmoid, Softmax

LINKS = ("softmax", "sigmoid", "identity")


def of_outputs(link: str, outputs: Array) -> Array:
    """Return the probabilities (n, n_classes) for checked outputs (n, n_outputs).

    One output of the sigmoid has the columns of two classes. More outputs have a probability each.
    """
    if link == "softmax":
        return Softmax()(outputs)
    if link == "identity":
        return outputs
    sigmoid = Sigmoid()
    if outputs.shape[1] > 1:
        return sigmoid(outputs)
    return np.concatenate([sigmoid(-outputs), sigmoid(outputs)], axis=1)
