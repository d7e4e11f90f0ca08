"""Levenberg-Marquardt: least squares by damped Gauss-Newton steps, with Bayesian regularisation.

r = ŷ - y are the residuals over all samples and outputs, J is their Jacobian with respect to the
parameters Θ, and λ is a weight penalty. An iteration computes a step δ that lowers
F = ½ rᵀr + ½ λ ΘᵀΘ:

    (JᵀJ + (λ + μ) I) δ = -(Jᵀr + λ Θ).

The engine sums JᵀJ without forming J. The damping μ follows the gain ratio, which is the decrease
of F divided by the decrease of its quadratic model (Nielsen 1999, "Damping parameter in Marquardt's
method"). If a step lowers F, it is accepted, and μ is multiplied by max(⅓, 1 - (2 ratio - 1)³). If
not, the step is rejected, and μ is multiplied by 2, then 4, 8, …, until a step is accepted.

Without Bayesian regularisation λ is 0. With it, the prior of all parameters is Gaussian with
precision α, the noise is Gaussian with precision β, and λ = α/β. After each step α and β are set to
the point where the evidence p(y | α, β) would be stationary if its matrix were constant (MacKay
1992, "A practical Bayesian framework for backpropagation networks"; Foresee and Hagan 1997, as
MATLAB's trainbr):

    γ = p - λ tr (JᵀJ + λ I)⁻¹,   α = γ / ΘᵀΘ,   β = (N - γ) / rᵀr.

p is the number of parameters, N the number of residuals, and γ the effective number of parameters,
which the data determine. With sample weights w, each residual is multiplied by √w, and N is Σ w
times the number of outputs: a weight of 2 equals a sample that occurs twice. Missing targets have
no residual. A weight v of an output, from the loss, makes β v the precision of this output's noise:
its residuals are multiplied by √v, and N does not depend on v. Θ does not contain frozen
parameters.

The first β is large, as if the targets held little noise. A small β would let the penalty dominate
before the network has learned anything: the weights would shrink to 0 and stay there.

The linear systems are solved in float64 for every dtype of network.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from fastnn import _checks
from fastnn._checks import SparseRows
from fastnn._core.arrays import Array
from fastnn.losses import HalfSquaredError, MeanSquaredError
from fastnn.losses.residuals import HalfSquaredResiduals, has_residuals, residuals_of, weighted
from fastnn.model import Model
from fastnn.optimizers.full_batch import FullBatchOptimizer, FullBatchTrainer
from fastnn.optimizers.state import OptimizerState

METRICS = ("weight_precision", "noise_precision", "effective_parameters", "log_evidence")
REMEMBERED = ("damping", "weight_precision", "noise_precision")
MAX_DAMPING = 1e10  # times the largest entry of JᵀJ's diagonal; the step is then negligible
FIRST_NOISE = 1e-3  # the variance of the noise, as a share of the first residuals' variance
LEAST = 1e-200  # replaces a sum of squares that is 0


@dataclass(frozen=True)
class LevenbergMarquardt(FullBatchOptimizer):
    """Levenberg-Marquardt, for squared errors and networks of up to some thousand parameters.

    The loss is HalfSquaredError, MeanSquaredError, or an object with
    `residuals(y_pred, y) -> (r, dr)`: the residuals (n, k), whose squares are summed, and their
    derivatives by the outputs (n, k, n_outputs).

    Each epoch is one step on all samples, which solves a system of n_params equations. The
    arguments `batch_size` and `shuffle` of `fit` are ignored. Training stops before `epochs` if it
    converges. The "loss" in the History is measured after each step. float64 networks converge
    best. NumPy solves the systems, so the last bits may depend on the number of threads of its
    BLAS.

    Parameters
    ----------
    damping : float
        The damping of the first step, as a multiple of the largest entry of JᵀJ's diagonal; above
        0, by default 10⁻³. With less damping, the step relies more on the quadratic model. Later
        steps adapt the damping.
    tolerance : float
        Training stops if a step changes the parameters, or the minimised function, by less than
        this share; at least 0. By default 10⁻⁸.
    bayesian : bool
        Whether to estimate a weight penalty and the noise from the training data, by MacKay's
        evidence, as MATLAB's trainbr does. By default False. This needs no validation data, and
        keeps a network with more parameters than samples from fitting noise. Scale features and
        targets to about unit variance, since all parameters, also the biases, have the same
        penalty. Sample weights count as repetitions of samples, so their scale matters. The History
        then has further metrics after each step: "weight_precision" (α), "noise_precision" (β),
        "effective_parameters" (γ), and "log_evidence", Laplace's approximation of ln p(y | α, β),
        by which networks can be compared.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.

    Examples
    --------
    >>> net = fn.Network([fn.Linear(1, 1)], "float64", seed=0)
    >>> X, y = [[0], [1], [2]], [1, 3, 5]
    >>> history = net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.LevenbergMarquardt())
    >>> net.params.round(3).tolist()
    [2.0, 1.0]
    """

    kind: ClassVar[str] = "levenberg_marquardt"

    damping: float = 1e-3
    tolerance: float = 1e-8
    bayesian: bool = False

    def __post_init__(self) -> None:
        _checks.number(self.damping, "damping", above=0)
        _checks.number(self.tolerance, "tolerance", at_least=0)
        _checks.boolean(self.bayesian, "bayesian")

    def trainer(
        self,
        model: Model,
        x: "Array | SparseRows",
        target: Any,
        weights: Array | None,
        loss: Any,
        state: OptimizerState,
        epochs: int,
    ) -> "LevenbergMarquardtTrainer":
        """Return the trainer of one fit.

        Raises
        ------
        TypeError
            If the loss is not a squared error.
        ValueError
            If a weight is negative, or all are 0.
        """
        if weights is not None and not (weights.min() >= 0 and weights.any()):
            raise ValueError(
                f"sample_weight has the least element {weights.min()}; LevenbergMarquardt "
                f"minimises a sum of squares, so numbers of at least 0, not all 0, are wanted"
            )
        if has_residuals(loss):
            return ResidualsTrainer(self, model, x, target, weights, loss, state, epochs)
        if type(loss) not in (HalfSquaredError, MeanSquaredError):
            raise TypeError(
                f"loss is {loss!r}; LevenbergMarquardt minimises squared errors: "
                f"HalfSquaredError(), MeanSquaredError() or an object with residuals(y_pred, y) is "
                f"wanted"
            )
        return LevenbergMarquardtTrainer(self, model, x, target, weights, loss, state, epochs)


class LevenbergMarquardtTrainer(FullBatchTrainer):
    """Takes one accepted step per epoch."""

    def __init__(
        self,
        optimizer: LevenbergMarquardt,
        model: Model,
        x: "Array | SparseRows",
        target: Array,
        weights: Array | None,
        loss: Any,
        state: OptimizerState,
        epochs: int,
    ) -> None:
        super().__init__(model, x, state, epochs)
        self.optimizer, self.target, self.weights = optimizer, target, weights
        self._count_residuals(loss)
        self.gram = np.empty((model.params.size,) * 2, model.params.dtype)
        n = self.trained.size
        self.matrix = np.empty((n, n))  # JᵀJ, plus a number on the diagonal
        self.diagonal = np.empty(n)  # the diagonal of JᵀJ
        self.gradient = np.empty(n)  # Jᵀr
        self.squares = 0.0  # rᵀr
        self.linearised_at: Array | None = None  # the parameters at which these arrays hold
        self.damping = 0.0  # μ, 0 before the first step
        self.weight_precision, self.noise_precision = 0.0, 1.0  # α and β

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers and arrays from which `restore` continues bit for bit."""
        return super().snapshot() | {name: getattr(self, name) for name in REMEMBERED}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a valid snapshot, after the parameters are restored."""
        super().restore(state)
        for name in REMEMBERED:
            setattr(self, name, float(state[name]))

    def iterate(self, n_threads: int) -> float | None:
        """Take the first damped step that lowers F."""
        params = self.model.params
        if self.linearised_at is None or not np.array_equal(params, self.linearised_at):
            self._linearise(self._squares(params, n_threads), n_threads)
            if self.diverged:
                return None
        at = params[self.trained].astype(float)
        largest = self.diagonal.max(initial=0) or 1.0
        if self.damping == 0:
            self.damping = self.optimizer.damping * largest
            if self.optimizer.bayesian:
                self.weight_precision = at.size / max(at @ at, LEAST)
                self.noise_precision = self.n_residuals / max(FIRST_NOISE * self.squares, LEAST)
        penalty = self.weight_precision / self.noise_precision
        gradient = self.gradient + penalty * at
        objective = 0.5 * self.squares + 0.5 * penalty * (at @ at)
        growth = 2.0
        while self.damping <= MAX_DAMPING * largest:
            try:
                root = self._inverse_root(penalty + self.damping)
            except np.linalg.LinAlgError:
                gain = 0.0  # rounding has made the matrix indefinite
            else:
                step = -(root.T @ (root @ gradient))
                trial = params.copy()
                trial[self.trained] = at + step
                squares = self._squares(trial, n_threads)
                weights = float(np.square(trial[self.trained], dtype=float).sum())
                gain = objective - 0.5 * squares - 0.5 * penalty * weights
            if gain > 0:
                ratio = gain / (0.5 * step @ (self.damping * step - gradient))
                self.damping *= damping_factor(float(ratio))
                params[...] = trial
                self._linearise(squares, n_threads)
                if self.optimizer.bayesian:
                    self._weigh_evidence()
                tolerance = self.optimizer.tolerance
                shortest = tolerance * (np.linalg.norm(at) + tolerance)
                self.ended = bool(gain <= tolerance * objective or np.linalg.norm(step) <= shortest)
                return self.factor * squares
            self.damping *= growth
            growth *= 2
        self.ended = True
        return None

    def _count_residuals(self, loss: Any) -> None:
        """Set ½ rᵀr as a loss, N, the factor of rᵀr in the loss, and Σ log of outputs' weights."""
        x, target, weights, by_output = self.x, self.target, self.weights, loss.output_weight
        self.half_squares = HalfSquaredError(
            "sum", ignore_nan=loss.ignore_nan, output_weight=by_output
        )
        widths = target.shape[1] if by_output is None else sum(by_output)
        self.factor = 0.5 if type(loss) is HalfSquaredError else 1 / widths
        self.factor /= loss.divisor(len(x), weights, target)
        if not loss.ignore_nan and by_output is None:
            self.n_residuals = HalfSquaredError().divisor(len(x), weights) * float(target.shape[1])
            self.log_precisions = 0.0
            return
        elements = self.half_squares.element_weights(target)
        counted = (elements > 0).astype(float)
        if weights is not None:
            counted *= weights.astype(float)[:, np.newaxis]
        self.n_residuals = float(counted.sum())
        self.log_precisions = float((counted * np.log(np.where(elements > 0, elements, 1.0))).sum())

    def _squares(self, params: Array, n_threads: int) -> float:
        """Return rᵀr at some parameters, and write Jᵀr to the model's `grads`."""
        model = replace(self.model, params=params)
        return (
            2
            * model.loss_and_grad(
                self.x, self.target, self.weights, self.half_squares, n_threads, model.grads
            )[0]
        )

    def _sum_gram(self, n_threads: int) -> None:
        """Write JᵀJ at the present parameters, where `_squares` was called before."""
        target = self.target if self.half_squares.gram_takes_target else None
        self.model.gram(self.x, target, self.weights, self.half_squares, n_threads, self.gram)

    def _linearise(self, squares: float, n_threads: int) -> None:
        """Compute JᵀJ at the present parameters, where `_squares` has computed Jᵀr already."""
        model = self.model
        self._sum_gram(n_threads)
        self.matrix[...] = self.gram[np.ix_(self.trained, self.trained)]
        self.gradient[...] = model.grads[self.trained]
        self.diagonal[...] = self.matrix.diagonal()
        self.squares, self.linearised_at = squares, model.params.copy()
        # if any entry of JᵀJ is not finite, one on the diagonal is not finite either
        sums = squares, self.diagonal.sum(), self.gradient.sum()
        self.diverged = not np.isfinite(sums).all()

    def _inverse_root(self, added: float) -> Array:
        """Return L⁻¹, for L Lᵀ = JᵀJ + added I."""
        np.fill_diagonal(self.matrix, self.diagonal + added)
        return inverse_of_lower(np.linalg.cholesky(self.matrix))

    def _weigh_evidence(self) -> None:
        """Compute γ and the evidence for α and β, and move both towards the maximum."""
        n_residuals, n_params = self.n_residuals, self.trained.size
        alpha, beta = self.weight_precision, self.noise_precision
        squares = max(self.squares, LEAST)
        weights = max(np.square(self.model.params[self.trained], dtype=float).sum(), LEAST)
        try:
            root = self._inverse_root(alpha / beta)
        except np.linalg.LinAlgError:  # rounding has made the matrix indefinite: α and β stay
            self.metrics = dict.fromkeys(METRICS, float("nan"))
            return
        gamma = n_params - alpha / beta * np.square(root).sum()
        log_determinant = n_params * np.log(beta) - 2 * np.log(root.diagonal()).sum()
        evidence = 0.5 * (
            n_params * np.log(alpha)
            + n_residuals * np.log(beta / (2 * np.pi))
            + self.log_precisions
            - beta * squares
            - alpha * weights
            - log_determinant
        )
        self.metrics = dict(zip(METRICS, (alpha, beta, gamma, evidence), strict=True))
        self.weight_precision = max(gamma, LEAST) / weights
        self.noise_precision = max(n_residuals - gamma, LEAST) / squares


class ResidualsTrainer(LevenbergMarquardtTrainer):
    """Minimises ½ rᵀr of residuals written in Python, whose Jacobian is ∂r/∂ŷ times J."""

    slopes: Array | None = None  # ∂r/∂ŷ (n, k, n_outputs) at the last parameters of `_squares`

    def _count_residuals(self, loss: Any) -> None:
        self.loss, self.half_squares = loss, HalfSquaredError("sum")
        # N depends on k, the number of a sample's residuals, which is known after the first call
        self.n_residuals = self.log_precisions = 0.0
        self.factor = 0.5 / HalfSquaredResiduals(loss).divisor(len(self.x), self.weights)

    def _squares(self, params: Array, n_threads: int) -> float:
        model = replace(self.model, params=params)
        outputs = model.predict(self.x, n_threads)
        self.slopes = None
        if not _checks.all_finite(outputs):
            return float("nan")
        found, slopes = residuals_of(self.loss, outputs, self.target)
        if self.weights is not None:
            found, slopes = weighted(found, slopes, np.sqrt(self.weights))
        self.slopes = slopes
        repeats = HalfSquaredError().divisor(len(self.x), self.weights)
        self.n_residuals = repeats * found.shape[1]
        cotangent = np.einsum("nk,nko->no", found, slopes)
        self.model.grads[...] = model.vjp(self.x, cotangent, True, n_threads)
        return float(np.square(found, dtype=float).sum())

    def _sum_gram(self, n_threads: int) -> None:
        if self.slopes is None:
            self.gram.fill(np.nan)
            return
        self.model.gram(self.x, None, None, self.half_squares, n_threads, self.gram, self.slopes)


def damping_factor(gain_ratio: float) -> float:
    """Return the factor of the damping after an accepted step."""
    return max(1 / 3, 1 - (2 * min(gain_ratio, 1.0) - 1) ** 3)


def inverse_of_lower(root: Array) -> Array:
    """Return the inverse of a lower triangular matrix, recursively by matrix products."""
    n = len(root)
    if n <= 64:
        return np.linalg.inv(root)
    half = n // 2
    inverse = np.zeros_like(root)
    inverse[:half, :half] = first = inverse_of_lower(root[:half, :half])
    inverse[half:, half:] = second = inverse_of_lower(root[half:, half:])
    inverse[half:, :half] = -second @ (root[half:, :half] @ first)
    return inverse
