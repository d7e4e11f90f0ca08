"""What stands on the board: the lines of an explanation, and how they are written.

A section is a title and lines. A line is prose (a str) or an equation (a list). The parts of an
equation are symbols (a str) and numbers: one, a tuple (n,), or a matrix (m, n). A number is a
Fraction or a float.
"""

import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from html import escape
from typing import Any, NamedTuple

import numpy as np

from fastnn._checks.printing import printable
from fastnn._core.arrays import Array
from fastnn.layers import Layer, Linear, Softmax

MOST_ENTRIES = 1_000_000  # of a matrix
LONGEST, FIRST, LAST = 12, 8, 3  # what is longer is shortened to its first and last entries
LARGEST = 10**6  # what has a larger numerator or denominator is shown as a decimal

COMMANDS = {"∂": "partial", "Θ": "Theta", "θ": "theta", "∇": "nabla", "…": "dots", "≤": "le"}
COMMANDS |= {"Σ": "sum", "⊗": "otimes", "·": "cdot", "ᵀ": "top"}

Line = str | list[Any]
Section = tuple[str, list[Line]]

# The value, and the gradient as a column; a are the m outputs.
LOSSES = {
    "HalfSquaredError": ("Σ ({a} - y)²/2", "({a} - y)"),
    "MeanSquaredError": ("Σ ({a} - y)²/{m}", "2/{m} ({a} - y)"),
    "SoftmaxCrossEntropy": ("-ln pᵀy", "(p - y)"),
    "NegativeLogLikelihood": ("-ln {a}ᵀy", "(-y/{a})"),
}

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


class Step(NamedTuple):
    """A layer's input, output and Jacobian.

    `by_params` is the Jacobian by the parameters: a matrix, one with a structure if it would have
    more than `MOST_ENTRIES` entries, or None without parameters. `bias` is that of a Linear.
    """

    input: Array
    output: Array
    jacobian: Array
    by_params: Any
    bias: Array | None


class LossAt(NamedTuple):
    """The value and the gradient of a loss; the target and the probabilities of some losses."""

    value: Any
    gradient: Array
    y: Array | None = None
    p: Array | None = None


def shortened(items: Sequence[Any], gap: Any) -> list[Any]:
    """Return the items; of more than `LONGEST` the first and the last, with a gap between."""
    return list(items) if len(items) <= LONGEST else [*items[:FIRST], gap, *items[-LAST:]]


class Form(NamedTuple):
    """How sections are written."""

    title: str
    prose: Callable[[str], str]
    line: str
    equation: str
    symbols: Callable[[str], str]
    minus: str
    number: str
    ratio: str
    gap: str
    comma: str
    tuple: str
    cell: str
    row: str
    matrix: str


def _html_of_symbols(symbols: str) -> str:  # a browser removes plain spaces at the ends
    return f"<mtext>{escape(symbols)}</mtext>".replace(" ", "\N{NO-BREAK SPACE}")


def _latex_of_symbols(symbols: str) -> str:
    found = re.sub(r"[A-Za-z]{2,}", r"\\operatorname{\g<0>}", symbols)
    found = re.sub(r"\^(-?[a-z][₀-₉]*)", r"^{\1}", found).replace("²", "^2").replace("ᵀ", "^ᵀ")
    found = found.replace("   ", r"\quad ")
    digits = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
    found = re.sub(r"[₀-₉]+", lambda m: f"_{{{m[0].translate(digits)}}}", found)
    return "".join(rf"\{COMMANDS[c]} " if c in COMMANDS else c for c in found)


def _latex_of_prose(prose: str) -> str:
    return re.sub(r"[#$%&_{}]", r"\\\g<0>", re.sub(r"[\\^~]", "?", prose))


# fmt: off
TEXT = Form(
    "\n== {} ==", str, "{}", "{}", str, "-", "{}", "{}/{}", "…", ", ", "({})", "", "", ""
)
HTML = Form(
    "<p><b>{}</b></p>", escape, '<div style="overflow-x:auto;margin:0.4em 0">{}</div>',
    "<math>{}</math>", _html_of_symbols, '<mo form="prefix">-</mo>', "<mn>{}</mn>",
    "<mfrac><mn>{}</mn><mn>{}</mn></mfrac>", "<mo>…</mo>", "<mo>,</mo>",
    "<mrow><mo>(</mo>{}<mo>)</mo></mrow>", "</mtd><mtd>", "</mtd></mtr><mtr><mtd>",
    '<mtable style="border:solid;border-width:0 1px;border-radius:.5em;margin:.2em">'
    "<mtr><mtd>{}</mtd></mtr></mtable>",  # brackets grow only in fonts for mathematics
)
LATEX = Form(  # a matrix of amsmath has at most ten columns
    "\n\\paragraph{{{}}}", _latex_of_prose, "{}\n", r"\[ {} \]", _latex_of_symbols, "-", "{}",
    r"\tfrac{{{}}}{{{}}}", r"\dots", ", ", "({})", " & ", r" \\ ",
    r"\left[\begin{{array}}{{rrrrrrrrrrrr}} {} \end{{array}}\right]",
)
# fmt: on


def written(sections: Sequence[Section], form: Form) -> str:
    """Return the sections as text, HTML or LaTeX."""
    found = []
    for title, lines in sections:
        found.append(form.title.format(form.prose(title)))
        for line in lines:
            shown = form.prose(line) if isinstance(line, str) else _equation(line, form)
            found.append(form.line.format(shown))
    return re.sub("\n{3,}", "\n\n", "\n".join(found)).strip()


def _equation(equation: list[Any], form: Form) -> str:
    if form is TEXT:
        return _text_of([_block(part) for part in equation])
    return form.equation.format("".join(_part(part, form) for part in equation))


def _part(part: Any, form: Form) -> str:
    if isinstance(part, str):
        return form.symbols(part)
    rows, ndim = _rows(part, form), np.ndim(part)
    if ndim == 2:
        return form.matrix.format(form.row.join(map(form.cell.join, rows)))
    row = form.comma.join(rows[0])
    return form.tuple.format(row) if ndim else row


def _rows(part: Any, form: Form) -> list[list[str]]:
    """Return the numbers of a part, in the rows and columns that are shown."""

    def shown(value: Any) -> str:
        if value is None:
            return form.gap
        sign, size = form.minus if value < 0 else "", abs(value)
        if isinstance(size, Fraction) and max(size.numerator, size.denominator) <= LARGEST:
            if size.denominator > 1:
                return sign + form.ratio.format(size.numerator, size.denominator)
            return sign + form.number.format(size)
        try:
            decimal = f"{float(size):.4g}"
        except OverflowError:
            decimal = "inf"
        if form is LATEX:
            decimal = re.sub(r"e\+?(-?)0*(\d+)", r" \\cdot 10^{\1\2}", decimal)
        return sign + form.number.format(decimal)

    rows = shortened(np.atleast_2d(part).tolist(), None)
    gap = [None] * len(rows[0])
    return [[shown(v) for v in shortened(gap if row is None else row, None)] for row in rows]


def _block(part: Any) -> list[str]:
    """Return the lines of a part of an equation in text."""
    if np.ndim(part) < 2:
        return [_part(part, TEXT)]
    rows = _rows(part, TEXT)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [f"[{'  '.join(map(str.rjust, row, widths))}]" for row in rows]


def _text_of(blocks: list[list[str]]) -> str:
    """Return the blocks side by side; an empty line follows what is higher than one line."""
    height = max(map(len, blocks))
    lines = [" "] * height
    for block in blocks:
        above = [""] * ((height - len(block)) // 2)
        padded = [*above, *block, *[""] * height][:height]
        width = max(map(len, block))
        lines = [f"{line}{more:{width}}" for line, more in zip(lines, padded, strict=True)]
    return "\n".join(f" {line}".rstrip() for line in lines) + "\n" * (height > 1)


class Writer:
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
        for i, (layer, (z, output, jacobian, own, bias)) in enumerate(
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
                if bias is not None:
                    value += f" + b{sub}"
                    numbers[3:3] = [" + ", bias]
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
