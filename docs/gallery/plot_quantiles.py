"""
Quantiles: a forecast with a range
..................................

A forecast of the mean says nothing about the spread. ``Pinball`` trains one network to predict
several quantiles at once. The range between them follows the noise, which need not be symmetric.

See also :doc:`/losses`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

# %%
# Waiting times
# -------------
# The waiting time at a counter depends on the hour of the day. Around noon it is longer, and varies
# more. A few customers wait very long, so the distribution has a long tail.

rng = np.random.default_rng(0)


def sample(n):
    """Return n hours (n, 1) and the waiting times (n,) in minutes."""
    hour = rng.uniform(8, 18, (n, 1))
    typical = 4 + 8 * np.exp(-(((hour[:, 0] - 12.5) / 1.5) ** 2))
    return hour, typical * rng.gamma(4, 1 / 4, n)


hour, minutes = sample(4000)

# %%
# One network, three quantiles
# ----------------------------
# The network has an output for each quantile. A second network predicts the mean, for comparison.

QUANTILES = (0.1, 0.5, 0.9)


def network(outputs):
    """Return an untrained network."""
    layers = [fn.Standardize.from_data(hour), fn.Linear(1, 32), fn.Tanh(), fn.Linear(32, outputs)]
    return fn.Network(
        [*layers, fn.Unstandardize.from_data(np.tile(minutes, (outputs, 1)).T)], seed=0
    )


optimizer = fn.AdamW(fn.schedules.CosineDecay(0.01))
net, mean_net = network(3), network(1)
net.fit(
    hour,
    np.tile(minutes, (3, 1)).T,
    loss=fn.Pinball(QUANTILES),
    optimizer=optimizer,
    epochs=60,
    seed=0,
)
mean_net.fit(hour, minutes, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=60, seed=0)

grid = np.linspace(8, 18, 300)[:, np.newaxis]
low, median, high = net.predict(grid).T
figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
ax.plot(hour, minutes, ".", ms=3, color="0.5", label="customers")
ax.fill_between(grid[:, 0], low, high, alpha=0.35, label="quantiles 0.1 to 0.9")
ax.plot(grid, median, label="median")
ax.plot(grid, mean_net.predict(grid), "--", color="C1", label="mean")
ax.set(xlabel="hour of the day in h", ylabel="waiting time in min", ylim=(0, 30))
ax.set(title="Quantiles of the waiting time")
ax.legend(loc="upper right")
plt.show()

# %%
# The median is below the mean, because of the long tail. At noon the range is about three times as
# wide as in the evening.
#
# Are the quantiles right?
# ------------------------
# Of the new customers, 90 % should wait less than the predicted quantile 0.9, at each hour.

new_hour, new_minutes = sample(20_000)
below = new_minutes[:, np.newaxis] <= net.predict(new_hour)  # (20000, 3)
bins = np.clip(new_hour[:, 0].astype(int) - 8, 0, 9)
shares = np.array([below[bins == b].mean(axis=0) for b in range(10)])

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for share, quantile, marker in zip(shares.T, QUANTILES, "v o ^".split(), strict=True):
    ax.plot(np.arange(8, 18) + 0.5, share, marker, ls="-", label=f"quantile {quantile}")
    ax.axhline(quantile, color="0.5", ls=":")
ax.set(xlabel="hour of the day in h", ylabel="share below", ylim=(0, 1))
ax.set(title="Share of new customers below each predicted quantile")
ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
plt.show()

# %%
# All shares are close to the dotted lines.

inside = float(np.mean(below[:, 2] & ~below[:, 0]))
print(f"new customers between the quantiles 0.1 and 0.9: {inside:.1%}")
for quantile, share in zip(QUANTILES, below.mean(axis=0), strict=True):
    print(f"below the quantile {quantile}: {share:.1%}")
