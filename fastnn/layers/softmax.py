"""Softmax and log-softmax across the features of each sample, with their true Jacobians."""

from typing import ClassVar

from fastnn import jacobians
from fastnn._core.arrays import Array
from fastnn.layers.base import Layer


class Softmax(Layer):
    """S_i = e^{z_i} / Σ e^{z_j}, of Jacobian diag(S) - S Sᵀ.

    So a cotangent dS becomes dz = S (dS - ⟨S, dS⟩); nothing about the loss that follows is
    assumed. A network that ends in it trains with `NegativeLogLikelihood`, in one stable step.
    """

    kind: ClassVar[str] = "softmax"

    def _by_input(self, x: Array) -> jacobians.DiagonalMinusOuter:
        return jacobians.DiagonalMinusOuter.of_softmax(self(x), logarithm=False)


class LogSoftmax(Layer):
    """ln S_i = z_i - ln Σ e^{z_j}, of Jacobian I - 1 Sᵀ."""

    kind: ClassVar[str] = "log_softmax"

    def _by_input(self, x: Array) -> jacobians.DiagonalMinusOuter:
        return jacobians.DiagonalMinusOuter.of_softmax(Softmax()(x), logarithm=True)
