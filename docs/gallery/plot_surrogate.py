"""
A surrogate, trained on values and used for its derivatives
...........................................................

A simulation gives values and no derivatives. A network that has learned the values gives both: its
Jacobian is exact for the network, and close to the slope of the simulation. So a minimum can be
found with few runs of the simulation.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

import fastnn as fn

# %%
# The simulation
# --------------
# A smooth function with two valleys stands for the simulation. Its true gradient is only used for
# the comparison. The values have a small noise, as those of many solvers have.

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


NOISE = 0.01
X = rng.uniform([-1.6, -1], [1.6, 2], (300, 2))
y = truth(X) + NOISE * rng.standard_normal(300)

# %%
# The surrogate
# -------------
# Levenberg-Marquardt suits smooth data and small networks. The gradients at all points of a grid
# come from one call of ``jacobian``.

layers = [fn.Standardize.from_data(X), fn.Linear(2, 20), fn.Tanh(), fn.Linear(20, 1)]
net = fn.Network([*layers, fn.Unstandardize.from_data(y)], "float64", seed=0)
optimizer = fn.LevenbergMarquardt(bayesian=True)
net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=100)

a, b = np.meshgrid(np.linspace(-1.5, 1.5, 15), np.linspace(-0.8, 1.4, 12))
grid = np.column_stack([a.ravel(), b.ravel()])
gradients, exact = net.jacobian(grid)[:, 0], true_gradient(grid)
rms = np.sqrt(np.mean(exact**2))
surrogate_error = np.sqrt(np.mean((gradients - exact) ** 2)) / rms

# %%
# Differences of noisy values
# ---------------------------
# Differences of the simulation itself need four runs for each point. Their error depends on the
# step h: for a small h the noise is divided by h, and for a large h the formula is coarse.

STEPS = np.logspace(-3, 0, 16)
difference_errors = []
for h in STEPS:
    slopes = [
        (
            truth(grid + h * e)
            - truth(grid - h * e)
            + NOISE * np.sqrt(2) * rng.standard_normal(len(grid))
        )
        / (2 * h)
        for e in np.eye(2)
    ]
    difference_errors.append(np.sqrt(np.mean((np.transpose(slopes) - exact) ** 2)) / rms)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
fine = np.meshgrid(np.linspace(-1.6, 1.6, 100), np.linspace(-1, 2, 100))
values = net.predict(np.column_stack([axis.ravel() for axis in fine])).reshape(100, 100)
surface = left.contourf(*fine, values, 20, cmap="cividis")
figure.colorbar(surface, ax=left, label="value of the surrogate")
arrows = {"angles": "xy", "scale": 90, "width": 0.006}
left.quiver(*grid.T, *-exact.T, color="white", label="truth", **arrows)
left.quiver(*grid.T, *-gradients.T, color="C1", label="surrogate", **{**arrows, "width": 0.003})
left.set(xlabel="a in m", ylabel="b in m", title="Surrogate and negative gradients")
right.loglog(STEPS, difference_errors, "o-", label="differences of noisy values")
right.axhline(surrogate_error, color="C1", ls="--", label="Jacobian of the surrogate")
right.set(
    xlabel="step h in m", ylabel="relative error of the gradient", title="Errors of gradients"
)
right.legend()

# %%
# The minimum
# -----------
# SciPy minimises the surrogate with its exact gradient. The true function has its minimum in the
# left valley.

found = minimize(
    lambda x: [array[0] for array in net.value_and_jacobian(x)], [-0.5, 0], jac=True, method="BFGS"
).x
best = minimize(lambda x: truth(x[np.newaxis])[0], [-1, 0.5], method="BFGS").x
left.plot(*found, "w*", ms=12, mec="k", label="its minimum", ls="")
left.legend(loc="upper center", facecolor="0.4", labelcolor="white", ncols=3, fontsize="small")
distance = float(np.linalg.norm(found - best))
plt.show()

# %%
# The surrogate smooths the noise. Its gradients are better than differences with any step.

print(f"relative error of the surrogate's gradients: {surrogate_error:.3f}")
print(f"of differences with the best step: {min(difference_errors):.3f}")
print(f"distance of its minimum from the true one: {distance:.4f} m")
