"""
Find a learning rate in one short fit
.....................................

A learning rate that grows during one fit shows which rates work. The loss first hardly changes,
then falls, and then jumps up. A good rate is below that of the jump. A sweep over constant rates
confirms this.

See also :doc:`/optimizers`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.datasets import load_digits
from fastnn.schedules import ExponentialDecay

# %%
# A growing rate
# --------------
# ``ExponentialDecay`` with a factor above 1 grows: the rate is 1.1 times as large in each epoch.
# The callback stops the fit when the loss is four times the best one.


class StopAfterJump(fn.Callback):
    """Stops the fit when the loss is far above its minimum."""

    best = np.inf

    def epoch_end(self, net, epoch, metrics):
        """Return True to stop."""
        self.best = min(self.best, metrics["loss"])
        return metrics["loss"] > 4 * self.best


X, y = load_digits()
X = X / 16


def network():
    """Return an untrained network."""
    return fn.Network([fn.Linear(64, 32), fn.ReLU(), fn.Linear(32, 10)], seed=0)


history = network().fit(
    X,
    y,
    optimizer=fn.SGD(ExponentialDecay(1e-4, 1.1), momentum=0.9),
    epochs=130,
    batch_size=64,
    seed=0,
    callbacks=[StopAfterJump()],
)
rates, losses = np.array(history["learning_rate"]), np.array(history["loss"])
best = int(losses.argmin())

# %%
# A sweep of constant rates
# -------------------------
# ``fit_many`` trains one network for each rate, for ten epochs.

SWEEP = np.logspace(-3.5, 0.5, 17)
histories = fn.fit_many(
    [network() for _ in SWEEP],
    X,
    y,
    optimizer=[fn.SGD(rate, momentum=0.9) for rate in SWEEP],
    epochs=10,
    batch_size=64,
    seed=0,
    validation_data=0.2,
)
final = np.array([history["val_loss"][-1] for history in histories])

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(rates, losses, label="one fit with a growing rate: training loss")
ax.plot(SWEEP, final, "o--", label="ten epochs with a constant rate: validation loss")
ax.axvline(rates[best], color="0.5", ls=":", label="rate of the lowest training loss")
ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="cross-entropy in nats")
ax.set(title="Loss against the learning rate, for digits and SGD with momentum")
ax.legend()
plt.show()

# %%
# One short fit finds the range for which the sweep needs seventeen fits. The best constant rate is
# near the rate of the lowest loss in the first fit, or a little below it.

print(f"rate of the lowest loss while it grows: {rates[best]:.3f}")
print(f"best constant rate: {SWEEP[final.argmin()]:.3f}")
