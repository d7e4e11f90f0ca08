"""Calls of the methods of a custom layer, with checks of what they return.

The arguments are trusted. A method gets read-only views of them. Its results are copied in the
dtype of the computation, so it may return an argument, or an array that it uses again.

If a method returns NaN or infinity for finite arguments, the call raises ValueError. In a fit, NaN
and infinity mean divergence, or a step that is too long. The caller then passes a list `trouble`,
which gets the message in place of the exception.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array

Layer = Any  # a CustomLayer, whose module imports this one


def forward(layer: Layer, x: Array, params: Array, trouble: list[str] | None = None) -> Array:
    """Return the outputs (n, out_features) for samples x and parameters (n_params,)."""
    shape = len(x), layer.out_features or x.shape[1]
    if not len(x):
        return np.empty(shape, x.dtype)
    returned = layer.forward(_read_only(x), _named(layer, params))
    y = _converted(layer, "forward", returned, shape, x.dtype)
    _demand_finite(layer, "forward", (y,), (x, params), trouble)
    return y


def vjp(
    layer: Layer,
    x: Array,
    params: Array,
    cotangent: Array,
    grads: Array,
    trouble: list[str] | None = None,
) -> Array:
    """Return the cotangent of x, and overwrite `grads` (n_params,) with that of the parameters."""
    if not len(x):
        grads[...] = 0
        return np.empty_like(x)
    given = _read_only(x), _named(layer, params), _read_only(cotangent)
    returned = layer.vjp(*given)
    name = type(layer).__name__
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise TypeError(
            f"{name}.vjp returned {_kind_of(returned)}; a pair (cotangent of x, mapping of the "
            f"parameters' names to gradients) is wanted"
        )
    dx = _converted(layer, "vjp", returned[0], x.shape, x.dtype, " as the cotangent of x")
    gradients = layer.split(grads)
    if not isinstance(returned[1], Mapping):
        raise TypeError(
            f"{name}.vjp returned {_kind_of(returned[1])} as the gradients; a mapping of the names "
            f"{list(gradients)} to arrays is wanted"
        )
    if returned[1].keys() != gradients.keys():
        raise ValueError(
            f"{name}.vjp returned gradients of {list(returned[1])}; {list(gradients)} are wanted"
        )
    for key, target in gradients.items():
        what = f" as the gradient of {key}"
        value = _converted(layer, "vjp", returned[1][key], target.shape, x.dtype, what)
        target[...] = value
    _demand_finite(layer, "vjp", (dx, grads), (x, params, cotangent), trouble)
    return dx


def jvp(
    layer: Layer,
    x: Array,
    params: Array,
    x_tangent: Array,
    params_tangent: Array,
    trouble: list[str] | None = None,
) -> Array:
    """Return the outputs' derivative (n, out_features) along a direction."""
    shape = len(x), layer.out_features or x.shape[1]
    if not len(x):
        return np.empty(shape, x.dtype)
    returned = layer.jvp(
        _read_only(x), _named(layer, params), _read_only(x_tangent), _named(layer, params_tangent)
    )
    tangent = _converted(layer, "jvp", returned, shape, x.dtype)
    _demand_finite(layer, "jvp", (tangent,), (x, params, x_tangent, params_tangent), trouble)
    return tangent


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _named(layer: Layer, flat: Array) -> Mapping[str, Array]:
    found: dict[str, Array] = layer.split(_read_only(flat))
    return found


def _kind_of(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of length {len(value)}"
    return f"a {type(value).__name__}"


def _converted(
    layer: Layer,
    method: str,
    returned: Any,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    what: str = "",
) -> Array:
    """Return a C-contiguous copy of a result, in this dtype."""
    name = f"{type(layer).__name__}.{method}"
    try:
        array = np.asarray(returned)
    except ValueError as error:
        raise ValueError(f"{name} returned a ragged array{what}: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} returned {_kind_of(returned)} of dtype {array.dtype}{what}; an array of real "
            f"numbers is wanted"
        )
    if array.shape != shape:
        raise ValueError(
            f"{name} returned an array of shape {array.shape}{what}; {shape} is wanted"
        )
    with np.errstate(over="ignore", under="ignore"):
        return np.array(array, dtype, order="C")


def _demand_finite(
    layer: Layer,
    method: str,
    results: tuple[Array, ...],
    arguments: tuple[Array, ...],
    trouble: list[str] | None,
) -> None:
    if all(_checks.all_finite(array) for array in results):
        return
    if not all(np.isfinite(array).all() for array in arguments):
        return  # the numbers overflowed in another layer
    message = (
        f"{type(layer).__name__}.{method} returned NaN, infinity or a number too large for "
        f"{results[0].dtype}, and its arguments are finite"
    )
    if trouble is None:
        raise ValueError(message)
    if not trouble:
        trouble.append(message)
