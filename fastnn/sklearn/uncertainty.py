"""Standard deviations of a regressor's predictions, by the delta method.

The method makes two assumptions. Near the fitted parameters Θ the network is linear in them, with
the Jacobian J (a row for each sample and output). The residuals are independent and Gaussian, with
one variance σ² for all samples and outputs. With the diagonal Hessian D of the penalty, the
parameters then have the covariance

    σ² (JᵀJ + D)⁻¹,   σ² = rᵀr / (N - γ),   γ = tr (JᵀJ (JᵀJ + D)⁻¹)

for N residuals r, where γ is the number of parameters that the data determine. A prediction with
the Jacobian j has the variance σ² + j · covariance · jᵀ. The method ignores other minima, noise
that varies, and what a network does far from its data.
"""

from dataclasses import dataclass

import numpy as np

from fastnn._core.arrays import Array
from fastnn.losses import HalfSquaredError
from fastnn.model import Model
from fastnn.sklearn.full_batch import weight_mask
from fastnn.sklearn.objectives import Problem


@dataclass
class ParameterCovariance:
    """A square root of the covariance of the parameters, and the variance of the residuals.

    Attributes
    ----------
    root : ndarray (n_params, rank)
        root @ root.T is the covariance.
    noise : float
        The variance σ².
    """

    root: Array
    noise: float

    @classmethod
    def of(cls, problem: Problem) -> "ParameterCovariance":
        """Return the estimates at the network's parameters."""
        network = problem.network
        matrix, _ = network.gram(
            problem.x,
            None,
            HalfSquaredError("sum"),
            sample_weight=problem.sample_weight,
            n_threads=problem.n_threads,
        )
        penalised = matrix.astype(np.float64)
        penalised[np.diag_indices_from(penalised)] += problem.alpha * weight_mask(network)
        values, vectors = np.linalg.eigh(penalised)
        # drop directions that the data do not determine, except by rounding
        kept = values > values[-1] * len(values) * np.finfo(network.dtype).eps
        root = vectors[:, kept] / np.sqrt(values[kept])
        determined = float((root * (matrix @ root)).sum())
        residuals = np.subtract(network.predict(problem.x), problem.target, dtype=np.float64)
        weight = 1 if problem.sample_weight is None else problem.sample_weight[:, np.newaxis]
        noise = float((weight * residuals**2).sum()) / max(residuals.size - determined, 1.0)
        return cls(np.sqrt(noise) * root, noise)

    def deviations(self, model: Model, x: Array, n_threads: int | None) -> Array:
        """Return the standard deviation (n, n_out) of each prediction."""
        deviations = np.empty((len(x), model.plan.n_out), x.dtype)
        for part in model.parts(len(x), model.params.size, 32):
            jacobian = model.jacobian(x[part], True, n_threads)
            spread = ((jacobian @ self.root) ** 2).sum(axis=2)
            deviations[part] = np.sqrt(self.noise + spread)
        return deviations
