"""Losses written in Python: their interface, and checks of their arguments and results."""

import inspect
from typing import Any, Protocol

import numpy as np

from fastnn._core.arrays import Array


class CustomLoss(Protocol):
    """The interface of a loss written in Python.

    The reported loss of an epoch is the mean of the values of its minibatches, weighted by their
    numbers of samples. If the loss has an attribute `reduction` other than "mean", the reported
    loss is the sum of these values. A loss that accepts sample weights has an argument
    `sample_weight` (n,) in `value_and_grad`. If it has an attribute `negative_weights` that is
    True, the weights may be negative, and minibatches are weighted by their numbers of samples.
    """

    def value_and_grad(self, y_pred: Array, y: Array) -> tuple[float, Array]:
        """Return the loss of a minibatch, and its gradient by `y_pred` (n, n_outputs)."""
        ...


def value_and_grad(
    loss: CustomLoss, outputs: Array, y: Any, weights: Array | None = None
) -> tuple[float, Array]:
    """Return the value and the gradient of a loss written in Python.

    The loss gets a copy of the outputs, which it may overwrite. If all weights are 0, the loss is
    not called, because it could not divide by their sum. The value and the gradient are 0 then.

    Raises
    ------
    ValueError, TypeError
        If the loss does not return a number and a real gradient of the outputs' shape.
    """
    if weights is not None and not weights.any():
        return 0.0, np.zeros_like(outputs)
    weighted = {} if weights is None else {"sample_weight": weights.copy()}
    returned = loss.value_and_grad(outputs.copy(), y, **weighted)
    return checked(returned, outputs.shape, outputs.dtype)


def checked(returned: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[float, Array]:
    """Return what `value_and_grad` has returned as a float and an array of this dtype.

    Raises
    ------
    ValueError, TypeError
        If it is not a number and a real gradient of this shape.
    """
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise TypeError(
            f"loss.value_and_grad returned {type(returned).__name__}; a pair (value, gradient) is "
            f"wanted"
        )
    value, gradient = np.asarray(returned[0]), np.asarray(returned[1])
    for name, array in (("value", value), ("gradient", gradient)):
        if array.dtype.kind not in "biuf":
            raise TypeError(
                f"loss.value_and_grad returned a {name} of dtype {array.dtype}; real numbers are "
                f"wanted"
            )
    if value.ndim or gradient.shape != shape:
        raise ValueError(
            f"loss.value_and_grad returned a value of shape {value.shape} and a gradient of shape "
            f"{gradient.shape}; () and {shape} are wanted"
        )
    with np.errstate(over="ignore"):
        return float(value), np.require(gradient, dtype, ["C", "A"])


def check_target(loss: Any, y: Any, n_samples: int, name: str) -> Array:
    """Return the targets as an array (n_samples, …); the loss checks their values.

    Raises
    ------
    TypeError
        If `loss` has no method `value_and_grad`, or the targets are a masked array.
    ValueError
        If the targets do not have one row for each sample.
    """
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
    if target.ndim == 0 or len(target) != n_samples:
        raise ValueError(f"{name} has shape {target.shape}; ({n_samples}, …) is wanted")
    return target


def demand_weights(loss: Any) -> None:
    """Raise TypeError if `value_and_grad` takes no argument `sample_weight`."""
    try:
        parameters = inspect.signature(loss.value_and_grad).parameters.values()
    except (TypeError, ValueError):  # compiled code may have no signature
        return
    if not any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters):
        raise TypeError(
            f"loss is {loss!r}, whose value_and_grad takes no sample_weight; a loss with "
            f"value_and_grad(y_pred, y, sample_weight) is wanted for training with weights"
        )
