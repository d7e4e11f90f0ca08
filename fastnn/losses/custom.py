"""Losses written in Python: their interface, and the checked call of one."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class CustomLoss(Protocol):
    """What `fit` asks of a loss written in Python.

    If it has an attribute `reduction` that is not "mean", an epoch's loss is the sum of its values
    over the minibatches; otherwise their mean, weighted by the samples. To train with sample
    weights, `value_and_grad` takes them as an argument `sample_weight`, an array (n,).
    """

    def value_and_grad(self, y_pred: Array, y: Array) -> tuple[float, Array]:
        """Return the loss of a minibatch and its gradient by `y_pred` (n, n_outputs)."""
        ...


def value_and_grad(
    loss: CustomLoss, outputs: Array, y: Any, weights: Array | None = None
) -> tuple[float, Array]:
    """Call a custom loss on a copy of the outputs, which it may overwrite.

    It is not asked about samples that all weigh nothing, whose mean it could not take.

    Raises
    ------
    ValueError, TypeError
        If what it returns is not a number and a real gradient of the outputs' shape.
    """
    if weights is not None and not weights.any():
        return 0.0, np.zeros_like(outputs)
    weighted = {} if weights is None else {"sample_weight": weights.copy()}
    returned = loss.value_and_grad(outputs.copy(), y, **weighted)
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
    if value.ndim or gradient.shape != outputs.shape:
        raise ValueError(
            f"loss.value_and_grad returned a value of shape {value.shape} and a gradient of shape "
            f"{gradient.shape}; () and {outputs.shape} are wanted"
        )
    with np.errstate(over="ignore"):
        return float(value), np.require(gradient, outputs.dtype, ["C", "A"])
