"""`explain`: the passes of a network at one sample, written out with their numbers.

An array of dtype object holds a Fraction where a number is exact, else a float. Python's operators
make a float of a Fraction and a float, so one formula serves both.
"""

import dataclasses
import functools
import itertools
from fractions import Fraction
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.explanation import board
from fastnn.explanation.board import MOST_ENTRIES, Line, LossAt, Section, Step
from fastnn.layers import Activation, Layer, Linear, Scale, Softmax, composition
from fastnn.losses import (
    CustomLoss,
    HalfSquaredError,
    Loss,
    NegativeLogLikelihood,
    SoftmaxCrossEntropy,
    check_target,
    is_built_in,
)
from fastnn.losses.custom import value_and_grad
from fastnn.network import Network

__all__ = ["Explanation", "explain"]

LARGEST_DENOMINATOR = 100  # of what is read as a fraction
MOST_EXACT = 500  # numbers of a network, above which all arithmetic is in float64

AFFINE = {"linear", "scale", "standardize", "unstandardize", "identity", "dropout"}
PIECEWISE_LINEAR = {"relu", "leaky_relu", "abs", "hard_tanh"}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """The passes of a network at one sample, written out; the result of `explain`.

    Print it for text. A notebook shows it as HTML.

    Attributes
    ----------
    sections : list of (title, lines)
        A line is a text, or an equation: a list of symbols, numbers and arrays.
    jacobian : ndarray (out_features, in_features)
    params_jacobian : ndarray (out_features, n_params)
        None if it, or one on the way, has more than a million entries.
    loss : Fraction or float
    gradient : ndarray (n_params,)
        Both are None without y. Arrays of dtype object hold fractions and floats.
    """

    sections: list[Section]
    jacobian: Array
    params_jacobian: Array | None
    loss: Any
    gradient: Array | None

    def __str__(self) -> str:
        return board.written(self.sections, board.TEXT)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the explanation for a notebook."""
        return board.written(self.sections, board.HTML)

    def to_latex(self) -> str:
        """Return the explanation as a part of a LaTeX document, which must use amsmath."""
        return board.written(self.sections, board.LATEX)


@np.errstate(over="ignore", invalid="ignore")  # a product of Jacobians may overflow
def explain(
    net: Network,
    x: Any,
    y: Any = None,
    *,
    loss: "Loss | CustomLoss | None" = None,
    layout: str = "numerator",
) -> Explanation:
    """Return the passes of a network at one sample, written out with their numbers.

    These are each layer's formula, value and Jacobians, and the product of the Jacobians in both
    orders with the number of multiplications. With y, the loss and all gradients follow.

    Parameters
    ----------
    net : Network
    x : array_like (in_features,)
    y : int, or array_like (out_features,), optional
        The target, as the loss takes it.
    loss : Loss, or an object with `value_and_grad(y_pred, y)`, optional
        For an array y, or for one output, by default `HalfSquaredError`. Else y is a class, and the
        default is `NegativeLogLikelihood` after Softmax, or `SoftmaxCrossEntropy`.
    layout : {"numerator", "denominator"}
        "denominator" shows the transposed derivatives.

    Returns
    -------
    Explanation

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid, or a layer's Jacobian has more than a million entries.

    Notes
    -----
    The arithmetic is exact if x, parameters and constants are at most 500 numbers, all of them
    fractions with denominators up to 100. Irrational functions give floats.
    """
    if not isinstance(net, Network):
        raise TypeError(f"net is {net!r}; a Network is wanted")
    transposed = _checks.choice(layout, "layout", ("numerator", "denominator")) == "denominator"
    if y is None and loss is not None:
        raise ValueError("loss is given without y; the target of the sample is wanted")
    widths = composition.widths_through(net.layers, net.in_features)
    for i, (n, m) in enumerate(itertools.pairwise(widths)):
        if m * n > MOST_ENTRIES:
            raise ValueError(
                f"the Jacobian of layers[{i}] is {m} x {n}; at most {MOST_ENTRIES:,} entries are "
                f"wanted"
            )
    sample = net.trace(x).input
    a = _start(sample, net.params, net._model.constants)
    steps = []
    for layer in net.layers:
        steps.append(_step(layer, a, net.dtype))
        a = steps[-1].output
    writer = board.Writer(net.layers, steps, transposed)
    params_jacobian, sections = writer.sections()
    jacobians = [done.jacobian for done in reversed(steps)]
    value = row = gradient = None
    if y is not None:
        loss = _default_loss(net, y) if loss is None else loss
        target = check_target(loss, [y], (1, net.out_features), net.dtype, "y")
        found = _loss_at(loss, a, target, net.dtype)
        value, row = found.value, found.gradient
        sections.append(writer.loss(type(loss).__name__, found))
    sections.append(writer.chain(jacobians, row))
    if row is not None:
        gradient, last = writer.gradient(row)
        sections.append(last)
    places = ("input", "output") if transposed else ("output", "input")
    remarks: list[Line] = [
        "A derivative has a row for each {} and a column for each {}.".format(*places),
        "A tuple is a column. Fractions are exact, decimals are rounded to 4 digits.",
    ]
    if max(net.n_params, *widths) > board.LONGEST:
        remarks.append("Long rows and columns are shortened in the middle.")
    if net.n_params:
        remarks.append(
            "Theta holds the parameters of all layers so far: weights row by row, then biases."
        )
    sections.insert(0, ("Network", [*remarks, ["x = ", steps[0].input]]))
    product = functools.reduce(np.matmul, jacobians)
    return Explanation(sections, product, params_jacobian, value, gradient)


def _default_loss(net: Network, y: Any) -> Loss:
    if np.ndim(y) or net.out_features == 1:
        return HalfSquaredError()
    return NegativeLogLikelihood() if isinstance(net.layers[-1], Softmax) else SoftmaxCrossEntropy()


def _read(values: Array) -> Array:
    """Return the numbers, with a Fraction for each that a small fraction rounds to in its dtype."""

    def number(value: float) -> Fraction | float:
        near = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
        rounded = float(values.dtype.type(near.numerator / near.denominator))
        return near if rounded == value and abs(value) <= 10**6 else value

    found = np.empty(values.shape, object)
    found.ravel()[:] = [number(value) for value in values.ravel().tolist()]
    return found


def _like(values: Array, a: Array) -> Array:
    """Return the numbers in the arithmetic of a: read as fractions, or in float64."""
    return _read(values) if a.dtype == object else values.astype(np.float64)


def _start(sample: Array, *others: Array) -> Array:
    """Return the sample in fractions if it and the other numbers are small ones, or in float64."""
    if sample.size + sum(part.size for part in others) <= MOST_EXACT:
        numbers = _read(np.concatenate([sample, *others]))
        if all(isinstance(number, Fraction) for number in numbers):
            return numbers[: sample.size]
    return sample.astype(np.float64)


def _step(layer: Layer, a: Array, dtype: np.dtype[Any]) -> Step:
    """Return what a layer does to values a, in a network of this dtype."""
    z = a.astype(dtype)
    output, jacobian = layer(z), layer.jacobian(z).to_dense()
    y, j = (value.astype(float).astype(a.dtype) for value in (output, jacobian))
    by_params: Any = layer.jacobian(z, "params") if layer.n_params else None
    if layer.n_params and y.size * layer.n_params <= MOST_ENTRIES:
        by_params = by_params.to_dense().astype(float)
    bias = _like(layer.bias, a) if isinstance(layer, Linear) and layer.bias is not None else None
    if a.dtype != object:
        return Step(a, y, j, by_params, bias)
    one = _read(np.eye(y.size))
    if layer.kind in AFFINE:
        j = _read(jacobian)
        y = j @ a + _read(layer(np.zeros_like(z)))
        if isinstance(layer, Linear | Scale):
            by_params = np.kron(one, a) if isinstance(layer, Linear) else a * one
            by_params = by_params if layer.bias is None else np.hstack([by_params, one])
    elif layer.kind in PIECEWISE_LINEAR:
        j = _read(jacobian)
        y = np.where(j.diagonal() != 0, j.diagonal() * a, _read(output))
    elif isinstance(layer, Activation):  # such as 1/2, the sigmoid of 0
        y[a == 0], j[a == 0] = _read(output[a == 0]), _read(jacobian[a == 0])
    elif isinstance(layer, Softmax) and (a == a[0]).all():
        y = np.full(a.size, Fraction(1, a.size))
        j = (one - y) / a.size
    return Step(a, y, j, by_params, bias)


def _loss_at(loss: Any, a: Array, target: Array, dtype: np.dtype[Any]) -> LossAt:
    """Return a loss at the outputs a of a network, for the checked target of one sample."""
    z = a.astype(dtype)[np.newaxis]
    if not is_built_in(loss):
        value, gradient = value_and_grad(loss, z, target)
        return LossAt(value, gradient[0].astype(float))
    loss.check_outputs(z)
    value, gradient = loss.evaluate(z, target)
    default = dataclasses.replace(loss, reduction="mean") == type(loss)()
    if not default or type(loss).__name__ not in board.LOSSES:
        return LossAt(value, gradient[0].astype(float))
    if not loss.takes_labels:
        y = _like(target[0], a)
        divisor = 2 if loss.sums_outputs else a.size
        return LossAt((a - y) @ (a - y) / divisor, 2 * (a - y) / divisor, y)
    y = _like(np.eye(a.size)[target[0]], a)
    if not loss.takes_probabilities:
        p = _step(Softmax(), a, np.dtype(float)).output
        return LossAt(value, p - y, y, p)
    if a @ y == 0:
        raise ValueError("the probability of class y is 0, which makes the loss infinite")
    return LossAt(value, -y / (a @ y), y, a)
