"""Text in C for one dtype and one name: numbers, constants, and the functions that are needed.

The text of the package is C with these signs:

- `T` is the dtype, and `U` the unsigned integer of its width.
- `@name` gets the prefix of the program, as in `net_name`.
- `R(a)` is a number of the dtype; `R(a | b)` is a in float and b in double.
- `N(a | b)` is the text a or b.
- `H(x; a, b, c)` is the polynomial (a x + b) x + c by Horner's rule.
- `G(side, x, p; a, b; c, d)` sets p to such a polynomial: a, b if `side` is negative, else c, d.
"""

import re
from typing import Any

import numpy as np

from fastnn._core.arrays import Array
from fastnn.c_code.activations import ACTIVATIONS
from fastnn.c_code.elementary import ELEMENTARY
from fastnn.c_code.integers import INTEGERS
from fastnn.c_code.products import PRODUCTS
from fastnn.c_code.rows import ROWS


def _by_name(text: str) -> dict[str, str]:
    """Return each function and type of the text, by its name. A blank line ends a function."""
    parts = re.split(r"\n\n+(?=\S)", text.strip())
    return {re.findall(r"@(\w+)[(;]", part)[0]: part for part in parts}


# The type in C of a constant array of integers.
INTEGER_TYPES = {
    "int8": "signed char",
    "uint8": "unsigned char",
    "int32": "int32_t",
    "int64": "int",
}

FUNCTIONS = _by_name("\n\n".join((ELEMENTARY, ACTIVATIONS, PRODUCTS, ROWS, INTEGERS)))


def needed_functions(text: str) -> str:
    """Return the functions that the text calls, and those that they call, in their order."""
    needed: set[str] = set()
    found = _names(text)
    while found:
        needed |= found
        found = set().union(*(_names(FUNCTIONS[name]) for name in found)) - needed
    return "\n\n".join(own for name, own in FUNCTIONS.items() if name in needed)


def _names(text: str) -> set[str]:
    return set(re.findall(r"@(\w+)", text)) & FUNCTIONS.keys()


def specialised(text: str, dtype: np.dtype[Any], name: str) -> str:
    """Return C for the dtype and the name of the program."""
    is_double = dtype == np.float64

    def chosen(alternatives: str) -> str:
        found = alternatives.split("|")
        return found[is_double and len(found) > 1].strip()

    def number(text: str) -> str:
        return literal(text.strip(), is_double)

    def polynomial(match: "re.Match[str]") -> str:
        variable, alternatives = match[1].split(";")
        first, *rest = map(number, chosen(alternatives).split(","))
        for own in rest:
            first = f"({first} * {variable} + {own})"
        return first

    def polynomial_by_sign(match: "re.Match[str]") -> str:
        head, alternatives = match[1].split(";", 1)
        side, variable, result = head.split(",")
        negative, positive = (part.split(",") for part in chosen(alternatives).split(";"))
        choices = [
            f"@by_sign({side}, {number(a)}, {number(b)})"
            for a, b in zip(negative, positive, strict=True)
        ]
        steps = [f"{result} ={result} *{variable} + {choice};" for choice in choices[1:]]
        return "\n   ".join([f"{result.strip()} = {choices[0]};", *steps]).removesuffix(";")

    for letter, replacement in (
        ("G", polynomial_by_sign),
        ("H", polynomial),
        ("N", lambda match: chosen(match[1])),
        ("R", lambda match: number(chosen(match[1]))),
        ("U", "uint64_t" if is_double else "uint32_t"),
        ("T", "double" if is_double else "float"),
    ):
        arguments = r"\(([^()]*)\)" if letter in "GHNR" else r"\b"
        text = re.sub(rf"\b{letter}{arguments}", replacement, text)
    return text.replace("@", f"{name}_")


def number(value: float) -> str:
    """Return a number of the network, rounded to its dtype."""
    return f"R({np.float32(value):.9g} | {value:.17g})"


def literal(number: str, is_double: bool) -> str:
    """Return a number as a literal of C."""
    point = "" if "." in number or "e" in number else ".0"
    return number + point + ("" if is_double else "f")


def array_definition(name: str, array: Array) -> str:
    """Return the definition of a constant array, whose numbers are read back to the same bits."""
    is_double = array.dtype == np.float64
    values = array.ravel().tolist()
    if array.dtype.kind in "iu":
        dtype, words = INTEGER_TYPES[str(array.dtype)], [str(value) for value in values]
    else:
        dtype, style = ("double", "%.17g") if is_double else ("float", "%.9g")
        words = [literal(style % value, is_double) for value in values]
    lines = [", ".join(words[i : i + 6]) for i in range(0, len(words), 6)]
    body = ",\n    ".join(lines)
    return f"static const {dtype} {name}[{array.size}] = {{\n    {body}\n}};"
