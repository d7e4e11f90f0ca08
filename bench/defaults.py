"""Do the defaults of `fit` train well? Compared with the best of a small grid of optimizers.

The grid has SGD with momentum 0.9 at the rates 0.01, 0.03 and 0.1, and Adam at 0.001, 0.003 and
0.01. It trains for as many epochs as the default. Its best setting is chosen on the test rows,
which favours the grid. A figure is the mean over three splits with four fifths of the rows for
training: the RMSE divided by the targets' standard deviation, or the accuracy. "standardised" data
have features and targets with mean 0 and variance 1. "plain" data have each column divided by the
power of ten nearest to its largest value. A fit that diverges counts as a constant prediction.
"""

import numpy as np

import fastnn as fn
from bench.common import Measured, Record, threads
from bench.uci import FOLDER, load, scale_of
from fastnn.training.defaults import epochs

NETWORKS = {"8": [8], "64": [64], "64-64-64-64": [64] * 4, "700": [700]}
GRID = {
    **{f"SGD({rate})": fn.SGD(rate, momentum=0.9) for rate in (0.01, 0.03, 0.1)},
    **{f"Adam({rate})": fn.Adam(rate) for rate in (0.001, 0.003, 0.01)},
}
SPLITS = 3


def data_sets():
    """Return {name: (X, y, whether y contains classes)}."""
    from sklearn import datasets as made

    found = {
        "friedman1": (*made.make_friedman1(1000, noise=1, random_state=0), False),
        "friedman2": (*made.make_friedman2(1000, noise=50, random_state=0), False),
        "friedman3": (*made.make_friedman3(1000, noise=0.1, random_state=0), False),
        "make_regression": (*made.make_regression(1000, 20, noise=10, random_state=0), False),
        "diabetes": (*made.load_diabetes(return_X_y=True), False),
        "make_classification": (
            *made.make_classification(2000, 20, n_informative=10, random_state=0),
            True,
        ),
        "moons": (*made.make_moons(1000, noise=0.25, random_state=0), True),
        "iris": (*made.load_iris(return_X_y=True), True),
        "wine classes": (*made.load_wine(return_X_y=True), True),
        "breast cancer": (*made.load_breast_cancer(return_X_y=True), True),
        "digits": (*made.load_digits(return_X_y=True), True),
    }
    if (FOLDER / "uci").is_dir():
        for name in ("concrete", "energy", "wine", "yacht"):
            found[f"UCI {name}"] = (*load(name)[:2], False)
    return found


def standardised(values, training):
    mean, scale = scale_of(values[training])
    return (values - mean) / scale


def plain(values, training):
    largest = np.abs(values[training]).max(axis=0)
    return values / 10.0 ** np.round(np.log10(np.where(largest > 0, largest, 1)))


def figure(X, y, classes, widths, scaled, optimizer, seed, fewer):
    """Train one network, and return its figure on the test rows."""
    order = np.random.default_rng(seed).permutation(len(X))
    training, held_out = np.split(order, [len(X) * 4 // 5])
    X = scaled(X, training)
    y = y.astype(int) if classes else scaled(y, training)
    layers, width = [], X.shape[1]
    for hidden in widths:
        layers += [fn.Linear(width, hidden), fn.ReLU()]
        width = hidden
    net = fn.Network([*layers, fn.Linear(width, y.max() + 1 if classes else 1)], seed=seed)
    loss = fn.SoftmaxCrossEntropy() if classes else fn.MeanSquaredError()
    passes = epochs(len(training), 32, fn.SGD(0.1)) // (100 if fewer else 1)
    try:
        net.fit(
            X[training],
            y[training],
            loss=loss,
            optimizer=optimizer,
            epochs=passes,
            seed=seed,
            n_threads=threads(),
            progress=False,
        )
    except fn.DivergenceError:
        return np.bincount(y).max() / len(y) if classes else 1.0
    outputs = net.predict(X[held_out])
    if classes:
        return np.mean(outputs.argmax(axis=1) == y[held_out])
    return np.sqrt(np.mean((outputs[:, 0] - y[held_out]) ** 2)) / y[training].std()


def run(settings):
    seeds = range(1 if settings.quick else SPLITS)
    for form in (standardised, plain):
        for name, (X, y, classes) in data_sets().items():
            for network, widths in list(NETWORKS.items())[: 1 if settings.quick else None]:

                def mean_figure(optimizer, X=X, y=y, classes=classes, widths=widths, form=form):
                    fewer = settings.quick
                    return float(
                        np.mean(
                            [
                                figure(X, y, classes, widths, form, optimizer, seed, fewer)
                                for seed in seeds
                            ]
                        )
                    )

                grid = {key: mean_figure(optimizer) for key, optimizer in GRID.items()}
                best = (max if classes else min)(grid, key=grid.get)
                yield Record(
                    f"{name}, {form.__name__}, {network}",
                    "accuracy" if classes else "RMSE / std",
                    {"default": Measured(mean_figure(None)), "best of grid": Measured(grid[best])},
                    note=f"best: {best}",
                )
