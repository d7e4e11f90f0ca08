"""The same numbers in every form that an array can arrive in.

A base array holds small whole numbers, so that every dtype holds them exactly.
"""

import tempfile
from pathlib import Path

import numpy as np


class Own(np.ndarray):
    """A subclass of one's own."""


class WithArray:
    """An object that NumPy can ask for an array, as a tensor of another framework is."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


def misaligned(array):
    """The array one byte beside an aligned place."""
    memory = np.empty(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert array.dtype.itemsize == 1 or not view.flags.aligned
    return view


def spread(array):
    """The array as every second entry of a larger one, backwards along the first axis."""
    shape = tuple(2 * n for n in array.shape)
    large = np.full(shape, 77, array.dtype)
    view = large[tuple([slice(None, None, -2), *[slice(None, None, 2)] * (array.ndim - 1)])]
    view[...] = array
    return view


def read_only(array):
    """A copy that cannot be written."""
    own = array.copy()
    own.flags.writeable = False
    return own


def on_disk(array, folder):
    """The array as a memory-mapped file, opened to read."""
    # a new file, since Windows does not overwrite one that is mapped
    path = Path(tempfile.mkdtemp(dir=folder), "array.npy")
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def memory_layouts(array):
    """Arrays of the same dtype that lie in memory in other ways, by name."""
    swapped = array.dtype.newbyteorder()
    yield "Fortran order", np.asfortranarray(array)
    yield "strided, backwards", spread(array)
    yield "swapped bytes", array.astype(swapped)
    yield "Fortran order, swapped bytes", np.asfortranarray(array).astype(swapped)
    yield "misaligned", misaligned(array)
    yield "read-only", read_only(array)
    yield "a subclass", array.view(Own)
    if array.ndim and (array == array[:1]).all():
        yield "zero stride", np.broadcast_to(array[:1].copy(), array.shape)


def other_dtypes(array):
    """Arrays of every real dtype that holds the same numbers."""
    for dtype in ("f2", "f4", "f8", "g", "i1", "i2", "i4", "i8"):
        yield dtype, array.astype(dtype)
    if (array >= 0).all():
        for dtype in ("u1", "u2", "u4", "u8"):
            yield dtype, array.astype(dtype)
    if np.isin(array, [0, 1]).all():
        yield "bool", array.astype(bool)
    try:
        import ml_dtypes
    except ImportError:
        return
    yield "bfloat16", array.astype(ml_dtypes.bfloat16)


def containers(array, tmp_path):
    """Objects that are no plain array."""
    yield "list", array.tolist()
    yield "tuple", tuple(map(tuple, array.tolist())) if array.ndim == 2 else tuple(array.tolist())
    yield "list of arrays", list(array)
    yield "__array__", WithArray(array)
    yield "memoryview", memoryview(np.ascontiguousarray(array))
    yield "memmap", on_disk(array, tmp_path)
    yield "memmap, Fortran order", on_disk(np.asfortranarray(array), tmp_path)
    if array.ndim > 2:
        return
    try:
        import pandas as pd
    except ImportError:
        pass
    else:
        frame = pd.DataFrame if array.ndim == 2 else pd.Series
        yield "pandas", frame(array)
        yield "pandas, another index", frame(array, index=np.arange(len(array))[::-1] + 5)
        yield "pandas, integers", frame(array.astype(int))
        yield "pandas, nullable integers", frame(array.astype(int)).astype("Int64")
        yield "pandas, nullable floats", frame(array).astype("Float64")
    try:
        import polars as pl
    except ImportError:
        return
    yield "polars", pl.DataFrame(array) if array.ndim == 2 else pl.Series(array)


def forms(array, tmp_path):
    """Every form of an array of float64, by name."""
    array = np.ascontiguousarray(array, np.float64)
    yield from memory_layouts(array)
    yield from other_dtypes(array)
    yield from containers(array, tmp_path)
    yield "float32, Fortran order", np.asfortranarray(array, np.float32)
    yield "int8, strided", spread(array.astype(np.int8))
