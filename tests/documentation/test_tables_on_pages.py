"""The tables of the documentation are complete and true."""

import re

import numpy as np
from pages import section

import fastnn as fn
from fastnn.layers import LAYERS
from fastnn.losses import BUILT_IN


def test_the_table_of_layers():
    calls = re.findall(r"^\| `((\w+)\(.*?\))`", section("docs/layers.md", "Layers"), re.M)
    assert {getattr(fn, name) for _, name in calls} == set(LAYERS.values())
    sizes = {"in_features": 3, "out_features": 2, "features": 3, "mean": [0.0], "scale": [1.0]}
    sizes |= {"layers": [fn.Tanh()], "branches": [[]], "activation": fn.Tanh}
    sizes |= {"edges": 3 * [[0.0, 1.0]], "cardinalities": [2]}
    for call, name in calls:
        plain = re.sub(r'(\w+)=[\w."]+', "", call).replace(", )", ")").replace("(, ", "(")
        given = vars(fn) | sizes
        assert eval(call, given).config() == eval(plain, given).config(), name  # the defaults


def test_the_table_of_losses():
    text = section("docs/losses.md", "Losses and weights")
    calls = re.findall(r"^\| `(\w+\(.*?\))` \|", text, re.M)
    assert {type(eval(call, vars(fn).copy())) for call in calls} == set(BUILT_IN)
    assert all(eval(call, vars(fn).copy()) == getattr(fn, call.split("(")[0])() for call in calls)


def test_the_table_of_optimizers():
    text = section("docs/optimizers.md", "Optimizers and schedules")
    calls = re.findall(r"^\| `(\w+\(.*?\))` \|", text, re.M)
    made = {type(eval(call, vars(fn) | {"learning_rate": 0.1})) for call in calls}
    assert made == {*fn.optimizers.OPTIMIZERS, fn.LBFGS, fn.LevenbergMarquardt}
    for call in calls:
        plain = re.sub(r"\w+=[\w.]+", "", call).replace(", )", ")")
        given = vars(fn) | {"learning_rate": 0.1}
        assert eval(call, given) == eval(plain, given)  # the defaults


def test_the_table_of_schedules():
    """Every schedule stands in it, with its own arguments."""
    given = {name: getattr(fn.schedules, name) for name in dir(fn.schedules)}
    given |= {
        "rate": 0.1,
        "max_rate": 0.1,
        "every": 5,
        "factor": 0.5,
        "then": fn.schedules.Constant(1),
    }
    rows = re.findall(r"^\| (.*?) \| ", section("docs/optimizers.md", "Schedules"), re.M)[1:]
    made = set()
    for call in re.findall(r"`([A-Z].*?)`", " ".join(rows)):
        call = call.replace(", …", "").replace("…", "3")
        made.add(type(eval(call, given)))
    own = {s for s in fn.schedules.Schedule.__subclasses__() if s.__module__ == "fastnn.schedules"}
    assert made == own


def test_the_shapes_of_derivatives():
    n, d, m = 5, 3, 2
    layer = fn.Linear(d, m)
    net = fn.Network([fn.Linear(d, 4), fn.Tanh(), fn.Linear(4, m)], "float64", seed=0)
    sizes = {"n": n, "d": d, "m": m, "p": net.n_params}
    X, x, h, v = np.ones((n, d)), np.ones(d), np.ones((n, d)), np.ones(net.n_params)
    given = {
        "net": net,
        "layer": layer,
        "fn": fn,
        "f": net,
        "loss": fn.HalfSquaredError(),
        "X": X,
        "x": x,
        "h": h,
        "v": v,
        "y": np.ones((n, m)),
        "c": np.ones((n, m)),
    }
    text = section("docs/derivatives.md", "Calls")
    rows = re.findall(r"^\| (`.*?`) \| (\(.*?\)) \| ", text, re.M)
    assert len(rows) > 10
    for calls, shapes in rows:
        wanted = re.findall(r"\(.*?\)", shapes)
        for call in re.findall(r"`(.*?)`", calls):
            result = eval(call, given)
            results = result if isinstance(result, tuple) else (result,)
            assert [a.shape for a in results] == [eval(shape, sizes) for shape in wanted], call
