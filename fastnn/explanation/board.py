"""Equations with their numbers, as text, as HTML with MathML, and as LaTeX.

A section is a title and lines. A line is prose (a str) or an equation (a list). The parts of an
equation are symbols (a str) and numbers: one, a tuple (n,), or a matrix (m, n). A number is a
Fraction or a float.
"""

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from html import escape
from typing import Any, NamedTuple

import numpy as np

LONGEST, FIRST, LAST = 12, 8, 3  # what is longer is shortened to its first and last entries
LARGEST_DENOMINATOR = 10**6  # a fraction with a larger one is shown as a decimal

COMMANDS = {"∂": "partial", "Θ": "Theta", "θ": "theta", "∇": "nabla", "…": "dots", "≤": "le"}
COMMANDS |= {"Σ": "sum", "⊗": "otimes", "·": "cdot", "ᵀ": "top"}

Line = str | list[Any]
Section = tuple[str, list[Line]]


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
    "<math>{}</math>", _html_of_symbols, "<mo>-</mo>", "<mn>{}</mn>",
    "<mfrac><mn>{}</mn><mn>{}</mn></mfrac>", "<mo>…</mo>", "<mo>,</mo>",
    "<mrow><mo>(</mo>{}<mo>)</mo></mrow>", "</mtd><mtd>", "</mtd></mtr><mtr><mtd>",
    "<mrow><mo>[</mo><mtable><mtr><mtd>{}</mtd></mtr></mtable><mo>]</mo></mrow>",
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
        if isinstance(size, Fraction) and 1 < size.denominator <= LARGEST_DENOMINATOR:
            return sign + form.ratio.format(size.numerator, size.denominator)
        whole = isinstance(size, Fraction) and size.denominator == 1
        decimal = str(size) if whole else f"{float(size):.4g}"
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
