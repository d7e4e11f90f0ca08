"""The model file: a plain description and named arrays, to and from one safetensors file.

The description travels as JSON in the safetensors metadata, so any safetensors reader can open a
model, and reading one never executes anything. Nothing in here knows what a layer is.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._checks.printing import printable
from fastnn.files.atomic_file import atomic_file

FORMAT_VERSION = 1
METADATA_KEY = "fastnn"
DEEPEST = 100  # levels of a description; Python cannot even print what is nested much deeper


class ModelFileError(ValueError):
    """The file is not a model file that this version of fastnn can read."""


def write(
    path: str | os.PathLike[str], description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a model file atomically: `path` holds the old content or the new, never a part.

    Parameters
    ----------
    path : str or PathLike
        Destination. A symbolic link is followed; a device or a pipe is written to, not replaced.
    description : mapping
        Anything that `json.dumps` takes; the key "format_version" is reserved.
    arrays : mapping of str to ndarray
        Arrays of any shape and memory layout, of a dtype that safetensors knows.

    Raises
    ------
    OSError
        The file cannot be written (missing folder, no permission, full disk); it names `path`.
    TypeError
        `description` is not JSON-able.
    """
    from safetensors.numpy import save

    header = json.dumps({**description, "format_version": FORMAT_VERSION})
    # safetensors copies raw memory without looking at strides.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    content = save(contiguous, metadata={METADATA_KEY: header})
    with atomic_file(path) as file:
        file.write(content)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `write` has written.

    Parameters
    ----------
    path : str or PathLike
        A model file.

    Returns
    -------
    description : dict
        As given to `write`, after its passage through JSON (a tuple comes back as a list).
    arrays : dict of str to ndarray
        Fresh, writable, C-contiguous arrays in native byte order.

    Raises
    ------
    ModelFileError
        The file is damaged, not a safetensors file, not a fastnn model, or of another version.
    OSError
        The file cannot be opened.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    with open(path, "rb") as file:
        content = file.read()
    try:
        views = load(content)
    # A KeyError is a dtype that NumPy lacks, a ValueError a shape that it cannot hold.
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelFileError(
            f"{path}: not a safetensors file, or a damaged one ({printable(str(error))})"
        ) from error
    return _description(path, content), {name: np.array(view) for name, view in views.items()}


def _description(path: str | os.PathLike[str], content: bytes) -> dict[str, Any]:
    """Return the description inside the valid safetensors bytes `content`."""
    # The file begins with the header's length (u64, little-endian) and the header, in JSON.
    # `load` has checked both, but does not hand the metadata on.
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    if METADATA_KEY not in metadata:
        raise ModelFileError(f"{path}: a safetensors file, but not a fastnn model")
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
    """Whether lists and objects are nested deeper than that."""
    level = [value]
    for _ in range(levels):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)
