"""Every activation, its slope and second derivative, from tiny inputs to saturation.

The exact value is that of the very numbers that went in, and each result is held to 4 units in the
last place of it, down to the denormal ones. A difference may have a root between two numbers of the
dtype. Near it (`NEAR_ROOT`) the errors of its terms remain, and the 4 units are those of the terms.
"""

from functools import cache

import mpmath
import numpy as np
import pytest
from exact import (
    OF_CUBES,
    OF_PRODUCTS,
    PRECISION,
    ULPS,
    demand,
    logistic,
    points,
    sigmoid,
    sigmoid_slope,
)
from mpmath import mpf

import fastnn as fn


@pytest.fixture(autouse=True)
def _precise():
    with mpmath.workprec(PRECISION):
        yield


with mpmath.workprec(PRECISION):
    LAMBDA, ALPHA = (
        mpf("1.0507009873554804934193349852946"),
        mpf("1.6732632423543772848170429916717"),
    )


def density(x):
    return mpmath.exp(-(x * x) / 2) / mpmath.sqrt(2 * mpmath.pi)


def elu(scale, alpha):
    return (
        lambda x: scale * (x if x > 0 else alpha * mpmath.expm1(x)),
        lambda x: scale * (1 if x > 0 else alpha * mpmath.exp(x)),
        lambda x: scale * (0 if x > 0 else alpha * mpmath.exp(x)),
    )


def linear(below, above):
    return (
        lambda x: x * (above if x > 0 else below),
        lambda x: above if x > 0 else below,
        lambda x: 0,
    )


def mish():
    def derivatives(x):  # of t = tanh(softplus(x)), with n = e^x and D = n² + 2n + 2
        n = mpmath.exp(x)
        d = n * n + 2 * n + 2
        third = 4 * n * ((2 * n + 1) * d - 4 * n * (n + 1) ** 2) / d**3
        return n * (n + 2) / d, 4 * n * (n + 1) / d**2, third

    def value(x):
        return x * derivatives(x)[0]

    def slope(x):
        t, first, _ = derivatives(x)
        return t + x * first

    def second(x):
        _, first, then = derivatives(x)
        return 2 * first + x * then

    return value, slope, second


ACTIVATIONS = {  # σ, σ' and σ''
    "Identity": (fn.Identity, linear(1, 1)),
    "ReLU": (fn.ReLU, linear(0, 1)),
    "LeakyReLU": (lambda: fn.LeakyReLU(0.25), linear(mpf(0.25), 1)),
    "Abs": (fn.Abs, linear(-1, 1)),
    "HardTanh": (
        fn.HardTanh,
        (lambda x: max(-1, min(x, 1)), lambda x: 1 if abs(x) < 1 else 0, lambda x: 0),
    ),
    "ELU": (fn.ELU, elu(1, 1)),
    "ELU_1.5": (lambda: fn.ELU(1.5), elu(1, mpf(1.5))),
    "SELU": (fn.SELU, elu(LAMBDA, ALPHA)),
    "Sigmoid": (
        fn.Sigmoid,
        (sigmoid, sigmoid_slope, lambda x: -sigmoid_slope(x) * mpmath.tanh(x / 2)),
    ),
    "Tanh": (
        fn.Tanh,
        (
            mpmath.tanh,
            lambda x: mpmath.sech(x) ** 2,
            lambda x: -2 * mpmath.tanh(x) * mpmath.sech(x) ** 2,
        ),
    ),
    "Softplus": (
        fn.Softplus,
        (lambda x: max(x, 0) + mpmath.log1p(logistic(x)), sigmoid, sigmoid_slope),
    ),
    "GELU": (
        fn.GELU,
        (
            lambda x: x * mpmath.ncdf(x),
            lambda x: mpmath.ncdf(x) + x * density(x),
            lambda x: density(x) * (2 - x * x),
        ),
    ),
    "SiLU": (
        fn.SiLU,
        (
            lambda x: x * sigmoid(x),
            lambda x: sigmoid(x) * (1 + x * sigmoid(-x)),
            lambda x: sigmoid_slope(x) * (2 - x * mpmath.tanh(x / 2)),
        ),
    ),
    "Mish": (fn.Mish, mish()),
}
NEAR_ROOT = {  # the roots, and the size of the terms there
    ("GELU", 1): ((-0.7518,), mpf(0.226)),
    ("SiLU", 1): ((-1.2785,), mpf(0.2)),
    ("SiLU", 2): ((-2.3994, 2.3994), mpf(0.15)),
    ("Mish", 1): ((-1.1924,), mpf(0.1)),
    ("Mish", 2): ((-2.2564, 1.4907), mpf(0.2)),
}


@cache
def exact(name, order, dtype):
    with mpmath.workprec(250):
        return [mpf(ACTIVATIONS[name][1][order](mpf(float(x)))) for x in points(dtype)]


def at_roots(name, order, x):
    if (name, order) not in NEAR_ROOT:
        return [mpf(0)] * len(x)
    roots, size = NEAR_ROOT[name, order]
    return [size if min(abs(value - np.array(roots))) < 0.75 else mpf(0) for value in x]


every_activation = pytest.mark.parametrize("name", ACTIVATIONS)


@every_activation
def test_activation_and_slope(isa, dtype, name):
    x = points(dtype)
    layer = ACTIVATIONS[name][0]()
    demand(layer(x), exact(name, 0, dtype), dtype, f"{name} {dtype} {isa}")
    slopes, expected = layer.vjp(x, np.ones_like(x)), exact(name, 1, dtype)
    roots = at_roots(name, 1, x)
    demand(slopes, expected, dtype, f"{name}' {dtype} {isa}", roots)
    assert np.array_equal(layer.jacobian(x).diagonal, slopes)


@every_activation
def test_slope_in_every_derivative_of_a_network(isa, dtype, name):
    x, expected = points(dtype), exact(name, 1, dtype)
    roots = at_roots(name, 1, x)
    net = fn.Network([fn.Linear(1, 1), ACTIVATIONS[name][0]()], dtype)
    net.params[:] = 1, 0
    X, ones = x[:, None], np.ones((len(x), 1), dtype)
    net.forward(X)
    X_and_slopes = {
        "backward": net.backward(ones),
        "vjp": net.vjp(X, ones),
        "jvp": net.jvp(X, ones),
        "jacobian": net.jacobian(X)[:, 0],
        "by params": net.jacobian(X, wrt="params")[:, 0, 1:],
        "operator": np.stack([net.jacobian_operator(row).to_dense()[0] for row in X]),
    }
    for what, slopes in X_and_slopes.items():
        demand(slopes[:, 0], expected, dtype, f"{name}' by {what} {dtype} {isa}", roots)


@every_activation
def test_second_derivative_of_activation(isa, dtype, name):
    """Σ ½ (a - y)² has the Hessian σ'² + (a - y) σ'' by the bias: with a far y, nearly σ''."""
    x = points(dtype)
    far = 2.0 ** (60 if dtype == "float32" else 500)
    net = fn.Network([fn.Linear(1, 1), ACTIVATIONS[name][0]()], dtype)
    net.params[:] = 1, 0
    target, direction = np.full((1, 1), -far, dtype), np.array([0, 1], dtype)
    found = [net.hvp(row[None, None], target, fn.HalfSquaredError(), direction)[1] for row in x]
    a, slope, second = (exact(name, order, dtype) for order in range(3))
    expected = [s * s + (v + far) * c for v, s, c in zip(a, slope, second, strict=True)]
    least = float(np.finfo(dtype).tiny)  # below it σ'' is denormal
    terms = [far * max(size, least) for size in at_roots(name, 2, x)]
    limit = {"Tanh": OF_PRODUCTS, "Mish": OF_CUBES}.get(name, ULPS)
    demand(found, expected, dtype, f"{name}'' {dtype} {isa}", terms, limit)
