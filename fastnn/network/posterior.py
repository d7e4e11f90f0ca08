"""The Gaussian approximation of the posterior of a network's parameters, and its predictions.

All computations are in float64, for every dtype of network.
"""

import contextlib
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastnn import _checks
from fastnn._core.arrays import Array
from fastnn.losses import HalfSquaredError
from fastnn.model import Model
from fastnn.optimizers.levenberg_marquardt import inverse_of_lower

ROUNDS = 50  # of the estimate of the noise; it converges in a few
CONVERGED = 1e-8  # the relative change of the noise that ends it
LEAST_FREEDOM = 1e-6  # as a share of the number of targets; less is a rounding error


class PredictiveVariance(NamedTuple):
    """The variances of predictions, each an ndarray (n, n_outputs) of float64.

    Attributes
    ----------
    epistemic : ndarray
        The part that follows from the uncertainty of the parameters. More data would reduce it.
    noise : ndarray
        The part that follows from the noise of the targets.
    total : ndarray
        Their sum, the variance of a new target.
    """

    epistemic: Array
    noise: Array
    total: Array


@dataclass(frozen=True, eq=False)
class GaussianPosterior:
    """A Gaussian distribution of a network's parameters; `Network.posterior` returns it.

    It has a copy of the network, so later training of the network does not change it. It can be
    copied and pickled.

    Attributes
    ----------
    network : Network
        The copy, whose parameters are the mean.
    root : ndarray (n_params, rank)
        root @ root.T is the covariance of the parameters, float64.
    noise_variance : ndarray (n_outputs,)
        σ² of each output.
    prior_precision : float
        α.
    effective_parameters : ndarray (n_outputs,)
        γ, how many parameters the targets of each output determine. The sum is at most n_params.
    """

    network: Any
    root: Array
    noise_variance: Array
    prior_precision: float
    effective_parameters: Array

    def __repr__(self) -> str:
        """Return the noise and the number of effective parameters."""
        noise = ", ".join(f"{value:.4g}" for value in self.noise_variance)
        return (
            f"GaussianPosterior(noise_variance=[{noise}], prior_precision="
            f"{self.prior_precision:.4g}, effective_parameters="
            f"{self.effective_parameters.sum():.4g} of {len(self.root)})"
        )

    @property
    def covariance(self) -> Array:
        """The covariance of the parameters, (n_params, n_params), a new array."""
        covariance: Array = self.root @ self.root.T
        return covariance

    def predict(
        self, X: Any, return_std: bool = False, *, n_threads: int | None = None
    ) -> Array | tuple[Array, Array]:
        """Return the mean of the predictions, and optionally their standard deviation.

        Parameters
        ----------
        X : array_like (n, in_features) or (in_features,)
        return_std : bool
            Whether to return the standard deviation of a new target too, √ of the total variance.
        n_threads : int, optional

        Returns
        -------
        ndarray (n, n_outputs), or a pair of such arrays
            Without the first axis for one sample. The mean is the network's output.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid.
        """
        outputs: Array = self.network.predict(X, n_threads=n_threads)
        if not _checks.boolean(return_std, "return_std"):
            return outputs
        return outputs, np.sqrt(self.variance(X, n_threads=n_threads).total)

    def variance(self, X: Any, *, n_threads: int | None = None) -> PredictiveVariance:
        """Return the variances of the predictions: of the parameters, of the noise, and the sum.

        Parameters
        ----------
        X : array_like (n, in_features) or (in_features,)
        n_threads : int, optional

        Returns
        -------
        PredictiveVariance
            Three arrays (n, n_outputs), or (n_outputs,) for one sample: `epistemic` is J C Jᵀ for
            the Jacobian J by the parameters and their covariance C, `noise` is σ².

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid.
        """
        given, single = self.network._inputs.samples(X)
        x = _checks.converted(given, "X", np.dtype(np.float64), single)
        model = in_float64(self.network._model)
        spread = variances(model, x, self.root, _checks.thread_count(n_threads))
        noise = np.broadcast_to(self.noise_variance, spread.shape).copy()
        found = PredictiveVariance(spread, noise, spread + noise)
        return PredictiveVariance(*(part[0] for part in found)) if single else found


def estimate(
    network: Any,
    trained: Array,
    x: Array,
    target: Array,
    weights: Array | None,
    loss: HalfSquaredError,
    alpha: float,
    noise: Array | None,
    n_threads: int,
) -> GaussianPosterior:
    """Return the posterior at the network's parameters, for arrays that are checked.

    `trained` (n_params,) says which parameters vary. Without `noise`, the noise and the effective
    parameters are computed in turn until they agree.
    """
    model, (x, target) = in_float64(network._model), (a.astype(np.float64) for a in (x, target))
    counts = loss.element_weights(target)
    if weights is not None:
        weights = weights.astype(np.float64)
        counts *= weights[:, np.newaxis]
    residuals = np.where(counts > 0, model.predict(x, n_threads) - target, 0.0)
    squares, n_targets = (counts * residuals**2).sum(axis=0), counts.sum(axis=0)
    size = np.abs(np.where(counts > 0, target, 0.0)).max(axis=0)
    least = np.square(np.finfo(network.dtype).eps * np.where(size > 0, size, 1.0))  # of rounding
    least = np.maximum(least, np.finfo(np.float64).tiny)

    def at(sigma2: Array) -> tuple[Array, Array]:
        """Return the root of the covariance and γ for this noise."""
        smallest = sigma2.min()
        scaled = replace(loss, output_weight=smallest / sigma2)  # at most 1: no overflow
        gram = model.gram(x, target, weights, scaled, n_threads) / smallest
        root = inverse_root(gram, trained, alpha)
        determined = (counts * variances(model, x, root, n_threads)).sum(axis=0) / sigma2
        return root, determined

    if noise is not None:
        root, gamma = at(noise)
        return GaussianPosterior(network, root, noise, alpha, gamma)
    noise = np.maximum(squares / np.maximum(n_targets, 1), least)
    for _ in range(ROUNDS):
        root, gamma = at(noise)
        freedom = n_targets - gamma
        if (freedom <= LEAST_FREEDOM * n_targets).any():
            j = int(np.argmin(freedom))
            raise ValueError(
                f"noise_variance is None, and output {j} has {n_targets[j]:.6g} targets for "
                f"{gamma[j]:.6g} effective parameters, so that its noise cannot be estimated; "
                f"noise_variance, a larger prior_precision or more targets are wanted"
            )
        before, noise = noise, np.maximum(squares / freedom, least)
        if (np.abs(noise - before) <= CONVERGED * noise).all():
            break
    root, gamma = at(noise)
    return GaussianPosterior(network, root, noise, alpha, gamma)


def in_float64(model: Model) -> Model:
    """Return a model of the same plan whose arrays are float64."""
    params, grads, constants = (
        a.astype(np.float64) for a in (model.params, model.grads, model.constants)
    )
    return replace(model, params=params, grads=grads, constants=constants)


def inverse_root(matrix: Array, trained: Array, alpha: float) -> Array:
    """Return R with R Rᵀ = (matrix + α I)⁻¹ for the trained parameters, and 0 for the others.

    Directions that only rounding determines are left out.
    """
    matrix = matrix[np.ix_(trained, trained)]
    root = None
    matrix[np.diag_indices_from(matrix)] += alpha
    if alpha > 0:
        # the factorisation fails if α is less than the rounding error of the matrix
        with contextlib.suppress(np.linalg.LinAlgError):
            root = inverse_of_lower(np.linalg.cholesky(matrix)).T
    if root is None:
        values, vectors = np.linalg.eigh(matrix)
        largest = values.max(initial=0)
        kept = values > largest * len(values) * np.finfo(np.float64).eps
        root = vectors[:, kept] / np.sqrt(values[kept])
    full = np.zeros((len(trained), root.shape[1]))
    full[trained] = root
    return full


def variances(model: Model, x: Array, root: Array, n_threads: int) -> Array:
    """Return the variance (n, n_outputs) of the outputs, for the root of the covariance."""
    found = np.empty((len(x), model.plan.n_out))
    for part in model.parts(len(x), model.params.size, 32):
        jacobian = model.jacobian(x[part], True, n_threads)
        found[part] = np.square(jacobian @ root).sum(axis=2)
    return found
