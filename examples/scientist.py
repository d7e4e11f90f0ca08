"""A surrogate of a noisy experiment: values, derivatives and their uncertainty.

Levenberg-Marquardt with Bayesian regularisation estimates the noise and a penalty of the weights
from the measurements, without validation data. The Jacobian of the fitted network then gives the
covariance of the parameters, and from it the standard deviation of each prediction.
"""

import numpy as np

import fastnn as fn

NOISE = 0.3


def experiment(x):
    """Return the true response."""
    return 20 + 5 * np.sin(x) * np.exp(-x / 8)


def slope(x):
    """Return the derivative of the true response."""
    return 5 * np.exp(-x / 8) * (np.cos(x) - np.sin(x) / 8)


def main():
    """Fit 120 measurements, and compare with the truth."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 10, (120, 1))
    y = experiment(x) + NOISE * rng.standard_normal(x.shape)
    net = fn.Network(
        [
            fn.Standardize(np.zeros(1), np.ones(1)),
            fn.Linear(1, 12),
            fn.Tanh(),
            fn.Linear(12, 1),
            fn.Unstandardize(np.zeros(1), np.ones(1)),
        ],
        dtype="float64",
        seed=1,
    )
    history = net.fit(
        x,
        y,
        loss=fn.HalfSquaredError(),
        optimizer=fn.LevenbergMarquardt(bayesian=True),
        epochs=200,
        standardize="both",
        progress=False,
    )
    scale = net.layers[-1].scale[0]  # of y; α and β belong to standardised targets
    alpha, beta = history["weight_precision"][-1], history["noise_precision"][-1]
    print(f"parameters: {net.n_params}")
    print(f"effective parameters: {history['effective_parameters'][-1]:.1f}")
    print(f"estimated noise: {scale / np.sqrt(beta):.3f}")

    J = net.jacobian(x, wrt="params")[:, 0] / scale
    covariance = np.linalg.inv(beta * J.T @ J + alpha * np.eye(net.n_params))
    grid = np.linspace(0.3, 9.7, 200)[:, np.newaxis]
    G = net.jacobian(grid, wrt="params")[:, 0]
    deviation = np.sqrt(np.einsum("ij,jk,ik->i", G, covariance, G))
    error = net.predict(grid)[:, 0] - experiment(grid)[:, 0]
    print(f"largest error: {np.abs(error).max():.3f}")
    print(f"share within two deviations: {np.mean(np.abs(error) < 2 * deviation):.3f}")
    slopes = net.jacobian(grid)[:, 0, 0]
    print(f"rms error of the slope: {np.sqrt(np.mean((slopes - slope(grid)[:, 0]) ** 2)):.3f}")
    print(f"rms slope: {np.sqrt(np.mean(slope(grid) ** 2)):.3f}")


if __name__ == "__main__":
    main()
