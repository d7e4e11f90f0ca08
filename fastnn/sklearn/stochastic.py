"""The solvers "sgd" and "adam": epochs in the engine, and stopping rules between them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import _core
from fastnn.network import Network
from fastnn.optimizers import SGD, Adam, OptimizerState
from fastnn.sklearn.objectives import Objective
from fastnn.training.loop import SLICE_SECONDS

Array = NDArray[Any]

TRAINER_EPOCHS = 1000  # that a Trainer has room for before another takes its place
LEAST_RATE = 1e-6  # at which an adaptive learning rate ends training, as in scikit-learn


@dataclass
class StochasticOptimizer:
    """An update rule, its state, and its present learning rate.

    Attributes
    ----------
    rule : SGD or Adam
    state : OptimizerState
    learning_rate : float
        The velocity v of scikit-learn's SGD carries the learning rate, v ← μ v - ε g, where
        PyTorch's, which the engine keeps, does not; so it is -v / ε, and another rate rescales it.
    schedule : {"constant", "invscaling", "adaptive"}
        Of the learning rate; Adam's is constant. Like the rest it stays when the estimator's
        parameters change, until another `fit`.
    first_rate, power_t : float
        Of "invscaling".
    """

    rule: SGD | Adam
    state: OptimizerState
    learning_rate: float
    schedule: str
    first_rate: float
    power_t: float

    @classmethod
    def of(cls, estimator: Any, network: Network) -> "StochasticOptimizer":
        """Make the one that an estimator's parameters describe, afresh."""
        rate = float(estimator.learning_rate_init)
        rule: SGD | Adam
        if estimator.solver == "sgd":
            momentum = min(estimator.momentum, np.nextafter(1, 0))  # 1 itself is taken too
            nesterov = bool(estimator.nesterovs_momentum and momentum)
            rule = SGD(rate, momentum=momentum, nesterov=nesterov)
        else:
            betas = (estimator.beta_1, estimator.beta_2)
            rule = Adam(rate, betas=betas, eps=max(estimator.epsilon, 1e-37))
        parts = [(layer.n_params, layer.trainable) for layer in network.layers if layer.n_params]
        state = OptimizerState().continued_for(rule, parts, network.dtype)
        schedule = estimator.learning_rate if estimator.solver == "sgd" else "constant"
        return cls(rule, state, rate, schedule, rate, estimator.power_t)

    def change_rate(self, rate: float) -> None:
        """Set the learning rate of the updates to come."""
        if rate != self.learning_rate and isinstance(self.rule, SGD):
            self.state.arrays *= self.learning_rate / rate
        self.learning_rate = rate

    def end_epoch(self, n_seen: int) -> None:
        """Follow the schedule after that many samples in all."""
        if self.schedule == "invscaling":
            self.change_rate(self.first_rate / (n_seen + 1) ** self.power_t)


@dataclass
class Epochs:
    """Runs epochs over arrays in the engine, one at a time."""

    network: Network
    objective: Objective
    optimizer: StochasticOptimizer
    x: Array
    target: Array
    sample_weight: Array | None
    batch_size: int
    alpha: float
    n_threads: int | None
    random_state: Any
    trainer: Any = None

    def run(self, order: "NDArray[np.int64] | None") -> float:
        """Train for an epoch in that order of the rows; returns its loss, NaN if it diverged.

        The parameters are then those of the last epoch whose loss and parameters were finite.
        """
        if self.trainer is None or self.trainer.epoch == TRAINER_EPOCHS:
            self.trainer = self._trainer()
        trainer = self.trainer
        trainer.set_rates(self._rate())
        if order is not None:
            trainer.take_order(order)
        epoch = trainer.epoch
        try:
            while not trainer.diverged:
                if trainer.run(epoch + 1, SLICE_SECONDS, _core.thread_count(self.n_threads)):
                    loss = float(trainer.losses[epoch])
                    return loss * self.objective.factor + self._offset(order)
        finally:
            self.optimizer.state.advance(trainer.step)
        return float("nan")

    def _offset(self, order: "NDArray[np.int64] | None") -> float:
        """Return the mean of the batches' offsets by their samples, as `losses` are that."""
        offsets, weight = self.objective.offsets, self.sample_weight
        if offsets is None or weight is None:
            return self.objective.offset(weight)
        rows = np.arange(len(offsets)) if order is None else order
        starts = np.arange(0, len(rows), self.batch_size)
        weights = np.add.reduceat(weight[rows], starts, dtype=np.float64)
        sums = np.add.reduceat(weight[rows] * offsets[rows], starts, dtype=np.float64)
        counts = np.diff(starts, append=len(rows))
        weighed = weights > 0  # a batch without weight has no mean
        return float(np.average((sums / np.where(weighed, weights, 1)), weights=counts * weighed))

    def _rate(self) -> float:
        # Adam's steps do not depend on the scale of the loss
        factor = self.objective.factor if isinstance(self.optimizer.rule, SGD) else 1
        return self.optimizer.learning_rate * factor

    def _trainer(self) -> Any:
        # The engine's loss is the objective's over `factor`: so is its gradient, which the other
        # constants follow, so that the steps are those of the objective.
        rule = self.optimizer.rule.update_rule()
        rule |= {"weight_penalty": self.alpha / self.objective.factor}
        if isinstance(self.optimizer.rule, Adam):
            rule |= {"eps": rule["eps"] / self.objective.factor, "eps_uncorrected": True}
        model, loss, state = self.network._model, self.objective.loss, self.optimizer.state
        trainer = _core.engine.Trainer(
            model.plan,
            model.params,
            model.grads,
            model.constants,
            self.x,
            *loss.engine_target(self.target),
            self.sample_weight,
            loss.formula(),
            rule,
            state.arrays,
            state.segments(),
            state.step,
            self.batch_size,
            TRAINER_EPOCHS,
            None,
            _core.thread_count(self.n_threads),
        )
        trainer.reported, trainer.by_batches = self.objective.reported, True
        if model.plan.has_dropout:  # without, the random numbers are scikit-learn's
            entropy = (int(self.random_state.randint(2**31)), state.step)
            trainer.mask_key = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])
        return trainer
