"""Programs in C that compute a network: one source without dependencies, and its header."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.c_code.program import SIGNATURES, Program
from fastnn.c_code.text import array_definition, needed_functions, specialised
from fastnn.layers import Layer

__all__ = ["SIGNATURES", "source_and_header"]

CHECK_OF_SIZE = """\
/* An error where the numbers have another size, as double has on some microcontrollers. */
typedef char @N(float_has_32_bits | double_has_64_bits)[sizeof(T) == N(4 | 8) ? 1 : -1];"""


def source_and_header(
    layers: Sequence[Layer],
    n_in: int,
    dtype: "np.dtype[Any]",
    name: str,
    header: str,
    wanted: Sequence[str],
) -> tuple[str, str]:
    """Return the texts of a source in C99 and of its header.

    Parameters
    ----------
    layers : sequence of Layer
        A network in evaluation mode.
    n_in : int
        The width of the input.
    dtype : dtype
        float32 or float64.
    name : str
        The prefix of all names; an identifier in C.
    header : str
        The name of the header's file.
    wanted : sequence of str
        The functions: "predict" and some of the other keys of `SIGNATURES`.

    Raises
    ------
    TypeError
        If there is a custom layer.
    """
    program = Program(layers, n_in, dtype, wanted)
    macros = {"IN_FEATURES": program.n_in, "OUT_FEATURES": program.n_out, **program.workspaces}
    functions = "\n\n".join(program.functions)
    helpers = needed_functions(functions)
    includes = [f'#include "{header}"']
    includes += ["#include <math.h>"] * ("sqrt" in helpers)
    includes += ["#include <stdint.h>"] * ("@word" in helpers)
    arrays = [array_definition(f"{name}_{own}", array) for own, array in program.arrays.items()]

    def finished(text: str) -> str:
        for macro in program.workspaces:
            text = text.replace(f"@{macro}", f"{name.upper()}_{macro}")
        return specialised(text, dtype, name)

    title = f"/* A network of {program.n_in} inputs and {program.n_out} outputs"
    source = [
        f"{title}, written by fastnn.\n   Compile it without -ffast-math. */",
        "\n".join(includes),
        finished(
            "typedef char @N(float_has_32 | double_has_64)_bits[sizeof(T) == N(4 | 8) ? 1 : -1];"
        ),
        finished(helpers),
        *arrays,
        finished(functions),
    ]
    guard = f"{name.upper()}_H"
    declared = "\n\n".join(
        f"/* {SIGNATURES[own][1]}. */\nvoid @{own}({SIGNATURES[own][0]});" for own in wanted
    )
    sizes = "\n".join(f"#define {name.upper()}_{macro} {size}" for macro, size in macros.items())
    head = f"""\
{title}, written by fastnn.
   Arrays of a call must not overlap. The functions keep no state. WORKSPACE is how many numbers
   a call holds on the stack. */
#ifndef {guard}
#define {guard}

{sizes}

#ifdef __cplusplus
extern "C" {{
#endif

{finished(declared)}

#ifdef __cplusplus
}}
#endif

#endif
"""
    return "\n\n".join(part for part in source if part) + "\n", head
