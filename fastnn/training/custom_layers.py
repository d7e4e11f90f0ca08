"""Training with layers written in Python: each update is a series of calls from Python."""

import numpy as np

from fastnn.losses import allows_negative_weights
from fastnn.model import Model
from fastnn.optimizers import OptimizerState
from fastnn.segments import with_loss
from fastnn.training.data import TrainingData
from fastnn.training.python_trainer import PythonTrainer
from fastnn.training.settings import FitSettings


class SegmentedTrainer(PythonTrainer):
    """Trains a network with layers written in Python."""

    def __init__(
        self,
        model: Model,
        data: TrainingData,
        settings: FitSettings,
        optimizer_state: OptimizerState,
        order: "np.random.Generator | None",
    ) -> None:
        model, self.evaluate = with_loss(model, settings.loss)
        super().__init__(model, len(data.x), settings, optimizer_state, order)
        self.x, self.y, self.weights = data.x, data.target, data.weights
        self.negative_weights = allows_negative_weights(settings.loss)

    def take_step(self, n_threads: int) -> None:
        """Take the next step."""
        rows = self.order[self.position : self.position + self.batch_size]
        model, x = self.model, self.x[rows]
        rate, weight_decay, dropout_factor = self.numbers()
        training = (self.mask_key, self.epoch, self.position, dropout_factor)
        self.position += len(x)
        activations, outputs = model.forward(x, n_threads, training)
        if not np.isfinite(outputs).all():
            return self.diverge()
        weights = None if self.weights is None else self.weights[rows]
        value, gradient = self.evaluate(outputs, self.y[rows], weights)
        if not np.isfinite(value):
            return self.diverge()
        model.backward(x, activations, gradient, model.grads, n_threads, training=True)
        self.update(rate, weight_decay)
        weight: float = len(x)
        if not (weights is None or self.negative_weights):
            weight = float(weights.sum(dtype=np.float64))
        self.epoch_loss += value * weight if self.mean else value
        self.epoch_weight += weight
