"""What the tests of the program share: data sets, the program as a process, its output read."""

import csv
import io
import subprocess
import sys

import numpy as np

FAST = ["--hidden", "16", "--epochs", "5"]


def process(*argv, **options):
    """Run the program as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "fastnn", *map(str, argv)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


def flowers(n=90):
    """Return three well separated classes: petal, sepal, kind."""
    rng = np.random.default_rng(0)
    kind = np.arange(n) % 3
    X = rng.normal(size=(n, 2)) * [0.3, 30] + np.array([[0, 0], [3, 0], [0, 300]])[kind]
    return X, np.array(["rose", "fox, glove", "tulip"])[kind]


def write_csv(path, header, *columns):
    """Write columns to a CSV file."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *zip(*(c.tolist() for c in columns), strict=True)])
    return path


def read_predictions(text):
    """Return header and rows of a CSV text."""
    header, *rows = csv.reader(io.StringIO(text))
    return header, rows


def score(out, part, name):
    """Return the number printed as `name` on the line of `part`."""
    line = next(line for line in out.splitlines() if line.startswith(part))
    return float(line.split(f"{name} ")[1].split(",")[0].split()[0])
