"""Fixtures: the program called as a function, and data sets for it."""

import numpy as np
import pytest
from command_line import flowers, write_csv

from fastnn.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Each test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Call `main` and return its status, stdout and stderr."""

    def call(*argv):
        status = main([str(a) for a in argv])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def succeed(run):
    """Call `main`, which must succeed, and return its stdout."""

    def call(*argv):
        status, out, err = run(*argv)
        assert status == 0, err
        return out

    return call


@pytest.fixture
def fail(run):
    """Call `main`, which must fail with one line on stderr, and return that line."""

    def call(*argv):
        status, out, err = run(*argv)
        assert status == 2
        assert err.startswith("fastnn: error: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        assert out == ""
        return err

    return call


@pytest.fixture
def flowers_csv(folder):
    """Return the path of the classes as a CSV file."""
    X, kind = flowers()
    return write_csv(folder / "flowers.csv", ["petal", "kind", "sepal"], X[:, 0], kind, X[:, 1])


@pytest.fixture
def houses_csv(folder):
    """Return the path of a regression task with large, linear targets as a CSV file."""
    rng = np.random.default_rng(0)
    area, age = rng.uniform(20, 200, 300), rng.uniform(0, 50, 300)
    return write_csv(
        folder / "houses.csv",
        ["area", "age", "price"],
        area,
        age,
        250_000 + 3000 * area - 900 * age,
    )
