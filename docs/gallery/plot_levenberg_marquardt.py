"""
Levenberg-Marquardt against Adam
................................

For smooth targets, little noise and a small network, Levenberg-Marquardt is much better than a
gradient method. It solves a linear least-squares problem in each step. A step takes longer than an
epoch of Adam, but far fewer steps are needed.

See also :doc:`/optimizers`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

# %%
# The task
# --------
# The network learns the pressure of a van der Waals gas from temperature and volume, for 400 states
# without noise.

rng = np.random.default_rng(0)
temperature, volume = rng.uniform(300, 500, 400), rng.uniform(0.1, 0.5, 400)  # K, L/mol
pressure = 8.314e-2 * temperature / (volume - 0.043) - 3.6 / volume**2  # bar, for carbon dioxide
X = np.column_stack([temperature, volume])

# %%
# Three starts for each method
# ----------------------------
# The history has the seconds of each epoch. Adam gets a cosine schedule, minibatches of 32, and
# 3,000 epochs. Levenberg-Marquardt gets 300 steps.

METHODS = {
    "Adam": (fn.Adam(fn.schedules.CosineDecay(0.01)), 3000),
    "Levenberg-Marquardt": (fn.LevenbergMarquardt(), 300),
}
curves = {name: [] for name in METHODS}
for name, (optimizer, epochs) in METHODS.items():
    for seed in range(3):
        layers = [fn.Standardize.from_data(X), fn.Linear(2, 16), fn.Tanh(), fn.Linear(16, 1)]
        net = fn.Network([*layers, fn.Unstandardize.from_data(pressure)], "float64", seed=seed)
        history = net.fit(
            X, pressure, loss=fn.MeanSquaredError(), optimizer=optimizer, epochs=epochs, seed=seed
        )
        curves[name].append(
            (np.cumsum(history["seconds"]), np.sqrt(history["loss"]) * pressure.std())
        )

# %%
# All axes are logarithmic. The root mean squared error is in bar.

figure, axes = plt.subplots(1, 2, figsize=(8.8, 3.5), layout="constrained", sharey=True)
for (name, runs), colour, style in zip(curves.items(), ("C1", "C0"), ("--", "-"), strict=True):
    for seconds, errors in runs:
        label = name if errors is runs[0][1] else None
        axes[0].loglog(np.arange(1, len(errors) + 1), errors, style, color=colour, label=label)
        axes[1].loglog(seconds, errors, style, color=colour)
axes[0].set(xlabel="epoch, or step", ylabel="rms error in bar", title="Error against epochs")
axes[1].set(xlabel="time in s", title="Error against time")
axes[0].legend()
plt.show()

# %%
# The first epochs of Adam take less time than one step of Levenberg-Marquardt. Soon
# Levenberg-Marquardt is far ahead, and its error is still falling at the end.
#
# With many parameters this changes, because a step solves a linear system with as many unknowns. It
# also changes with noisy data, where such an exact fit would be overfitting.

error_adam, error_lm = (np.median([run[1][-1] for run in curves[name]]) for name in METHODS)
print(f"rms error of Adam: {error_adam:.3g} bar")
print(f"rms error of Levenberg-Marquardt: {error_lm:.3g} bar")
print(f"standard deviation of the pressure: {pressure.std():.3g} bar")
