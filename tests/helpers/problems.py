"""The small problem that tests of the estimators share."""

import numpy as np

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 3))
SIGNAL = X @ rng.standard_normal((3, 3))
LABELS = np.array(["red", "green", "blue"])[SIGNAL.argmax(axis=1)]
Y = np.sin(SIGNAL)


def targets(signal):
    """Return targets of each kind by name, made of three columns of numbers (n, 3)."""
    return {
        "binary": np.where(signal[:, 0] > 0, "yes", "no"),
        "multiclass": np.array(["red", "green", "blue"])[signal.argmax(axis=1)],
        "multilabel": (signal > 0).astype(int),
        "regression": np.sin(signal[:, 0]),
        "outputs": np.sin(signal),
    }


def numbered(y):
    """Return text labels as numbers, since scikit-learn 1.7 cannot stop early on texts."""
    return np.unique(y, return_inverse=True)[1] if y.dtype.kind == "U" else y
