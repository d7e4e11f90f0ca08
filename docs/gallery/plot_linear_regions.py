"""
The regions of a ReLU network
.............................

A network of ReLUs is piecewise linear. In each region the same units are on, and the Jacobian is
constant. At the border between two regions one unit switches, and the function has a kink.

See also :doc:`/learn/02_partial_derivatives`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

# %%
# A network for a round hill
# --------------------------
# The target is a smooth hill over the plane. The network approximates it by linear pieces.

rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, (2000, 2))
y = np.exp(-(X**2).sum(axis=1))
layers = [fn.Linear(2, 16), fn.ReLU(), fn.Linear(16, 16), fn.ReLU(), fn.Linear(16, 1)]
net = fn.Network(layers, "float64", seed=0)
net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.Adam(0.003), epochs=100, seed=0)
rms_error = float(np.sqrt(np.mean((net.predict(X)[:, 0] - y) ** 2)))

# %%
# Which units are on?
# -------------------
# ``activations`` returns the outputs of all layers. Points with the same 32 units on are in the
# same region.

SIDE = 300
a, b = np.meshgrid(np.linspace(-2, 2, SIDE), np.linspace(-2, 2, SIDE))
grid = np.column_stack([a.ravel(), b.ravel()])
outputs = net.activations(grid)
on = np.hstack([outputs["1.ReLU"], outputs["3.ReLU"]]) > 0
_, first, region = np.unique(on, axis=0, return_index=True, return_inverse=True)
region = region.ravel()
n_regions = len(first)

# %%
# One Jacobian for each region
# ----------------------------
# The left picture shows the output. Its contour lines are polygons, since the function is linear in
# each region. The right picture shows the length of the gradient, which is constant in each region.

gradients = net.jacobian(grid)[:, 0]
steepness = np.linalg.norm(gradients, axis=1).reshape(SIDE, SIDE)
figure, (left, right) = plt.subplots(
    1, 2, figsize=(9, 4), layout="constrained", sharex=True, sharey=True
)
surface = left.contourf(a, b, outputs["4.Linear"].reshape(SIDE, SIDE), 15, cmap="viridis")
figure.colorbar(surface, ax=left, label="output")
image = right.pcolormesh(a, b, steepness, cmap="cividis", rasterized=True)
figure.colorbar(image, ax=right, label="length of the gradient")
for ax, title in ((left, "Output"), (right, "Length of the gradient")):
    ax.set(xlabel="a in m", title=title, aspect="equal")
left.set_ylabel("b in m")
plt.show()

# %%
# All points of a region have the same Jacobian, up to rounding. Many small regions are at the
# top of the hill, where its curvature is largest.

difference = float(np.abs(gradients - gradients[first[region]]).max())
n_top = len(np.unique(region[np.hypot(*grid.T) < 0.5]))
print(f"rms error of the fit: {rms_error:.4f}")
print(f"regions in the picture: {n_regions}, of these within 0.5 m of the top: {n_top}")
print(f"largest difference of two Jacobians in one region: {difference:.1e}")
