"""The engine's own exp, log, tanh, … against exact values, to units in the last place."""

import mpmath
import numpy as np
import pytest

from fastnn import _core

mpmath.mp.prec = 120
EXACT = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
}
LIMIT = {"exp": 2, "expm1": 2, "log": 2, "log1p": 2, "tanh": 3, "sigmoid": 3}
isas = pytest.mark.parametrize("name", _core.available_isas())


def evaluate(isa, function, x):
    out = np.full_like(x, 12345)
    _core.load_engine(isa).elementary(function, x, out)
    return out


def points(function, dtype, n=1500):
    """Points over the whole domain, and dense where a function changes its shape."""
    rng = np.random.default_rng(1)
    info = np.finfo(dtype)
    top, bottom = np.log(float(info.max)), np.log(float(info.smallest_subnormal))
    tiny = np.exp2(rng.uniform(np.log2(float(info.smallest_subnormal)), 0, n))
    signs = np.where(rng.random(n) < 0.5, -1, 1)
    x = {
        "exp": [rng.uniform(bottom, top, n), rng.standard_normal(n), signs * tiny],
        "expm1": [-rng.uniform(0, 50, n), -rng.uniform(0, 2, n), -tiny],
        "log": [np.exp(rng.uniform(bottom, top, n)), rng.uniform(0.5, 2, n), 1 + signs * tiny / 9],
        "log1p": [rng.uniform(0, 1, n), tiny],
        "tanh": [3 * rng.standard_normal(n), rng.uniform(-25, 25, n), signs * tiny],
        "sigmoid": [3 * rng.standard_normal(n), rng.uniform(bottom, -bottom, n), signs * tiny],
    }[function]
    return np.concatenate(x).astype(dtype)


@pytest.mark.parametrize("function", EXACT)
def test_error_in_units_in_the_last_place(dtype, function):
    x = points(function, dtype)
    exact = [EXACT[function](mpmath.mpf(float(value))) for value in x]
    with np.errstate(over="ignore"):
        unit = np.spacing(np.abs(np.array(exact, float)).astype(dtype))
    for isa in _core.available_isas():
        y = evaluate(isa, function, x)
        assert np.isfinite(y).all()
        errors = [
            abs(mpmath.mpf(float(a)) - b) / mpmath.mpf(float(u))
            for a, b, u in zip(y, exact, unit, strict=True)
        ]
        worst = int(np.argmax(errors))
        print(f"{function} {dtype} {isa}: {float(errors[worst]):.2f} ulp at {x[worst]!r}")
        assert errors[worst] < LIMIT[function]


@isas
def test_special_values(dtype, name):
    nan, inf = np.nan, np.inf
    smallest = float(np.finfo(dtype).smallest_subnormal)
    x = np.array([0.0, -0.0, inf, -inf, nan, smallest, -smallest], dtype)
    for function, expected in {
        "exp": [1, 1, inf, 0, nan, 1, 1],
        "log": [-inf, -inf, inf, nan, nan, float(mpmath.log(smallest)), nan],
        "tanh": [0, -0.0, 1, -1, nan, smallest, -smallest],
        "sigmoid": [0.5, 0.5, 1, 0, nan, 0.5, 0.5],
    }.items():
        y, expected = evaluate(name, function, x), np.array(expected, dtype)
        assert np.array_equal(y, expected, equal_nan=True), function
        if function == "tanh":
            assert np.array_equal(np.signbit(y[:2]), [False, True])
    assert evaluate(name, "log", np.ones(1, dtype)) == 0
    assert evaluate(name, "expm1", x[[3, 6]]).tolist() == [-1, -smallest]
    assert evaluate(name, "log1p", x[[0, 5]]).tolist() == [0, smallest]
    limits = np.array([1e3, -1e3, 1e30, -1e30], dtype)
    assert evaluate(name, "exp", limits).tolist() == [inf, 0, inf, 0]
    assert evaluate(name, "tanh", limits).tolist() == [1, -1, 1, -1]


@isas
@pytest.mark.parametrize("function", ["exp", "log", "tanh", "sigmoid"])
def test_monotone_where_the_formula_changes(dtype, name, function):
    """Neighbouring numbers around each place where k, the power of two, takes its next value, one
    polynomial takes over from another, or the argument is cut off."""
    info = np.finfo(dtype)
    if function == "log":
        centres = np.sqrt(0.5) * np.exp2(np.arange(-20.0, 20))
    elif function == "exp":
        centres = (np.arange(-20, 20) + 0.5) * np.log(2)
    elif function == "tanh":
        centres = np.append((np.arange(-20, 20) + 0.5) * np.log(2) / 2, 0)
    else:
        centres = np.zeros(1)  # the sign decides between its two forms
    for centre in centres.astype(dtype):
        x = centre + np.arange(-200, 200) * (abs(centre) or 1) * info.eps
        steps = np.diff(evaluate(name, function, np.unique(x.astype(dtype))).astype(float))
        assert (steps >= 0).all()


@isas
def test_bits_do_not_depend_on_the_place_in_an_array(dtype, name, rng):
    """The vector part of a loop and its scalar remainder agree."""
    x = (3 * rng.standard_normal(101)).astype(dtype)
    for function in ("exp", "tanh", "sigmoid"):
        whole = evaluate(name, function, x)
        assert all(evaluate(name, function, x[i : i + 1]) == whole[i] for i in range(101))
