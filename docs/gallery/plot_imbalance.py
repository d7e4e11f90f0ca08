"""
A rare class: weights or a threshold?
.....................................

If one sample in thirty is of the rare class, a classifier that never predicts it has an accuracy of
97 %. Class weights give the rare class more weight in training. A lower threshold after training
has nearly the same effect.

See also :doc:`/losses`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

# %%
# Faults of machines
# ------------------
# There are two measurements of each machine. About 3 % of the machines have a fault, and the two
# groups overlap.

rng = np.random.default_rng(0)


def sample(n):
    """Return n measurements (n, 2), and whether there is a fault (n,)."""
    fault = rng.random(n) < 0.03
    X = rng.standard_normal((n, 2))
    X[fault] = 0.7 * X[fault] + [1.6, 1.6]
    return X, fault.astype(int)


X, y = sample(6000)
X_test, y_test = sample(20_000)

# %%
# With weights and without
# ------------------------
# "balanced" gives both classes the same total weight.

nets = [fn.Network([fn.Linear(2, 16), fn.Tanh(), fn.Linear(16, 1)], seed=0) for _ in range(2)]
probabilities = {}
for net, (name, weight) in zip(
    nets, {"no weights": None, "balanced": "balanced"}.items(), strict=True
):
    net.fit(X, y, loss=fn.BinaryCrossEntropy(), class_weight=weight, epochs=20, seed=0)
    probabilities[name] = net.predict_proba(X_test)[:, 1]


def counts(probability, threshold):
    """Return the share of faults that are found, and the share of alarms that are true."""
    alarm = probability >= threshold
    hits = (alarm & (y_test == 1)).sum()
    return hits / y_test.sum(), hits / max(alarm.sum(), 1)


# %%
# Each threshold is a point of the curve. A low threshold finds nearly all faults, with many false
# alarms.

figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for (name, probability), style, marker in zip(probabilities.items(), "-:", "os", strict=True):
    thresholds = np.quantile(probability, np.linspace(0.5, 0.9995, 300))
    recall, precision = np.transpose([counts(probability, t) for t in thresholds])
    ax.plot(100 * recall, 100 * precision, style, lw=2, label=name)
    found, true = counts(probability, 0.5)
    ax.plot(100 * found, 100 * true, marker, color="k", mfc="w", label=f"threshold 0.5, {name}")
ax.set(xlabel="faults that are found in %", ylabel="alarms that are true in %")
ax.set_title("Found faults and true alarms, for all thresholds")
ax.legend()
plt.show()

# %%
# The weights move the point along nearly the same curve. So only the threshold matters, and it
# should follow from costs. Let a missed fault cost 20 times as much as a false alarm. The best
# threshold for the true probabilities is then 1 / (1 + 20).

COST = 20
costs = {}
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for (name, probability), style in zip(probabilities.items(), "-:", strict=True):
    thresholds = np.linspace(0.01, 0.99, 99)
    alarms = probability >= thresholds[:, np.newaxis]
    missed, false = (~alarms & (y_test == 1)).sum(axis=1), (alarms & (y_test == 0)).sum(axis=1)
    costs[name] = (COST * missed + false) / len(y_test)
    ax.plot(thresholds, costs[name], style, lw=2, label=name)
ax.axvline(1 / (1 + COST), color="0.5", ls="--", label="1 / (1 + 20)")
ax.set(xlabel="threshold", ylabel="cost for each machine", ylim=(0, None))
ax.set_title("Cost if a missed fault counts 20 times")
ax.legend()
plt.show()

# %%
# Without weights the probabilities are calibrated, so the threshold that follows from the costs is
# nearly the best one. The weighted network needs another threshold. Its lowest cost is about equal.

found_plain, found_balanced = (counts(p, 0.5)[0] for p in probabilities.values())
lowest = {name: float(cost.min()) for name, cost in costs.items()}
at_theory = float(costs["no weights"][4])  # threshold 0.05
found = f"{found_plain:.0%} and {found_balanced:.0%}"
print(f"faults found at the threshold 0.5, without weights and with: {found}")
print(f"lowest costs: {lowest['no weights']:.3f} and {lowest['balanced']:.3f}")
print(f"cost without weights at the threshold 0.05: {at_theory:.3f}")
