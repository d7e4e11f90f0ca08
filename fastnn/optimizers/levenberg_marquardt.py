"""Levenberg-Marquardt: least squares by damped Gauss-Newton steps, with Bayesian regularisation.

With residuals r = ŷ - y over all samples and outputs, their Jacobian J by the parameters Θ and a
weight penalty λ, an iteration looks for the Θ + δ that lowers F = ½ rᵀr + ½ λ ΘᵀΘ:

    (JᵀJ + (λ + μ) I) δ = -(Jᵀr + λ Θ).

The engine sums JᵀJ without forming J. The damping μ follows the gain ratio, how much F fell over
how much its quadratic model did (Nielsen 1999, "Damping parameter in Marquardt's method"): a step
that lowers F is taken, and μ is then multiplied by max(⅓, 1 - (2 ratio - 1)³); one that does not is
tried again with a μ that grows by 2, 4, 8, ….

Without Bayes λ is 0. With it λ = α/β, for a Gaussian prior of precision α over all parameters and
Gaussian noise of precision β, and after each step both are set to where the evidence p(y | α, β)
would be stationary were its matrix fixed (MacKay 1992, "A practical Bayesian framework for
backpropagation networks"; Foresee and Hagan 1997, as MATLAB's trainbr):

    γ = p - λ tr (JᵀJ + λ I)⁻¹,   α = γ / ΘᵀΘ,   β = (N - γ) / rᵀr,

where p and N count parameters and residuals, and γ the parameters that the data determine. With
sample weights w each residual is times √w, and N is Σ w times the outputs: a weight of 2 is a
sample given twice. Frozen parameters are no part of Θ.

Training begins with a β that takes nearly all for signal: to a network that has learned nothing yet
all is noise, and where that is believed the weights shrink to 0 and stay there.

Matrices are solved in float64, whatever the network's dtype.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks, _core
from fastnn.losses import HalfSquaredError, MeanSquaredError
from fastnn.model import Model
from fastnn.optimizers.full_batch import FullBatchOptimizer, FullBatchTrainer
from fastnn.optimizers.state import OptimizerState

Array = NDArray[Any]

FIGURES = ("weight_precision", "noise_precision", "effective_parameters", "log_evidence")
REMEMBERED = ("damping", "weight_precision", "noise_precision")
SQUARES = HalfSquaredError("sum").formula()  # ½ rᵀr
MOST_DAMPING = 1e10  # times the largest entry of JᵀJ's diagonal: such a step moves nothing
FIRST_NOISE = 1e-3  # share of the first residuals' variance
LEAST = 1e-200  # in place of a sum of squares that is 0


@dataclass(frozen=True)
class LevenbergMarquardt(FullBatchOptimizer):
    """Levenberg-Marquardt, for squared errors and networks of up to some thousand parameters.

    Each epoch is one step with all samples, `fit`'s `batch_size` and `shuffle` meaning nothing, and
    solves a system of n_params equations. Training ends before `epochs` when it has converged.
    `float64` networks converge best. The history's "loss" is the one after each step. NumPy solves
    the systems, and the last bits may depend on how many threads its BLAS is allowed.

    Parameters
    ----------
    damping : float
        Of the first step, times the largest entry of JᵀJ's diagonal; above 0. Smaller trusts the
        quadratic model more. Later steps find their own.
    tolerance : float
        Training ends when a step changes the parameters, or what it minimises, by less than this
        share; at least 0.
    bayesian : bool
        Whether to find a weight penalty and the level of noise from the training data alone, by
        MacKay's evidence (MATLAB's trainbr). This needs no validation data, and keeps a network of
        more parameters than samples from fitting noise. Scale features and targets to about unit
        variance: one penalty is for all parameters, biases too. The history then has
        "weight_precision" (α), "noise_precision" (β), "effective_parameters" (γ) and
        "log_evidence", ln p(y | α, β) by Laplace's approximation, which compares networks; all
        after each step. Sample weights count as repetitions here, so that their size matters.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
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
        x: Array,
        target: Any,
        weights: Array | None,
        loss: Any,
        state: OptimizerState,
        epochs: int,
    ) -> "LevenbergMarquardtTrainer":
        """Return what the fit loop runs.

        Raises
        ------
        TypeError
            If the loss is not a squared error.
        """
        if type(loss) not in (HalfSquaredError, MeanSquaredError):
            raise TypeError(
                f"loss is {loss!r}; LevenbergMarquardt minimises squared errors: "
                f"HalfSquaredError() or MeanSquaredError() is wanted"
            )
        return LevenbergMarquardtTrainer(self, model, x, target, weights, loss, state, epochs)


class LevenbergMarquardtTrainer(FullBatchTrainer):
    """One accepted step an epoch."""

    def __init__(
        self,
        optimizer: LevenbergMarquardt,
        model: Model,
        x: Array,
        target: Array,
        weights: Array | None,
        loss: HalfSquaredError | MeanSquaredError,
        state: OptimizerState,
        epochs: int,
    ) -> None:
        super().__init__(model, x, state, epochs)
        self.optimizer, self.target, self.weights = optimizer, target, weights
        self.n_residuals = HalfSquaredError().divisor(len(x), weights) * target.shape[1]
        # `loss` is this many times rᵀr
        self.factor = 0.5 if type(loss) is HalfSquaredError else 1 / target.shape[1]
        self.factor /= loss.divisor(len(x), weights)
        self.gram = np.empty((model.params.size,) * 2, model.params.dtype)
        n = self.trained.size
        self.matrix = np.empty((n, n))  # JᵀJ, and something added on its diagonal
        self.diagonal = np.empty(n)  # of JᵀJ alone
        self.gradient = np.empty(n)  # Jᵀr
        self.squares = 0.0  # rᵀr
        self.linearised_at: Array | None = None  # where these are taken
        self.damping = 0.0  # μ, 0 before the first step
        self.weight_precision, self.noise_precision = 0.0, 1.0  # α and β

    def snapshot(self) -> dict[str, Any]:
        """Return what `restore` needs to go on from here, bit for bit: numbers, and arrays."""
        return super().snapshot() | {name: getattr(self, name) for name in REMEMBERED}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `snapshot` returned, with the parameters of then; trusted."""
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
        while self.damping <= MOST_DAMPING * largest:
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

    def _squares(self, params: Array, n_threads: int) -> float:
        """Return rᵀr at some parameters, and leave Jᵀr in the model's `grads`."""
        model = self.model
        return 2 * _core.engine.loss_and_grad(
            model.plan,
            params,
            model.constants,
            self.x,
            self.target,
            None,
            self.weights,
            SQUARES,
            model.grads,
            n_threads,
        )

    def _linearise(self, squares: float, n_threads: int) -> None:
        """Compute JᵀJ where the parameters are; `_squares` was called there."""
        model = self.model
        parts = list(model.parts(len(self.x), model.params.size, 32))
        for part in parts:
            _core.engine.gram(
                model.plan,
                model.params,
                model.constants,
                self.x[part],
                None,
                None,
                None if self.weights is None else self.weights[part],
                SQUARES,
                1.0,
                self.gram,
                part is not parts[0],
                part is parts[-1],
                n_threads,
            )
        self.matrix[...] = self.gram[np.ix_(self.trained, self.trained)]
        self.gradient[...] = model.grads[self.trained]
        self.diagonal[...] = self.matrix.diagonal()
        self.squares, self.linearised_at = squares, model.params.copy()
        # Were another entry of JᵀJ not finite, neither were one on the diagonal.
        sums = squares, self.diagonal.sum(), self.gradient.sum()
        self.diverged = not np.isfinite(sums).all()

    def _inverse_root(self, added: float) -> Array:
        """Return L⁻¹, for L Lᵀ = JᵀJ + added I."""
        np.fill_diagonal(self.matrix, self.diagonal + added)
        return inverse_of_lower(np.linalg.cholesky(self.matrix))

    def _weigh_evidence(self) -> None:
        """Note γ and the evidence under α and β, and move both towards its maximum."""
        n_residuals, n_params = self.n_residuals, self.trained.size
        alpha, beta = self.weight_precision, self.noise_precision
        squares = max(self.squares, LEAST)
        weights = max(np.square(self.model.params[self.trained], dtype=float).sum(), LEAST)
        try:
            root = self._inverse_root(alpha / beta)
        except np.linalg.LinAlgError:  # rounding has made the matrix indefinite: α and β stay
            self.figures = dict.fromkeys(FIGURES, float("nan"))
            return
        gamma = n_params - alpha / beta * np.square(root).sum()
        log_determinant = n_params * np.log(beta) - 2 * np.log(root.diagonal()).sum()
        evidence = 0.5 * (
            n_params * np.log(alpha)
            + n_residuals * np.log(beta / (2 * np.pi))
            - beta * squares
            - alpha * weights
            - log_determinant
        )
        self.figures = dict(zip(FIGURES, (alpha, beta, gamma, evidence), strict=True))
        self.weight_precision = max(gamma, LEAST) / weights
        self.noise_precision = max(n_residuals - gamma, LEAST) / squares


def damping_factor(gain_ratio: float) -> float:
    """Return what a step that was taken multiplies the damping by."""
    return max(1 / 3, 1 - (2 * min(gain_ratio, 1.0) - 1) ** 3)


def inverse_of_lower(root: Array) -> Array:
    """Return the inverse of a lower triangular matrix, by halves, so that products do the work."""
    n = len(root)
    if n <= 64:
        return np.linalg.inv(root)
    half = n // 2
    inverse = np.zeros_like(root)
    inverse[:half, :half] = first = inverse_of_lower(root[:half, :half])
    inverse[half:, half:] = second = inverse_of_lower(root[half:, half:])
    inverse[half:, :half] = -second @ (root[half:, :half] @ first)
    return inverse
