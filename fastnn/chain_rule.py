"""The chain rule over layers: a network's Jacobian as the product of theirs, not multiplied out."""

import itertools
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from fastnn.jacobians import Block, Composed, Jacobian
from fastnn.layers import Layer

Array = NDArray[Any]


def jacobian_operator(layers: Sequence[Layer], x: Array, wrt: str) -> Jacobian:
    """Return the Jacobian of the layers, applied one after the other, at one sample.

    Parameters
    ----------
    layers : sequence of Layer
    x : ndarray (in_features,)
        In the dtype to compute in.
    wrt : {"input", "params"}

    Returns
    -------
    Jacobian (out_features, in_features) or (out_features, n_params)
        By the input, the layers' Jacobians, the last layer's first. By the parameters, in the order
        of the layers, a block for all layers up to one, through that one, beside its own.
    """
    if wrt == "input":
        factors = []
        for layer in layers:
            factors.append(layer.jacobian(x))
            x = layer(x)
        return Composed(factors[::-1])
    total = layers[0].jacobian(x, "params")
    for before, layer in itertools.pairwise(layers):
        x = before(x)
        total = Composed([layer.jacobian(x), total])  # what came before is frozen in its own block
        if layer.n_params:
            total = Block([total, layer.jacobian(x, "params")])
    return total
