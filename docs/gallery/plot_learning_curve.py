"""
Learning curves: by epoch and by number of samples
..................................................

There are two kinds of learning curves. The loss of each epoch shows when a network starts to
overfit. The error for training sets of growing size shows whether more data would help.

See also :doc:`/training`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.datasets import load_digits, stratified_split
from fastnn.plots import LearningCurveDisplay

# %%
# Few digits, many epochs
# -----------------------
# Of the 1,797 digits, 599 are held out. Two networks train on 100 of the others. For the second
# network, 20 of the 100 labels are wrong.

X, y = load_digits()
X = X / 16
training, held_out = stratified_split(y, 1 / 3, np.random.default_rng(0))
rng = np.random.default_rng(1)
few = rng.permutation(training)[:100]
noisy = y[few].copy()
noisy[:20] = (noisy[:20] + rng.integers(1, 10, 20)) % 10


def network(seed=0):
    """Return an untrained network."""
    return fn.Network([fn.Linear(64, 64), fn.ReLU(), fn.Linear(64, 10)], seed=seed)


settings = {
    "optimizer": fn.Adam(0.003),
    "epochs": 80,
    "seed": 0,
    "validation_data": (X[held_out], y[held_out]),
}
clean_history = network().fit(X[few], y[few], **settings)
noisy_history = network().fit(X[few], noisy, **settings)

# %%
# Both training losses keep falling. With correct labels the validation loss stays low. With wrong
# ones it rises again, because the network memorises them.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
for history, ax, title in zip(
    (clean_history, noisy_history), axes, ("correct labels", "20 of 100 labels wrong"), strict=True
):
    LearningCurveDisplay.from_history({k: history[k] for k in ("loss", "val_loss")}, ax=ax)
    best = int(np.argmin(history["val_loss"]))
    ax.plot(best + 1, history["val_loss"][best], "ko", label="best epoch")
    ax.set(title=title, ylim=(0, None), ylabel="cross-entropy in nats")
    ax.legend(loc="upper right")
axes[1].set_ylabel("")
figure.suptitle("Losses of each epoch, for 100 digits")
plt.show()

# %%
# ``EarlyStopping`` ends the fit soon after the best epoch, and restores its parameters.

stopped = network().fit(X[few], noisy, **settings, callbacks=[fn.EarlyStopping(patience=10)])
print(f"epochs with early stopping: {len(stopped['loss'])} of 80")
print(f"lowest validation loss: {min(noisy_history['val_loss']):.3f}")
print(f"validation loss after 80 epochs: {noisy_history['val_loss'][-1]:.3f}")

# %%
# More digits
# -----------
# ``fit_many`` trains networks on different rows of one array. For each size there are five
# networks with training rows and initial weights of their own.

SIZES, REPEATS = (50, 100, 200, 400, 800), 5
rows = [rng.permutation(training)[:size] for size in SIZES for _ in range(REPEATS)]
networks = [network(seed) for seed in range(len(rows))]
fn.fit_many(networks, X, y, rows=rows, optimizer=fn.Adam(0.003), epochs=60, seed=0)
guesses = fn.predict_many(networks, X[held_out]).argmax(axis=2)
errors = 100 * np.mean(guesses != y[held_out], axis=1).reshape(len(SIZES), REPEATS)

figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.plot(np.repeat(SIZES, REPEATS), errors.ravel(), "o", mfc="none", label="one network")
ax.plot(SIZES, errors.mean(axis=1), "-", color="C1", label="mean of five")
ax.set(
    xscale="log", yscale="log", xlabel="training digits", ylabel="errors on held-out digits in %"
)
ax.set(title="Error against the number of training digits")
ax.set_xticks(SIZES, SIZES, minor=False)
ax.set_xticks([], minor=True)
ax.set_yticks([2, 4, 8, 16], [2, 4, 8, 16])
ax.set_yticks([], minor=True)
ax.legend()
plt.show()

# %%
# With both axes logarithmic the line is nearly straight: each doubling of the data removes about a
# third of the errors. The line is not flat at its end, so more digits would help.

for size, error in zip(SIZES, errors.mean(axis=1), strict=True):
    print(f"{size} digits: {error:.1f} % errors")
