"""How much faster is fastnn.sklearn than scikit-learn? Fits with default parameters, and predict.

Both get the same seeds, so they take the same steps up to rounding. The errors are measured on test
samples: the share of wrong classes, or 1 - R²; least and median over the seeds. The first 10,000
digits of MNIST are read from ../shared/data, or from the folder that the environment variable
FASTNN_DATA names. Without them, MNIST is skipped.
"""

import importlib
import os
import statistics
import warnings
from functools import partial
from pathlib import Path

import numpy as np

from bench.common import Measured, Record, measure, repeat, seconds

SEEDS = 10


def run(settings):
    if "sklearn" not in settings.peers:
        print("scikit-learn, the only peer here, is not installed or not asked for")
        return
    from sklearn import neural_network

    from fastnn import sklearn as ours

    modules = {"fastnn": ours, "sklearn": neural_network}
    for name, kind, X, y, parameters in problems(settings.quick):
        classes = {library: getattr(module, kind) for library, module in modules.items()}
        if settings.quick:
            parameters = {**parameters, "max_iter": 2}
        yield from fits(name, classes, X, y, parameters, 1 if settings.quick else SEEDS)
        yield from predictions(name, classes, X, y, parameters, settings.quick)
    for library in ("pandas", "polars"):
        yield from frame_predictions(library, modules, settings.quick)


def problems(quick):
    """Yield name, estimator, samples, targets, and the parameters that differ from the defaults."""
    from sklearn.datasets import load_digits, make_classification, make_regression

    n = 1000 if quick else 12_500  # a fifth is for testing
    yield "digits", "MLPClassifier", *as_float32(*load_digits(return_X_y=True)), {}
    made = make_classification(n, 20, random_state=0)
    yield "make_classification", "MLPClassifier", *as_float32(*made), {}
    made = make_regression(n, 20, random_state=0)
    yield "make_regression", "MLPRegressor", *as_float32(*made), {}
    folder = Path(os.environ.get("FASTNN_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "mnist10k.npz").exists():
        print(f"there is no {folder / 'mnist10k.npz'}: without MNIST")
        return
    with np.load(folder / "mnist10k.npz") as arrays:
        X, y = arrays["X"].astype(np.float32) / 255, arrays["y"]
    if quick:
        X, y = X[::20], y[::20]
    yield "MNIST", "MLPClassifier", X, y, {"hidden_layer_sizes": (128,)}


def as_float32(X, y):
    return X.astype(np.float32), y


def fits(name, classes, X, y, parameters, seeds):
    """Yield records of the fits of each library with each seed, interleaved."""
    from sklearn.model_selection import train_test_split

    labels = y if y.dtype.kind in "iu" else None
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, stratify=labels, random_state=0)
    times = {library: [] for library in classes}
    errors = {library: [] for library in classes}
    for seed in range(seeds):
        for library, cls in classes.items():
            model = cls(random_state=seed, **parameters)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                times[library].append(seconds(partial(model.fit, X, y)))
            errors[library].append(1 - model.score(X_test, y_test))
    case = f"{name}, {len(X):,} x {X.shape[1]}"
    yield Record(f"fit {case}", "s a fit", spread(times))
    yield Record(f"error {case}", "of unseen samples", spread(errors))


def spread(figures):
    return {name: Measured(min(f), statistics.median(f)) for name, f in figures.items()}


def predictions(name, classes, X, y, parameters, quick):
    """Yield records of predictions of one row, and of 10,000."""
    models = {}
    for library, cls in classes.items():
        models[library] = cls(random_state=0, **{**parameters, "max_iter": 1})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models[library].fit(X, y)
    many = np.resize(X, (10_000, X.shape[1]))
    for rows in (X[:1].copy(), many[: 1000 if quick else 10_000]):
        works = {
            library: partial(repeat, partial(model.predict, rows))
            for library, model in models.items()
        }
        times = measure(works, 0.02, 20, quick)
        plural = "s" * (len(rows) > 1)
        yield Record(
            f"predict {name}, {len(rows):,} row{plural}",
            "µs a call",
            {library: time * 1e6 for library, time in times.items()},
        )


def frame_predictions(library, modules, quick):
    """Yield records of predictions of one row of a data frame with names."""
    from sklearn.datasets import make_classification

    try:
        frames = importlib.import_module(library)
    except ImportError:
        print(f"{library} is not installed: without its data frames")
        return
    X, y = make_classification(200, 20, random_state=0)
    frame = frames.DataFrame({f"x{i}": column for i, column in enumerate(X.T)})
    for kind, method in (
        ("MLPClassifier", "predict"),
        ("MLPClassifier", "predict_proba"),
        ("MLPRegressor", "predict"),
    ):
        works = {}
        for name, module in modules.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = getattr(module, kind)(max_iter=1, random_state=0).fit(frame, y)
            works[name] = partial(repeat, partial(getattr(model, method), frame[:1]))
        times = measure(works, 0.02, 20, quick)
        yield Record(
            f"{kind}.{method}, 1 row of a {library} frame",
            "µs a call",
            {name: time * 1e6 for name, time in times.items()},
        )
