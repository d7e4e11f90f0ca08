"""The defaults of `fit`: optimizer, learning rates and number of epochs.

`python -m bench defaults` compares them with a grid of other values.

- The optimizer is AdamW. Its step does not depend on the scale of the gradient, so one learning
  rate suits every loss and every width. SGD with one rate diverges for squared errors on wide
  networks.
- The learning rate is high at first and falls to 0 along a cosine. The weight decay is strong. It
  keeps the network from fitting noise while the rate is high; it falls together with the rate.
- The number of epochs follows from a number of updates, since a small data set needs more epochs
  than a large one.
"""

from fastnn.optimizers import AdamW, Optimizer
from fastnn.optimizers.full_batch import FullBatchOptimizer

RATE = 0.02
WEIGHT_DECAY = 0.1
UPDATES = 5000
EPOCHS = 20  # the least number, and the number if the number of samples is unknown
ITERATIONS = 200  # the largest number for optimizers that stop when they converge


def optimizer() -> AdamW:
    """Return the default optimizer of a fit whose number of updates is known."""
    from fastnn.schedules import CosineDecay  # here, so that `import fastnn` stays short

    return AdamW(CosineDecay(RATE), weight_decay=WEIGHT_DECAY)


def steady_optimizer() -> AdamW:
    """Return the default optimizer for iterables and `partial_fit`, at a constant rate."""
    return AdamW(RATE / 10, weight_decay=WEIGHT_DECAY)


def epochs(
    n_samples: int | None, batch_size: int, optimizer: Optimizer | FullBatchOptimizer
) -> int:
    """Return the default number of epochs; `n_samples` is None if it is unknown."""
    if isinstance(optimizer, FullBatchOptimizer):
        return ITERATIONS
    if not n_samples:
        return EPOCHS
    return max(EPOCHS, -(-UPDATES // -(-n_samples // batch_size)))
