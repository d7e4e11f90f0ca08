"""
How certain is a regression?
............................

``Network.posterior`` gives each prediction a standard deviation. It has two parts: the noise of
the measurements, which more data cannot reduce, and the uncertainty of the parameters, which is
large where there are no data.

See also :doc:`/uncertainty`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

# %%
# Measurements with a gap
# -----------------------
# A sensor is calibrated at 90 temperatures. There are none between 45 and 70 °C.

rng = np.random.default_rng(0)


def truth(t):
    """Return the true voltage in mV at a temperature in °C."""
    return 2 + 0.05 * t + 0.6 * np.sin(t / 9)


NOISE = 0.15  # mV
t = np.concatenate([rng.uniform(0, 45, 60), rng.uniform(70, 100, 30)])[:, np.newaxis]
voltage = truth(t) + NOISE * rng.standard_normal(t.shape)

# %%
# Fit and posterior
# -----------------
# Levenberg-Marquardt with ``bayesian=True`` estimates the weight penalty and the noise from the
# data. Both are passed to the posterior. The noise precision in the history is that of standardised
# targets, so it is converted to mV.

layers = [
    fn.Standardize.from_data(t),
    fn.Linear(1, 12),
    fn.Tanh(),
    fn.Linear(12, 1),
    fn.Unstandardize.from_data(voltage),
]
net = fn.Network(layers, "float64", seed=0)
history = net.fit(
    t,
    voltage,
    loss=fn.MeanSquaredError(),
    optimizer=fn.LevenbergMarquardt(bayesian=True),
    epochs=200,
)
scale = net.layers[-1].scale[0]
posterior = net.posterior(
    t,
    voltage,
    prior_precision=history["weight_precision"][-1],
    noise_variance=scale**2 / history["noise_precision"][-1],
)
estimated_noise = float(np.sqrt(posterior.noise_variance[0]))

# %%
# The interval of 95 % has 1.96 standard deviations on each side.

grid = np.linspace(-15, 115, 400)[:, np.newaxis]
mean, deviation = (array[:, 0] for array in posterior.predict(grid, return_std=True))
variance = posterior.variance(grid)

figure, (above, below) = plt.subplots(
    2, 1, figsize=(7, 5.4), sharex=True, height_ratios=(2, 1), layout="constrained"
)
above.fill_between(
    grid[:, 0], mean - 1.96 * deviation, mean + 1.96 * deviation, alpha=0.3, label="95 % interval"
)
above.plot(grid, mean, label="prediction")
above.plot(grid, truth(grid), "k--", lw=1, label="truth")
above.plot(t, voltage, ".", color="0.3", label="measurements")
above.set(ylabel="voltage in mV", ylim=(-1, 9), title="Predictions and their 95 % intervals")
above.legend(loc="upper left")
below.plot(grid, np.sqrt(variance.epistemic), color="C1", label="from the parameters")
below.plot(grid, np.sqrt(variance.noise), "--", color="0.3", label="from the noise")
below.set(xlabel="temperature in °C", ylabel="deviation in mV", yscale="log")
below.set_title("The two parts of the standard deviation")
below.legend(loc="upper center")
plt.show()

# %%
# In the gap the interval is wide, and contains the truth. Above about 102 °C it does not contain
# the truth. The posterior linearises one fit, so it is not reliable far from the data.
#
# New measurements in the ranges of the old ones check the 95 %.

t_new = np.concatenate([rng.uniform(0, 45, 2000), rng.uniform(70, 100, 1000)])[:, np.newaxis]
new = truth(t_new) + NOISE * rng.standard_normal(t_new.shape)
mean_new, deviation_new = posterior.predict(t_new, return_std=True)
coverage = np.mean(np.abs(new - mean_new) < 1.96 * deviation_new)
print(f"estimated noise: {estimated_noise:.3f} mV, true noise: {NOISE} mV")
print(f"new measurements inside their intervals: {coverage:.1%}")
