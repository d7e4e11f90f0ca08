"""Data frames that are read without scikit-learn's checks, which take longer than a prediction."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def plain_array(X: Any, names: Any, dtype: "np.dtype[Any]") -> Array | None:
    """Return the numbers of a frame with exactly these names, whose columns all have that dtype.

    Parameters
    ----------
    X : object
    names : ndarray of str
    dtype : numpy.dtype
        float32 or float64. Neither nullable nor sparse columns have it.

    Returns
    -------
    ndarray (n_samples, n_features), C-contiguous, or None
        None for all that is no such frame of pandas or polars. Missing values are NaN.
    """
    frame = type(X)
    library = frame.__module__.partition(".")[0]
    if frame.__name__ != "DataFrame" or library not in ("pandas", "polars"):
        return None
    columns, kinds = list(X.columns), list(X.dtypes)
    if columns != list(names) or set(map(type, columns)) != {str}:
        return None
    wanted = dtype
    if library == "polars" and str(kinds[0]) == dtype.name.capitalize():
        wanted = kinds[0]
    if kinds.count(wanted) != len(kinds):
        return None
    return np.require(X.to_numpy(), dtype, ["C", "A"])
