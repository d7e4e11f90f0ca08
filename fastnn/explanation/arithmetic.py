"""The numbers of an explanation: layers and losses in fractions where these are exact.

An array of dtype object holds a Fraction where a number is exact, else a float. Python's operators
make a float of a Fraction and a float, so one formula serves both.
"""

import dataclasses
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from fastnn._core.arrays import Array
from fastnn.layers import Activation, Layer, Linear, Scale, Softmax
from fastnn.losses import is_built_in
from fastnn.losses.custom import value_and_grad

LARGEST_DENOMINATOR = 100  # of what is read as a fraction
MOST_EXACT = 500  # numbers of a network, above which all arithmetic is in float64
MOST_ENTRIES = 1_000_000  # of a matrix

AFFINE = {"linear", "scale", "standardize", "unstandardize", "identity", "dropout"}
# The value, and the gradient as a column; a are the m outputs.
LOSSES = {
    "HalfSquaredError": ("Σ ({a} - y)²/2", "({a} - y)"),
    "MeanSquaredError": ("Σ ({a} - y)²/{m}", "2/{m} ({a} - y)"),
    "SoftmaxCrossEntropy": ("-ln pᵀy", "(p - y)"),
    "NegativeLogLikelihood": ("-ln {a}ᵀy", "(-y/{a})"),
}
PIECEWISE_LINEAR = {"relu", "leaky_relu", "abs", "hard_tanh"}


class Step(NamedTuple):
    """A layer's input, output and Jacobian.

    `by_params` is the Jacobian by the parameters: a matrix, one with a structure if it would have
    more than `MOST_ENTRIES` entries, or None without parameters.
    """

    input: Array
    output: Array
    jacobian: Array
    by_params: Any


def read(values: Array) -> Array:
    """Return the numbers, with a Fraction for each that a small fraction rounds to in its dtype."""

    def number(value: float) -> Fraction | float:
        near = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
        rounded = float(values.dtype.type(near.numerator / near.denominator))
        return near if rounded == value and abs(value) <= 10**6 else value

    found = np.empty(values.shape, object)
    found.ravel()[:] = [number(value) for value in values.ravel().tolist()]
    return found


def like(values: Array, a: Array) -> Array:
    """Return the numbers in the arithmetic of a: read as fractions, or in float64."""
    return read(values) if a.dtype == object else values.astype(np.float64)


def start(sample: Array, *others: Array) -> Array:
    """Return the sample in fractions if it and the other numbers are small ones, or in float64."""
    if sample.size + sum(part.size for part in others) <= MOST_EXACT:
        numbers = read(np.concatenate([sample, *others]))
        if all(isinstance(number, Fraction) for number in numbers):
            return numbers[: sample.size]
    return sample.astype(np.float64)


def step(layer: Layer, a: Array, dtype: np.dtype[Any]) -> Step:
    """Return what a layer does to values a, in a network of this dtype."""
    z = a.astype(dtype)
    output, jacobian = layer(z), layer.jacobian(z).to_dense()
    y, j = (value.astype(float).astype(a.dtype) for value in (output, jacobian))
    by_params: Any = layer.jacobian(z, "params") if layer.n_params else None
    if layer.n_params and y.size * layer.n_params <= MOST_ENTRIES:
        by_params = by_params.to_dense().astype(float)
    if a.dtype != object:
        return Step(a, y, j, by_params)
    one = read(np.eye(y.size))
    if layer.kind in AFFINE:
        j = read(jacobian)
        y = j @ a + read(layer(np.zeros_like(z)))
        if isinstance(layer, Linear | Scale):
            by_params = np.kron(one, a) if isinstance(layer, Linear) else a * one
            by_params = by_params if layer.bias is None else np.hstack([by_params, one])
    elif layer.kind in PIECEWISE_LINEAR:
        j = read(jacobian)
        y = np.where(j.diagonal() != 0, j.diagonal() * a, read(output))
    elif isinstance(layer, Activation):  # such as 1/2, the sigmoid of 0
        y[a == 0], j[a == 0] = read(output[a == 0]), read(jacobian[a == 0])
    elif isinstance(layer, Softmax) and (a == a[0]).all():
        y = np.full(a.size, Fraction(1, a.size))
        j = (one - y) / a.size
    return Step(a, y, j, by_params)


class LossAt(NamedTuple):
    """The value and the gradient of a loss; the target and the probabilities of some losses."""

    value: Any
    gradient: Array
    y: Array | None = None
    p: Array | None = None


def loss_at(loss: Any, a: Array, target: Array, dtype: np.dtype[Any]) -> LossAt:
    """Return a loss at the outputs a of a network, for the checked target of one sample."""
    z = a.astype(dtype)[np.newaxis]
    if not is_built_in(loss):
        value, gradient = value_and_grad(loss, z, target)
        return LossAt(value, gradient[0].astype(float))
    loss.check_outputs(z)
    value, gradient = loss.evaluate(z, target)
    default = dataclasses.replace(loss, reduction="mean") == type(loss)()
    if not default or type(loss).__name__ not in LOSSES:
        return LossAt(value, gradient[0].astype(float))
    if not loss.takes_labels:
        y = like(target[0], a)
        divisor = 2 if loss.sums_outputs else a.size
        return LossAt((a - y) @ (a - y) / divisor, 2 * (a - y) / divisor, y)
    y = like(np.eye(a.size)[target[0]], a)
    if not loss.takes_probabilities:
        p = step(Softmax(), a, np.dtype(float)).output
        return LossAt(value, p - y, y, p)
    if a @ y == 0:
        raise ValueError("the probability of class y is 0, which makes the loss infinite")
    return LossAt(value, -y / (a @ y), y, a)
