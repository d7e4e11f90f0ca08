"""Limited-memory BFGS by SciPy, with one iteration per epoch.

SciPy's `minimize` returns only at its end, but the fit loop needs control after each iteration: for
validation, callbacks and Ctrl-C. So `minimize` runs in a thread of its own, and waits after each
iteration until the fit loop asks for the next one. The two threads never compute at the same time.
`minimize` waits when it evaluates the loss for the first time after an iteration, or at its end,
because only then is it known whether another iteration follows.
"""

import dataclasses
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks
from fastnn._checks import SparseRows
from fastnn._core import background
from fastnn._core.arrays import Array
from fastnn.losses import CustomLoss, Loss
from fastnn.model import Model
from fastnn.optimizers.full_batch import FullBatchOptimizer, FullBatchTrainer
from fastnn.optimizers.state import OptimizerState


@dataclass(frozen=True)
class LBFGS(FullBatchOptimizer):
    """Limited-memory BFGS (SciPy's L-BFGS-B), for smooth losses and data of moderate size.

    Each epoch is one iteration, a line search on all samples. The arguments `batch_size` and
    `shuffle` of `fit` are ignored. Training stops before `epochs` if it converges. The "loss" in
    the History is measured after each iteration. SciPy computes in float64, so float64 networks
    converge best. SciPy must be installed (`pip install 'fastnn[scipy]'`).

    Parameters
    ----------
    history_size : int
        The number of past steps from which the curvature is estimated, at least 1; SciPy's maxcor.
        By default 10.
    tolerance_grad : float
        Training stops if no entry of the gradient is larger than this; at least 0. SciPy's gtol. By
        default 10⁻⁵.
    tolerance_change : float
        Training stops if an iteration lowers the loss by less than this share; at least 0. SciPy's
        ftol. By default 2.2 · 10⁻⁹.
    weight_decay : float
        Strength of an L2 penalty ½ weight_decay ΘᵀΘ, at least 0. The penalty is part of the
        minimised function, but not of the reported loss. By default 0, no penalty.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.

    Examples
    --------
    >>> net = fn.Network([fn.Linear(1, 1)], "float64", seed=0)
    >>> X, y = [[0], [1], [2]], [1, 3, 5]
    >>> history = net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.LBFGS())
    >>> net.params.round(3).tolist()
    [2.0, 1.0]
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
        x: "Array | SparseRows",
        target: Any,
        weights: Array | None,
        loss: Loss | CustomLoss,
        state: OptimizerState,
        epochs: int,
    ) -> "LBFGSTrainer":
        """Return the trainer of one fit.

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
    """The function that SciPy minimises: the loss plus the penalty.

    It has copies of the parameters and the gradient. So the thread cannot write to the network if
    the fit is interrupted while the thread computes.
    """

    def __init__(
        self,
        model: Model,
        x: "Array | SparseRows",
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
        """Return value and gradient; a long step of the line search may overflow."""
        model = self.model
        with np.errstate(over="ignore"):
            model.params[self.trained] = params
        value, grads = model.loss_and_grad(
            self.x, self.target, self.weights, self.loss, self.n_threads, model.grads
        )
        gradient = grads[self.trained] + self.weight_decay * params
        return value + self.penalty(params), gradient

    def penalty(self, params: Array) -> float:
        """Return ½ weight_decay ΘᵀΘ."""
        return float(0.5 * self.weight_decay * (params @ params))


class LBFGSTrainer(FullBatchTrainer):
    """Runs one iteration of SciPy's minimize per epoch."""

    def __init__(
        self,
        optimizer: LBFGS,
        minimize: Callable[..., Any],
        model: Model,
        x: "Array | SparseRows",
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
        self.reached = model.params  # the parameters after SciPy's last iteration

    def iterate(self, n_threads: int) -> float | None:
        """Run one iteration of SciPy's minimize."""
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
        """Whether SciPy has converged, and no callback has changed the parameters since."""
        return self.ended and np.array_equal(self.model.params, self.reached)

    def _begin(self) -> "Iterations":
        """Start SciPy's minimize at the present parameters."""
        self.close()
        objective, minimize, options = self.objective, self.minimize, self.options
        self.reached = objective.model.params[...] = self.model.params.copy()
        start = self.reached[self.trained].astype(float)
        self.diverged = not np.isfinite(objective(start)[0])

        def work(iterations: Iterations) -> None:
            reached: list[tuple[Array, float]] = []

            def evaluate(params: Array) -> tuple[float, Array]:
                iterations.demand_open()
                if reached:  # another iteration follows
                    iterations.report(Iterate(*reached.pop(), is_last=False))
                return objective(params)

            def note(intermediate_result: Any) -> None:
                reached.append((intermediate_result.x.copy(), float(intermediate_result.fun)))

            if start.size:  # SciPy 1.11 fails without variables
                minimize(
                    evaluate, start, jac=True, method="L-BFGS-B", options=options, callback=note
                )
            if reached:
                iterations.report(Iterate(*reached.pop(), is_last=True))

        return Iterations(work)

    def close(self) -> None:
        """Stop SciPy's thread."""
        if self.iterations is not None:
            self.iterations.close()
        self.iterations = None


class Iterate(NamedTuple):
    """The result of an iteration: parameters, value of the objective, whether it is the last."""

    params: Array
    value: float
    is_last: bool


class Iterations:
    """An iterator over the reports of a function that runs in a thread.

    The function runs while `next` waits for a report, and waits at all other times.
    """

    def __init__(self, work: "Callable[[Iterations], None]") -> None:
        self.work = work
        self.closed = False
        self.go_on: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.reports: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def next(self) -> Any:
        """Return the next report, or None after the last; raise what the function raised."""
        if self.thread.ident is None:
            try:
                self.thread.start()
            except (RuntimeError, MemoryError) as reason:
                raise RuntimeError(
                    "LBFGS needs a thread, and the system does not allow another one"
                ) from reason
        else:
            self.go_on.put(True)
        report, error = background.take(self.reports)
        if error is not None:
            raise error
        return report

    def close(self) -> None:
        """Make the function end at its next call of `report` or `demand_open`."""
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
        """Pass a report to `next`, and wait until `next` asks for another."""
        self.reports.put((report, None))
        self.go_on.get()
        self.demand_open()

    def demand_open(self) -> None:
        """Raise StopIteration in the function if `close` was called."""
        if self.closed:
            raise StopIteration  # through SciPy, to the end of `_run`
