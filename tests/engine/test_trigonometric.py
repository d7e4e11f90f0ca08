"""The engine's own sine and cosine against exact values."""

import mpmath
import numpy as np
import pytest

from fastnn import _core

TOP = {"float32": 1.2e4, "float64": 1.6e6}  # of the range with full accuracy
LAST = {"float32": 4e6, "float64": 1e15}


def evaluate(isa, function, x):
    out = np.full_like(x, 12345)
    _core.load_engine(isa).elementary(function, x, out)
    return out


def points(dtype, n=3000):
    rng = np.random.default_rng(2)
    top = TOP[dtype]
    turns = rng.integers(0, int(top / np.pi) * 2, n) * (np.pi / 2)  # the zeros and extrema
    tiny = 10 ** rng.uniform(-30, 0, n)
    x = [rng.uniform(-7, 7, n), rng.uniform(-top, top, n), -turns, turns, tiny, [0.0, -0.0]]
    return np.concatenate(x).astype(dtype)


@pytest.mark.parametrize("function", ["sin", "cos"])
def test_the_error_is_a_unit_in_the_last_place_of_one(dtype, function):
    x = points(dtype)
    with mpmath.workdps(60):
        exact = [getattr(mpmath, function)(mpmath.mpf(float(value))) for value in x]
        for isa in _core.available_isas():
            y = evaluate(isa, function, x)
            errors = [float(mpmath.mpf(float(a)) - b) for a, b in zip(y, exact, strict=True)]
            assert np.abs(errors).max() < 0.75 * np.finfo(dtype).eps
            values = np.abs(np.array(exact, float))
            small = (values < 1e-3) & (values > 0)  # near a zero, few digits are lost
            assert small.sum() > 100
            limit = 1e-4 if dtype == "float32" else 1e-9
            assert (np.abs(np.array(errors)[small]) / values[small]).max() < limit


def test_huge_arguments_stay_within_one(dtype):
    rng = np.random.default_rng(3)
    info = np.finfo(dtype)
    x = 10 ** rng.uniform(np.log10(TOP[dtype]), np.log10(float(info.max)) - 0.1, 5000)
    x = np.concatenate([x, [info.max, LAST[dtype], np.inf]]).astype(dtype)
    for isa in _core.available_isas():
        for function in ("sin", "cos"):
            for signed in (x, -x):
                y = evaluate(isa, function, signed)
                assert np.isfinite(y).all()
                assert np.abs(y).max() <= 1.001
        assert (
            evaluate(isa, "cos", x[x > 2 * LAST[dtype]]).tolist()
            == [1] * (x > 2 * LAST[dtype]).sum()
        )


def test_nan_is_handed_on(dtype):
    x = np.full(20, np.nan, dtype)
    for isa in _core.available_isas():
        assert np.isnan(evaluate(isa, "sin", x)).all()
        assert np.isnan(evaluate(isa, "cos", x)).all()
