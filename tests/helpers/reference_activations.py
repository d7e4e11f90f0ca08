"""The activations of the oracle in `reference.py` and their derivatives, entry by entry."""

import numpy as np
from scipy.special import erfc

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def as_inexact(x):
    """Return `x` as a floating (or complex) array; integers become float64."""
    x = np.asarray(x)
    return x if np.issubdtype(x.dtype, np.inexact) else x.astype(np.float64)


def magnitude(x):
    """Return |x|; a complex `x` keeps its imaginary part, so that the function stays analytic."""
    return np.where(x.real < 0, -x, x)


def sigmoid(x):
    """Return 1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-magnitude(x))  # never above 1
    return np.where(x.real < 0, e, 1) / (1 + e)


def softplus(x):
    """Return log(1 + exp(x)), without overflow."""
    return np.where(x.real < 0, 0, x) + np.log1p(np.exp(-magnitude(x)))


def tanh_of_softplus(x):
    """Return tanh(log(1 + exp(x))), without overflow."""
    e = np.exp(-magnitude(x))
    least = np.where(x.real < 0, 1, e)
    return np.where(x.real < 0, e * (2 + e), 1 + 2 * e) / ((1 + e) ** 2 + least**2)


def exp_of_negative(x):
    """Return exp(x) where x <= 0, and 1 elsewhere, where ELU does not look at it (no overflow)."""
    return np.exp(np.where(x.real > 0, 0, x))


def elementwise(kind, x, *, negative_slope=0.01, alpha=1.0):
    """Return the activation `kind` of every entry of `x`. NaN in, NaN out."""
    x = as_inexact(x)
    positive = x.real > 0  # False for NaN: the branch for `not positive` must hand NaN on
    match kind:
        case "identity":
            y = x
        case "relu":
            y = np.where(x.real <= 0, 0, x)
        case "leaky_relu":
            y = np.where(positive, x, negative_slope * x)
        case "abs":
            y = magnitude(x)
        case "hard_tanh":
            y = np.where(x.real >= 1, 1, np.where(x.real <= -1, -1, x))
        case "elu":
            y = np.where(positive, x, alpha * np.expm1(np.where(positive, 0, x)))
        case "selu":
            y = SELU_SCALE * elementwise("elu", x, alpha=SELU_ALPHA)
        case "sigmoid":
            y = sigmoid(x)
        case "tanh":
            y = np.tanh(x)
        case "softplus":
            y = softplus(x)
        case "gelu":
            y = x * erfc(-x / np.sqrt(2)) / 2  # erfc(-t) = 1 + erf(t), without cancellation
        case "silu":
            y = x * sigmoid(x)
        case "mish":
            y = x * tanh_of_softplus(x)
        case _:
            raise ValueError(f"unknown elementwise kind {kind!r}")
    return np.asarray(y, dtype=x.dtype)


def elementwise_derivative(kind, x, *, negative_slope=0.01, alpha=1.0):
    """Return the derivative of the activation `kind` at every entry of `x`; NaN at NaN.

    At a kink it is the slope of the negative side, and 0 for `abs` and `hard_tanh`.
    """
    x = as_inexact(x)
    positive = x.real > 0
    match kind:
        case "identity":
            slope = np.ones_like(x)
        case "relu":
            slope = np.where(positive, 1, 0)
        case "leaky_relu":
            slope = np.where(positive, 1, negative_slope)
        case "abs":
            slope = np.sign(x.real)
        case "hard_tanh":
            slope = np.where(abs(x.real) < 1, 1, 0)
        case "elu":
            slope = np.where(positive, 1, alpha * exp_of_negative(x))
        case "selu":
            slope = SELU_SCALE * elementwise_derivative("elu", x, alpha=SELU_ALPHA)
        case "sigmoid":
            slope = sigmoid(x) * sigmoid(-x)  # s (1 - s), without cancellation
        case "tanh":
            slope = 4 * sigmoid(2 * x) * sigmoid(-2 * x)  # 1 - tanh², without cancellation
        case "softplus":
            slope = sigmoid(x)
        case "gelu":
            slope = erfc(-x / np.sqrt(2)) / 2 + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
        case "silu":
            slope = sigmoid(x) + x * sigmoid(x) * sigmoid(-x)
        case "mish":
            t = tanh_of_softplus(x)
            slope = t + x * sigmoid(x) * (1 - t) * (1 + t)
        case _:
            raise ValueError(f"unknown elementwise kind {kind!r}")
    return np.asarray(np.where(np.isnan(x), x, slope), dtype=x.dtype)
