"""The data of the fits with callbacks."""

import pytest


@pytest.fixture
def data(rng):
    X = rng.standard_normal((40, 3))
    return X, X @ [[1.0], [2.0], [-1.0]]
