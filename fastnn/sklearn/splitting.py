"""The samples that early stopping holds out, and the weight that each part needs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

Indices = NDArray[np.int64]


def stratified_split(
    n: int, fraction: float, labels: "NDArray[Any] | None", random_state: Any
) -> tuple[Indices, Indices]:
    """Split n samples into those to train on and a share held out, each class by that share.

    A class of one sample is trained on. Where a part would have fewer samples than there are
    classes, classes are left to chance.

    Returns
    -------
    (ndarray, ndarray)
        Row numbers to train on, and those held out.

    Raises
    ------
    ValueError
        If fewer than two samples would be held out.
    """
    rows = np.arange(n)
    alone = rows[:0]
    if labels is not None:
        _, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
        single = counts[index] == 1
        alone, rows, labels = rows[single], rows[~single], labels[~single]
        held = int(np.ceil(fraction * len(rows)))
        if min(held, len(rows) - held) < (counts > 1).sum():
            labels = None
    train, held_out = train_test_split(
        rows, random_state=random_state, test_size=fraction, stratify=labels
    )
    if len(held_out) < 2:
        raise ValueError(
            f"The validation set is too small: {len(held_out)} of {n} samples. Increase "
            f"'validation_fraction' or the size of your dataset."
        )
    return np.concatenate([train, alone]), held_out


def demand_weight(sample_weight: NDArray[Any]) -> None:
    """Raise if no sample of those to train on, or to score, has a weight."""
    if not sample_weight.any():
        raise ValueError("sample_weight, times class_weight, is 0 for all samples")
