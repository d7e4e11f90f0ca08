"""Residuals written in Python: the loss that they define, and checks of what they return."""

from typing import Any, Protocol

import numpy as np

from fastnn._core.arrays import Array


class Residuals(Protocol):
    """The interface of an object whose squared residuals are minimised.

    The loss of a sample is ½ Σ r² over its k residuals. The loss of a batch is the mean over the
    samples, or the sum if the object has an attribute `reduction` other than "mean". With sample
    weights w, the mean is ½ Σ w r² / Σ w; `residuals` does not see the weights.
    """

    def residuals(self, y_pred: Array, y: Array) -> tuple[Array, Array]:
        """Return the residuals (n, k), and their derivatives by `y_pred` (n, k, n_outputs).

        The residuals of a sample depend on its own outputs only. k may be any number above 0.
        """
        ...


def has_residuals(loss: Any) -> bool:
    """Return whether an object has a method `residuals`."""
    return not isinstance(loss, type) and callable(getattr(loss, "residuals", None))


def residuals_of(loss: Residuals, outputs: Array, y: Any) -> tuple[Array, Array]:
    """Return the residuals (n, k) and their derivatives (n, k, n_outputs) in the outputs' dtype.

    The object gets a copy of the outputs, which it may overwrite.

    Raises
    ------
    ValueError, TypeError
        If the object does not return real arrays of these shapes.
    """
    returned = loss.residuals(outputs.copy(), y)
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise TypeError(
            f"loss.residuals returned {type(returned).__name__}; a pair (residuals, derivatives) "
            f"is wanted"
        )
    found, slopes = (np.asarray(part) for part in returned)
    for name, array in (("residuals", found), ("derivatives", slopes)):
        if array.dtype.kind not in "biuf":
            raise TypeError(
                f"loss.residuals returned {name} of dtype {array.dtype}; real numbers are wanted"
            )
    n, n_outputs = outputs.shape
    k = found.shape[1] if found.ndim == 2 else 0
    if k == 0 or found.shape != (n, k) or slopes.shape != (n, k, n_outputs):
        raise ValueError(
            f"loss.residuals returned shapes {found.shape} and {slopes.shape}; ({n}, k) and "
            f"({n}, k, {n_outputs}) with k above 0 are wanted"
        )
    with np.errstate(over="ignore"):
        return (
            np.require(found, outputs.dtype, ["C", "A"]),
            np.require(slopes, outputs.dtype, ["C", "A"]),
        )


def weighted(found: Array, slopes: Array, factors: Array) -> tuple[Array, Array]:
    """Return residuals and derivatives times a factor for each sample; 0 where the factor is 0."""
    counted = factors != 0
    products = np.zeros_like(found), np.zeros_like(slopes)
    products[0][counted] = found[counted] * factors[counted, np.newaxis]
    products[1][counted] = slopes[counted] * factors[counted, np.newaxis, np.newaxis]
    return products


class HalfSquaredResiduals:
    """The loss that an object with `residuals` defines, as an object with `value_and_grad`."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss
        self.reduction = getattr(loss, "reduction", "mean")
        self.negative_weights = getattr(loss, "negative_weights", False)

    def value_and_grad(
        self, y_pred: Array, y: Array, sample_weight: Array | None = None
    ) -> tuple[float, Array]:
        """Return ½ Σ w r² and its gradient by `y_pred`, divided by `divisor`."""
        found, slopes = residuals_of(self.loss, y_pred, y)
        scaled = found
        if sample_weight is not None:
            scaled, slopes = weighted(found, slopes, sample_weight)
            found = np.where(sample_weight[:, np.newaxis] != 0, found, 0)
        total = np.einsum("nk,nk->", scaled, found, dtype=np.float64)
        gradient = np.einsum("nk,nko->no", found, slopes)
        divisor = self.divisor(len(found), sample_weight)
        return 0.5 * float(total) / divisor, gradient / y_pred.dtype.type(divisor)

    def divisor(self, n_samples: int, weights: Array | None) -> float:
        """Return the divisor of the summed loss of a batch."""
        if self.reduction != "mean":
            return 1.0
        if weights is None or self.negative_weights:
            return float(n_samples)
        return float(weights.sum(dtype=np.float64))
