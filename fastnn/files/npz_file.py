"""Arrays of numbers or text from an .npz archive that need not be trusted.

NumPy evaluates the dtype that an .npy header names, and some of these texts crash the interpreter.
Here the header must match a pattern, and the dtype is looked up in a closed table.
"""

import lzma
import math
import os
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Collection
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fastnn._checks.printing import printable
from fastnn._core.memory import available_memory

FilePath = str | os.PathLike[str]

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000  # bytes; NumPy's own limit
MAX_DIMENSIONS = 32
ITEM = re.compile(
    r"\s*'(?:(descr)': *'([^']{1,20})'|(fortran_order)': *(True|False)|(shape)': *\(([\d, L]*)\))"
    r"\s*(?:,|(?=}))"
)
NUMBERS = {
    text: np.dtype(text)
    for text in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
} | {f"f{np.dtype(np.longdouble).itemsize}": np.dtype(np.longdouble)}
TEXT = re.compile(r"[US][1-9]\d{0,6}")

DAMAGED = (
    ValueError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    OverflowError,
    OSError,
    IndexError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def read(path: FilePath, wanted: Collection[str]) -> dict[str, NDArray[Any]]:
    """Return the wanted arrays of an archive.

    Parameters
    ----------
    path : str or PathLike
        The archive.
    wanted : collection of str
        The names of the arrays.

    Returns
    -------
    dict of str to ndarray
        Writable arrays of booleans, integers, real numbers or text.

    Raises
    ------
    ValueError
        If the file is not an .npz archive or is damaged, or if an array is missing, has another
        dtype (for example pickled objects), or needs more memory than is available.
    OSError
        If the file cannot be opened.
    """
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path}: not an .npz archive, or a damaged one")
        try:
            with zipfile.ZipFile(file) as archive:
                members = {
                    member.filename.removesuffix(".npy"): member for member in archive.infolist()
                }
                for name in wanted:
                    if name not in members:
                        names = ", ".join(map(printable, members))
                        raise _ArrayError(f"no array {name!r}; the arrays are {names}")
                return {name: _member(archive, members[name], name) for name in wanted}
        except _ArrayError as error:
            raise ValueError(f"{path}: {error}") from None
        except DAMAGED as error:
            text = printable(str(error) or type(error).__name__)
            raise ValueError(f"{path}: cannot be read as an .npz archive ({text})") from error


class _ArrayError(Exception):
    """An array is missing or has a wrong dtype, in an archive that can be read."""


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> NDArray[Any]:
    if member.compress_type not in COMPRESSIONS:
        raise ValueError(f"{name} is compressed by method {member.compress_type}")
    with archive.open(member) as file:
        dtype, fortran_order, shape, header_bytes = _header(file, name)
        n = math.prod(shape)
        if n * dtype.itemsize + header_bytes != member.file_size:
            raise ValueError(f"the size of {name} does not fit its shape {shape}")
        if n * max(dtype.itemsize, 8) > available_memory():
            raise _ArrayError(
                f"{name} has shape {shape}, which needs more memory than is available"
            )
        array = np.empty(n, dtype)
        _fill(file, array.view(np.uint8).data)
        if file.read(1):  # reading to the end also compares the checksum
            raise ValueError(f"{name} is longer than its shape {shape}")
    native = array.astype(dtype.newbyteorder("="), copy=False)
    if dtype.kind == "b":
        native = native.view(np.uint8) != 0  # a byte above 1 is not a valid boolean
    if dtype.kind == "U" and n and native.view(np.uint32).max() > sys.maxunicode:
        raise ValueError(f"{name} contains numbers that are not characters")
    return native.reshape(shape, order="F" if fortran_order else "C")


def _header(file: IO[bytes], name: str) -> tuple[np.dtype[Any], bool, tuple[int, ...], int]:
    """Return dtype, whether the order is Fortran's, shape, and length in bytes of a header."""
    magic = file.read(8)
    if magic[:6] != MAGIC or magic[6:] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise _ArrayError(f"{name} is not in the format of NumPy's arrays")
    size_bytes = 2 if magic[6] == 1 else 4
    length = int.from_bytes(_exactly(file, size_bytes), "little")
    if length > MAX_HEADER:
        raise ValueError(f"{name} has a header of {length} bytes")
    text = _exactly(file, length).decode("utf-8" if magic[6] == 3 else "latin-1")
    fields: dict[str, str] = {}
    place = 1
    while match := ITEM.match(text, place):
        key = match[1] or match[3] or match[5]
        fields[key], place = match[2] or match[4] or match[6] or "", match.end()
    if text[:1] != "{" or text[place:].strip() != "}" or len(fields) != 3:
        kind = re.search(r"'descr': *(\[)", text)
        what = "is a structured array" if kind else f"has the header {text[:100]!r}"
        raise _ArrayError(f"{name} {what}; numbers or text are wanted")
    sides = [side.strip().removesuffix("L") for side in fields["shape"].split(",")]
    shape = tuple(int(side) for side in sides if side)
    if len(shape) > MAX_DIMENSIONS or any(side >= 2**48 for side in shape):
        raise ValueError(f"{name} has an impossible shape")
    return (
        _dtype(fields["descr"], name),
        fields["fortran_order"] == "True",
        shape,
        (8 + size_bytes + length),
    )


def _dtype(descr: str, name: str) -> np.dtype[Any]:
    """Return the dtype for NumPy's text of it, such as "<f8"."""
    order, text = (descr[0], descr[1:]) if descr[0] in "<>|=" else ("=", descr)
    if text in NUMBERS:
        dtype: np.dtype[Any] = NUMBERS[text]
    elif TEXT.fullmatch(text):
        dtype = np.dtype((np.str_ if text[0] == "U" else np.bytes_, int(text[1:])))
    else:
        what = "of Python objects, which only pickle reads" if text[0] == "O" else f"of {descr!r}"
        raise _ArrayError(f"{name} must be numbers or text, got an array {what}")
    return dtype.newbyteorder(">") if order == ">" else dtype.newbyteorder("<")


def _exactly(file: IO[bytes], n: int) -> bytes:
    content = file.read(n)
    if len(content) < n:
        raise EOFError("the file ends within a header")
    return content


def _fill(file: IO[bytes], target: memoryview) -> None:
    """Fill `target` with bytes of the file, at most 1 MiB at a time."""
    place = 0
    while place < len(target):
        content = file.read(min(len(target) - place, 1 << 20))
        if not content:
            raise EOFError("the file ends within an array")
        target[place : place + len(content)] = content
        place += len(content)
