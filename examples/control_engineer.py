"""A controller from a learned plant: the Jacobians of a network are its linearisation.

The plant is a pendulum with friction, sampled every 50 ms. A network learns the change of its state
from measurements. Its Jacobian at the upright position gives the matrices A and B of a linear
model. The Riccati equation then gives the gain of a linear quadratic regulator, which balances the
true pendulum.
"""

import numpy as np

import fastnn as fn

STEP = 0.05  # s


def plant(state, torque):
    """Return the state (angle from the upright position, speed) one step later."""
    for _ in range(10):
        angle, speed = state[..., 0], state[..., 1]
        acceleration = 9.81 * np.sin(angle) - 0.2 * speed + torque
        state = state + STEP / 10 * np.stack([speed, acceleration], axis=-1)
    return state


def regulator_gain(A, B, Q, R):
    """Return K of the control u = -K x that minimises Σ xᵀQx + uᵀRu."""
    P = Q
    for _ in range(1_000):
        K = np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
        P = Q + A.T @ P @ (A - B @ K)
    return K


def main():
    """Learn the plant, linearise it, and balance the pendulum."""
    rng = np.random.default_rng(0)
    states = rng.uniform([-1, -3], [1, 3], (1_000, 2))
    torques = rng.uniform(-8, 8, 1_000)
    change = plant(states, torques) - states
    net = fn.Network(
        [
            fn.Standardize(np.zeros(3), np.ones(3)),
            fn.Linear(3, 16),
            fn.Tanh(),
            fn.Linear(16, 2),
            fn.Unstandardize(np.zeros(2), np.ones(2)),
        ],
        dtype="float64",
        seed=0,
    )
    net.fit(
        np.column_stack([states, torques]),
        change,
        loss=fn.MeanSquaredError(),
        optimizer=fn.LevenbergMarquardt(),
        epochs=60,
        standardize="both",
        progress=False,
    )
    jacobian = net.jacobian(np.zeros(3))  # (2, 3), in the units of the plant
    A, B = np.eye(2) + jacobian[:, :2], jacobian[:, 2:]

    h = 1e-5  # the true linearisation, by differences
    true_A = np.column_stack([(plant(h * e, 0) - plant(-h * e, 0)) / (2 * h) for e in np.eye(2)])
    print(f"largest error of A: {np.abs(A - true_A).max():.5f}")
    K = regulator_gain(A, B, np.diag([10.0, 1.0]), np.eye(1))
    print(f"spectral radius without control: {np.abs(np.linalg.eigvals(A)).max():.3f}")
    print(f"spectral radius with control: {np.abs(np.linalg.eigvals(A - B @ K)).max():.3f}")

    state = np.array([0.5, 0.0])  # rad, rad/s
    print(f"angle at the start: {state[0]:.4f}")
    for _ in range(60):
        state = plant(state, -(K @ state)[0])
    print(f"angle after 3 s: {abs(state[0]):.6f}")


if __name__ == "__main__":
    main()
