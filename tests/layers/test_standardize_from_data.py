"""`Standardize.from_data`: one pass in limited memory, accurate for any offset and scale."""

import subprocess
import sys

import mpmath
import numpy as np
import pytest
from systems import linux_only

import fastnn as fn
from fastnn import _checks


@pytest.fixture(params=[64, 1 << 21], ids=["small blocks", "one block"])
def block(request, monkeypatch):
    monkeypatch.setattr(_checks.arrays, "BLOCK_BYTES", request.param)


def exact(column):
    with mpmath.workdps(400):
        values = [mpmath.mpf(float(x)) for x in column]
        mean = mpmath.fsum(values) / len(values)
        squares = mpmath.fsum([(x - mean) ** 2 for x in values])
        return float(mean), float(mpmath.sqrt(squares / len(values)))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", ">f8", "uint8", "bool"])
def test_the_dtypes(block, rng, dtype):
    X = (rng.standard_normal((203, 4)) * 20 + 100).astype(dtype)
    layer = fn.Standardize.from_data(X)
    for column, mean, scale in zip(X.T, layer.mean, layer.scale, strict=True):
        expected = exact(column)
        assert mean == pytest.approx(expected[0], rel=1e-14)
        assert scale == pytest.approx(expected[1] or 1, rel=1e-13)


@pytest.mark.parametrize("offset", [0, 1, 1e9, 1e15, -1e15])
@pytest.mark.parametrize("size", [1e-300, 1e-163, 1e-10, 1, 1e155, 1e290])
def test_offsets_and_scales(block, rng, offset, size):
    X = (rng.standard_normal((101, 3)) + offset) * size
    layer = fn.Standardize.from_data(X)
    for column, mean, scale in zip(X.T, layer.mean, layer.scale, strict=True):
        expected = exact(column)
        assert mean == pytest.approx(expected[0], rel=1e-13, abs=1e-15 * size)
        assert scale == pytest.approx(expected[1], rel=1e-12)


def test_the_ends_of_the_range(block):
    most, least = np.finfo(float).max, 5e-324
    X = np.array([[most, least, most], [-most, 3 * least, most], [most, -least, most]] * 20)
    layer = fn.Standardize.from_data(X)
    assert layer.mean == pytest.approx([most / 3, least, most], rel=1e-13)
    assert layer.scale[0] == pytest.approx(exact(X[:, 0])[1], rel=1e-13)
    assert layer.scale[1] == pytest.approx(exact(X[:, 1])[1])
    assert layer.scale[2] == 1


def test_sizes_that_differ_from_block_to_block(block, rng):
    X = rng.standard_normal((90, 2)) * np.repeat([1e-200, 1, 1e200], 30)[:, np.newaxis]
    for rows in (X, X[::-1]):
        layer = fn.Standardize.from_data(rows)
        for column, scale in zip(rows.T, layer.scale, strict=True):
            assert scale == pytest.approx(exact(column)[1], rel=1e-13)


@pytest.mark.parametrize("value", [0.1, 1e300, -3e-310, 0])
def test_a_constant_column_gets_the_scale_1(block, value):
    layer = fn.Standardize.from_data(np.full((77, 1), value))
    assert (layer.mean[0], layer.scale[0]) == (value, 1)


def test_a_bad_number_is_found(block):
    X = np.zeros((50, 2))
    X[45, 1] = np.nan
    with pytest.raises(ValueError, match=r"X\[\d+, 1\] is nan"):
        fn.Standardize.from_data(X)


@linux_only
def test_memory_stays_small(tmp_path):
    """The data are a sparse file of 400 MB as float64."""
    code = f"""
import numpy as np, fastnn as fn, resource
X = np.memmap({str(tmp_path / "x.raw")!r}, "uint8", "w+", shape=(50_000, 1000))
fn.Standardize.from_data(X[:100])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fn.Standardize.from_data(X)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    ran = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) < 50 + 40  # the pages of the file, and blocks
