"""Class weights: the weight of each sample follows from its class."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.losses import BinaryCrossEntropy, is_built_in


def sample_weights(class_weight: Any, loss: Any, target: Array, n_outputs: int) -> Array:
    """Return each sample's weight (n,), float64.

    Parameters
    ----------
    class_weight : {class: weight} or "balanced"
        A class that is missing in the dict has the weight 1. "balanced" means
        n / (k · number of samples of the class), as in scikit-learn, so that all k classes have the
        same total weight.
    loss : Loss or CustomLoss
    target : ndarray
        The result of `loss.check_target`. Missing targets are not counted.
    n_outputs : int

    Raises
    ------
    TypeError
        If the loss has no classes, or `class_weight` is neither a dict nor "balanced".
    ValueError
        If a class is missing from the targets, or a weight is negative or not finite.
    """
    labels, k = _labels(loss, target, n_outputs)
    observed = labels >= 0  # a missing label may have any weight
    counts = np.bincount(labels[observed], minlength=k)
    if isinstance(class_weight, str) and class_weight == "balanced":
        if not counts.all():
            raise ValueError(
                f"class_weight is 'balanced', but class {int(np.argmin(counts))} is missing from "
                f"y; samples of all {k} classes are wanted"
            )
        balanced: Array = counts.sum() / (k * counts)
        return balanced[labels]
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"class_weight is {class_weight!r}; 'balanced' or a dict {{class: weight}} is wanted"
        )
    weight_of = np.ones(k)
    for key, weight in class_weight.items():
        if isinstance(key, bool) or key not in range(k):
            raise ValueError(
                f"class_weight has the class {key!r}; a class index 0 to {k - 1} is wanted"
            )
        index = int(key)
        if counts[index] == 0:
            raise ValueError(f"class_weight has class {index}, which is missing from y")
        weight_of[index] = _checks.number(weight, f"class_weight[{index}]", at_least=0)
    return weight_of[labels]


def _labels(loss: Any, target: Array, n_outputs: int) -> tuple[NDArray[np.int64], int]:
    """Return the class indices (n,) and the number of classes."""
    if is_built_in(loss) and loss.takes_labels:
        return target, n_outputs
    if type(loss) is not BinaryCrossEntropy or n_outputs != 1:
        raise TypeError(
            f"class_weight does not go with the loss {loss!r}; a loss of fastnn that takes class "
            f"labels, or BinaryCrossEntropy for one output, is wanted"
        )
    given = np.where(np.isnan(target), -1, target).ravel()
    labels = given.astype(np.int64)
    if (labels != given).any():
        raise ValueError("y holds numbers other than 0 and 1, which class_weight does not allow")
    return labels, 2
