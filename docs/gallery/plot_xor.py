"""
XOR: how often is it learned?
.............................

Two hidden units are enough to compute XOR. Yet gradient descent often fails with two of them,
because it stops at another point where the gradient is 0. With more units than needed, failures are
rare. Here 200 networks are trained at once.

See also :doc:`/learn/10_xor`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.plots import DecisionBoundaryDisplay

# %%
# 200 starts for each width
# -------------------------
# ``fit_many`` trains all networks of one width at once. A network has learned XOR if all four
# outputs are within 0.05 of the target.

X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
WIDTHS, STARTS = (2, 3, 4, 8), 200
solved, networks = {}, {}
for activation in (fn.ReLU, fn.Tanh):
    for width in WIDTHS:
        starts = [
            fn.Network([fn.Linear(2, width), activation(), fn.Linear(width, 1)], seed=seed)
            for seed in range(STARTS)
        ]
        fn.fit_many(
            starts,
            X,
            y,
            loss=fn.HalfSquaredError(),
            optimizer=fn.SGD(0.1),
            epochs=3000,
            batch_size=4,
            seed=0,
        )
        errors = np.abs(fn.predict_many(starts, X)[..., 0] - y).max(axis=1)
        solved[activation.__name__, width] = errors < 0.05
        networks[activation.__name__, width] = starts

# %%
# The bars show the shares of successful starts, and the lines their standard errors.

figure, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
places = np.arange(len(WIDTHS))
for name, shift, hatch in (("ReLU", -0.2, ""), ("Tanh", 0.2, "//")):
    share = np.array([solved[name, width].mean() for width in WIDTHS])
    error = np.sqrt(share * (1 - share) / STARTS)
    ax.bar(places + shift, 100 * share, 0.38, yerr=100 * error, hatch=hatch, label=name, ec="white")
ax.set_xticks(places, WIDTHS)
ax.set(xlabel="hidden units", ylabel="starts that learn XOR in %", ylim=(0, 118))
ax.set_title("Share of 200 starts that learn XOR")
ax.legend(loc="upper left", ncols=2)
plt.show()

# %%
# How it fails
# ------------
# The pictures show two networks with two ReLUs. A point has the colour of its target, so it differs
# from the background where the output is wrong. The first network has learned XOR. In the second
# network, one unit is 0 at all four points. Its gradient is 0 too, so it stays dead, and the other
# unit alone cannot compute XOR.

good = networks["ReLU", 2][int(np.argmax(solved["ReLU", 2]))]
dead = [(net.activations(X)["1.ReLU"] == 0).all(axis=0).any() for net in networks["ReLU", 2]]
bad = networks["ReLU", 2][int(np.argmax(dead))]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for net, ax, title in zip((good, bad), axes, ("XOR learned", "One unit is dead"), strict=True):
    DecisionBoundaryDisplay.from_network(net, X, y, ax=ax)
    ax.set(title=title, xlabel="first bit", ylabel="second bit")
plt.show()

# %%
# In most failures of two ReLUs, a unit is dead. With more units than needed, enough of them usually
# stay alive. The slope of tanh is never 0, so networks of tanh units fail less often.

for width in WIDTHS:
    relu, tanh = (solved[name, width].mean() for name in ("ReLU", "Tanh"))
    print(f"{width} hidden units: {relu:.0%} of the starts with ReLU, {tanh:.0%} with Tanh")
failures = ~solved["ReLU", 2]
dead_share = float(np.mean(np.array(dead)[failures]))
print(f"failures of two ReLUs with a dead unit: {dead_share:.0%}")
