"""Test error and fit time on ten real tables, against boosted trees and pytabkit's RealMLP.

Each library has its default parameters and the same rows: splits 0, 1 and 2 of scikit-learn's
`train_test_split(test_size=0.2)`. The error is the share of wrong classes, or the RMSE over the
standard deviation of the test targets. Each record has the mean over the splits. The next records
have the geometric means over the tables, and the share of the test targets that lie in their 90 %
intervals, as the mean over the regression tables.

The last records have the times of predictions and the memory of a fit, with the preset "default" on
random numbers. The memory is the peak of the process, less its memory before the table is made,
divided by the bytes of the table.

- CatBoost gets categories as texts, and the other peers as the categorical dtype of pandas. RealMLP
  takes no gaps in numbers, so these become medians.
- The tables are CSV files in the folder tabular of ../shared/data, or of the folder that the
  environment variable FASTNN_BENCH_DATA names. The last column of a file is the target.
- The extra `bench-tabular` installs the peers. `--peers pytabkit,lightgbm` selects peers.
- The environment variable FASTNN_BENCH_KEPT names a JSON file that keeps the peers' results.
  Results in this file are not measured again.
"""

import importlib
import json
import math
import os
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np

from bench.common import Measured, Record, measure, memory, repeat, threads

FOLDER = Path(os.environ.get("FASTNN_BENCH_DATA", Path(__file__).parents[2] / "shared" / "data"))
CLASSIFICATION = ["adult", "bank", "phoneme", "letter", "attrition"]
REGRESSION = ["california", "abalone", "cpu_act", "elevators", "ames"]
PRESETS = ["default", "fast", "best"]
PEERS = {  # the module and the class; {} is "Classifier" or "Regressor"
    "pytabkit": ("pytabkit", "RealMLP_TD_{}"),
    "lightgbm": ("lightgbm", "LGBM{}"),
    "catboost": ("catboost", "CatBoost{}"),
    "xgboost": ("xgboost", "XGB{}"),
    "sklearn": ("sklearn.ensemble", "HistGradientBoosting{}"),
}
SPLITS = 3
COLUMNS = 20  # of the table of random numbers


def load(name):
    """Return the columns of a table as a data frame, and the targets."""
    import pandas as pd

    file = FOLDER / "tabular" / f"{name}.csv.gz"
    if not file.is_file():
        raise SystemExit(f"{file} does not exist. FASTNN_BENCH_DATA may name another folder")
    frame = pd.read_csv(file)
    y = frame.pop("target")
    return frame, y.astype(str) if name in CLASSIFICATION else y


def peer(name, kind):
    """Return an untrained peer with its defaults, limited to the threads of the bench."""
    module, pattern = PEERS[name]
    cls = getattr(importlib.import_module(module), pattern.format(kind))
    n = threads()
    if name == "catboost":
        return cls(thread_count=n, verbose=0, allow_writing_files=False, random_seed=0)
    if name == "pytabkit":
        import torch

        torch.set_num_threads(n)
        return cls(random_state=0, device="cpu", n_threads=n)
    if name == "sklearn":
        return cls(categorical_features="from_dtype", random_state=0)
    return cls(n_jobs=n, random_state=0, **({"verbose": -1} if name == "lightgbm" else {}))


def columns_for(name, train, test):
    """Return both parts of a table in the form that a peer takes."""
    import pandas as pd

    train, test = train.copy(), test.copy()
    for column in train:
        if pd.api.types.is_numeric_dtype(train[column]):
            if name == "pytabkit":
                median = train[column].median()
                train[column], test[column] = (p[column].fillna(median) for p in (train, test))
        elif name == "catboost":
            train[column], test[column] = (p[column].fillna("").astype(str) for p in (train, test))
        else:
            known = pd.CategoricalDtype(sorted(train[column].dropna().unique()))
            train[column], test[column] = (p[column].astype(known) for p in (train, test))
    return train, test


def measured(name, table, split, quick):
    """Return the test error, the seconds of the fit, and for a preset's regressor the coverage.

    `name` is a peer, or a preset after "fastnn ". The coverage is that of its 90 % intervals.
    """
    from pandas.api.types import is_numeric_dtype
    from sklearn.model_selection import train_test_split

    from fastnn.tabular import TabularClassifier, TabularRegressor

    X, y = load(table)
    if quick:
        X, y = X[:400], y[:400]
    train, test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=split)
    classes = table in CLASSIFICATION
    preset = name.removeprefix("fastnn ")
    fit = {}
    if name.startswith("fastnn "):
        ours = TabularClassifier if classes else TabularRegressor
        model = ours(preset, random_state=0, n_jobs=threads(), epochs=2 if quick else None)
    else:
        model = peer(name, "Classifier" if classes else "Regressor")
        train, test = columns_for(name, train, test)
        if name == "catboost":
            fit["cat_features"] = [c for c in train if not is_numeric_dtype(train[c])]
        if name in ("xgboost", "lightgbm") and classes:
            labels = {label: i for i, label in enumerate(sorted(y.unique()))}
            y_train, y_test = y_train.map(labels), y_test.map(labels)
        if name == "xgboost":
            model.set_params(enable_categorical=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        model.fit(train, y_train, **fit)
        seconds = time.perf_counter() - start
        predicted = np.ravel(model.predict(test))
    if classes:
        return float(np.mean(predicted != y_test.to_numpy())), seconds
    wanted = y_test.to_numpy(float)
    error = float(np.sqrt(np.mean(np.square(predicted - wanted))) / wanted.std())
    if not name.startswith("fastnn "):
        return error, seconds
    low, high = model.predict_interval(test, 0.9).T
    return error, seconds, float(np.mean((low <= wanted) & (wanted <= high)))


class Kept:
    """The results of peers, in a JSON file or in memory."""

    def __init__(self):
        file = os.environ.get("FASTNN_BENCH_KEPT")
        self.file = Path(file) if file else None
        self.found = {}
        if self.file is not None and self.file.exists():
            self.found = json.loads(self.file.read_text(encoding="utf-8"))

    def measured(self, name, table, split, quick):
        """Return a result from the file, or measure it and write it to the file."""
        key = f"{name} {table} {split}{' quick' if quick else ''}"
        if key not in self.found:
            self.found[key] = measured(name, table, split, quick)
            if self.file is not None:
                self.file.write_text(json.dumps(self.found, indent=1) + "\n", encoding="utf-8")
        return self.found[key]


def run(settings):
    kept = Kept()
    ours = [f"fastnn {preset}" for preset in PRESETS]
    peers = [name for name in PEERS if name in settings.peers]
    errors, times, covered = {}, {}, {name: [] for name in ours}
    splits = range(1 if settings.quick else SPLITS)
    tables = ["phoneme", "ames"] if settings.quick else CLASSIFICATION + REGRESSION
    for table in tables:
        found = {name: [measured(name, table, i, settings.quick) for i in splits] for name in ours}
        for name in peers:
            found[name] = [kept.measured(name, table, i, settings.quick) for i in splits]
        errors[table] = {name: float(np.mean([f[0] for f in own])) for name, own in found.items()}
        times[table] = {name: float(np.mean([f[1] for f in own])) for name, own in found.items()}
        if table in REGRESSION:
            for name in ours:
                covered[name].append(np.mean([f[2] for f in found[name]]))
        unit = "error rate" if table in CLASSIFICATION else "RMSE / deviation"
        yield record(table, unit, errors[table])
        yield record(f"{table}, fit", "seconds", times[table])
    for what, figures in (("error", errors), ("seconds", times)):
        means = {
            name: math.exp(np.mean([math.log(max(own[name], 1e-9)) for own in figures.values()]))
            for name in [*ours, *peers]
        }
        yield record(f"geometric mean of {len(tables)} tables", what, means)
    means = {name: 100 * float(np.mean(shares)) for name, shares in covered.items()}
    yield record("targets in their intervals of 90 %", "%", means)
    yield from predictions(settings.quick)
    n = 20_000 if settings.quick else 1_000_000
    command = [sys.executable, "-m", "bench.tabular", str(n), str(threads())]  # a new process
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = {"fastnn default": float(ran.stdout)}
    yield record(f"memory of a fit, {n:,} x {COLUMNS}", "tables", figures)


def table_of_numbers(n):
    """Return random numbers (n, COLUMNS), float32, and targets (n,)."""
    rng = np.random.default_rng(0)
    X = rng.random((n, COLUMNS), np.float32)
    return X, X[:, 0] + X[:, 1] * X[:, 2]


def predictions(quick):
    """Yield the times of predictions, for rows of an array and of a data frame."""
    import pandas as pd

    from fastnn.tabular import TabularClassifier, TabularRegressor

    X, y = table_of_numbers(2_000)
    frame = pd.DataFrame(X, columns=[f"column {i}" for i in range(COLUMNS)])
    for cls, target in ((TabularRegressor, y), (TabularClassifier, y > y.mean())):
        for form, table in (("an array", X), ("a frame", frame)):
            model = cls(epochs=1, random_state=0, n_jobs=threads()).fit(table, target)
            for n in (1, 1_000):
                work = partial(repeat, partial(model.predict, table[:n].copy()))
                time = measure({"fastnn default": work}, 0.02, 20, quick)["fastnn default"]
                case = f"{cls.__name__}, {n:,} row{'s' * (n > 1)} of {form}"
                yield Record(case, "µs a call", {"fastnn default": time * 1e6})


def memory_of_fit(n, n_threads):
    """Return the peak memory, less that before the table, divided by the bytes of the table."""
    from fastnn.tabular import TabularRegressor

    def fit(rows):
        X, y = table_of_numbers(rows)
        TabularRegressor(epochs=1, random_state=0, n_jobs=n_threads).fit(X, y)
        return X.nbytes

    fit(1_000)  # imports and workspaces
    before = memory("VmRSS")
    size = fit(n)
    return (memory("VmHWM") - before) / size


def record(case, unit, figures):
    return Record(case, unit, {name: Measured(figure) for name, figure in figures.items()})


if __name__ == "__main__":
    print(memory_of_fit(*map(int, sys.argv[1:])))
