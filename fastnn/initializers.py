"""Initial weights: functions of a random generator and a shape (out_features, in_features).

A deep network trains well from the start if its weight matrices keep the variance of the signals.
Any function `(rng, shape) -> array` can be passed as `Linear(..., weight_init=...)`.
"""

from collections.abc import Callable

import numpy as np

from fastnn._core.arrays import Array, FloatArray

Initializer = Callable[["np.random.Generator", tuple[int, ...]], Array]


def he_uniform(rng: "np.random.Generator", shape: tuple[int, ...]) -> FloatArray:
    """Return uniform weights, variance 2 / in_features, for the ReLU family (He et al. 2015)."""
    limit = np.sqrt(6 / shape[1])
    return rng.uniform(-limit, limit, shape)


def he_normal(rng: "np.random.Generator", shape: tuple[int, ...]) -> FloatArray:
    """Return normal weights, variance 2 / in_features, for the ReLU family (He et al. 2015)."""
    return rng.normal(0, np.sqrt(2 / shape[1]), shape)


def xavier_uniform(rng: "np.random.Generator", shape: tuple[int, ...]) -> FloatArray:
    """Return uniform weights with variance 2 / (in_features + out_features).

    For tanh, sigmoid, and outputs without an activation (Glorot and Bengio 2010).
    """
    limit = np.sqrt(6 / (shape[0] + shape[1]))
    return rng.uniform(-limit, limit, shape)


def xavier_normal(rng: "np.random.Generator", shape: tuple[int, ...]) -> FloatArray:
    """Return normal weights with variance 2 / (in_features + out_features).

    For tanh, sigmoid, and outputs without an activation (Glorot and Bengio 2010).
    """
    return rng.normal(0, np.sqrt(2 / (shape[0] + shape[1])), shape)


def lecun_normal(rng: "np.random.Generator", shape: tuple[int, ...]) -> FloatArray:
    """Return normal weights with variance 1 / in_features, for SELU (Klambauer et al. 2017)."""
    return rng.normal(0, np.sqrt(1 / shape[1]), shape)


def zeros(rng: "np.random.Generator", shape: tuple[int, ...]) -> FloatArray:
    """Return zeros, the default for biases."""
    return np.zeros(shape)
