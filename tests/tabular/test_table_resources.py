"""The memory of an encoder beyond the table and the output."""

import tracemalloc

import numpy as np
import pytest

from fastnn.tabular import TableEncoder

N, COLUMNS = 300_000, 10


def form(name):
    X = np.random.default_rng(0).normal(size=(N, COLUMNS)).astype("float32")
    if name == "pandas":
        pd = pytest.importorskip("pandas")
        return pd.DataFrame(X, columns=[f"c{i}" for i in range(COLUMNS)])
    if name == "polars":
        pl = pytest.importorskip("polars")
        return pl.DataFrame(X, schema=[f"c{i}" for i in range(COLUMNS)])
    return X


@pytest.mark.parametrize("name", ["array", "pandas", "polars"])
def test_memory(name):
    """A fit needs the memory of a few columns, and the encoding that of the output."""
    X = form(name)
    column, output = N * 4, N * COLUMNS * 4
    encoder = TableEncoder()
    tracemalloc.start()
    try:
        encoder.fit(X)
        fit_peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        Z = encoder.transform(X)
        transform_peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert Z.shape == (N, COLUMNS)
    assert fit_peak < 4 * column
    assert transform_peak < output + 4 * column
