"""Losses: their values, their gradients with respect to the outputs, and checks of targets.

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
    "allows_negative_weights",
    "check_target",
    "demand_weights",
    "is_built_in",
]

# Every loss that the engine knows. Subclasses of users are defined later, so they are missing.
BUILT_IN = tuple(Loss.__subclasses__())


def is_built_in(loss: Any) -> TypeGuard[Loss]:
    """Return whether the engine computes this loss; a user's subclass runs in Python."""
    return type(loss) in BUILT_IN


def allows_negative_weights(loss: Any) -> bool:
    """Return whether sample weights may be negative; a loss of your own may allow it too."""
    return getattr(loss, "negative_weights", False) is True


def check_target(
    loss: Any, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str
) -> Array:
    """Return the checked targets for outputs of shape (n, n_outputs) and this dtype.

    Raises
    ------
    TypeError
        If `loss` is not a loss.
    ValueError, TypeError
        If the targets do not suit the loss.
    """
    if is_built_in(loss):
        return loss.check_target(y, shape, dtype, name)
    return custom.check_target(loss, y, shape[0], name)


def demand_weights(loss: Any) -> None:
    """Raise TypeError if a loss written in Python does not accept sample weights."""
    if not is_built_in(loss):
        custom.demand_weights(loss)
