"""
A loss landscape, and two paths through it
..........................................

The loss is a function of too many parameters for a picture, but it can be drawn over a plane in
their space. The plane here contains the ends of two fits from the same start. ``predict_many``
computes the loss at thousands of points of the plane in one call.

See also :doc:`/derivatives`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

# %%
# Record two fits
# ---------------
# A callback keeps a copy of all parameters after each epoch. One optimizer has momentum, the other
# has none.


class Path(fn.Callback):
    """Keeps the parameters of each epoch."""

    def __init__(self, net):
        self.points = [net.params.copy()]

    def epoch_end(self, net, epoch, metrics):
        """Append a copy."""
        self.points.append(net.params.copy())


X = np.linspace(-3, 3, 80)[:, np.newaxis]
y = np.sin(2 * X)
OPTIMIZERS = {"SGD": fn.SGD(0.02), "SGD with momentum 0.9": fn.SGD(0.02, momentum=0.9)}
paths = {}
for name, optimizer in OPTIMIZERS.items():
    net = fn.Network([fn.Linear(1, 16), fn.Tanh(), fn.Linear(16, 1)], "float64", seed=0)
    path = Path(net)
    net.fit(
        X,
        y,
        loss=fn.MeanSquaredError(),
        optimizer=optimizer,
        epochs=3000,
        batch_size=80,
        callbacks=[path],
    )
    paths[name] = np.array(path.points)

# %%
# The plane
# ---------
# The two axes are orthogonal directions of length 1. The first one leads from the start to the end
# of plain SGD. The second one is chosen so that the plane contains the end of the other path.

start = paths["SGD"][0]
to_plain, to_momentum = (points[-1] - start for points in paths.values())
first = to_plain / np.linalg.norm(to_plain)
second = to_momentum - (to_momentum @ first) * first
second /= np.linalg.norm(second)
plane = np.array([first, second])
tracks = {name: (points - start) @ plane.T for name, points in paths.items()}

low = np.min([track.min(axis=0) for track in tracks.values()], axis=0) - 1
high = np.max([track.max(axis=0) for track in tracks.values()], axis=0) + 1
a, b = np.meshgrid(np.linspace(low[0], high[0], 70), np.linspace(low[1], high[1], 70))
params = start + np.column_stack([a.ravel(), b.ravel()]) @ plane
outputs = fn.predict_many(net, X, params=params)  # (4900, 80, 1)
losses = ((outputs - y) ** 2).mean(axis=(1, 2)).reshape(a.shape)

# %%
# The colours show the loss in the plane. Only the start and the end of a path lie in the plane. The
# other points are projected onto it.

figure, ax = plt.subplots(figsize=(7, 4.6), layout="constrained")
levels = np.logspace(np.log10(losses.min()), np.log10(losses.max()), 25)
surface = ax.contourf(a, b, losses, levels, cmap="viridis", norm="log")
figure.colorbar(surface, label="mean squared error", format="%.2g")
for (name, track), style in zip(tracks.items(), ("w-", "w--"), strict=True):
    ax.plot(*track.T, style, label=name)
    ax.plot(*track[-1], "wo", mec="k")
ax.plot(0, 0, "ws", mec="k", label="start")
ax.plot([], [], "wo", mec="k", ls="", label="end, after 3,000 epochs")
ax.set(xlabel="distance along the first direction", ylabel="distance along the second direction")
ax.set(title="Mean squared error in a plane of the 49 parameters")
ax.legend(loc="center left", facecolor="0.4", labelcolor="white")
plt.show()

# %%
# Both paths first descend a steep slope. Then the gradient is small. Plain SGD moves slowly there,
# and SGD with momentum moves further.

final = {
    name: ((fn.predict_many(net, X, params=points[-1:]) - y) ** 2).mean()
    for name, points in paths.items()
}
for name, loss in final.items():
    print(f"{name}: {loss:.4f}")
