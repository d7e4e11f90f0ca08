"""Softmax and log-softmax across the features of each sample, with their true Jacobians."""

from typing import ClassVar

import numpy as np

from fastnn import jacobians
from fastnn.layers.base import Array, Layer


class Softmax(Layer):
    """S_i = e^{z_i} / Σ e^{z_j}, of Jacobian diag(S) - S Sᵀ.

    So a cotangent dS becomes dz = S (dS - ⟨S, dS⟩); nothing about the loss that follows is
    assumed. To train a classifier, `SoftmaxCrossEntropy` on logits is faster and stabler than this
    layer under `NegativeLogLikelihood`, and has the same gradient.
    """

    kind: ClassVar[str] = "softmax"

    def _by_input(self, x: Array) -> jacobians.DiagonalMinusOuter:
        S = self(x)
        return jacobians.DiagonalMinusOuter(S, S, S)


class LogSoftmax(Layer):
    """ln S_i = z_i - ln Σ e^{z_j}, of Jacobian I - 1 Sᵀ."""

    kind: ClassVar[str] = "log_softmax"

    def _by_input(self, x: Array) -> jacobians.DiagonalMinusOuter:
        ones = np.ones_like(x)
        return jacobians.DiagonalMinusOuter(ones, ones, Softmax()(x))
