"""`explain`: the passes of a network at one sample, written out with their numbers."""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._checks.printing import printable
from fastnn._core.arrays import Array
from fastnn.explanation import board
from fastnn.explanation.arithmetic import (
    LOSSES,
    MOST_ENTRIES,
    LossAt,
    Step,
    like,
    loss_at,
    start,
    step,
)
from fastnn.explanation.board import Line, Section, shortened
from fastnn.layers import Layer, Linear, Softmax, composition
from fastnn.losses import (
    CustomLoss,
    HalfSquaredError,
    Loss,
    NegativeLogLikelihood,
    SoftmaxCrossEntropy,
    check_target,
)
from fastnn.network import Network

__all__ = ["Explanation", "explain"]


# The value and the Jacobian; x is the input and a the output.
FORMULAS = {
    "linear": ("W{i} {x}", "W{i}"),
    "relu": ("max(0, {x})", "diag(1[{x} > 0])"),
    "leaky_relu": ("max(0, {x}) + {c} min(0, {x})", "diag(1[{x} > 0] + {c} 1[{x} ≤ 0])"),
    "abs": ("|{x}|", "diag(sign({x}))"),
    "sigmoid": ("1/(1 + e^-{x})", "diag({a} (1 - {a}))"),
    "tanh": ("tanh({x})", "diag(1 - {a}²)"),
    "softmax": ("softmax({x})", "diag({a}) - {a} {a}ᵀ"),
    "log_softmax": ("{x} - ln Σ e^{x}", "I - 1 softmax({x})ᵀ"),
}


@dataclass(frozen=True, eq=False, repr=False)
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
    a = start(sample, net.params, net._model.constants)
    steps = []
    for layer in net.layers:
        steps.append(step(layer, a, net.dtype))
        a = steps[-1].output
    writer = _Writer(net.layers, steps, transposed)
    params_jacobian, sections = writer.sections()
    jacobians = [done.jacobian for done in reversed(steps)]
    value = row = gradient = None
    if y is not None:
        loss = _default_loss(net, y) if loss is None else loss
        target = check_target(loss, [y], (1, net.out_features), net.dtype, "y")
        found = loss_at(loss, a, target, net.dtype)
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


class _Writer:
    """Writes lines; the output of layer i is aᵢ, and its Jacobian Jᵢ.

    `transposed` means denominator layout. Arguments and results are in numerator layout.
    """

    def __init__(self, layers: Sequence[Layer], steps: Sequence[Step], transposed: bool) -> None:
        self.layers, self.steps, self.transposed = layers, steps, transposed
        digits = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
        self.subs = [str(i).translate(digits) for i in range(len(layers))]
        self.names = ["x", *(f"a{sub}" for sub in self.subs)]

    def sections(self) -> tuple[Array | None, list[Section]]:
        """Return the Jacobian by all parameters, or None if it is large, and the layers."""
        total: Array | None = np.empty((self.steps[0].input.size, 0))
        found: list[Section] = []
        for i, (layer, (z, output, jacobian, own)) in enumerate(
            zip(self.layers, self.steps, strict=True)
        ):
            x, a, sub = self.names[i], self.names[i + 1], self.subs[i]
            formulas = FORMULAS.get(layer.kind, (f"{_letters(type(layer).__name__)}({x})", ""))
            names = {"x": x, "a": a, "i": sub, "c": getattr(layer, "negative_slope", "")}
            value, slope = (formula.format(**names) for formula in formulas)
            blocks = [f"J{sub} ∂{x}/∂Θ"] if total is not None and total.size else []
            numbers: list[Any] = []
            if isinstance(layer, Linear):
                numbers = [jacobian, " ", z, " = "]
                blocks.append(f"I ⊗ {x}ᵀ")
                if layer.bias is not None:
                    value += f" + b{sub}"
                    numbers[3:3] = [" + ", like(layer.bias, z)]
                    blocks.append("I")
            elif layer.n_params:
                blocks.append(f"∂{a}/∂θ{sub}")
            by_input = self._derivative(f"J{sub} = ∂{a}/∂{x}", slope, jacobian)
            lines: list[Line] = [[f"{a} = {value} = ", *numbers, output], by_input]
            if total is not None:
                columns = total.shape[1] + layer.n_params
                if output.size * columns > MOST_ENTRIES:
                    total = None
                else:
                    total = jacobian @ total
                    total = total if own is None else np.hstack([total, own])
            if total is not None and total.size:
                formula = f"({', '.join(blocks)})" if blocks[1:] else blocks[0]
                lines.append(self._derivative(f"∂{a}/∂Θ", formula, total))
            found.append((f"layers[{i}]: {printable(layer.summary_name())}", lines))
        return total, shortened(found, ("…", []))

    def loss(self, name: str, at: LossAt) -> Section:
        """Return the lines of the loss of this name."""
        a, mark = self.names[-1], "" if self.transposed else "ᵀ"
        lines: list[Line] = []
        value = slope = ""
        if at.y is not None:
            lines.append(["y = ", at.y])
            value, slope = (f" = {s.format(a=a, m=at.y.size)}" for s in LOSSES[name])
            slope += mark
        if name == "SoftmaxCrossEntropy" and at.p is not None:
            lines.append([f"p = softmax({a}) = ", at.p])
        lines.append([f"l{value} = ", at.value])
        lines.append([f"∂l/∂{a}{slope} = ", self._shown(at.gradient)])
        if at.p is self.steps[-1].output and isinstance(self.layers[-1], Softmax):
            left = f"∂l/∂{self.names[-2]} = ({a} - y){mark} = "
            before = at.gradient @ self.steps[-1].jacobian
            lines += ["Through the softmax:", [left, self._shown(before)]]
        return f"Loss: {printable(name)}", lines

    def chain(self, jacobians: list[Array], row: Array | None) -> Section:
        """Return the products of the Jacobians, from the last layer's on; row is ∂l/∂a or None."""
        names = [f"J{sub}" for sub in reversed(self.subs)]
        mark = "ᵀ" if self.transposed else ""
        lines: list[Line] = [[f"J{mark} = {self._product(names)}"]]
        if row is not None:
            names.insert(0, f"∂l/∂{self.names[-1]}")
            jacobians = [row[np.newaxis], *jacobians]
        if jacobians[1:]:
            lines.append("A product of an (m, k) and a (k, n) matrix takes m k n multiplications.")
            for order in ("Forward", "Reverse"):
                lines += self._order(order, jacobians, names)
        return "Chain rule", lines

    def gradient(self, row: Array) -> tuple[Array, Section]:
        """Return the gradient by all parameters and its lines; row is ∂l/∂a of the last layer."""
        gradients, shown = [row[:0]], list[Line]()
        for i in reversed(range(len(self.layers))):
            by_params = self.steps[i].by_params
            if by_params is not None:
                gradients.append(row @ by_params)
                shown = self._parts(i, gradients[-1]) + shown
            row = row @ self.steps[i].jacobian
        gradient = np.concatenate(gradients[::-1])
        shape = "parameter" if self.transposed else "transposed parameter"
        first = f"A derivative has the shape of the {shape}. The last line is as net.params."
        return gradient, ("Gradient", [first, *shortened(shown, "…"), ["∇l = ", gradient]])

    def _derivative(self, name: str, formula: str, matrix: Array) -> list[Any]:
        if self.transposed:
            name = name.replace(" =", "ᵀ =")
            formula = formula and (f"({formula})ᵀ" if " " in formula else f"{formula}ᵀ")
            matrix = matrix.T
        formula = formula and f" = {formula}"
        return [f"{name}{formula} = ", matrix, "   ({}, {})".format(*matrix.shape)]

    def _order(self, order: str, factors: list[Array], names: list[str]) -> list[Line]:
        reverse, n = order == "Reverse", len(factors)
        product = factors[0 if reverse else -1]
        lines, counts = [], []
        for i in range(1, n) if reverse else range(n - 2, -1, -1):
            left, right = (product, factors[i]) if reverse else (factors[i], product)
            sizes = [*left.shape, right.shape[1]]
            counts.append(math.prod(sizes))
            product = left @ right
            label = self._product(names[: i + 1] if reverse else names[i:])
            if reverse and n > len(self.layers):  # the first factor is the loss's
                label = self._product([f"∂l/∂{self.names[n - i]}", names[i]])
                label = f"∂l/∂{self.names[n - 1 - i]} = {label}"
            count = "·".join(map(str, reversed(sizes) if self.transposed else sizes))
            lines.append([f"{label} = ", self._shown(product), f"   {count} = {counts[-1]}"])
        terms = " + ".join(map(str, shortened(counts, "…")))
        return [f"{order}: {terms} = {sum(counts)} multiplications.", *shortened(lines, "…")]

    def _product(self, names: list[str]) -> str:
        if self.transposed:
            names = [f"{name}ᵀ" if name[0] == "J" else name for name in reversed(names)]
        return " ".join([*names[:2], "…", names[-1]] if len(names) > 5 else names)

    def _shown(self, matrix: Array) -> Array:
        """Return a derivative in the layout; a column is a tuple."""
        matrix = np.atleast_2d(matrix)
        if not self.transposed:
            return matrix
        return matrix[0] if len(matrix) == 1 else matrix.T

    def _parts(self, i: int, flat: Array) -> list[Line]:
        layer, lines = self.layers[i], list[Line]()
        x, a = self.names[i : i + 2]
        split = getattr(layer, "split", lambda flat: {"": flat})
        for name, value in split(flat).items():
            formula, shown = "", self._shown(value.ravel())
            if isinstance(layer, Linear):
                name, formula = "b", f"∂l/∂{a} = "
                if value.ndim == 2:
                    formula = f"∂l/∂{a} {x}ᵀ = " if self.transposed else f"{x} ∂l/∂{a} = "
                    name, shown = "W", value if self.transposed else value.T
            symbol = (_letters(name) or "θ") + self.subs[i]
            lines.append([f"∂l/∂{symbol} = {formula}", shown])
        return lines


def _letters(name: str) -> str:
    """Return the letters of a name, which have a form in LaTeX."""
    return "".join(c for c in name if c.isascii() and c.isalpha())
