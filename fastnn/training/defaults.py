"""What `fit` does where the user leaves it the choice: the optimizer, its rates, and the epochs.

The choice was made by `python -m bench defaults`, which compares it with a grid.

- AdamW's step does not depend on the scale of the gradient, so one rate serves every loss and
  width. SGD at a fixed rate diverges for squared errors on wide networks.
- The rate is high and falls to 0 along a cosine. The decay of the weights is strong: at a high rate
  it is what keeps a network from fitting noise, and the fall of the rate ends both together.
- The epochs follow from a number of updates: a small table needs more passes than a large one.
"""

from fastnn.optimizers import AdamW, Optimizer
from fastnn.optimizers.full_batch import FullBatchOptimizer

RATE = 0.02
WEIGHT_DECAY = 0.1
UPDATES = 5000
EPOCHS = 20  # at least, and where nobody knows how many samples there are
ITERATIONS = 200  # at most, of optimizers that end when they have converged


def optimizer() -> AdamW:
    """Return the optimizer of a fit whose number of updates is known."""
    from fastnn.schedules import CosineDecay  # here, so that `import fastnn` stays short

    return AdamW(CosineDecay(RATE), weight_decay=WEIGHT_DECAY)


def steady_optimizer() -> AdamW:
    """Return the optimizer of training without an end: a stream of batches, or `partial_fit`."""
    return AdamW(RATE / 10, weight_decay=WEIGHT_DECAY)


def epochs(
    n_samples: int | None, batch_size: int, optimizer: Optimizer | FullBatchOptimizer
) -> int:
    """Return how many passes make enough updates."""
    if isinstance(optimizer, FullBatchOptimizer):
        return ITERATIONS
    if not n_samples:
        return EPOCHS
    return max(EPOCHS, -(-UPDATES // -(-n_samples // batch_size)))
