"""How accurate is the recipe of docs/training.md for 10,000 MNIST digits? On a fifth, held out.

The held-out rows are a fifth of each class. The recipe (width, dropout, smoothing, number of
epochs) was chosen on other splits than the three of this bench. The environment variable
FASTNN_BENCH_DATA names the folder of the data, by default ../shared/data. docs/training.md shows
how to make the file.
"""

import time

import numpy as np

import fastnn as fn
from bench.common import Measured, Record, threads
from bench.uci import FOLDER
from fastnn.datasets import stratified_split

SPLITS = [10, 11, 12]


def network(seed, width):
    """Return the recipe's network."""
    return fn.Network(
        [
            fn.Dropout(0.2),
            fn.Linear(784, width),
            fn.ReLU(),
            fn.Dropout(0.5),
            fn.Linear(width, width),
            fn.ReLU(),
            fn.Dropout(0.5),
            fn.Linear(width, 10),
        ],
        seed=seed,
    )


def run(settings):
    file = FOLDER / "mnist10k.npz"
    if not file.is_file():
        raise SystemExit(
            f"{file} does not exist. FASTNN_BENCH_DATA may name another folder, and "
            f"docs/training.md shows how to make the file"
        )
    with np.load(file) as arrays:
        X, y = arrays["X"] / 255, arrays["y"]
    for seed in SPLITS[:1] if settings.quick else SPLITS:
        training, held_out = stratified_split(y, 0.2, np.random.default_rng(seed))
        net = network(seed, 32 if settings.quick else 800)
        start = time.perf_counter()
        net.fit(
            X[training],
            y[training],
            loss=fn.SoftmaxCrossEntropy(label_smoothing=0.1),
            optimizer=fn.AdamW(fn.schedules.CosineDecay(0.001)),
            batch_size=64,
            seed=seed,
            epochs=2 if settings.quick else 40,
            n_threads=threads(),
        )
        seconds = time.perf_counter() - start
        wrong = np.mean(net.predict(X[held_out]).argmax(axis=1) != y[held_out])
        yield Record(
            f"split {seed}",
            "% wrong",
            {"fastnn": Measured(100 * float(wrong))},
            note=f"{seconds:.0f} s",
        )
