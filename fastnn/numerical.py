"""Numerical derivatives of functions, for comparison with analytic derivatives."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array

COMPLEX_STEP = 1e-20  # can be this small: nothing cancels, and its square is negligible


def numerical_jacobian(
    f: "Callable[[Any], Any]", x: Any, method: str = "central", layout: str = "numerator"
) -> Array:
    """Return the derivative of a function y = f(x) of scalars, vectors, matrices or more axes.

    Parameters
    ----------
    f : callable
        Takes an array of the shape of x (a NumPy scalar if x is a scalar). Returns real numbers,
        always in the same shape.
    x : array_like
        The point, rounded to float64.
    method : {"central", "complex"}
        "central" extrapolates the central differences with the steps h and h/2 (Richardson), where
        h is about `1e-3 max(|x_j|, 0.1)`. It calls f four times for each entry. For a smooth
        function the error is about 1e-12 of the size of f, or 1e-5 if f returns float32. At a kink
        it returns the mean of the slopes of the two sides. "complex" computes Im f(x + ih) / h with
        one call for each entry, exact up to rounding. The function must accept complex numbers and
        use only analytic operations: no abs, no comparison.
    layout : {"numerator", "denominator"}
        The order of the entries ∂y_i/∂x_j. "numerator" is y.shape followed by x.shape reversed. For
        vectors it is the Jacobian, with a row for each output. For a scalar and a vector it is also
        a matrix, (1, n) or (m, 1). For a matrix y (m, l) and a matrix x (n, k) the shape is
        (m, l, k, n); in JAX it is (m, l, n, k). "denominator" is x.shape followed by y.shape
        reversed. For a scalar y it is the gradient in the shape of x, which can update a weight
        matrix.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    TypeError
        If f is not a function, does not return real numbers, or drops the imaginary part.
    ValueError
        If f returns NaN or infinity, or its shape differs between points; if x holds anything but
        finite real numbers; or if method or layout is invalid.

    Examples
    --------
    >>> fn.numerical_jacobian(lambda x: np.array([x[0] ** 2, x[0] * x[1]]), [3.0, 2.0]).round(6)
    array([[6., 0.],
           [2., 3.]])
    """
    f, point = _function(f), _point(x)
    method = _checks.choice(method, "method", ("central", "complex"))
    layout = _checks.choice(layout, "layout", ("numerator", "denominator"))
    entries = _derivative(f, point, method)
    y_axes, x_axes = range(entries.ndim - point.ndim), range(-point.ndim, 0)
    if layout == "denominator":
        return entries.transpose(*x_axes, *reversed(y_axes)).copy()
    if len(y_axes) == 0 and len(x_axes) == 1:
        return entries.reshape(1, -1)
    if len(y_axes) == 1 and len(x_axes) == 0:
        return entries.reshape(-1, 1)
    return entries.transpose(*y_axes, *reversed(x_axes)).copy()


def numerical_hessian(f: "Callable[[Any], Any]", x: Any, method: str = "central") -> Array:
    """Return the second derivatives of a function y = f(x).

    Parameters
    ----------
    f, x
        As for `numerical_jacobian`; y is usually a scalar.
    method : {"central", "complex"}
        The method of the first derivatives. The second derivatives are always central differences
        of the first. For a smooth function the error is about 1e-8 of the size of f for "central",
        and 1e-11 for "complex".

    Returns
    -------
    ndarray y.shape + x.shape + x.shape, of float64
        Entry (…, j, k) is ∂²y/∂x_j∂x_k; the shape is (n, n) for a scalar y and a vector x. The
        result is exactly symmetric in j and k.

    Raises
    ------
    ValueError, TypeError
        As `numerical_jacobian`.

    Examples
    --------
    >>> fn.numerical_hessian(lambda x: x[0] ** 2 * x[1], [3.0, 2.0]).round(4)
    array([[4., 6.],
           [6., 0.]])
    """
    f, point = _function(f), _point(x)
    method = _checks.choice(method, "method", ("central", "complex"))
    noise = _noise(_evaluated(f, point))
    if method == "central":
        noise **= 5 / 6  # makes the two steps h equal, and balances h⁴ with noise / h²

    def first_derivatives(z: Any) -> Array:
        return _derivative(f, np.asarray(z), method, noise)

    second = _derivative(first_derivatives, point, "central", noise)
    first = second.ndim - 2 * point.ndim
    y_axes, j_axes = range(first), range(first, first + point.ndim)
    k_axes = range(first + point.ndim, second.ndim)
    return (second + second.transpose(*y_axes, *k_axes, *j_axes)) / 2


def _function(f: Any) -> Callable[[Any], Any]:
    if not callable(f):
        raise TypeError(f"f is {f!r}; a function is wanted")
    function: Callable[[Any], Any] = f
    return function


def _point(x: Any) -> Array:
    return _checks.real_array(x, "x", np.dtype(np.float64))


def _derivative(
    f: "Callable[[Any], Any]", x: Array, method: str, noise: float | None = None
) -> Array:
    """Return every ∂y_i/∂x_j, in the shape y.shape + x.shape."""
    y = _evaluated(f, x)
    noise = _noise(y) if noise is None else noise
    entries = np.empty(y.shape + x.shape)
    for j in np.ndindex(x.shape):
        if method == "complex":
            derivative = _complex_step(f, x, j, y.shape)
        else:
            # The errors are h⁴ and noise / h; a power of two adds no rounding error.
            h = 2.0 ** np.round(np.log2(noise**0.2 * max(abs(x[j]), 0.1)))
            coarse, fine = (_central_difference(f, x, j, step, y.shape) for step in (h, h / 2))
            derivative = (4 * fine - coarse) / 3
        entries[(..., *j)] = derivative
    return entries


def _noise(y: Array) -> float:
    """Return the relative rounding error of values of this dtype."""
    eps = np.finfo(y.dtype).eps if y.dtype.kind == "f" else 0.0
    return max(float(eps), float(np.finfo(np.float64).eps))


def _central_difference(
    f: "Callable[[Any], Any]", x: Array, j: tuple[int, ...], step: float, shape: tuple[int, ...]
) -> Array:
    above, below = x.copy(), x.copy()
    above[j] += step
    below[j] -= step
    difference = _evaluated(f, above, j, shape).astype(float) - _evaluated(f, below, j, shape)
    quotient: Array = difference / (above[j] - below[j])
    return quotient


def _complex_step(
    f: "Callable[[Any], Any]", x: Array, j: tuple[int, ...], shape: tuple[int, ...]
) -> Array:
    z = x.astype(complex)
    z[j] += 1j * COMPLEX_STEP
    dropped = (
        "an operation such as abs, a comparison or .real drops the imaginary part; use "
        "method='central' instead"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            y = np.asarray(f(z[()]))
        except np.exceptions.ComplexWarning as warning:
            raise TypeError(f"f discards imaginary parts: {dropped}") from warning
    if y.dtype.kind != "c":
        raise TypeError(f"f returned dtype {y.dtype} for a complex argument: {dropped}")
    _expect(y, x, j, shape)
    derivative: Array = y.imag / COMPLEX_STEP
    return derivative


def _evaluated(
    f: "Callable[[Any], Any]",
    x: Array,
    j: tuple[int, ...] | None = None,
    shape: tuple[int, ...] | None = None,
) -> Array:
    """Return f(x), checked to be finite and of the given shape; j is the entry that was changed."""
    y = _checks.numeric_array(f(x.copy()[()]), "the value of f")
    _expect(y, x, j, shape)
    return y


def _expect(y: Array, x: Array, j: tuple[int, ...] | None, shape: tuple[int, ...] | None) -> None:
    if shape is not None and y.shape != shape:
        raise ValueError(f"f returned shape {y.shape}{_where(x, j)}; {shape}, as at x, is wanted")
    if not np.isfinite(y).all():
        value = y[~np.isfinite(y)][0]
        raise ValueError(f"f returned {value}{_where(x, j)}; finite numbers are wanted")


def _where(x: Array, j: tuple[int, ...] | None) -> str:
    if j is None:
        return " at x"
    name = f"x[{', '.join(map(str, j))}]" if j else "x"
    return f" where {name} is {x[j]:.17g}"
