"""Losses: value, gradient by the network's outputs, and what targets they take.

Each describes a kernel of the engine. A loss of your own is any object with
`value_and_grad(y_pred, y) -> (float, ndarray of y_pred's shape)`; it trains step by step.
"""

import inspect
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

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

BUILT_IN = (
    HalfSquaredError,
    MeanSquaredError,
    MeanAbsoluteError,
    Huber,
    Pinball,
    Poisson,
    BinaryCrossEntropy,
    NegativeLogLikelihood,
    SoftmaxCrossEntropy,
)


def is_built_in(loss: Any) -> TypeGuard[Loss]:
    """Whether the engine knows this loss; a subclass may have changed what it computes."""
    return type(loss) in BUILT_IN


def check_target(
    loss: Any, y: Any, shape: tuple[int, int], dtype: np.dtype[Any], name: str
) -> NDArray[Any]:
    """Check a loss, and targets for outputs of that shape (n, n_outputs) and dtype.

    Raises
    ------
    TypeError
        If it is no loss.
    ValueError, TypeError
        If the targets are not what the loss takes.
    """
    if is_built_in(loss):
        return loss.check_target(y, shape, dtype, name)
    if isinstance(loss, type) or not callable(getattr(loss, "value_and_grad", None)):
        raise TypeError(
            f"loss is {loss!r}; a loss of fastnn such as SoftmaxCrossEntropy(), or an object with "
            f"value_and_grad(y_pred, y), is wanted"
        )
    if isinstance(y, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; fill or drop the masked entries first")
    try:
        target = np.asarray(y)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}") from None
    if target.ndim == 0 or len(target) != shape[0]:
        raise ValueError(f"{name} has shape {target.shape}; ({shape[0]}, …) is wanted")
    return target


def demand_weights(loss: Any) -> None:
    """Raise TypeError if a loss written in Python does not take sample weights."""
    if is_built_in(loss):
        return
    try:
        parameters = inspect.signature(loss.value_and_grad).parameters.values()
    except (TypeError, ValueError):  # compiled code need not tell; the call itself will
        return
    if not any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters):
        raise TypeError(
            f"loss is {loss!r}, whose value_and_grad takes no sample_weight; "
            f"value_and_grad(y_pred, y, sample_weight) is wanted for training with weights"
        )
