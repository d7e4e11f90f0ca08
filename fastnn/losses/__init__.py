"""Losses: their values, their gradients by the network's outputs, and the targets that they take.

The engine computes the losses of this package. A loss written in Python is any object with
`value_and_grad(y_pred, y) -> (float, ndarray of y_pred's shape)`.
"""

from typing import Any, TypeGuard

import numpy as np

from fastnn._core.arrays import Array
from fastnn.losses import custom
from fastnn.losses.base import Loss
from fastnn.losses.classification import (
    BinaryCrossEntropy,
    NegativeLogLikelihood,
    SoftmaxCrossEntropy,
)
from fastnn.losses.custom import CustomLoss
from fastnn.losses.regression import (
    HalfSquaredError,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanSquaredError,
    Pinball,
    Poisson,
)

__all__ = [
    "BUILT_IN",
    "BinaryCrossEntropy",
    "CustomLoss",
    "HalfSquaredError",
    "Huber",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "NegativeLogLikelihood",
    "Pinball",
    "Poisson",
    "SoftmaxCrossEntropy",
    "check_target",
    "demand_weights",
    "is_built_in",
]

# Every loss that the engine knows; a class that a user derives later is none of these.
BUILT_IN = tuple(Loss.__subclasses__())


def is_built_in(loss: Any) -> TypeGuard[Loss]:
    """Whether the engine computes this loss; a user's subclass is called from Python instead."""
    return type(loss) in BUILT_IN


def check_target(
    loss: Any, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str
) -> Array:
    """Return checked targets for outputs of that shape (n, n_outputs) and dtype.

    Raises
    ------
    TypeError
        If `loss` is no loss.
    ValueError, TypeError
        If the loss does not take these targets.
    """
    if is_built_in(loss):
        return loss.check_target(y, shape, dtype, name)
    return custom.check_target(loss, y, shape[0], name)


def demand_weights(loss: Any) -> None:
    """Raise TypeError if a loss written in Python takes no sample weights."""
    if not is_built_in(loss):
        custom.demand_weights(loss)
