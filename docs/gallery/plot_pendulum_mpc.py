"""
Swing up a pendulum with a learned model
........................................

A motor is too weak to lift a pendulum directly, so it must swing it up. Model predictive control
plans the next 2.5 seconds, applies the first torque, and plans again. The model is a network, and
the solver IPOPT gets its exact derivatives from CasADi.

The example needs ``pip install 'fastnn[casadi,plots]'``. See also :doc:`/export`.
"""

import casadi
import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

# %%
# Learn the motion
# ----------------
# The angle is 0 at the top, and π when the pendulum hangs. Torques are divided by the moment of
# inertia, so their unit is rad/s². The limit of the motor is 5 rad/s². To hold the pendulum
# horizontally, it would need 9.81 rad/s². The network learns the acceleration from 1,000 noisy
# measurements.

STEP, HORIZON, LIMIT = 0.05, 50, 5.0  # s, steps, rad/s²


def acceleration(angle, speed, torque):
    """Return the true acceleration in rad/s²."""
    return 9.81 * np.sin(angle) - 0.2 * speed + torque


rng = np.random.default_rng(0)
X = rng.uniform([-4, -9, -LIMIT], [4, 9, LIMIT], (1000, 3))
y = acceleration(*X.T) + 0.05 * rng.standard_normal(1000)
hidden = [fn.Linear(3, 12), fn.Tanh(), fn.Linear(12, 1)]
layers = [fn.Standardize.from_data(X), *hidden, fn.Unstandardize.from_data(y)]
net = fn.Network(layers, "float64", seed=0)
net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.LevenbergMarquardt(), epochs=60)
model_error = np.sqrt(np.mean((net.predict(X)[:, 0] - acceleration(*X.T)) ** 2))
print(f"rms error of the model: {model_error:.3f} rad/s²")

# %%
# The plan
# --------
# ``fn.casadi.function`` turns the network into a function of CasADi. The plan has a state (angle,
# speed) and a torque for each step. The cost of a state is 0 for a pendulum that stands at the
# top, and larger for all other states. The last state counts 21 times, because the pendulum
# should end at the top.

model = fn.casadi.function(net)
opti = casadi.Opti()
states, torques = opti.variable(2, HORIZON + 1), opti.variable(1, HORIZON)
start = opti.parameter(2)
opti.subject_to(states[:, 0] == start)
for k in range(HORIZON):
    speed = states[1, k] + STEP * model(casadi.vertcat(states[:, k], torques[k]))
    opti.subject_to(states[1, k + 1] == speed)
    opti.subject_to(states[0, k + 1] == states[0, k] + STEP * speed)
opti.subject_to(opti.bounded(-LIMIT, torques, LIMIT))
height = 1 - casadi.cos(states[0, :])
cost = 10 * height + 0.1 * states[1, :] ** 2
opti.minimize(casadi.sum2(cost) + 20 * cost[-1] + 0.01 * casadi.sumsqr(torques))
opti.solver("ipopt", {"print_time": False}, {"print_level": 0, "sb": "yes", "max_iter": 200})

# %%
# Swing
# -----
# Each torque acts on the true pendulum for 50 ms. The solver starts from the plan of the step
# before.

state = np.array([np.pi, 0.0])
track, inputs = [state], []
opti.set_initial(torques, 0.5)
for _ in range(90):
    opti.set_value(start, state)
    solution = opti.solve()
    opti.set_initial(solution.value_variables())
    torque = float(np.clip(solution.value(torques[0]), -LIMIT, LIMIT))
    for _ in range(10):
        speed = state[1] + STEP / 10 * acceleration(*state, torque)
        state = np.array([state[0] + STEP / 10 * speed, speed])
    track.append(state)
    inputs.append(torque)

track = np.array(track)
time = STEP * np.arange(len(track))
figure, (above, below) = plt.subplots(2, 1, figsize=(7, 4.8), sharex=True, layout="constrained")
above.plot(time, np.degrees(track[:, 0]))
above.axhline(0, color="0.5", ls=":", label="upright")
above.axhline(180, color="0.5", ls="--", label="hanging")
above.set(ylabel="angle in degrees", title="Angle of the true pendulum")
above.legend(loc="center right")
below.step(time[:-1], inputs, where="post", color="C1")
below.set(xlabel="time in s", ylabel="torque in rad/s²", title="Torque")
for limit in (-LIMIT, LIMIT):
    below.axhline(limit, color="0.5", ls=":")
plt.show()

# %%
# The pendulum first swings to one side and gains speed. Then it swings to the top and stays there.

final_angle = abs(track[-1, 0])
print(f"angle from the top after {time[-1]:.1f} s: {np.degrees(final_angle):.2f} degrees")
