"""The samples that early stopping holds out, and the weight that each part needs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

Indices = NDArray[np.int64]


def split(
    n: int, fraction: float, labels: "NDArray[Any] | None", random_state: Any
) -> tuple[Indices, Indices]:
    """Split n samples into those to train on and a share held out, as scikit-learn draws them.

    Parameters
    ----------
    n : int
    fraction : float
        The share that is held out.
    labels : ndarray (n, 1) or None
        Classes, each of which is split by that share.
    random_state : RandomState

    Returns
    -------
    (ndarray, ndarray)
        Row numbers to train on, and those held out.

    Raises
    ------
    ValueError
        If fewer than two samples would be held out, or a class has but one.
    """
    if n == 1:
        raise ValueError(
            "early_stopping=True holds out samples of those given; there is only 1 sample"
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


def demand_weight(sample_weight: NDArray[Any]) -> None:
    """Raise if no sample of those to train on, or to score, has a weight."""
    if not sample_weight.any():
        raise ValueError("sample_weight, times class_weight, is 0 for all samples")
