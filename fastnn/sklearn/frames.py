"""Data frames that are read without scikit-learn's checks, which cost more than a prediction."""

from typing import Any

import numpy as np

from fastnn._core.arrays import Array


def plain_array(X: Any, names: Any, dtype: "np.dtype[Any]") -> Array | None:
    """Return the numbers of a data frame whose columns have exactly these names and this dtype.

    Parameters
    ----------
    X : object
    names : ndarray of str
    dtype : numpy.dtype
        float32 or float64. Nullable and sparse columns have other dtypes.

    Returns
    -------
    ndarray (n_samples, n_features), C-contiguous, or None
        None if X is not such a frame of pandas or polars. Missing values are NaN.
    """
    frame = type(X)
    library = frame.__module__.partition(".")[0]
    if frame.__name__ != "DataFrame" or library not in ("pandas", "polars"):
        return None
    columns, kinds = list(X.columns), list(X.dtypes)
    if columns != list(names) or set(map(type, columns)) != {str}:
        return None
    expected = dtype
    if library == "polars" and str(kinds[0]) == dtype.name.capitalize():
        expected = kinds[0]
    if kinds.count(expected) != len(kinds):
        return None
    return np.require(X.to_numpy(), dtype, ["C", "A"])
