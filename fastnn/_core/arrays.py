"""The types of arrays in annotations.

A type checker sees the dtype. At runtime the names are plain `numpy.ndarray`, so that `help` prints
signatures that a person can read.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    FloatArray: TypeAlias = NDArray[np.float64]
    IntArray: TypeAlias = NDArray[np.int64]
else:
    Array = FloatArray = IntArray = np.ndarray
