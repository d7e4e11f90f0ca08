"""Limited-memory BFGS by SciPy, an iteration an epoch.

SciPy's minimize keeps control until it has ended, and so does the fit loop, which wants to measure,
call back and hear Ctrl-C after each iteration. So minimize runs in a thread of its own, and waits
until the fit loop asks for the next iteration: the two never run at once. It waits where it first
wants to evaluate the loss again, or at its end, as it then knows whether there is a next iteration.
"""

import dataclasses
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks, _core
from fastnn._core import background
from fastnn.losses import CustomLoss, Loss, is_built_in
from fastnn.losses.custom import value_and_grad
from fastnn.model import Model
from fastnn.optimizers.full_batch import FullBatchOptimizer, FullBatchTrainer
from fastnn.optimizers.state import OptimizerState

Array = NDArray[Any]


@dataclass(frozen=True)
class LBFGS(FullBatchOptimizer):
    """Limited-memory BFGS (SciPy's L-BFGS-B), for smooth losses and data of moderate size.

    Each epoch is one iteration, a line search over all samples; `fit`'s `batch_size` and `shuffle`
    mean nothing. Training ends before `epochs` when it has converged. SciPy computes in float64,
    whatever the network's dtype; float64 networks converge best. The history's "loss" is the one
    after each iteration. Needs SciPy (`pip install 'fastnn[scipy]'`).

    Parameters
    ----------
    history_size : int
        Past steps that the curvature is taken from, at least 1; SciPy's maxcor.
    tolerance_grad : float
        Training ends when no entry of the gradient is larger; at least 0. SciPy's gtol.
    tolerance_change : float
        Training ends when an iteration lowers the loss by less than this share; at least 0. SciPy's
        ftol.
    weight_decay : float
        L2 penalty: ½ weight_decay ΘᵀΘ is added to what is minimised, but not to the reported loss;
        at least 0, by default none.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    kind: ClassVar[str] = "lbfgs"

    history_size: int = 10
    tolerance_grad: float = 1e-5
    tolerance_change: float = 2.2e-9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _checks.integer(self.history_size, "history_size", at_least=1)
        _checks.number(self.tolerance_grad, "tolerance_grad", at_least=0)
        _checks.number(self.tolerance_change, "tolerance_change", at_least=0)
        _checks.number(self.weight_decay, "weight_decay", at_least=0)

    def trainer(
        self,
        model: Model,
        x: Array,
        target: Any,
        weights: Array | None,
        loss: Loss | CustomLoss,
        state: OptimizerState,
        epochs: int,
    ) -> "LBFGSTrainer":
        """Return what the fit loop runs.

        Raises
        ------
        ImportError
            If SciPy is not installed.
        """
        try:
            from scipy.optimize import minimize  # type: ignore[import-untyped, unused-ignore]
        except ImportError as error:
            raise ImportError(
                "LBFGS needs SciPy, which is not installed: pip install 'fastnn[scipy]'"
            ) from error
        return LBFGSTrainer(self, minimize, model, x, target, weights, loss, state, epochs)


class Objective:
    """The loss, with its penalty, as SciPy wants it.

    It has parameters and gradient of its own, so that a fit that is interrupted while the thread
    evaluates leaves a network that nothing writes to any more.
    """

    def __init__(
        self,
        model: Model,
        x: Array,
        target: Any,
        weights: Array | None,
        loss: Loss | CustomLoss,
        weight_decay: float,
        trained: NDArray[np.int64],
    ) -> None:
        self.model = dataclasses.replace(
            model, params=model.params.copy(), grads=model.grads.copy()
        )
        self.x, self.target, self.weights = x, target, weights
        self.loss, self.weight_decay, self.trained = loss, weight_decay, trained
        self.n_threads = 1

    def __call__(self, params: Array) -> tuple[float, Array]:
        """Return value and gradient; a step of the line search may be too long for any number."""
        model = self.model
        with np.errstate(over="ignore"):
            model.params[self.trained] = params
        if is_built_in(self.loss):
            plan, formula = self.loss.under(model.plan)
            value = _core.engine.loss_and_grad(
                plan,
                model.params,
                model.constants,
                self.x,
                *self.loss.engine_target(self.target),
                self.weights,
                formula,
                model.grads,
                self.n_threads,
            )
        else:
            activations, outputs = model.forward(self.x, self.n_threads)
            value, dy = value_and_grad(self.loss, outputs, self.target, self.weights)
            model.backward(self.x, activations, dy, model.grads, self.n_threads)
        gradient = model.grads[self.trained] + self.weight_decay * params
        return value + self.penalty(params), gradient

    def penalty(self, params: Array) -> float:
        """Return ½ weight_decay ΘᵀΘ."""
        return float(0.5 * self.weight_decay * (params @ params))


class LBFGSTrainer(FullBatchTrainer):
    """One iteration of SciPy's an epoch."""

    def __init__(
        self,
        optimizer: LBFGS,
        minimize: Callable[..., Any],
        model: Model,
        x: Array,
        target: Any,
        weights: Array | None,
        loss: Loss | CustomLoss,
        state: OptimizerState,
        epochs: int,
    ) -> None:
        super().__init__(model, x, state, epochs)
        m, n = optimizer.history_size, self.trained.size
        _checks.demand_memory(2 * m * n + 11 * m * m, m, "history_size")  # SciPy's workspace
        self.minimize = minimize
        self.iterations: Iterations | None = None
        self.options = {
            "maxcor": optimizer.history_size,
            "gtol": optimizer.tolerance_grad,
            "maxiter": epochs,
            "ftol": optimizer.tolerance_change,
            "maxfun": 2**31 - 1,
        }
        self.objective = Objective(
            model, x, target, weights, loss, optimizer.weight_decay, self.trained
        )
        self.reached = model.params  # where SciPy believes the parameters to be

    def iterate(self, n_threads: int) -> float | None:
        """Let SciPy go on to its next iterate."""
        params = self.model.params
        self.objective.n_threads = n_threads
        iterations = self.iterations
        if iterations is None or not np.array_equal(params, self.reached):
            self.iterations = iterations = self._begin()
            if self.diverged:
                return None
        iterate = iterations.next()
        self.model.grads[...] = self.objective.model.grads
        if iterate is None:
            self.ended = True
            return None
        if not np.isfinite(iterate.value):
            self.diverged = True
            return None
        params[self.trained] = iterate.params
        self.reached, self.ended = params.copy(), iterate.is_last
        return float(iterate.value - self.objective.penalty(iterate.params))

    @property
    def converged(self) -> bool:
        """Whether no epoch is to follow; one does from elsewhere, if a callback has gone there."""
        return self.ended and np.array_equal(self.model.params, self.reached)

    def _begin(self) -> "Iterations":
        """Let SciPy start where the parameters are."""
        self.close()
        objective, minimize, options = self.objective, self.minimize, self.options
        self.reached = objective.model.params[...] = self.model.params.copy()
        start = self.reached[self.trained].astype(float)
        self.diverged = not np.isfinite(objective(start)[0])

        def work(iterations: Iterations) -> None:
            reached: list[tuple[Array, float]] = []

            def evaluate(params: Array) -> tuple[float, Array]:
                iterations.demand_open()
                if reached:  # SciPy goes on from there
                    iterations.report(Iterate(*reached.pop(), is_last=False))
                return objective(params)

            def note(intermediate_result: Any) -> None:
                reached.append((intermediate_result.x.copy(), float(intermediate_result.fun)))

            minimize(evaluate, start, jac=True, method="L-BFGS-B", options=options, callback=note)
            if reached:
                iterations.report(Iterate(*reached.pop(), is_last=True))

        return Iterations(work)

    def close(self) -> None:
        """End SciPy's thread."""
        if self.iterations is not None:
            self.iterations.close()
        self.iterations = None


class Iterate(NamedTuple):
    """Where an iteration of SciPy's has come to, the objective there, and whether it ends there."""

    params: Array
    value: float
    is_last: bool


class Iterations:
    """What a function reports, one report at a time.

    The function runs in a thread while `next` waits for it, and waits itself otherwise.
    """

    def __init__(self, work: "Callable[[Iterations], None]") -> None:
        self.work = work
        self.closed = False
        self.go_on: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.reports: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def next(self) -> Any:
        """Return the next report, or None after the last; or raise what the function raised."""
        if self.thread.ident is None:
            try:
                self.thread.start()
            except (RuntimeError, MemoryError) as reason:
                raise RuntimeError(
                    "LBFGS needs a thread, and the system lets this process start no further one"
                ) from reason
        else:
            self.go_on.put(True)
        report, error = background.take(self.reports)
        if error is not None:
            raise error
        return report

    def close(self) -> None:
        """Let the function end, at its next call of `report` or `demand_open`."""
        self.closed = True
        self.go_on.put(False)
        if self.thread.is_alive():
            self.thread.join(background.POLL_SECONDS)

    def _run(self) -> None:
        try:
            self.work(self)
            self.reports.put((None, None))
        except BaseException as error:
            self.reports.put((None, error))

    def report(self, report: Any) -> None:
        """Hand over a report, and wait until `next` asks for another."""
        self.reports.put((report, None))
        self.go_on.get()
        self.demand_open()

    def demand_open(self) -> None:
        """End the function if nobody asks for reports any more."""
        if self.closed:
            raise StopIteration  # through SciPy, to the end of `_run`
