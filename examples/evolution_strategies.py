"""Evolution strategies: training without derivatives of the objective (Salimans et al. 2017).

The objective is a rounded error, whose derivative is 0 almost everywhere. Its gradient is estimated
from values at random parameters around the present ones, in pairs Θ + σ ε and Θ - σ ε. Adam takes
the steps.
"""

import numpy as np

import fastnn as fn
from fastnn import schedules

GENERATIONS, PAIRS, SIGMA = 300, 32, 0.05


def objective(net, params, X, y):
    """Return the mean rounded error of the network with these parameters."""
    net.params = params
    return np.round(10 * np.abs(net.predict(X) - y)).mean() / 10


def main():
    """Fit a sine by its rounded error."""
    rng = np.random.default_rng(0)
    X = np.linspace(-3, 3, 200)[:, np.newaxis]
    y = np.sin(X)
    net = fn.Network([fn.Linear(1, 16), fn.Tanh(), fn.Linear(16, 1)], "float64", seed=0)
    trial = fn.Network([fn.Linear(1, 16), fn.Tanh(), fn.Linear(16, 1)], "float64")
    optimizer = fn.Adam(schedules.CosineDecay(0.05))

    print(f"error at the start: {objective(trial, net.params, X, y):.4f}")
    for _ in range(GENERATIONS):
        noise = rng.standard_normal((PAIRS, net.n_params))
        values = [
            objective(trial, net.params + SIGMA * e, X, y)
            - objective(trial, net.params - SIGMA * e, X, y)
            for e in noise
        ]
        net.step(np.array(values) @ noise / (2 * SIGMA * PAIRS), optimizer, total_steps=GENERATIONS)
    print(f"error at the end: {objective(trial, net.params, X, y):.4f}")


if __name__ == "__main__":
    main()
