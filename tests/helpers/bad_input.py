"""Arrays that are no features, labels or targets, and what the error must say of each."""

import numpy as np
import pytest

import fastnn as fn

X, Y = np.arange(12.0).reshape(4, 3) / 10, np.array([0, 1, 1, 0])
REAL_Y = np.arange(8.0).reshape(4, 2)


def network(dtype="float32"):
    return fn.Network([fn.Linear(3, 4), fn.ReLU(), fn.Linear(4, 2)], dtype, seed=0)


def refused(error, message, call, *args, **kwargs):
    """Assert that a call raises, and that the message holds every piece of `message`."""
    with pytest.raises(error) as info:
        call(*args, **kwargs)
    for piece in message.split(" … "):
        assert piece in str(info.value), f"{piece!r} is not in {info.value}"


with_nan, with_infinity = X.copy(), X.copy()
with_nan[2, 1], with_infinity[3, 0] = np.nan, -np.inf


class Sparse:
    def toarray(self):
        return X


BAD_ARRAYS = [
    (with_nan, ValueError, "[2, 1] is nan … finite numbers are wanted"),
    (with_infinity, ValueError, "[3, 0] is -inf … finite numbers are wanted"),
    (X * 1e40, ValueError, "too large for float32"),
    (X[:, :2], ValueError, "has shape (4, 2) … (n, 3)"),
    (np.zeros((2, 3, 3)), ValueError, "has shape (2, 3, 3) … (n, 3)"),
    (np.zeros((4, 0)), ValueError, "has shape (4, 0) … (n, 3)"),
    (3.0, ValueError, "has shape () … (n, 3)"),
    (X.astype(complex), TypeError, "has dtype complex128 … real numbers are wanted"),
    (X.astype(object), TypeError, "has dtype object … real numbers are wanted"),
    ([["a", "b", "c"]], TypeError, "has dtype <U1"),
    ([[1, 2, 3], [1, 2]], ValueError, "is not a rectangular array"),
    (None, TypeError, "has dtype object"),
    (Sparse(), TypeError, "is sparse … toarray()"),
    (np.ma.masked_array(X, X > 0.5), TypeError, "is a masked array"),
    (X.astype("datetime64[s]"), TypeError, "has dtype datetime64[s]"),
]

BAD_LABELS = [
    ([0, 1, 2, 0], ValueError, "[2] is 2 … a class index 0 to 1"),
    ([0, -1, 1, 0], ValueError, "[1] is -1"),
    ([0, 0.5, 1, 0], ValueError, "[1] is 0.5"),
    ([0, np.nan, 1, 0], ValueError, "[1] is nan"),
    (np.array([0, 1, 2**63, 0], np.uint64), ValueError, f"[2] is {2**63}"),
    (Y[:3], ValueError, "has shape (3,) … (4,) is wanted"),
    (Y[:, None], ValueError, "has shape (4, 1)"),
    (np.eye(4)[:, :2], ValueError, "has shape (4, 2)"),
    (["a", "b", "b", "a"], TypeError, "has dtype <U1 … class indices 0 to 1"),
    (np.ma.masked_array(Y, Y > 0), TypeError, "is a masked array"),
    ([[0], [0, 1]], ValueError, "is not a rectangular array"),
    (Y.astype(object), TypeError, "has dtype object"),
    (Y.astype(complex), TypeError, "has dtype complex128"),
    (None, TypeError, "has dtype object"),
]

BAD_TARGETS = [
    (np.full((4, 2), np.nan), ValueError, "[0, 0] is nan"),
    (np.full((4, 2), np.inf), ValueError, "[0, 0] is inf"),
    (REAL_Y[:3], ValueError, "has shape (3, 2) … (4, 2) is wanted"),
    (REAL_Y[:, :1], ValueError, "has shape (4, 1)"),
    (REAL_Y[:, 0], ValueError, "has shape (4,)"),
    (REAL_Y.astype(complex), TypeError, "has dtype complex128"),
    (REAL_Y.astype(str), TypeError, "real numbers are wanted"),
]
