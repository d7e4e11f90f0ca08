"""Every loss, its gradient and second derivative, from tiny inputs to saturation.

The exact value is that of the very numbers that went in, and each result is held to 4 units in the
last place of it, down to the denormal ones. A difference may have a root between two numbers of the
dtype. Near it (`close` below) the errors of its terms remain, and the 4 units are those of the
terms.
"""

import mpmath
import numpy as np
import pytest
from exact import OF_PRODUCTS, PRECISION, demand, logistic, points, sigmoid, sigmoid_slope
from mpmath import mpf

import fastnn as fn


@pytest.fixture(autouse=True)
def _precise():
    with mpmath.workprec(PRECISION):
        yield


# Rows: softmax and the losses of classes ------------------------------------------------------


def rows(dtype):
    """Return rows of logits, from nearly equal ones to those that saturate one class or two."""
    rng = np.random.default_rng(6)
    top = 60 if dtype == "float32" else 500
    found = [[17, 0], [0, 17], [-17, 0], [40, 0, -40], [1e4, 0, -1e4], [0, 0], [3, 3, -50]]
    for scale in (1e-10, 1e-3, 0.1, 1, 3, 10, 20, top):
        for n in (2, 3, 10):
            found += [scale * rng.standard_normal(n), scale * rng.uniform(-1, 0, n)]
    return [np.array(row, dtype) for row in found]


def softmax(z):
    top = max(z)
    e = [mpmath.exp(v - top) for v in z]
    return [v / sum(e) for v in e]


def exact_row(row):
    return [mpf(float(value)) for value in row]


def softmax_jacobian(S):
    return [
        [s * sum(S[:i] + S[i + 1 :]) if i == j else -s * t for j, t in enumerate(S)]
        for i, s in enumerate(S)
    ]


def log_softmax_jacobian(S):
    return [
        [sum(S[:i] + S[i + 1 :]) if i == j else -t for j, t in enumerate(S)]
        for i, s in enumerate(S)
    ]


@pytest.mark.parametrize(
    ("cls", "value", "jacobian"),
    [
        (fn.Softmax, lambda S: S, softmax_jacobian),
        (fn.LogSoftmax, lambda S: [mpmath.log(s) for s in S], log_softmax_jacobian),
    ],
)
def test_softmax_and_its_jacobian(isa, dtype, cls, value, jacobian):
    for z in rows(dtype):
        what = f"{cls.__name__} {dtype} {isa} at {z}"
        S, layer, n = softmax(exact_row(z)), cls(), len(z)
        demand(layer(z), value(S), dtype, what)
        expected = jacobian(S)
        net = fn.Network([fn.Linear(n, n), cls()], dtype)
        net.params[: n * n] = np.eye(n).ravel()
        wide = fn.Network([fn.Linear(n, n), cls(), fn.Linear(n, n)], dtype)
        wide.params[:] = np.tile(net.params, 2)
        units = np.eye(n, dtype=dtype)
        many = np.tile(z, (n, 1))
        found = {
            "vjp": layer.vjp(many, units),
            "jvp": net.jvp(many, units).T,
            "jacobian": net.jacobian(z),
            "by params": net.jacobian(z, wrt="params")[:, n * n :],
            "in between": wide.jacobian(z),
            "structured": layer.jacobian(z).to_dense(),
            "structured product": layer.jacobian(z).matmat(units),
            "structured transposed": layer.jacobian(z).rmatmat(units).T,
            "operator": wide.jacobian_operator(z).to_dense(),
        }
        for way, matrix in found.items():
            for i in range(n):
                demand(matrix[i], expected[i], dtype, f"{what}, {way}", limit=OF_PRODUCTS)


def smoothed(label, n, smoothing):
    even = mpf(smoothing) / n
    return [1 - mpf(smoothing) + even if j == label else even for j in range(n)]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_softmax_cross_entropy(isa, dtype, smoothing):
    loss = fn.SoftmaxCrossEntropy(label_smoothing=smoothing)
    for z in rows(dtype):
        n = len(z)
        S = softmax(exact_row(z))
        logs = [-mpmath.log(s) for s in S]
        for label in range(n):
            what = f"cross-entropy {smoothing} {dtype} {isa} at {z}, {label}"
            t = smoothed(label, n, smoothing)
            value, gradient = loss.value_and_grad(z[None], [label])
            exact_value = sum(a * b for a, b in zip(t, logs, strict=True) if a)
            demand([value], [exact_value], dtype, what)
            others = [sum(S[:j] + S[j + 1 :]) for j in range(n)]
            slopes = [(1 - t[j]) - others[j] if j == label else S[j] - t[j] for j in range(n)]
            terms = close(S, t) if smoothing else 0
            demand(gradient[0], slopes, dtype, what + ", gradient", terms)
        demand_hessian(loss, z, softmax_jacobian(S), dtype, isa, [0])


def close(a, b):
    """Return the larger of two terms where they are within a factor of 2, else 0."""
    return [max(x, y) if x < 2 * y and y < 2 * x else mpf(0) for x, y in zip(a, b, strict=True)]


def demand_hessian(loss, z, expected, dtype, isa, y):
    """Check a loss's Hessian for the outputs, which an identity layer has for its biases."""
    n = len(z)
    net = fn.Network([fn.Linear(n, n)], dtype)
    net.params[: n * n] = np.eye(n).ravel()
    for j in range(n):
        direction = np.zeros_like(net.params)
        direction[n * n + j] = 1
        found = net.hvp(z[None], y, loss, direction)[n * n :]
        what = f"Hessian of {loss} {dtype} {isa} at {z}"
        demand(found, [row[j] for row in expected], dtype, what, limit=OF_PRODUCTS)


# Losses of outputs one by one -----------------------------------------------------------------


def binary(z, y, smoothing):
    t = (1 - mpf(smoothing)) * y + mpf(smoothing) / 2
    value = mpmath.log1p(logistic(z)) + (z * (1 - t) if z > 0 else -z * t)
    slope = (1 - t) - sigmoid(-z) if z > 0 else sigmoid(z) - t
    terms = close([sigmoid(z), sigmoid(-z)], [t, 1 - t])
    return value, slope, sigmoid_slope(z), 0, min(terms)


def poisson(z, y):
    rate = mpmath.exp(z)
    value_terms = close([rate], [y * z])[0]
    slope_terms = 0 if abs(z) < 0.34 else close([rate], [y])[0]
    return rate - y * z, rate - y, rate, value_terms, slope_terms


def huber(z, y, delta):
    e = z - y
    if abs(e) < delta:
        return e * e / 2, e, mpf(1), 0, 0
    return delta * (abs(e) - delta / 2), delta * mpmath.sign(e), mpf(0), 0, 0


UNIT = [0.0, 1.0, 0.5, 1e-3, 0.999]
REAL = [0.0, 1.0, -3.25, 17.0]
LOSSES = {  # value, slope, second derivative, and the terms of the first two near a root
    "BinaryCrossEntropy": (fn.BinaryCrossEntropy(), lambda z, y: binary(z, y, 0.0), UNIT),
    "BinaryCrossEntropy_smooth": (
        fn.BinaryCrossEntropy(label_smoothing=0.1),
        lambda z, y: binary(z, y, 0.1),
        UNIT,
    ),
    "Poisson": (fn.Poisson(), poisson, [0.0, 1.0, 3.0, 100.0]),
    "Huber": (fn.Huber(1.5), lambda z, y: huber(z, y, mpf(1.5)), REAL),
    "LogCosh": (
        fn.LogCosh(),
        lambda z, y: (
            mpmath.log(mpmath.cosh(z - y)),
            mpmath.tanh(z - y),
            mpmath.sech(float(z - y)) ** 2,  # of the error rounded to float64
            0,
            0,
        ),
        REAL,
    ),
    "HalfSquaredError": (
        fn.HalfSquaredError(),
        lambda z, y: ((z - y) ** 2 / 2, z - y, mpf(1), 0, 0),
        REAL,
    ),
    "MeanSquaredError": (
        fn.MeanSquaredError(),
        lambda z, y: ((z - y) ** 2, 2 * (z - y), mpf(2), 0, 0),
        REAL,
    ),
    "MeanAbsoluteError": (
        fn.MeanAbsoluteError(),
        lambda z, y: (abs(z - y), mpmath.sign(z - y), None, 0, 0),
        REAL,
    ),
    "Pinball": (
        fn.Pinball(0.3),
        lambda z, y: ((mpf(0.3) - (z > y)) * (y - z), ((z > y) - mpf(0.3)) * (z != y), None, 0, 0),
        REAL,
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_outputs_one_by_one(isa, dtype, name):
    loss, formula, targets = LOSSES[name]
    limit = 80 if dtype == "float32" else 700
    net = fn.Network([fn.Linear(1, 1)], dtype)
    net.params[:] = 1, 0
    direction = np.array([0, 1], dtype)
    for target in targets:
        y = np.array([[target]], dtype)
        z = [v for v in points(dtype)[::3] if abs(v) < limit and (target == 0 or abs(v) > 1e-30)]
        expected = [formula(mpf(float(v)), mpf(float(y[0, 0]))) for v in z]
        value, slope, second, value_terms, slope_terms = zip(*expected, strict=True)
        found = [loss.value_and_grad(v[None, None], y) for v in z]
        what = f"{name} {dtype} {isa} at target {target}"
        demand([v for v, _ in found], value, dtype, what, value_terms)
        demand([g[0, 0] for _, g in found], slope, dtype, what + ", gradient", slope_terms)
        if second[0] is not None:
            found = [net.hvp(v[None, None], y, loss, direction)[1] for v in z]
            demand(found, second, dtype, what + ", second derivative")


def test_likelihood_of_probabilities(isa, dtype):
    info = np.finfo(dtype)
    one = 1 - np.dtype(dtype).type(info.epsneg)
    for p in (one, 0.75, 0.1, 1e-7, 1e-30, float(info.tiny)):
        pair = np.array([[p, 1 - p]], dtype)
        value, gradient = fn.NegativeLogLikelihood().value_and_grad(pair, [0])
        p = mpf(float(pair[0, 0]))
        demand([value, gradient[0, 0]], [-mpmath.log(p), -1 / p], dtype, f"likelihood of {p}")
