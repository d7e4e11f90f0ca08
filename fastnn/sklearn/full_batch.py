"""The solvers "lbfgs" and "lm", which see all samples at once.

Levenberg-Marquardt here is the damped Gauss-Newton method for any convex loss of the outputs: an
iteration looks for the step δ that lowers F(Θ), the mean loss and the penalty, by

    (JᵀHJ + D + μ I) δ = -∇F,

where H is the loss's Hessian by the outputs (for squared errors the identity) and D the penalty's
diagonal, 0 for biases. The damping μ follows the gain ratio (Nielsen 1999).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize
from numpy.typing import NDArray

from fastnn.layers import Linear
from fastnn.network import Network
from fastnn.sklearn.objectives import Objective
from fastnn.sklearn.warning import warn, warn_not_converged

Array = NDArray[Any]

FIRST_DAMPING = 1e-3  # times the largest entry of the matrix's diagonal
MOST_DAMPING = 1e10  # likewise: such a step moves nothing


@dataclass
class PenalisedLoss:
    """An objective over all samples, as a function of the parameters in float64.

    Attributes
    ----------
    decay : ndarray (n_params,)
        The diagonal of the penalty's Hessian.
    offset : float
        Of the objective over all samples.
    frozen : ndarray (n_params,) of bool
        Parameters that are not trained; the gradient's entries are 0 there.
    """

    network: Network
    objective: Objective
    x: Array
    target: Array
    sample_weight: Array | None
    alpha: float
    n_threads: int | None

    def __post_init__(self) -> None:
        divisor = self.objective.loss.divisor(len(self.x), self.sample_weight)
        self.decay = self.alpha * weight_mask(self.network) / divisor
        self.offset = self.objective.offset(self.sample_weight)
        layers = self.network.layers
        frozen = [np.full(layer.n_params, not layer.trainable) for layer in layers]
        self.frozen = np.concatenate(frozen)

    def value_and_grad(self, params: Array) -> tuple[float, Array]:
        """Return F and its gradient (n_params,); the network keeps these parameters."""
        self.network.params[...] = params
        value, gradient = self.network._model.loss_and_grad(
            self.x, self.target, self.sample_weight, self.objective.loss, self.n_threads
        )
        factor = self.objective.factor
        value = value * factor + self.offset + 0.5 * float(params @ (self.decay * params))
        gradient = gradient * factor + self.decay * params
        gradient[self.frozen] = 0
        return value, gradient

    def matrix(self) -> Array:
        """Return JᵀHJ + D where the network's parameters are: (n_params, n_params)."""
        gram, _ = self.network.gram(
            self.x,
            self.target,
            self.objective.loss,
            sample_weight=self.sample_weight,
            n_threads=self.n_threads,
        )
        matrix = gram.astype(np.float64) * self.objective.factor
        matrix[np.diag_indices_from(matrix)] += self.decay
        matrix[self.frozen] = matrix[:, self.frozen] = 0
        return matrix


def weight_mask(network: Network) -> NDArray[np.bool_]:
    """Return which parameters are weights, which alone are penalised: (n_params,)."""
    parts = [np.zeros(0, bool)]
    for layer in network.layers:
        n_weights = 0
        if isinstance(layer, Linear):
            n_weights = layer.out_features * layer.in_features
        parts.append(np.arange(layer.n_params) < n_weights)
    return np.concatenate(parts)


def fit_lbfgs(estimator: Any, function: PenalisedLoss) -> None:
    """Minimise by SciPy's L-BFGS-B, in float64 whatever the network's dtype.

    Raises
    ------
    ValueError
        If it diverged; the network keeps the last finite parameters.
    """
    network = function.network
    options = {"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol}

    reached = network.params.astype(np.float64)
    estimator.n_iter_ = 0

    def value_and_grad(params: Array) -> tuple[float, Array]:
        value, gradient = function.value_and_grad(params)
        if not finite(value, gradient):  # SciPy may take it for a minimum, or wander off
            network.params[...] = reached
            estimator.loss_ = value
            raise diverged(estimator.n_iter_ + 1)
        return value, gradient

    def report(intermediate_result: Any) -> None:
        reached[...] = intermediate_result.x
        estimator.n_iter_ += 1
        if estimator.verbose:
            print(f"Loss = {intermediate_result.fun:.8f}")

    with np.errstate(over="ignore", invalid="ignore"):  # a step may be too long for any number
        found = scipy.optimize.minimize(
            value_and_grad,
            reached.copy(),
            method="L-BFGS-B",
            jac=True,
            options=options,
            callback=report,
        )
    network.params[...] = found.x
    estimator.n_iter_ = min(int(found.nit), estimator.max_iter)
    estimator.loss_ = float(found.fun)
    if found.status:  # in scikit-learn's words, for which programs have filters
        message = (
            f"lbfgs failed to converge after {estimator.n_iter_} iteration(s) "
            f"(status={found.status}):\n{found.message}\n"
        )
        if estimator.n_iter_ == estimator.max_iter:
            message += (
                f"\nIncrease the number of iterations to improve the convergence "
                f"(max_iter={estimator.max_iter})."
            )
        warn_not_converged(
            f"{message}\nYou might also want to scale the data as shown in:\n"
            f"    https://scikit-learn.org/stable/modules/preprocessing.html"
        )


def fit_levenberg_marquardt(estimator: Any, function: PenalisedLoss) -> None:
    """Minimise until the gradient's largest entry is at most `tol`, or no step lowers F.

    Raises
    ------
    ValueError
        If it diverged; the network keeps the last finite parameters.
    """
    network = function.network
    estimator.loss_curve_ = []
    params = network.params.astype(np.float64)
    damping, growth = 0.0, 2.0
    converged = False
    estimator.n_iter_ = 0
    with interruptible(), np.errstate(over="ignore", invalid="ignore"):
        value, gradient = function.value_and_grad(params)
        estimator.loss_ = value
        if not finite(value, gradient):
            raise diverged(1)
        while not converged and estimator.n_iter_ < estimator.max_iter:
            matrix = function.matrix()
            if not finite(MOST_DAMPING * np.abs(matrix).max(initial=0)):
                raise diverged(estimator.n_iter_ + 1)
            largest = float(matrix.diagonal().max()) or 1.0
            damping = damping or FIRST_DAMPING * largest
            gain = 0.0
            while gain <= 0 and damping <= MOST_DAMPING * largest:
                step = -damped_solution(matrix, damping, gradient)
                # the network's dtype rounds the step
                trial = (params + step).astype(network.dtype).astype(np.float64)
                trial_value, trial_gradient = function.value_and_grad(trial)
                gain = value - trial_value if finite(trial_value, trial_gradient) else 0.0
                if gain <= 0:
                    damping, growth = damping * growth, 2 * growth
            if gain > 0:
                ratio = gain / float(0.5 * step @ (damping * step - gradient))
                damping *= max(1 / 3, 1 - (2 * min(ratio, 1.0) - 1) ** 3)
                growth = 2.0
                params, value, gradient = trial, trial_value, trial_gradient
            network.params[...] = params
            estimator.n_iter_ += 1
            estimator.loss_curve_.append(value)
            if estimator.verbose:
                print(f"Iteration {estimator.n_iter_}, loss = {value:.8f}")
            converged = gain <= 0 or np.abs(gradient).max(initial=0) <= estimator.tol
            estimator.loss_ = value
    network.params[...] = params
    if not converged and estimator.n_iter_ == estimator.max_iter:
        warn_not_converged(
            f"lm failed to converge after {estimator.n_iter_} iteration(s); a larger max_iter or "
            f"scaled features may help"
        )


def damped_solution(matrix: Array, damping: float, right: Array) -> Array:
    """Solve (matrix + damping I) s = right; more damping where rounding made it indefinite."""
    while True:
        damped = matrix.copy()
        damped[np.diag_indices_from(damped)] += damping
        try:
            return scipy.linalg.cho_solve(scipy.linalg.cho_factor(damped), right)
        except np.linalg.LinAlgError:
            damping *= 10


def finite(*values: Any) -> bool:
    """Return whether all numbers of all of these are finite."""
    return all(bool(np.isfinite(value).all()) for value in values)


def diverged(iteration: int, what: str = "the loss or a derivative of it") -> ValueError:
    """Return the error of a solver that has met numbers beyond its range, with scikit-learn's."""
    return ValueError(
        f"training diverged in iteration {iteration}: {what} is no longer finite, and the "
        f"parameters of the iteration before remain. Solver produced non-finite parameter weights. "
        f"The input data may contain large values and need to be preprocessed."
    )


@contextmanager
def interruptible() -> Iterator[None]:
    """Take Ctrl-C for the end of training."""
    try:
        yield
    except KeyboardInterrupt:
        warn("Training interrupted by user.")
