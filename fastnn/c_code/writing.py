"""The files of a program in C."""

import os
import re
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastnn._core.arrays import Array
from fastnn.c_code.program import SIGNATURES
from fastnn.c_code.text import array_definition, needed_functions, specialised
from fastnn.files.atomic_file import atomic_file, check_destination

CHECK_OF_SIZE = """\
/* An error where the numbers have another size, as double has on some microcontrollers. */
typedef char @N(float_has_32_bits | double_has_64_bits)[sizeof(T) == N(4 | 8) ? 1 : -1];"""


class Parts(Protocol):
    """What a program consists of; `Program` explains the attributes."""

    n_in: int
    n_out: int
    dtype: "np.dtype[Any]"
    wanted: list[str]
    functions: list[str]
    arrays: dict[str, Array]
    workspaces: dict[str, int]
    note: str
    interface: str


class Destination(NamedTuple):
    """Where a program is written, and the beginning of all its names in C."""

    source: str
    header: str
    name: str


def destination(path: "str | os.PathLike[str]", name: str | None) -> Destination:
    """Return the files of a program, and its name.

    Parameters
    ----------
    path : str or PathLike
        The source; the name of the file ends in ".c".
    name : str or None
        The beginning of all names in C; None for the name of the file without ".c".

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.
    """
    target = os.fspath(path) if isinstance(path, os.PathLike) else path
    wanted_path = f"path is {path!r}; a file name that ends in .c is wanted"
    if not isinstance(target, str):
        raise TypeError(wanted_path)
    folder, file_name = os.path.split(target)
    stem, ending = os.path.splitext(file_name)
    if ending != ".c" or re.search(r'["\\\n\r]', stem):
        raise ValueError(wanted_path)
    if stem in ("math", "stdint"):
        raise ValueError(f"path is {path!r}, and its header would hide {stem}.h of the C library")
    prefix = stem if name is None else name
    if not isinstance(prefix, str):
        raise TypeError(f"name is {name!r}; an identifier of C is wanted")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", prefix):
        raise ValueError(f"name is {prefix!r}; an identifier of C is wanted, such as net")
    if not re.search("[a-z]", prefix):
        raise ValueError(f"name is {prefix!r}; one with a small letter is wanted, unlike macros")
    return Destination(target, os.path.join(folder, f"{stem}.h"), prefix)


def write(files: Destination, program: Parts) -> None:
    """Write a source in C99, and its header beside it.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    source, header, name = files
    texts = _source(program, name, os.path.basename(header)), _header(program, name)
    for path in (source, header):  # errors below would name the source alone
        check_destination(path)
    with atomic_file(source) as file, atomic_file(header) as header_file:
        for output, text in zip((file, header_file), texts, strict=True):
            output.write(text.encode())


def _macros(name: str) -> str:
    """Return the beginning of the macros, which differs for names that differ in case only."""
    return name.upper() if name.islower() else name


def _title(program: Parts) -> str:
    return (
        f"/* A network of {program.n_in} inputs and {program.n_out} outputs, written by fastnn."
        f"{program.note}"
    )


def _source(program: Parts, name: str, header: str) -> str:
    functions = "\n\n".join(program.functions)
    helpers = needed_functions(functions)
    includes = [f'#include "{header}"']
    includes += ["#include <math.h>"] * ("sqrt" in helpers)
    includes += ["#include <stdint.h>"] * ("@word" in helpers or "int32_t" in helpers)
    arrays = [array_definition(f"{name}_{own}", array) for own, array in program.arrays.items()]
    for macro in program.workspaces:
        functions = functions.replace(f"@{macro}", f"{_macros(name)}_{macro}")
    texts = [
        f"{_title(program)}\n   Compile it without -ffast-math. */",
        "\n".join(includes),
        specialised(CHECK_OF_SIZE, program.dtype, name),
        specialised(helpers, program.dtype, name),
        *arrays,
        specialised(functions, program.dtype, name),
        specialised(program.interface.replace("NAME", name), program.dtype, name),
    ]
    return "\n\n".join(text for text in texts if text) + "\n"


def _header(program: Parts, name: str) -> str:
    upper = _macros(name)
    sizes = {"IN_FEATURES": program.n_in, "OUT_FEATURES": program.n_out, **program.workspaces}
    macros = "\n".join(f"#define {upper}_{macro} {size}" for macro, size in sizes.items())
    declared = "\n\n".join(
        f"/* {SIGNATURES[own][1]}. */\nvoid @{own}({SIGNATURES[own][0]});" for own in program.wanted
    )
    return f"""\
{_title(program)}
   Arrays of a call must not overlap. The functions keep no state. WORKSPACE is how many numbers
   a call holds on the stack. */
#ifndef {upper}_H
#define {upper}_H

{macros}

#ifdef __cplusplus
extern "C" {{
#endif

{specialised(declared, program.dtype, name)}

#ifdef __cplusplus
}}
#endif

#endif
"""
