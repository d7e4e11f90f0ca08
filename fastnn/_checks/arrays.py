"""Checks and conversions of the arrays that a user passes.

Each array is checked once. The result is C-contiguous, aligned, in native byte order and in the
network's dtype, and all numbers are in range. The engine relies on this. An error message names the
argument, its value, and the values that are allowed.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn._checks import frames
from fastnn._core.arrays import Array

BLOCK_BYTES = 1 << 21  # the size of a block of rows, read from data that may be larger than memory


def numeric_array(value: Any, name: str, missing: bool = False) -> Array:
    """Return an array of booleans, integers or real numbers; an array is not copied.

    Nullable columns of data frames are converted; with `missing`, their missing values become NaN.
    Number formats such as bfloat16 become float32.

    Raises
    ------
    TypeError
        If the value is not numeric: objects, text, complex numbers, sparse or masked arrays.
    ValueError
        If the value is ragged or changes while it is read, or a nullable column has missing values.
    """
    if type(value) is np.ndarray and value.dtype.kind in "biuf":
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; fill or drop the masked entries first")
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} is sparse; pass {name}.toarray()")
    try:
        array = np.asarray(value)
    except (ValueError, RuntimeError) as error:  # the latter for a list that another thread changes
        raise ValueError(f"{name} is not a rectangular array of numbers: {error}") from None
    if array.dtype.kind == "O" and hasattr(value, "dtype" if array.ndim == 1 else "dtypes"):
        array = frames.of_nullable_columns(value, array, name, missing)
    if array.dtype.kind == "V" and array.dtype.type is not np.void:  # such as bfloat16
        if not np.can_cast(array.dtype, np.float32):
            raise TypeError(f"{name} has dtype {array.dtype}, which float32 cannot represent")
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {array.dtype}; real numbers are wanted")
    return array


def converted(
    given: Array, name: str, dtype: np.dtype[Any], single: bool = False, missing: bool = False
) -> Array:
    """Return an array of finite numbers for the engine; the array is copied only if necessary.

    The caller must check the shape before. Raises MemoryError if a copy does not fit into memory.
    `single` means that the user passed one sample, the only row of this matrix. With `missing`, the
    array may hold NaN too.
    """
    array = given
    if given.dtype != dtype or not (given.flags.c_contiguous and given.flags.aligned):
        _core.demand_memory(given.size * dtype.itemsize, f"{name} as {dtype}")
        # overflow becomes infinity, which is reported below
        with np.errstate(over="ignore", under="ignore"):
            array = np.require(given, dtype, ["C", "A"])
    if not all_finite(array):
        wrong = np.isinf(array) if missing else ~np.isfinite(array)
        if not wrong.any():
            return array
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        found = given[place]
        place = place[1:] if single else place
        reason = f", too large for {dtype}" if np.isfinite(found) else ""
        where = f"[{', '.join(map(str, place))}]" if place else ""
        wanted = "finite numbers, or NaN where missing, are" if missing else "finite numbers are"
        raise ValueError(f"{name}{where} is {found}{reason}; {wanted} wanted")
    return array


def all_finite(array: Array) -> bool:
    """Return whether a C-contiguous float32 or float64 array holds no NaN and no infinity."""
    return _core.engine.all_finite(array.reshape(-1))


def row_blocks(given: Array, name: str, dtype: np.dtype[Any]) -> Iterator[Array]:
    """Yield the rows of a numeric matrix in blocks, checked and converted as by `real_array`.

    Raises
    ------
    ValueError
        As `real_array`; the message names the first row of the block.
    """
    rows = max(BLOCK_BYTES // max(given[:1].size * dtype.itemsize, 1), 1)
    for start in range(0, len(given), rows):
        try:
            yield real_array(given[start : start + rows], name, dtype)
        except ValueError as error:
            if not start:
                raise
            raise ValueError(f"from row {start}: {error}") from None


def real_array(value: Any, name: str, dtype: np.dtype[Any], ndim: int | None = None) -> Array:
    """Return a finite array for the engine, with `ndim` dimensions if that is given.

    Raises
    ------
    TypeError, ValueError
        As `numeric_array`; or if the number of dimensions differs, or the array holds NaN,
        infinity, or a number out of the range of `dtype`.
    """
    given = numeric_array(value, name)
    if ndim is not None and given.ndim != ndim:
        wanted = {1: "a vector (n,)", 2: "a matrix (n, k)"}[ndim]
        raise ValueError(f"{name} has shape {given.shape}; {wanted} is wanted")
    return converted(given, name, dtype)


def shaped_array(value: Any, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Return the result of `real_array` for a value that must have this shape."""
    given = numeric_array(value, name)
    if given.shape != shape:
        raise ValueError(f"{name} has shape {given.shape}; {shape} is wanted")
    return converted(given, name, dtype)


def output_array(
    value: Any, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], inputs: dict[str, Array]
) -> Array:
    """Return a checked array to write a result into; it shares the memory of `value`.

    The array must not overlap `inputs`, whose keys are their names in the error message.
    """
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a {type(value).__name__}; an ndarray is wanted")
    array: Array = np.asarray(value)  # the same memory, without the methods of a subclass
    if array.dtype != dtype or not array.dtype.isnative:
        raise TypeError(f"{name} has dtype {array.dtype}; {dtype} is wanted")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; {shape} is wanted")
    if not array.flags.carray:
        raise ValueError(f"{name} is not C-contiguous, aligned and writable")
    for other, taken in inputs.items():
        if np.may_share_memory(array, taken):
            raise ValueError(f"{name} shares memory with {other}; a separate array is wanted")
    return array


def sample_matrix(value: Any, name: str, n_features: int) -> Array:
    """Return a matrix of samples (n, n_features), n at least 1, not yet `converted`."""
    given = numeric_array(value, name)
    if given.ndim != 2 or given.shape[1] != n_features:
        raise ValueError(f"{name} has shape {given.shape}; (n, {n_features}) is wanted")
    if given.shape[0] == 0:
        raise ValueError(f"{name} is empty; at least one row is wanted")
    return given


def samples(value: Any, name: str, dtype: np.dtype[Any], n_features: int) -> Array:
    """Return a checked and converted matrix of samples (n, n_features), n at least 1."""
    return converted(sample_matrix(value, name, n_features), name, dtype)


def one_or_more_samples(value: Any, name: str, n_features: int) -> tuple[Array, bool]:
    """Return samples (n, n_features) or one sample (n_features,) as a matrix, not yet `converted`.

    Returns
    -------
    (ndarray, bool)
        The matrix, and whether the value was one sample.
    """
    given = numeric_array(value, name)
    if given.ndim not in (1, 2) or given.shape[-1] != n_features:
        raise ValueError(
            f"{name} has shape {given.shape}; (n, {n_features}) or ({n_features},) is wanted"
        )
    return np.atleast_2d(given), given.ndim == 1


def real_targets(
    value: Any, name: str, dtype: np.dtype[Any], shape: tuple[int, int], missing: bool = False
) -> Array:
    """Return checked targets (n, n_outputs); for one output, targets (n,) are accepted too.

    With `missing`, NaN marks a missing target.
    """
    given = numeric_array(value, name, missing)
    if given.ndim == 1 and shape[1] == 1:
        given = given[:, np.newaxis]
    if given.shape != shape:
        wanted = f"{shape} or ({shape[0]},)" if shape[1] == 1 else f"{shape}"
        raise ValueError(
            f"{name} has shape {given.shape}; {wanted} is wanted, a row for each sample and a "
            f"column for each output"
        )
    return converted(given, name, dtype, missing=missing)


def class_labels(
    value: Any, name: str, n_samples: int, n_classes: int, missing: bool = False
) -> NDArray[np.int64]:
    """Return checked class indices (n_samples,), from 0 to n_classes - 1, as int64.

    Floats are accepted if they are whole numbers. With `missing`, NaN and -1 mark a missing label,
    and the result has -1 there. A copy is checked and returned, so that no other thread can change
    an index after the check.
    """
    try:
        given = numeric_array(value, name, missing)
    except TypeError as error:
        raise TypeError(
            f"{error}, as class indices 0 to {n_classes - 1}; for names of classes, "
            f"np.unique({name}, return_inverse=True) returns the names and the indices"
        ) from None
    if given.shape != (n_samples,):
        raise ValueError(
            f"{name} has shape {given.shape}; ({n_samples},) is wanted, a class index for each "
            f"sample"
        )
    labels = given.copy()
    if missing and labels.dtype.kind == "f":
        labels[np.isnan(labels)] = -1
    valid = (labels >= 0) & (labels < n_classes) & (labels == np.floor(labels))
    if missing:
        valid |= labels == -1
    if not valid.all():
        place = int(np.argmin(valid))
        also = ", or NaN or -1 where missing," if missing else ""
        raise ValueError(
            f"{name}[{place}] is {labels[place]}; a class index 0 to {n_classes - 1}{also} is "
            f"wanted"
        )
    return labels.astype(np.int64, order="C", copy=False)


def sample_weight(
    value: Any, name: str, dtype: np.dtype[Any], n_samples: int, negative: bool = False
) -> Array | None:
    """Return the checked weights (n_samples,), at least 0 and not all 0; None for None.

    With `negative`, any finite numbers are allowed.
    """
    if value is None:
        return None
    given = numeric_array(value, name)
    if given.shape != (n_samples,):
        raise ValueError(
            f"{name} has shape {given.shape}; ({n_samples},) is wanted, a weight for each sample"
        )
    weights = converted(given, name, dtype)
    if negative:
        return weights
    if n_samples and weights.min() < 0:
        place = int(np.argmin(weights))
        raise ValueError(
            f"{name}[{place}] is {weights[place]}; at least 0 is wanted, or a loss with "
            f"negative_weights=True"
        )
    if n_samples and not weights.any():
        raise ValueError(f"{name} is 0 for every sample; at least one above 0 is wanted")
    return weights


def row_indices(value: Any, name: str, n: int) -> NDArray[np.int64]:
    """Return checked indices of at least one row, 0 to n - 1; a mask (n,) is accepted too."""
    given = numeric_array(value, name)
    if given.ndim != 1 or given.dtype.kind not in "iub" or given.size == 0:
        raise ValueError(
            f"{name} has shape {given.shape} and dtype {given.dtype}; row indices (k,), at least "
            f"one, or a mask ({n},) are wanted"
        )
    rows = given.copy()  # a copy, because another thread may write into the user's array
    if rows.dtype.kind == "b" and rows.shape == (n,):
        rows = np.flatnonzero(rows)
    if rows.dtype.kind == "b" or rows.size == 0:
        raise ValueError(
            f"{name} has shape {given.shape} and dtype {given.dtype}; row indices (k,), at least "
            f"one, or a mask ({n},) of at least one are wanted"
        )
    if not 0 <= rows.min() <= rows.max() < n:
        raise ValueError(
            f"{name} lies in [{rows.min()}, {rows.max()}]; row indices 0 to {n - 1} are wanted"
        )
    return rows.astype(np.int64, copy=False)
