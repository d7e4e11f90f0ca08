"""The solvers "lbfgs" and "lm", which take all samples in each iteration.

They are not the optimizers `LBFGS` and `LevenbergMarquardt` of `Network.fit`, because they minimise
another function: the penalty is on the weights alone, the loss may be scaled and offset, and "lm"
takes every convex loss, not only squared errors. With "lbfgs", scikit-learn also has `max_fun`, and
its warning contains SciPy's own status, which the fit loop does not get.

"lm" is the damped Gauss-Newton method. F(Θ) is the mean loss with the penalty. An iteration looks
for the step δ that lowers F by

    (JᵀHJ + D + μ I) δ = -∇F,

where H is the Hessian of the loss with respect to the outputs (the identity for squared errors),
and D is the diagonal Hessian of the penalty, which is 0 for biases. The damping μ follows the gain
ratio (Nielsen 1999), as in `fastnn.optimizers.levenberg_marquardt`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize
from numpy.typing import NDArray

from fastnn._core.arrays import Array
from fastnn.layers import Linear, composition
from fastnn.model import model_of
from fastnn.network import Network
from fastnn.optimizers.levenberg_marquardt import MAX_DAMPING, damping_factor
from fastnn.sklearn.objectives import Problem
from fastnn.sklearn.warning import warn, warn_not_converged

FIRST_DAMPING = 1e-3  # times the largest entry of the matrix's diagonal


@dataclass
class PenalisedLoss:
    """The value and the derivatives of a problem, as functions of the parameters in float64.

    Attributes
    ----------
    problem : Problem
    decay : ndarray (n_params,)
        The diagonal of the penalty's Hessian.
    offset : float
        Added to the loss, see `Objective.offset`.
    frozen : ndarray (n_params,) of bool
        Parameters that are not trained; their entries of the gradient are 0.
    """

    problem: Problem

    def __post_init__(self) -> None:
        problem = self.problem
        divisor = problem.objective.loss.divisor(len(problem.x), problem.sample_weight)
        self.decay = problem.alpha * weight_mask(problem.network) / divisor
        self.offset = problem.objective.offset(problem.sample_weight)
        layers = composition.leaves(problem.network.layers)
        frozen = [np.full(layer.n_params, not layer.trainable) for layer in layers]
        self.frozen = np.concatenate(frozen)

    def value_and_grad(self, params: Array) -> tuple[float, Array]:
        """Return F and its gradient (n_params,), and leave the network with these parameters."""
        problem, model = self.problem, model_of(self.problem.network)
        loss, factor = problem.objective.loss, problem.objective.factor
        model.params[...] = params
        value, gradient = model.loss_and_grad(
            problem.x, problem.target, problem.sample_weight, loss, problem.n_threads
        )
        value = value * factor + self.offset + 0.5 * float(params @ (self.decay * params))
        gradient = gradient * factor + self.decay * params
        gradient[self.frozen] = 0
        return value, gradient

    def matrix(self) -> Array:
        """Return JᵀHJ + D at the network's parameters, (n_params, n_params)."""
        problem = self.problem
        gram, _ = problem.network.gram(
            problem.x,
            problem.target,
            problem.objective.loss,
            sample_weight=problem.sample_weight,
            n_threads=problem.n_threads,
        )
        matrix = gram.astype(np.float64) * problem.objective.factor
        matrix[np.diag_indices_from(matrix)] += self.decay
        matrix[self.frozen] = matrix[:, self.frozen] = 0
        return matrix


def weight_mask(network: Network) -> NDArray[np.bool_]:
    """Return which parameters are weights, (n_params,); only weights are penalised."""
    parts = [np.zeros(0, bool)]
    for layer in composition.leaves(network.layers):
        n_weights = 0
        if isinstance(layer, Linear):
            n_weights = layer.out_features * layer.in_features
        parts.append(np.arange(layer.n_params) < n_weights)
    return np.concatenate(parts)


def fit_lbfgs(estimator: Any, problem: Problem) -> None:
    """Minimise with SciPy's L-BFGS-B, which computes in float64 for both dtypes of the network.

    Raises
    ------
    ValueError
        If training diverged; the network keeps the last finite parameters.
    """
    network, function = problem.network, PenalisedLoss(problem)
    options = {"maxfun": estimator.max_fun, "maxiter": estimator.max_iter, "gtol": estimator.tol}

    reached = network.params.astype(np.float64)
    estimator.n_iter_ = 0

    def value_and_grad(params: Array) -> tuple[float, Array]:
        value, gradient = function.value_and_grad(params)
        if not finite(value, gradient):  # SciPy might report convergence, or continue
            network.params[...] = reached
            estimator.loss_ = value
            raise diverged(estimator.n_iter_ + 1)
        return value, gradient

    def report(intermediate_result: Any) -> None:
        reached[...] = intermediate_result.x
        estimator.n_iter_ += 1
        if estimator.verbose:
            print(f"Loss = {intermediate_result.fun:.8f}")

    with np.errstate(over="ignore", invalid="ignore"):  # a step of the line search may overflow
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
    if found.status:  # scikit-learn's message, which filters of warnings may match
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


def fit_levenberg_marquardt(estimator: Any, problem: Problem) -> None:
    """Minimise until no entry of the gradient exceeds `tol`, or no step lowers F.

    Raises
    ------
    ValueError
        If training diverged; the network keeps the last finite parameters.
    """
    network, function = problem.network, PenalisedLoss(problem)
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
            if not finite(MAX_DAMPING * np.abs(matrix).max(initial=0)):
                raise diverged(estimator.n_iter_ + 1)
            largest = float(matrix.diagonal().max()) or 1.0
            damping = damping or FIRST_DAMPING * largest
            gain = 0.0
            while gain <= 0 and damping <= MAX_DAMPING * largest:
                step = -damped_solution(matrix, damping, gradient)
                # rounded to the network's dtype
                trial = (params + step).astype(network.dtype).astype(np.float64)
                trial_value, trial_gradient = function.value_and_grad(trial)
                gain = value - trial_value if finite(trial_value, trial_gradient) else 0.0
                if gain <= 0:
                    damping, growth = damping * growth, 2 * growth
            if gain > 0:
                ratio = gain / float(0.5 * step @ (damping * step - gradient))
                damping *= damping_factor(ratio)
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
    """Solve (matrix + damping I) s = right, with more damping if rounding made it indefinite."""
    while True:
        damped = matrix.copy()
        damped[np.diag_indices_from(damped)] += damping
        try:
            return scipy.linalg.cho_solve(scipy.linalg.cho_factor(damped), right)
        except np.linalg.LinAlgError:
            damping *= 10


def finite(*values: Any) -> bool:
    """Return whether all these numbers and arrays are finite."""
    return all(bool(np.isfinite(value).all()) for value in values)


def diverged(iteration: int, what: str = "the loss or a derivative of it") -> ValueError:
    """Return the error of a solver that diverged; it contains scikit-learn's message."""
    return ValueError(
        f"training diverged in iteration {iteration}: {what} is no longer finite. The network "
        f"keeps the parameters of the iteration before. Solver produced non-finite parameter "
        f"weights. The input data may contain large values and need to be preprocessed."
    )


@contextmanager
def interruptible() -> Iterator[None]:
    """End training with a warning on Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        warn("Training interrupted by user.")
