"""The solvers "sgd" and "adam": training in epochs, and scikit-learn's rules of when to stop.

These solvers run the engine's trainer, one epoch per call, and not `Network.fit`, whose semantics
differ in ways that change every result:

- scikit-learn shuffles the order of the last epoch again, with a legacy `RandomState`;
- its penalty applies to weights alone, and is divided by the samples of the batch;
- its Adam adds epsilon to the root of the second moment before the bias correction;
- its learning rate follows the samples seen in all fits, or the stopping rule;
- the loss of an epoch is the mean of the losses of its batches, with the penalty.

`partial_fit` on a few samples also costs less without the fit loop around the trainer.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn._core.arrays import Array
from fastnn.layers import composition
from fastnn.model import model_of
from fastnn.network import Network
from fastnn.optimizers import SGD, Adam, OptimizerState
from fastnn.sklearn.full_batch import diverged, interruptible
from fastnn.sklearn.objectives import Problem
from fastnn.sklearn.splitting import demand_weight
from fastnn.sklearn.warning import warn, warn_not_converged
from fastnn.training.data import refuse_batches_of_one
from fastnn.training.loop import SLICE_SECONDS
from fastnn.training.trainers import engine_trainer

if TYPE_CHECKING:
    from fastnn._core import engine

TRAINER_EPOCHS = 1000  # the number of losses that a Trainer can hold; after them a new one is made
LEAST_RATE = 1e-6  # training ends if an adaptive learning rate reaches this, as in scikit-learn


@dataclass
class StochasticOptimizer:
    """An update rule, its state, and the current learning rate.

    All attributes keep their values when the estimator's parameters change, until the next `fit`.

    Attributes
    ----------
    rule : SGD or Adam
    state : OptimizerState
        The velocity of SGD is PyTorch's, which does not contain the learning rate ε. The velocity
        of scikit-learn, v ← μ v - ε g, is -ε times it.
    learning_rate : float
    schedule : {"constant", "invscaling", "adaptive"}
        How the learning rate changes; "constant" for Adam.
    first_rate, power_t : float
        Parameters of "invscaling".
    """

    rule: SGD | Adam
    state: OptimizerState
    learning_rate: float
    schedule: str
    first_rate: float
    power_t: float

    @classmethod
    def of(cls, estimator: Any, network: Network) -> "StochasticOptimizer":
        """Return a fresh optimizer, as the estimator's parameters describe it."""
        rate = float(estimator.learning_rate_init)
        if estimator.solver == "adam":
            return cls.adam(network, rate, estimator.beta_1, estimator.beta_2, estimator.epsilon)
        return cls.sgd(
            network,
            rate,
            estimator.momentum,
            estimator.nesterovs_momentum,
            estimator.learning_rate,
            estimator.power_t,
        )

    @classmethod
    def adam(
        cls, network: Network, rate: float, beta_1: float, beta_2: float, epsilon: float
    ) -> "StochasticOptimizer":
        """Return a fresh Adam with scikit-learn's parameters."""
        rule = Adam(rate, betas=(beta_1, beta_2), eps=max(epsilon, 1e-37))
        return cls(rule, _fresh_state(rule, network), rate, "constant", rate, 0.5)

    @classmethod
    def sgd(
        cls,
        network: Network,
        rate: float,
        momentum: float,
        nesterov: bool,
        schedule: str,
        power_t: float,
    ) -> "StochasticOptimizer":
        """Return a fresh SGD with scikit-learn's parameters."""
        momentum = min(momentum, np.nextafter(1, 0))  # scikit-learn allows 1, `SGD` does not
        rule = SGD(rate, momentum=momentum, nesterov=bool(nesterov and momentum))
        return cls(rule, _fresh_state(rule, network), rate, schedule, rate, power_t)

    def change_rate(self, rate: float) -> None:
        """Set the learning rate of the next updates, and keep the velocity of scikit-learn."""
        if rate != self.learning_rate and isinstance(self.rule, SGD):
            self.state.arrays *= self.learning_rate / rate
        self.learning_rate = rate

    def end_epoch(self, n_seen: int) -> None:
        """Follow the schedule after an epoch; `n_seen` counts the samples of all epochs."""
        if self.schedule == "invscaling":
            self.change_rate(self.first_rate / (n_seen + 1) ** self.power_t)


def _fresh_state(rule: SGD | Adam, network: Network) -> OptimizerState:
    leaves = list(composition.leaves(network.layers))
    parts = [(layer.n_params, layer.trainable) for layer in leaves if layer.n_params]
    return OptimizerState().continued_for(rule, parts, network.dtype)


@dataclass
class Epochs:
    """Trains on a problem, one epoch per call of `run`."""

    problem: Problem
    optimizer: StochasticOptimizer
    batch_size: int
    random_state: Any
    trainer: "engine.Trainer | None" = None

    def run(self, order: "NDArray[np.int64] | None") -> float:
        """Train for one epoch with the rows in this order.

        Returns
        -------
        float
            The loss of the epoch, or NaN if training diverged. Then the parameters are those after
            the last epoch whose loss and parameters were finite.
        """
        if self.trainer is None or self.trainer.epoch == TRAINER_EPOCHS:
            self.trainer = self._trainer()
        trainer, objective = self.trainer, self.problem.objective
        trainer.set_rates(self._rate())
        if order is not None:
            trainer.take_order(order)
        epoch, n_threads = trainer.epoch, self.problem.n_threads
        try:
            while not trainer.diverged:
                if trainer.run(epoch + 1, SLICE_SECONDS, _core.thread_count(n_threads)):
                    return float(trainer.losses[epoch]) * objective.factor + self._offset(order)
        finally:
            self.optimizer.state.advance(trainer.step)
        return float("nan")

    def _offset(self, order: "NDArray[np.int64] | None") -> float:
        """Return the offset of an epoch: the mean over batches, weighted by their sizes."""
        offsets, weight = self.problem.objective.offsets, self.problem.sample_weight
        if offsets is None or weight is None:
            return self.problem.objective.offset(weight)
        rows = np.arange(len(offsets)) if order is None else order
        starts = np.arange(0, len(rows), self.batch_size)
        weights = np.add.reduceat(weight[rows], starts, dtype=np.float64)
        sums = np.add.reduceat(weight[rows] * offsets[rows], starts, dtype=np.float64)
        counts = np.diff(starts, append=len(rows))
        has_weight = weights > 0  # the mean of a batch without weight is not defined
        means = sums / np.where(has_weight, weights, 1)
        return float(np.average(means, weights=counts * has_weight))

    def _rate(self) -> float:
        # Adam's steps do not depend on the scale of the loss
        factor = self.problem.objective.factor if isinstance(self.optimizer.rule, SGD) else 1
        return self.optimizer.learning_rate * factor

    def _trainer(self) -> "engine.Trainer":
        # The engine minimises the objective divided by `factor`. Its gradients are smaller by that
        # factor. So the penalty and epsilon are divided by it too, and the steps stay the same.
        problem, objective, optimizer = self.problem, self.problem.objective, self.optimizer
        rule = optimizer.rule.update_rule()
        rule |= {"weight_penalty": problem.alpha / objective.factor}
        if isinstance(optimizer.rule, Adam):
            rule |= {"eps": rule["eps"] / objective.factor, "eps_uncorrected": True}
        mask_key, model = 0, model_of(problem.network)
        if model.plan.has_dropout:  # without dropout no extra number is drawn, as in scikit-learn
            entropy = (int(self.random_state.randint(2**31)), optimizer.state.step)
            mask_key = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])
        trainer = engine_trainer(
            model,
            problem.x,
            problem.target,
            problem.sample_weight,
            objective.loss,
            rule,
            optimizer.state,
            self.batch_size,
            TRAINER_EPOCHS,
            None,
            _core.thread_count(problem.n_threads),
            mask_key,
        )
        trainer.reported, trainer.by_batches = objective.reported, True
        return trainer


def fit_stochastic(
    estimator: Any,
    problem: Problem,
    y: Array,
    random_state: "np.random.RandomState",
    incremental: bool,
    validation: "tuple[Array, Array, Array | None] | None",
) -> None:
    """Train for `max_iter` epochs, or until a stopping rule holds.

    Parameters
    ----------
    y : ndarray
        The targets as the estimator encodes them, from which held-out samples are taken.
    incremental : bool
        Whether to train for one epoch only, with the optimizer of the last fit.
    validation : (X, y, sample_weight), optional
        Held-out samples. By default, `early_stopping` holds out some of the problem's samples.

    Raises
    ------
    ValueError
        If training diverged; the network keeps the last finite parameters.
    """
    network = problem.network
    if not incremental or not hasattr(estimator, "_optimizer"):
        estimator._optimizer = StochasticOptimizer.of(estimator, network)
    if not hasattr(estimator, "_no_improvement_count"):  # only other solvers have fitted so far
        begin_curves(estimator)
    if estimator.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True")
    _adapt_to_early_stopping(estimator)
    if estimator.early_stopping and validation is None:
        train, held_out = estimator._split(y, random_state)
        scored, problem = problem.of_rows(held_out), problem.of_rows(train)
        demand_weight(scored.sample_weight)
        demand_weight(problem.sample_weight)
        validation = scored.x, y[held_out], scored.sample_weight
    n_samples = len(problem.x)
    batch_size = _batch_size(estimator, n_samples)
    refuse_batches_of_one(model_of(network), n_samples, batch_size, estimator.batch_size)
    epochs = Epochs(problem, estimator._optimizer, batch_size, random_state)
    order = np.arange(n_samples) if estimator.shuffle else None
    callbacks = estimator.callbacks or ()
    estimator.n_iter_ = 0
    for callback in callbacks:
        callback.fit_begin(network)
    with interruptible():
        while estimator.n_iter_ < (1 if incremental else estimator.max_iter):
            for callback in callbacks:
                callback.epoch_begin(network, estimator.n_iter_)
            if order is not None:
                random_state.shuffle(order)  # the order of the last epoch
            _end_epoch(estimator, epochs.run(order), n_samples, validation)
            if (
                not np.isfinite(estimator.loss_)
                or _stopped_by_callbacks(estimator)
                or _stopped_improving(estimator)
            ):
                break
        else:
            if not incremental:
                warn_not_converged(
                    f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and "
                    f"the optimization hasn't converged yet."
                )
    for callback in callbacks:
        callback.fit_end(network)
    if estimator.early_stopping:
        estimator._fitted.restore(estimator._best)
    if estimator.n_iter_ and not np.isfinite(estimator.loss_):
        if not estimator.early_stopping or estimator.best_validation_score_ == -np.inf:
            raise diverged(estimator.n_iter_, "the loss or a parameter")
        warn_not_converged(
            f"training diverged in iteration {estimator.n_iter_}; the parameters of the best "
            f"validation score remain"
        )


def begin_curves(estimator: Any) -> None:
    """Forget the losses and scores of earlier fits."""
    scored = estimator.early_stopping
    estimator.loss_curve_ = []
    estimator._no_improvement_count = 0
    estimator.validation_scores_ = [] if scored else None
    estimator.best_validation_score_ = -np.inf if scored else None
    estimator.best_loss_ = None if scored else np.inf


def _adapt_to_early_stopping(estimator: Any) -> None:
    """Reset what the stopping rule compares if `early_stopping` has changed since the last fit."""
    if estimator.early_stopping and estimator.best_validation_score_ is None:
        estimator.best_validation_score_ = -np.inf
        estimator._best = estimator._fitted.snapshot()
        estimator._no_improvement_count = 0
    elif not estimator.early_stopping and estimator.best_loss_ is None:
        estimator.best_loss_ = np.inf
        estimator._no_improvement_count = 0


def _batch_size(estimator: Any, n_samples: int) -> int:
    if estimator.batch_size == "auto":
        return min(200, n_samples)
    if estimator.batch_size > n_samples:
        warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
    return min(int(estimator.batch_size), n_samples)


def _end_epoch(estimator: Any, loss: float, n_samples: int, validation: Any) -> None:
    """Record the loss and the score of an epoch, and compare them with the best."""
    estimator.loss_ = loss
    estimator.n_iter_ += 1
    estimator.t_ += n_samples
    estimator.loss_curve_.append(loss)
    if estimator.verbose:
        print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
    if validation is not None:
        _score_validation(estimator, *validation)
    if estimator.early_stopping:
        score, best = estimator.validation_scores_[-1], estimator.best_validation_score_
        no_better = score < best + estimator.tol
        if score > best:
            estimator.best_validation_score_ = score
            estimator._best = estimator._fitted.snapshot()
    else:
        no_better = loss > estimator.best_loss_ - estimator.tol
        estimator.best_loss_ = min(loss, estimator.best_loss_)
    estimator._no_improvement_count = estimator._no_improvement_count + 1 if no_better else 0
    estimator._optimizer.end_epoch(estimator.t_)


def _score_validation(estimator: Any, x: Array, y: Array, sample_weight: Array | None) -> None:
    score = float("nan")
    if np.isfinite(estimator.loss_):
        score = estimator._validation_score(estimator._activated(x), y, sample_weight)
    if estimator.validation_scores_ is None:
        estimator.validation_scores_ = []
    estimator.validation_scores_.append(score)
    if estimator.verbose:
        print(f"Validation score: {score:f}")


def _stopped_by_callbacks(estimator: Any) -> bool:
    metrics = {"loss": estimator.loss_}
    if estimator.validation_scores_:
        metrics[f"val_{estimator._score_name}"] = estimator.validation_scores_[-1]
    answers = [
        callback.epoch_end(estimator._fitted.network, estimator.n_iter_ - 1, dict(metrics))
        for callback in estimator.callbacks or ()
    ]
    return any(answers)


def _stopped_improving(estimator: Any) -> bool:
    """Return whether to stop for lack of improvement; may lower an adaptive learning rate."""
    if estimator._no_improvement_count <= estimator.n_iter_no_change:
        return False
    what = "Validation score" if estimator.early_stopping else "Training loss"
    message = (
        f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change} "
        f"consecutive epochs."
    )
    optimizer = estimator._optimizer
    stops, consequence = True, "Stopping."
    if optimizer.schedule == "adaptive":
        if optimizer.learning_rate <= LEAST_RATE:
            consequence = "Learning rate too small. Stopping."
        else:
            optimizer.change_rate(optimizer.learning_rate / 5)
            estimator._no_improvement_count = 0
            stops, consequence = False, f"Setting learning rate to {optimizer.learning_rate:f}"
    if estimator.verbose:
        print(message, consequence)
    return stops
