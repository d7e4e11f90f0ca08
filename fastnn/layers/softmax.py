"""Softmax and log-softmax over the features of each sample, with their exact Jacobians."""

from typing import ClassVar

from fastnn import jacobians
from fastnn._core.arrays import Array
from fastnn.layers.base import Layer


class Softmax(Layer):
    """S_i = e^{z_i} / Σ e^{z_j}, with the Jacobian diag(S) - S Sᵀ.

    Backpropagation turns a cotangent dS into dz = S (dS - ⟨S, dS⟩), for any loss. For a network
    that ends in Softmax, train with `NegativeLogLikelihood`: the engine computes both in one
    numerically stable step.
    """

    kind: ClassVar[str] = "softmax"

    def _by_input(self, x: Array) -> jacobians.DiagonalMinusOuter:
        return jacobians.DiagonalMinusOuter.of_softmax(self(x), logarithm=False)


class LogSoftmax(Layer):
    """ln S_i = z_i - ln Σ e^{z_j}, with the Jacobian I - 1 Sᵀ."""

    kind: ClassVar[str] = "log_softmax"

    def _by_input(self, x: Array) -> jacobians.DiagonalMinusOuter:
        return jacobians.DiagonalMinusOuter.of_softmax(Softmax()(x), logarithm=True)
