"""A small table with columns of every kind, as the tests of the tabular estimators use it."""

import numpy as np


def columns(n=240, seed=0):
    """Return columns by their names: numbers, gaps, text, many categories, a boolean, and dates."""
    rng = np.random.default_rng(seed)
    size = rng.lognormal(0, 1, n)
    age = rng.integers(18, 80, n).astype(float)
    age[rng.random(n) < 0.1] = np.nan
    colour = rng.choice(["red", "green", "blue"], n).astype(object)
    colour[rng.random(n) < 0.05] = None
    town = np.array([f"town{i:02}" for i in rng.integers(0, 15, n)], dtype=object)
    member = rng.random(n) < 0.4
    day = np.datetime64("2024-01-01") + rng.integers(0, 700, n).astype("timedelta64[D]")
    return {
        "size": size,
        "age": age,
        "colour": colour,
        "town": town,
        "member": member,
        "day": day.astype("datetime64[us]"),
    }


def signal(table):
    """Return numbers (n,) that follow from the columns."""
    town = np.array([int(name[4:]) for name in table["town"]])
    red = np.array([value == "red" for value in table["colour"]])
    return np.log(table["size"]) + 1.5 * red + 0.2 * town - table["member"]


def pandas_frame(table):
    """Return the columns as a pandas frame."""
    import pandas as pd

    return pd.DataFrame(table)


def polars_frame(table):
    """Return the columns as a polars frame."""
    import polars as pl

    lists = {"colour", "town"}
    return pl.DataFrame({k: v.tolist() if k in lists else v for k, v in table.items()})
