"""The settings of one fit."""

from dataclasses import dataclass

import numpy as np

from fastnn.callbacks import Callback
from fastnn.losses import CustomLoss, Loss
from fastnn.optimizers import Optimizer
from fastnn.optimizers.full_batch import FullBatchOptimizer
from fastnn.optimizers.schedule import Schedule

MASKS = 0  # the number of the random stream for dropout masks


@dataclass(frozen=True)
class FitSettings:
    """The settings of one fit, checked.

    Attributes
    ----------
    loss : Loss or CustomLoss
    optimizer : Optimizer or FullBatchOptimizer
    epochs, batch_size : int
        Passes over the data, and samples in an update.
    shuffle : bool
        Whether each epoch draws a new order of the samples.
    entropy : int
        The seed of all random numbers.
    callbacks : sequence of Callback
    progress : bool
        Whether to show a progress bar.
    n_threads : int
    drop_last : bool
        Whether an epoch ends before a last batch that is smaller than the others.
    dropout_factor : Schedule or None
        The factor of the probability of each Dropout.
    """

    loss: Loss | CustomLoss
    optimizer: Optimizer | FullBatchOptimizer
    epochs: int
    batch_size: int
    shuffle: bool
    entropy: int
    callbacks: tuple[Callback, ...]
    progress: bool
    n_threads: int
    drop_last: bool = False
    dropout_factor: Schedule | None = None

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The schedules of this fit by the names of the arguments."""
        given = {
            "learning_rate": self.optimizer.learning_rate,
            "weight_decay": getattr(self.optimizer, "weight_decay", 0.0),
            "dropout_factor": self.dropout_factor,
        }
        return {name: value for name, value in given.items() if isinstance(value, Schedule)}

    def updates_per_epoch(self, n_samples: int | None) -> int:
        """Return the number of updates in an epoch, or 0 if the number of samples is unknown."""
        return -(-self.samples_per_epoch(n_samples or 0) // self.batch_size)

    def samples_per_epoch(self, n_samples: int) -> int:
        """Return the number of samples that an epoch uses."""
        return n_samples - n_samples % self.batch_size if self.drop_last else n_samples

    def order_generator(self) -> "np.random.Generator | None":
        """Return a new generator for the order of each epoch, or None without shuffling."""
        return np.random.default_rng(self.entropy) if self.shuffle else None

    def mask_key(self) -> int:
        """Return the key of the dropout masks, which does not depend on the epochs' orders."""
        stream = np.random.SeedSequence(self.entropy, spawn_key=(MASKS,))
        return int(stream.generate_state(1, np.uint64)[0])
