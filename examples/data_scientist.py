"""Prices of houses from a data frame, in euros.

Two layers of the network hold the means and scales of the features and of the price. `fit` sets
them from the training rows, stops early, and measures R² and the mean absolute error in euros.
"""

import numpy as np
import pandas as pd

import fastnn as fn


def houses(n, rng):
    """Return a table of houses and their prices in euros."""
    table = pd.DataFrame(
        {
            "area": rng.uniform(40, 250, n),  # m²
            "year": rng.integers(1900, 2025, n),
            "distance": rng.exponential(8_000, n),  # m to the centre
            "garden": rng.random(n) < 0.4,
        }
    )
    price = 2_500 * table.area * np.exp(-table.distance / 20_000)
    price += 400 * (table.year - 1900) + 30_000 * table.garden
    return table, price * rng.normal(1, 0.05, n)


def mean_absolute_error(outputs, y):
    """Return the mean error in euros."""
    return float(np.abs(outputs - y).mean())


def main():
    """Train on 1,600 houses, and predict 400 others."""
    rng = np.random.default_rng(0)
    table, price = houses(2_000, rng)
    train, test = table[:1_600], table[1_600:]
    net = fn.Network(
        [
            fn.Standardize(np.zeros(4), np.ones(4)),
            fn.Linear(4, 32),
            fn.SiLU(),
            fn.Linear(32, 1),
            fn.Unstandardize(np.zeros(1), np.ones(1)),
        ],
        seed=0,
    )
    history = net.fit(
        train,
        price[:1_600],
        loss=fn.Huber(),  # its delta is one standard deviation of the price
        optimizer=fn.Adam(0.01),
        epochs=200,
        standardize="both",
        validation_data=0.2,
        metrics=("r2", mean_absolute_error),
        callbacks=[fn.EarlyStopping(patience=20)],
        seed=0,
        progress=False,
    )
    best = int(np.argmin(history["val_loss"]))
    columns = pd.DataFrame(history)[["loss", "val_loss", "val_r2", "val_mean_absolute_error"]]
    print(columns.iloc[[0, best]].to_string())
    print("features:", ", ".join(net.feature_names))
    outputs = net.predict(test)[:, 0]
    truth = price[1_600:].to_numpy()
    print(f"R2 of the test: {fn.metrics.r2(outputs, truth):.4f}")
    print(f"mean error of the test in euros: {mean_absolute_error(outputs, truth):.0f}")
    print(f"mean price in euros: {truth.mean():.0f}")


if __name__ == "__main__":
    main()
