"""How the estimators train by "sgd" and "adam": epochs, held-out samples, and when to stop."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.sklearn.full_batch import diverged, interruptible
from fastnn.sklearn.objectives import Objective
from fastnn.sklearn.parameters import FittedParameters
from fastnn.sklearn.splitting import demand_weight
from fastnn.sklearn.stochastic import LEAST_RATE, Epochs, StochasticOptimizer
from fastnn.sklearn.warning import warn, warn_not_converged

Array = NDArray[Any]


class StochasticFit(FittedParameters):
    """The part of an estimator that trains in epochs and keeps what they measured."""

    def _batch_size(self, n_samples: int) -> int:
        if self.batch_size == "auto":
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            )
        return min(int(self.batch_size), n_samples)

    def _fit_stochastic(
        self,
        x: Array,
        y: Array,
        target: Array,
        sample_weight: "Array | None",
        objective: Objective,
        random_state: Any,
        incremental: bool,
        validation: Any,
    ) -> None:
        network = self._fitted.network
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = StochasticOptimizer.of(self, network)
        if not hasattr(self, "_no_improvement_count"):  # another solver has fitted so far
            self._begin_curves()
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        self._begin_comparing()
        if self.early_stopping and validation is None:
            train, held_out = self._split(y, random_state)
            weight = None
            if sample_weight is not None:
                weight, sample_weight = sample_weight[held_out], sample_weight[train]
                demand_weight(weight)
                demand_weight(sample_weight)
            validation = x[held_out], y[held_out], weight
            x, target, objective = x[train], target[train], objective.of_rows(train)
        epochs = Epochs(
            network,
            objective,
            self._optimizer,
            x,
            target,
            sample_weight,
            self._batch_size(len(x)),
            self.alpha,
            self._n_threads(),
            random_state,
        )
        network._refuse_batches_of_one(len(x), epochs.batch_size, self.batch_size)
        order = np.arange(len(x)) if self.shuffle else None
        self.n_iter_ = 0
        for callback in self.callbacks or ():
            callback.fit_begin(network)
        with interruptible():
            while self.n_iter_ < (1 if incremental else self.max_iter):
                for callback in self.callbacks or ():
                    callback.epoch_begin(network, self.n_iter_)
                if order is not None:
                    random_state.shuffle(order)  # on top of the last epoch's
                self._end_epoch(epochs.run(order), len(x), validation)
                if not np.isfinite(self.loss_) or self._stopped_by_callbacks() or self._stops():
                    break
            else:
                if not incremental:
                    warn_not_converged(
                        f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and "
                        f"the optimization hasn't converged yet."
                    )
        for callback in self.callbacks or ():
            callback.fit_end(network)
        if self.early_stopping:
            self._fitted.restore(self._best)
        if self.n_iter_ and not np.isfinite(self.loss_):
            if not self.early_stopping or self.best_validation_score_ == -np.inf:
                raise diverged(self.n_iter_, "the loss or a parameter")
            warn_not_converged(
                f"training diverged in iteration {self.n_iter_}; the parameters of the best "
                f"validation score remain"
            )

    def _begin_curves(self) -> None:
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        scored = self.early_stopping
        self.validation_scores_: Any = [] if scored else None
        self.best_validation_score_: Any = -np.inf if scored else None
        self.best_loss_: Any = None if scored else np.inf

    def _begin_comparing(self) -> None:
        """Have what epochs are compared by, when early_stopping has changed between fits."""
        if self.early_stopping and self.best_validation_score_ is None:
            self.best_validation_score_ = -np.inf
            self._best = self._fitted.snapshot()
            self._no_improvement_count = 0
        elif not self.early_stopping and self.best_loss_ is None:
            self.best_loss_ = np.inf
            self._no_improvement_count = 0

    def _end_epoch(self, loss: float, n_samples: int, validation: Any) -> None:
        self.loss_ = loss
        self.n_iter_ += 1
        self.t_ += n_samples
        self.loss_curve_.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")
        if validation is not None:
            self._score_validation(*validation)
        if self.early_stopping:
            score, best = self.validation_scores_[-1], self.best_validation_score_
            no_better = score < best + self.tol
            if score > best:
                self.best_validation_score_ = score
                self._best = self._fitted.snapshot()
        else:
            no_better = loss > self.best_loss_ - self.tol
            self.best_loss_ = min(loss, self.best_loss_)
        self._no_improvement_count = self._no_improvement_count + 1 if no_better else 0
        self._optimizer.end_epoch(self.t_)

    def _score_validation(self, x: Array, y: Array, sample_weight: "Array | None") -> None:
        score = float("nan")
        if np.isfinite(self.loss_):
            score = self._validation_score(self._activated(x), y, sample_weight)
        if self.validation_scores_ is None:
            self.validation_scores_ = []
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")

    def _stopped_by_callbacks(self) -> bool:
        metrics = {"loss": self.loss_}
        if self.validation_scores_:
            metrics[f"val_{self._score_name}"] = self.validation_scores_[-1]
        ended = [
            callback.epoch_end(self._fitted.network, self.n_iter_ - 1, dict(metrics))
            for callback in self.callbacks or ()
        ]
        return any(ended)

    def _stops(self) -> bool:
        """Whether training is over for lack of improvement; lowers an adaptive learning rate."""
        if self._no_improvement_count <= self.n_iter_no_change:
            return False
        what = "Validation score" if self.early_stopping else "Training loss"
        message = (
            f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} "
            f"consecutive epochs."
        )
        stops, then = True, "Stopping."
        if self._optimizer.schedule == "adaptive":
            if self._optimizer.learning_rate <= LEAST_RATE:
                then = "Learning rate too small. Stopping."
            else:
                self._optimizer.change_rate(self._optimizer.learning_rate / 5)
                self._no_improvement_count = 0
                stops, then = False, f"Setting learning rate to {self._optimizer.learning_rate:f}"
        if self.verbose:
            print(message, then)
        return stops

    def _split(self, y: Array, random_state: Any) -> tuple[Array, Array]:
        raise NotImplementedError

    def _validation_score(self, outputs: Array, y: Array, sample_weight: "Array | None") -> float:
        raise NotImplementedError

    @property
    def _score_name(self) -> str:  # of what callbacks see of the validation
        raise NotImplementedError

    def _activated(self, x: Array) -> Array:
        raise NotImplementedError

    def _n_threads(self) -> int | None:
        raise NotImplementedError
