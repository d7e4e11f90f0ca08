"""
Where the networks of an ensemble disagree
..........................................

One classifier often predicts a probability near 0 or 1 where there are no training data. Ten
classifiers that were trained on resampled data disagree at some of these points. There their mean
probability is less extreme, and their spread is a warning.

See also :doc:`/training`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

# %%
# Ten networks
# ------------
# The data are two moons of points. Each network trains on a bootstrap sample: as many rows as the
# data have, drawn with replacement. ``fit_many`` takes them as ``rows=``. The networks end in
# ``Softmax``, so that their probabilities can be averaged.

rng = np.random.default_rng(0)
y = np.arange(200) % 2
angle = np.pi * rng.uniform(0, 1, 200)
X = np.where(
    y == 0, [np.cos(angle), np.sin(angle)], [1 - np.cos(angle), 0.5 - np.sin(angle)]
).T + rng.normal(scale=0.15, size=(200, 2))

networks = [
    fn.Network(
        [fn.Linear(2, 32), fn.ReLU(), fn.Linear(32, 32), fn.ReLU(), fn.Linear(32, 2), fn.Softmax()],
        seed=seed,
    )
    for seed in range(10)
]
histories = fn.fit_many(
    networks,
    X,
    y,
    rows=[rng.integers(0, 200, 200) for _ in networks],
    loss=fn.NegativeLogLikelihood(),
    optimizer=fn.Adam(0.003),
    epochs=150,
    seed=list(range(10)),
)

# %%
# ``predict_ensemble`` returns the mean and the standard deviation over the networks.

a, b = np.meshgrid(np.linspace(-4, 5, 150), np.linspace(-4, 4.5, 150))
grid = np.column_stack([a.ravel(), b.ravel()])
single = networks[0].predict(grid)[:, 1].reshape(a.shape)
mean, deviation = (array[:, 1].reshape(a.shape) for array in fn.predict_ensemble(networks, grid))

panels = (
    ("One network", single, "PuOr", 1, "probability of class 1"),
    ("Mean of ten networks", mean, "PuOr", 1, "probability of class 1"),
    ("Their standard deviation", deviation, "cividis", 0.5, "standard deviation"),
)
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.3), layout="constrained", sharey=True)
for ax, (title, values, colours, top, label) in zip(axes, panels, strict=True):
    surface = ax.contourf(a, b, values, np.linspace(0, top, 11), cmap=colours)
    figure.colorbar(surface, ax=ax, label=label)
    for k, marker in enumerate("o^"):
        ax.plot(*X[y == k].T, marker, color="0.2", mec="white", ms=4, label=f"class {k}")
    ax.set(title=title, xlabel="first feature")
axes[0].set_ylabel("second feature")
axes[0].legend(loc="lower left")
plt.show()

# %%
# Where the networks disagree
# ---------------------------
# The confidence is the probability of the more probable class. It is compared at the points where
# the ten networks disagree: their standard deviation is above 0.2.

distance = np.sqrt(((grid[:, np.newaxis] - X) ** 2).sum(axis=2)).min(axis=1).reshape(a.shape)
disagree, far, near = deviation > 0.2, distance > 1, distance < 0.2
confidence_of_one = float(np.maximum(single, 1 - single)[disagree].mean())
confidence_of_ten = float(np.maximum(mean, 1 - mean)[disagree].mean())
disagree_far, disagree_near = float(disagree[far].mean()), float(disagree[near].mean())
print(f"the networks disagree at {disagree_far:.0%} of the points far from all samples")
print(f"and at {disagree_near:.0%} of the points near a sample")
print(f"confidence where they disagree: one {confidence_of_one:.2f}, ten {confidence_of_ten:.2f}")

# %%
# Where the ten networks disagree, a single network is too confident. But at most points far from
# the samples all ten agree. So a small spread does not prove that a prediction is right.
