"""Exact values in mpmath, and the error of a result in units in the last place of them."""

import mpmath
import numpy as np
from mpmath import mpf

PRECISION = 1100  # bits: an output of 1e-308 beside one of 1, squared
ULPS = 4
OF_PRODUCTS = 5  # of several such factors: S_i S_j, and the second derivative of tanh
OF_CUBES = 6  # of a quotient by d³: the second derivative of Mish


def logistic(x):
    """Return e = e^-|x|."""
    return mpmath.exp(-abs(x))


def sigmoid(x):
    return (logistic(x) if x < 0 else 1) / (1 + logistic(x))


def sigmoid_slope(x):
    return logistic(x) / (1 + logistic(x)) ** 2


def points(dtype):
    """Return numbers of both signs from the least normal one to where all functions saturate."""
    rng = np.random.default_rng(5)
    info = np.finfo(dtype)
    top = -np.log(float(info.smallest_subnormal))
    x = np.concatenate(
        [
            np.exp2(rng.uniform(np.log2(float(info.tiny)), 0, 30)),
            rng.uniform(0, 3, 60),
            rng.uniform(0, 20, 40),
            rng.uniform(0, top + 5, 60),
            [17, 20, 40, 100, 1e4],
        ]
    )
    return np.concatenate([x, -x]).astype(dtype)


def ulps(actual, expected, dtype, at_least=0):
    """Return the errors in units in the last place of the exact values, or of larger terms."""
    unit = [
        mpf(float(np.spacing(np.dtype(dtype).type(max(abs(e), a)))))
        for e, a in zip(expected, np.broadcast_to(at_least, len(expected)), strict=True)
    ]
    return np.array(
        [float(abs(mpf(float(a)) - e) / u) for a, e, u in zip(actual, expected, unit, strict=True)]
    )


def demand(actual, expected, dtype, what, at_least=0, limit=ULPS):
    errors = ulps(actual, expected, dtype, at_least)
    worst = int(np.argmax(errors))
    print(f"{what}: {errors[worst]:.2f} ulp")
    assert errors[worst] <= limit, (what, errors[worst], worst, actual[worst], expected[worst])
