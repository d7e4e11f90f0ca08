"""The samples that early stopping holds out, and the weight that each part needs.

scikit-learn draws them by `train_test_split` from a `RandomState`. `datasets.stratified_split`
draws other samples, from a `Generator`, so it cannot be used here.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from fastnn._core.arrays import Array

Indices = NDArray[np.int64]


def split(
    n: int, fraction: float, labels: "Array | None", random_state: Any
) -> tuple[Indices, Indices]:
    """Split samples into those to train on and those to hold out, as scikit-learn does.

    Parameters
    ----------
    n : int
        Number of samples.
    fraction : float
        Share of the samples to hold out.
    labels : ndarray (n, 1) or None
        Classes; if given, the share is held out of each class.
    random_state : RandomState

    Returns
    -------
    (ndarray, ndarray)
        Row numbers of the samples to train on, and of those held out.

    Raises
    ------
    ValueError
        If fewer than two samples would be held out, or a class has only one.
    """
    if n == 1:
        raise ValueError(
            "early_stopping=True holds out some of the samples, but there is only 1 sample"
        )
    train, held_out = train_test_split(
        np.arange(n), random_state=random_state, test_size=fraction, stratify=labels
    )
    if len(held_out) < 2:
        raise ValueError(
            f"The validation set is too small: {len(held_out)} of {n} samples. Increase "
            f"'validation_fraction' or the size of your dataset."
        )
    return train, held_out


def demand_weight(sample_weight: "Array | None") -> None:
    """Raise ValueError if there are weights and all of them are 0."""
    if sample_weight is not None and not sample_weight.any():
        raise ValueError("sample_weight, times class_weight, is 0 for all samples")
