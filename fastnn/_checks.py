"""The public door: what a user hands in is checked and converted here, once.

Inside, every array is C-contiguous, aligned, of native byte order and of the network's dtype, and
every number is in range; the engine relies on it. An error names the argument, what came, and what
was wanted.
"""

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core

Array = NDArray[Any]


def real_array(value: Any, name: str, dtype: np.dtype[Any]) -> Array:
    """Convert to a finite array that the engine can read; copies only if it must.

    Raises
    ------
    TypeError
        If it is not numeric: objects, text, complex numbers, sparse or masked arrays.
    ValueError
        If it is ragged, or holds NaN, infinity, or a number beyond the range of `dtype`.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; fill or drop the masked entries first")
    if hasattr(value, "toarray"):
        raise TypeError(f"{name} is sparse; pass {name}.toarray()")
    try:
        given = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array of numbers: {error}") from None
    if given.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {given.dtype}; real numbers are wanted")
    with np.errstate(over="ignore"):  # overflow becomes infinity, which is reported below
        array = np.require(given, dtype, ["C", "A"])
    if not _core.engine.all_finite(array.reshape(-1)):
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        found = given[place]
        reason = f", too large for {dtype}" if np.isfinite(found) else ""
        where = f"[{', '.join(map(str, place))}]" if place else ""
        raise ValueError(f"{name}{where} is {found}{reason}; finite numbers are wanted")
    return array


def shaped_array(value: Any, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """`real_array` of exactly that shape."""
    array = real_array(value, name, dtype)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; {shape} is wanted")
    return array


def samples(
    value: Any, name: str, dtype: np.dtype[Any], n_features: int, *, at_least: int = 0
) -> Array:
    """Check a matrix of samples (n, n_features) that has `at_least` so many rows."""
    array = real_array(value, name, dtype)
    if array.ndim != 2 or array.shape[1] != n_features:
        raise ValueError(f"{name} has shape {array.shape}; (n, {n_features}) is wanted")
    if array.shape[0] < at_least:
        raise ValueError(f"{name} is empty; at least {at_least} row is wanted")
    return array


def one_or_more_samples(
    value: Any, name: str, dtype: np.dtype[Any], n_features: int
) -> tuple[Array, bool]:
    """Check samples (n, n_features), or one sample (n_features,) as a matrix of one row.

    Returns
    -------
    (ndarray, bool)
        The matrix, and whether it was given as one sample.
    """
    array = real_array(value, name, dtype)
    single = array.ndim == 1
    if single:
        array = array[np.newaxis]
    if array.ndim != 2 or array.shape[1] != n_features:
        raise ValueError(
            f"{name} has shape {np.shape(value)}; (n, {n_features}) or ({n_features},) is wanted"
        )
    return array, single


def real_targets(value: Any, name: str, dtype: np.dtype[Any], shape: tuple[int, int]) -> Array:
    """Check targets (n, n_outputs); (n,) will do for one output."""
    array = real_array(value, name, dtype)
    if array.ndim == 1 and shape[1] == 1:
        array = array[:, np.newaxis]
    if array.shape != shape:
        wanted = f"{shape} or ({shape[0]},)" if shape[1] == 1 else f"{shape}"
        raise ValueError(
            f"{name} has shape {np.shape(value)}; {wanted} is wanted, a row for each sample and "
            f"a column for each output"
        )
    return array


def class_labels(value: Any, name: str, n_samples: int, n_classes: int) -> NDArray[np.int64]:
    """Check class indices (n_samples,) in 0 … n_classes - 1; whole-numbered floats will do."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} has dtype {array.dtype}; class indices 0 to {n_classes - 1} are wanted"
        )
    if array.shape != (n_samples,):
        raise ValueError(
            f"{name} has shape {array.shape}; ({n_samples},) is wanted, a class index for each "
            f"sample"
        )
    valid = (array >= 0) & (array < n_classes) & (array == np.floor(array))
    if not valid.all():
        place = int(np.argmin(valid))
        raise ValueError(
            f"{name}[{place}] is {array[place]}; a class index 0 to {n_classes - 1} is wanted"
        )
    return np.require(array, np.int64, ["C", "A"])


def integer(value: Any, name: str, *, at_least: int) -> int:
    """Check a whole number; bool is not one."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; an integer is wanted")
    if value < at_least:
        raise ValueError(f"{name} is {value}; an integer of at least {at_least} is wanted")
    return int(value)


def number(
    value: Any, name: str, *, above: float = -np.inf, at_least: float = -np.inf,
    below: float = np.inf,
) -> float:  # fmt: skip
    """Check a finite real number with above < value < below and at_least <= value."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; a real number is wanted")
    found = float(value)
    if not (above < found < below and at_least <= found):  # NaN and infinities fail here too
        limits = [
            f"{word} {limit:g}"
            for word, limit in (("above", above), ("at least", at_least), ("below", below))
            if np.isfinite(limit)
        ]
        wanted = " and ".join(["a finite number", *limits])
        raise ValueError(f"{name} is {found:g}; {wanted} is wanted")
    return found


def floating_dtype(value: Any) -> np.dtype[Any]:
    """Check that a dtype is float32 or float64, in native byte order."""
    try:
        dtype: np.dtype[Any] | None = np.dtype(value)
    except TypeError:
        dtype = None
    for wanted in (np.dtype(np.float32), np.dtype(np.float64)):
        if value is not None and dtype is not None and dtype == wanted:
            return wanted
    raise ValueError(f"dtype is {value!r}; 'float32' or 'float64' is wanted")
