"""Standard deviations of a regressor's predictions, by the delta method.

Near the fitted parameters Θ the network is taken for linear in them, with Jacobian J (a row for
each sample and output), and the residuals for independent, Gaussian, and of one variance σ² for all
samples and outputs. With the penalty's diagonal D, the parameters then have the covariance

    σ² (JᵀJ + D)⁻¹,   σ² = rᵀr / (N - γ),   γ = tr (JᵀJ (JᵀJ + D)⁻¹)

for N residuals r and γ parameters that the data determine, and a prediction whose Jacobian is j the
variance σ² + j · covariance · jᵀ. It knows nothing of other minima, of noise that varies, or of
what a network does far from its data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.losses import HalfSquaredError
from fastnn.model import Model
from fastnn.sklearn.full_batch import PenalisedLoss, weight_mask
from fastnn.sklearn.inspection import engine_jacobian

Array = NDArray[Any]


@dataclass
class ParameterCovariance:
    """A square root of the parameters' covariance, and the residuals' variance.

    Attributes
    ----------
    root : ndarray (n_params, rank)
        root @ root.T is the covariance.
    noise : float
        σ².
    """

    root: Array
    noise: float

    @classmethod
    def of(cls, function: PenalisedLoss) -> "ParameterCovariance":
        """Estimate both where the network's parameters are."""
        network, x, target = function.network, function.x, function.target
        matrix, _ = network.gram(
            x,
            None,
            HalfSquaredError("sum"),
            sample_weight=function.sample_weight,
            n_threads=function.n_threads,
        )
        penalised = matrix.astype(np.float64)
        penalised[np.diag_indices_from(penalised)] += function.alpha * weight_mask(network)
        values, vectors = np.linalg.eigh(penalised)
        # directions in which the data say nothing, beside rounding, are left out
        kept = values > values[-1] * len(values) * np.finfo(network.dtype).eps
        root = vectors[:, kept] / np.sqrt(values[kept])
        determined = float((root * (matrix @ root)).sum())
        residuals = np.subtract(network.predict(x), target, dtype=np.float64)
        weight = 1 if function.sample_weight is None else function.sample_weight[:, np.newaxis]
        noise = float((weight * residuals**2).sum()) / max(residuals.size - determined, 1.0)
        return cls(np.sqrt(noise) * root, noise)

    def deviations(self, model: Model, x: Array, n_threads: int | None) -> Array:
        """Return the standard deviation (n, n_out) of each prediction."""
        deviations = np.empty((len(x), model.plan.n_out), x.dtype)
        for part in model.parts(len(x), model.params.size, 32):
            jacobian = engine_jacobian(model, x[part], True, n_threads)
            spread = ((jacobian @ self.root) ** 2).sum(axis=2)
            deviations[part] = np.sqrt(self.noise + spread)
        return deviations
