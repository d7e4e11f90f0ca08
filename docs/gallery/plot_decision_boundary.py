"""
Width and the decision boundary
...............................

A line cannot separate two spirals of points. A network with more hidden units can have a boundary
of more curves. The figures show the predicted classes over the plane, and their probabilities.

See also :doc:`/plots`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.plots import DecisionBoundaryDisplay

# %%
# Two spirals
# -----------
# Each class is an arm of a spiral, with noise. Half of the points are held out.

rng = np.random.default_rng(0)
y = np.arange(600) % 2
angle = rng.uniform(0, 7, 600)
X = (angle + 0.5) * np.array([np.cos(angle + np.pi * y), np.sin(angle + np.pi * y)])
X = X.T + rng.normal(scale=0.2, size=(600, 2))
X_train, y_train, X_test, y_test = X[:300], y[:300], X[300:], y[300:]

# %%
# Four widths
# -----------
# ``fit_many`` trains the four networks at once. Without hidden units, the boundary is a
# line. Otherwise each hidden unit computes a smooth step in one direction, and the network adds
# these steps.

WIDTHS = (0, 3, 8, 32)
networks = []
for width in WIDTHS:
    hidden = [fn.Linear(2, width), fn.Tanh(), fn.Linear(width, 2)] if width else [fn.Linear(2, 2)]
    networks.append(fn.Network([fn.Standardize.from_data(X_train), *hidden], seed=0))
fn.fit_many(
    networks, X_train, y_train, optimizer=fn.AdamW(0.02, weight_decay=0.01), epochs=200, seed=0
)

figure, axes = plt.subplots(2, 2, figsize=(7.5, 6), layout="constrained", sharex=True, sharey=True)
accuracies = []
for net, width, ax in zip(networks, WIDTHS, axes.flat, strict=True):
    net.feature_names, net.class_labels = ["east in km", "north in km"], ["a", "b"]
    DecisionBoundaryDisplay.from_network(net, X_test, y_test, ax=ax)
    accuracies.append(np.mean(net.predict(X_test).argmax(axis=1) == y_test))
    ax.set_title(f"{width} hidden units: {accuracies[-1]:.0%} correct")
    ax.label_outer()
    if ax is not axes[0, 1]:
        ax.get_legend().remove()
figure.suptitle("Predicted classes of held-out points")
plt.show()

# %%
# Probabilities
# -------------
# With ``response="probability"`` the colours show the softmax probabilities. Near the boundary they
# are about ½. Far from all points they are near 0 or 1, although there are no data: see the example
# of the ensemble.

display = DecisionBoundaryDisplay.from_network(networks[-1], X_test, y_test, response="probability")
display.ax_.set_title("Probabilities of the network with 32 hidden units")
plt.show()

# %%
# More units separate the arms better. The linear network is hardly better than a guess.

for width, accuracy in zip(WIDTHS, accuracies, strict=True):
    print(f"{width:2} hidden units: {accuracy:.3f} correct")
