"""
A law of physics in the loss
............................

Ten noisy measurements cover the first part of an oscillation. A network that is fitted only to them
does not predict the rest. A second network must also satisfy the law of the oscillation at all
times, so it predicts the rest.

See also :doc:`/layers`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.schedules import CosineDecay

# %%
# Measurements and law
# --------------------
# A mass on a spring obeys u″ + c u′ + k u = 0. The measurements end after 2.5 s.

C, K, NOISE, END = 0.3, 4.0, 0.02, 8.0  # 1/s, 1/s², m, s
omega = np.sqrt(K - C**2 / 4)


def truth(t):
    """Return the true displacement in m."""
    return np.exp(-C / 2 * t) * np.cos(omega * t)


rng = np.random.default_rng(0)
t_data = np.linspace(0, 2.5, 10)[:, np.newaxis]
u_data = truth(t_data) + NOISE * rng.standard_normal(t_data.shape)

# %%
# The law as a loss
# -----------------
# The derivatives in the law are central differences of the network at t - h, t and t + h. So the
# residual of the law is a linear combination of three outputs, and the gradient of its square by
# these outputs has the same coefficients. ``backward`` computes the gradient by the parameters, and
# ``step`` takes a step of Adam.

H = 0.02  # s
t_law = np.linspace(0, END, 160)[:, np.newaxis]
points = np.concatenate([t_data, t_law - H, t_law, t_law + H])
LAW = np.array([1 / H**2 - C / (2 * H), K - 2 / H**2, 1 / H**2 + C / (2 * H)])
splits = np.cumsum([len(t_data), len(t_law), len(t_law)])
STEPS = 10_000


def train(weight_of_the_law):
    """Return a trained network."""
    inputs = fn.Standardize([END / 2], [END / 8])
    hidden = [fn.Linear(1, 24), fn.Tanh(), fn.Linear(24, 24), fn.Tanh(), fn.Linear(24, 1)]
    net = fn.Network([inputs, *hidden], "float64", seed=0)
    optimizer = fn.Adam(CosineDecay(0.01))
    for _ in range(STEPS):
        u, *three = np.split(net(points), splits)
        residual = LAW @ np.hstack(three).T / K  # (160,), in m
        pull = weight_of_the_law * residual / len(residual) / K
        slopes = [(u - u_data) / len(u), *(pull[:, np.newaxis] * c for c in LAW)]
        net.backward(np.concatenate(slopes))
        net.step(net.grads, optimizer, total_steps=STEPS)
    return net


plain, physical = train(0), train(10)

# %%
# Both networks fit the measurements. Only one of them continues the oscillation.

grid = np.linspace(0, END, 400)[:, np.newaxis]
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.plot(grid, truth(grid), "k--", lw=1, label="truth")
ax.plot(grid, plain.predict(grid), ":", color="C1", lw=2, label="measurements only")
ax.plot(grid, physical.predict(grid), color="C0", label="measurements and law")
ax.plot(t_data, u_data, "ko", ms=5, label="measurements")
ax.set(
    xlabel="time in s", ylabel="displacement in m", title="A damped oscillation", ylim=(-1.6, 1.6)
)
ax.legend(ncols=2)
plt.show()

# %%
# The law determines what the data leave open. The speed of the mass at any time is the Jacobian of
# the network, ``net.jacobian``.

rest = grid[grid[:, 0] > 2.5]
error_plain, error_physical = (
    float(np.sqrt(np.mean((net.predict(rest) - truth(rest)) ** 2))) for net in (plain, physical)
)
print(f"rms error after 2.5 s, measurements only: {error_plain:.3f} m")
print(f"rms error after 2.5 s, measurements and law: {error_physical:.3f} m")
