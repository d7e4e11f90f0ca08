"""Model files: a description and named arrays in one safetensors file.

The description is JSON in the metadata of the file. So every safetensors reader can open a model
file, and reading one never executes code. This module does not know what the description means.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastnn._checks.printing import printable
from fastnn.files.atomic_file import atomic_file

FORMAT_VERSION = 1
METADATA_KEY = "fastnn"
# Of the numbers in a file; safetensors reads them in the machine's order.
BYTE_ORDER: Literal["<", ">"] = "<"
DTYPES = {
    f"{letter}{8 * size}": np.dtype(f"{letter.lower()}{size}")
    for letter, sizes in (("F", (2, 4, 8)), ("I", (1, 2, 4, 8)), ("U", (1, 2, 4, 8)))
    for size in sizes
} | {"BOOL": np.dtype(bool)}
DEEPEST = 100  # levels of nesting in a description; Python cannot print much deeper values


class ModelFileError(ValueError):
    """Raised for a file that is not a model file of this version of fastnn."""


def write(
    path: str | os.PathLike[str], description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a model file in one step: after a crash, `path` holds the old content or the new.

    Parameters
    ----------
    path : str or PathLike
        The file. A symbolic link is followed. A device or a pipe is written to directly.
    description : mapping
        Anything that `json.dumps` accepts. The key "format_version" is reserved.
    arrays : mapping of str to ndarray
        Arrays of any shape and memory layout, with a dtype of safetensors.

    Raises
    ------
    OSError
        If the file cannot be written (missing folder, no permission, full disk). It names `path`.
    TypeError
        If JSON cannot hold `description`.
    """
    from safetensors.numpy import save

    header = json.dumps({**description, "format_version": FORMAT_VERSION})
    # safetensors copies the memory of an array and ignores its strides.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    content = save(contiguous, metadata={METADATA_KEY: header})
    with atomic_file(path) as file:
        file.write(content)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the description and the arrays of a model file.

    Parameters
    ----------
    path : str or PathLike
        A model file.

    Returns
    -------
    description : dict
        What `write` was given, with lists in place of tuples.
    arrays : dict of str to ndarray
        New writable C-contiguous arrays in native byte order.

    Raises
    ------
    ModelFileError
        If the file is damaged, not a safetensors file, not a fastnn model, or of another version.
    OSError
        If the file cannot be opened.
    """
    content, arrays = _read(path)
    return _description(path, content), arrays


def read_arrays(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of any safetensors file, as `read` returns those of a model file.

    Raises
    ------
    ModelFileError
        If the file is damaged, or not a safetensors file.
    OSError
        If the file cannot be opened.
    """
    return _read(path)[1]


def _read(path: str | os.PathLike[str]) -> tuple[bytes, dict[str, NDArray[Any]]]:
    """Return the content of a safetensors file, and its arrays."""
    from safetensors import SafetensorError, deserialize

    with open(path, "rb") as file:
        content = file.read()
    try:
        views = deserialize(content)  # type: ignore[no-untyped-call]
        arrays = {name: _array(**view) for name, view in views}
    except KeyError as error:
        raise ModelFileError(
            f"{path}: an array has the dtype {printable(str(error))}; float32 or another real "
            f"dtype of NumPy is wanted"
        ) from error
    except (SafetensorError, ValueError) as error:  # NumPy cannot hold some shapes (ValueError)
        raise ModelFileError(
            f"{path}: not a safetensors file, or a damaged one ({printable(str(error))})"
        ) from error
    return content, arrays


def _array(dtype: str, shape: list[int], data: bytes) -> NDArray[Any]:
    """Return a new array in the byte order of this machine."""
    stored = np.frombuffer(data, DTYPES[dtype].newbyteorder(BYTE_ORDER)).reshape(shape)
    return stored.astype(DTYPES[dtype])


def _description(path: str | os.PathLike[str], content: bytes) -> dict[str, Any]:
    """Return the description in `content`, the bytes of a valid safetensors file."""
    # The file begins with the length of the header (u64, little-endian) and the header in JSON.
    # `deserialize` has checked both, but does not return the metadata.
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    if METADATA_KEY not in metadata:
        raise ModelFileError(
            f"{path}: a safetensors file, but not a fastnn model; for a state dict of PyTorch, "
            f"load(path, layers=[…]) is wanted"
        )
    try:
        description = json.loads(metadata[METADATA_KEY])
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: the description is not valid JSON ({error})") from error
    if _is_deeper(description, DEEPEST):
        raise ModelFileError(f"{path}: the description is nested over {DEEPEST} levels deep")
    if not isinstance(description, dict):
        raise ModelFileError(
            f"{path}: the description is a {type(description).__name__}, expected an object"
        )
    version = description.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: format version {version!r}, but this fastnn reads version {FORMAT_VERSION}"
        )
    return description


def _is_deeper(value: Any, levels: int) -> bool:
    """Return whether lists and objects are nested deeper than `levels`."""
    level = [value]
    for _ in range(levels):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)
