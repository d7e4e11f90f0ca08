"""
A surrogate, trained on values and used for its derivatives
...........................................................

A simulation gives values and no derivatives. A network that has learned the values gives both. Its
Jacobian is exact for the network, and close to the gradient of the simulation. So a gradient method
can find a minimum.

The example needs ``pip install 'fastnn[plots,scipy]'``. See also :doc:`/derivatives`.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import fastnn as fn

# %%
# The simulation
# --------------
# A smooth function with two minima takes the place of the simulation. Its true gradient is used
# only for the comparison. The values have a small noise, like those of many solvers.

rng = np.random.default_rng(0)


def truth(X):
    """Return the values (n,) at the points (n, 2)."""
    a, b = X.T
    return (a**2 - 1) ** 2 + 0.3 * a + 2 * (b - 0.5 * a**2) ** 2


def true_gradient(X):
    """Return the gradients (n, 2)."""
    a, b = X.T
    inner = b - 0.5 * a**2
    return np.column_stack([4 * a * (a**2 - 1) + 0.3 - 4 * a * inner, 4 * inner])


def simulate(X):
    """Return the values (n,) with their noise."""
    return truth(X) + 0.01 * rng.standard_normal(len(X))


X = rng.uniform([-1.6, -1], [1.6, 2], (300, 2))
y = simulate(X)

# %%
# The surrogate
# -------------
# Levenberg-Marquardt suits smooth data and small networks. SciPy finds the minimum of the fitted
# network with its exact gradient.

layers = [fn.Standardize.from_data(X), fn.Linear(2, 20), fn.Tanh(), fn.Linear(20, 1)]
net = fn.Network([*layers, fn.Unstandardize.from_data(y)], "float64", seed=0)
optimizer = fn.LevenbergMarquardt(bayesian=True)
net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=100)

found = minimize(lambda x: [a[0] for a in net.value_and_jacobian(x)], [-0.5, 0], jac=True).x
best = minimize(lambda x: truth(x[np.newaxis])[0], [-1, 0.5]).x
distance = float(np.linalg.norm(found - best))

# %%
# The gradients at all points of a grid come from one call of ``jacobian``.

a, b = np.meshgrid(np.linspace(-1.5, 1.5, 15), np.linspace(-0.8, 1.4, 12))
grid = np.column_stack([a.ravel(), b.ravel()])
gradients, exact = net.jacobian(grid)[:, 0], true_gradient(grid)

figure, ax = plt.subplots(figsize=(7, 5), layout="constrained")
fine = np.meshgrid(np.linspace(-1.6, 1.6, 100), np.linspace(-1, 2, 100))
values = net.predict(np.column_stack([axis.ravel() for axis in fine])).reshape(100, 100)
surface = ax.contourf(*fine, values, 20, cmap="cividis")
figure.colorbar(surface, label="value of the surrogate")
arrows = {"angles": "xy", "scale": 90}
ax.quiver(*grid.T, *-exact.T, color="white", label="truth", width=0.006, **arrows)
ax.quiver(*grid.T, *-gradients.T, color="C1", label="surrogate", width=0.003, **arrows)
ax.plot(*found, "w*", ms=14, mec="k", label="minimum of the surrogate", ls="")
ax.set(xlabel="a in m", ylabel="b in m", title="The surrogate and its negative gradients")
ax.legend(loc="upper center", facecolor="0.4", labelcolor="white", ncols=3)
plt.show()

# %%
# Differences of noisy values
# ---------------------------
# Central differences of the simulation need four runs for each point. Their error depends on the
# step h: the noise is divided by h, and the error of the formula grows with h.

rms = np.sqrt(np.mean(exact**2))
surrogate_error = np.sqrt(np.mean((gradients - exact) ** 2)) / rms
STEPS = np.logspace(-3, 0, 16)
difference_errors = []
for h in STEPS:
    slopes = [(simulate(grid + h * e) - simulate(grid - h * e)) / (2 * h) for e in np.eye(2)]
    difference_errors.append(np.sqrt(np.mean((np.transpose(slopes) - exact) ** 2)) / rms)

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.loglog(STEPS, difference_errors, "o-", label="differences of noisy values")
ax.axhline(surrogate_error, color="C1", ls="--", label="Jacobian of the surrogate")
ax.set(xlabel="step h in m", ylabel="relative error", title="Errors of gradients")
ax.legend()
plt.show()

# %%
# The surrogate smooths the noise. Its gradients are better than differences with any of the steps.

print(f"relative error of the surrogate's gradients: {surrogate_error:.3f}")
print(f"of differences with the best step: {min(difference_errors):.3f}")
print(f"distance of its minimum from the true one: {distance:.4f} m")
