"""The segments of an optimizer's step on all parameters, as the engine takes them."""

import numpy as np

from fastnn.optimizers.state import SEGMENT


def whole(n):
    """Return one segment of n parameters without factors."""
    return np.array([(0, n, 0, 1.0, 1.0)], SEGMENT)
