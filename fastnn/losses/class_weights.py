"""Class weights: a weight for each sample, from its class."""

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
        Classes that are not named weigh 1. "balanced" is n / (k · the class's number of samples)
        for k classes, as in scikit-learn, so that all classes count alike.
    loss : Loss or CustomLoss
    target : ndarray
        As `loss.check_target` returns it.
    n_outputs : int

    Raises
    ------
    TypeError
        If the loss has no classes, or `class_weight` is neither.
    ValueError
        If a class is not in the targets, or a weight is negative or not finite.
    """
    labels, k = _labels(loss, target, n_outputs)
    counts = np.bincount(labels, minlength=k)
    if isinstance(class_weight, str) and class_weight == "balanced":
        if not counts.all():
            raise ValueError(
                f"class_weight is 'balanced', and class {int(np.argmin(counts))} is missing from "
                f"y; samples of all {k} classes are wanted"
            )
        return (len(labels) / (k * counts))[labels]
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
    """Return class indices (n,), and the number of classes."""
    if is_built_in(loss) and loss.takes_labels:
        return target, n_outputs
    if type(loss) is not BinaryCrossEntropy or n_outputs != 1:
        raise TypeError(
            f"class_weight does not go with the loss {loss!r}; one of fastnn that takes class "
            f"labels, or BinaryCrossEntropy for one output, is wanted"
        )
    labels = target.ravel().astype(np.int64)
    if (labels != target.ravel()).any():
        raise ValueError("y is not 0 or 1 everywhere; class_weight needs that")
    return labels, 2
