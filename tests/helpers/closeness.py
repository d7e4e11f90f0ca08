"""Agreement in units of the last place."""

import numpy as np


def assert_close(found, expected, units=200, size=1.0):
    """Demand agreement to so many units in the last place of the largest entry, or of `size`."""
    assert found.dtype in (np.float32, np.float64)
    assert found.shape == expected.shape
    largest = max(size, np.abs(expected).max(initial=0))
    tolerance = units * float(np.finfo(found.dtype).eps) * largest
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
