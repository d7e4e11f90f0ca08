"""The importance of the columns of a table, from exact derivatives of the networks."""

import copy
from collections.abc import Sequence

import numpy as np

from fastnn._core.arrays import Array
from fastnn.layers import CategoricalEmbedding
from fastnn.network import Network

MOST_ROWS = 1000  # held-out rows that `feature_importances_` uses; Jacobians of more take long


def gradient_importance(
    networks: Sequence[Network], x: Array, columns: Sequence[Sequence[int]]
) -> Array:
    """Return the importance of each column (n_features,); the sum is 1, or all are 0.

    The importance of a column is the mean over the rows of √ Σ (σ_j ∂f_o/∂x_j)². The sum is over
    the outputs f_o and the encoded columns x_j of this column; σ_j is the standard deviation of
    x_j. For a column of codes, x_j are the components of its embedding.

    Parameters
    ----------
    networks : sequence of Network
        The importances are averaged over the networks.
    x : ndarray (n, n_columns)
        Encoded rows.
    columns : sequence of sequences of int
        For each column of the table its encoded columns.
    """
    total = np.zeros(len(columns))
    for network in networks:
        squares = _squares(network, x)
        for i, own in enumerate(columns):
            total[i] += np.sqrt(squares[:, own].sum(axis=1)).mean() if len(own) else 0
    norm = total.sum()
    return total / norm if norm > 0 else total


def _squares(network: Network, x: Array) -> Array:
    """Return Σ_o (σ_j ∂f_o/∂x_j)² for each row and encoded column, (n, n_columns)."""

    def weighted(jacobian: Array, inputs: Array) -> Array:
        deviations = inputs.std(axis=0, dtype=np.float64)
        found: Array = np.square(jacobian * deviations).sum(axis=1)
        return found

    squares = weighted(network.jacobian(x), x)
    for i, layer in enumerate(network.layers):
        if isinstance(layer, CategoricalEmbedding):
            inputs = network.activations(x)[f"{i}.{type(layer).__name__}"]
            rest = Network([copy.deepcopy(later) for later in network.layers[i + 1 :]])
            found = weighted(rest.jacobian(inputs), inputs)
            end = inputs.shape[1]
            for back, size in enumerate(reversed(layer.size), start=1):
                squares[:, -back] = found[:, end - size : end].sum(axis=1)
                end -= size
    return squares
