"""Class labels: their encoding as numbers, the comparison with the known classes, and weights."""

from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import type_of_target, unique_labels

from fastnn._core.arrays import Array


def is_multilabel(binarizer: LabelBinarizer) -> bool:
    """Return whether a sample may have several labels."""
    return bool(binarizer.y_type_.startswith("multilabel"))


def check_classes(binarizer: LabelBinarizer, classes: Array, y: Array, all_present: bool) -> None:
    """Compare labels with the known classes.

    Raises
    ------
    ValueError
        If y has unknown classes, if only one of y and the known labels is a label indicator, or if
        `all_present` is set and a class is missing.
    """
    several = type_of_target(y).startswith("multilabel")
    counts = "one class per sample", "several labels of a sample"
    if several != is_multilabel(binarizer):
        raise ValueError(f"y has {counts[several]}; the known classes have {counts[not several]}")
    if several and y.shape[1] != len(classes):
        raise ValueError(f"y has {y.shape[1]} labels; expected {len(classes)}")
    found = unique_labels(y)
    unknown = np.setdiff1d(found, classes)
    if all_present and (len(unknown) or len(found) != len(classes)):
        raise ValueError(
            f"warm_start can only be used where `y` has the same classes as in the previous "
            f"call to fit. Previously got {classes}, `y` has {found}"
        )
    if len(unknown):
        raise ValueError(
            f"`y` has classes not in `self.classes_`. `self.classes_` has {classes}. 'y' "
            f"has {found}."
        )


def encode(binarizer: LabelBinarizer, classes: Array, y: Array) -> Array:
    """Return labels as class indices (n,), or as a label indicator (n, n_classes) of bool."""
    if is_multilabel(binarizer):
        indicator: Array = binarizer.transform(y).astype(bool)
        return indicator
    return np.searchsorted(classes, y)


def balanced_weights(class_weight: Any, classes: Array, y: Array) -> Array:
    """Return the weight of each sample by its class.

    `class_weight` is a dict, a list of them for several labels, or "balanced"; y is encoded.

    Raises
    ------
    ValueError
        If a weight is negative or not finite.
    """
    weight: Array = compute_sample_weight(class_weight, y if y.ndim == 2 else classes[y])
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise ValueError(
            f"class_weight is {class_weight}; no weight may be negative, infinite or NaN"
        )
    return weight
