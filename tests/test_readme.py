"""What the README and the package's own docstring show works, and prints what they say."""

import doctest
import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
from fastnn.losses import BUILT_IN

README = Path(__file__).parents[1] / "README.md"


def section(title):
    """The text under a heading."""
    (text,) = re.findall(
        rf"^## {title}\n(.*?)(?=^## )", README.read_text(), re.DOTALL | re.MULTILINE
    )
    return text


def examples(title):
    """The Python code under a heading, a text a block."""
    return re.findall(r"```python\n(.*?)```", section(title), re.DOTALL)


def run(example):
    exec(compile(example, "README.md", "exec"), {})


def numbers(text):
    """All numbers in a text: decimals, fractions with a stroke, and the characters ¼ ½ ¾."""
    for character, decimal in (("¼", "0.25"), ("½", "0.5"), ("¾", "0.75")):
        text = text.replace(character, decimal)
    return [float(Fraction(number)) for number in re.findall(r"-?\d+/\d+|-?\d+\.?\d*", text)]


def test_the_example_in_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = examples("In Python")
    run(example)
    accuracy, labels = capsys.readouterr().out.split("\n", 1)
    assert float(accuracy) > 0.9
    assert labels.strip() == "[0 1 2]"


def test_the_example_of_optimizers(capsys):
    (example,) = examples("Optimizers and schedules")
    run(example)
    rates, state = capsys.readouterr().out.splitlines()
    first, second, third = json.loads(rates)
    assert 0 < first < second < third < 0.01  # twice up, then slowly down
    assert f"# {state}\n" in example


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
    text = section("Optimizers and schedules")
    rows = re.findall(r"^\| (.*?) \| ", text, re.MULTILINE)[1:]
    made = set()
    for call in re.findall(r"`([A-Z].*?)`", " ".join(rows)):
        call = call.replace(", …", "").replace("…", "3")
        made.add(type(eval(call, given)))
    own = {s for s in fn.schedules.Schedule.__subclasses__() if s.__module__ == "fastnn.schedules"}
    assert made == own


def test_the_weights_and_quantiles(capsys):
    (example,) = examples("Losses and weights")
    run(example)
    found, between = map(float, capsys.readouterr().out.split())
    assert found > 0.85
    assert abs(between - 0.8) < 0.05


def test_the_table_of_losses():
    calls = re.findall(r"^\| `(\w+\(.*?\))` \|", section("Losses and weights"), re.MULTILINE)
    assert {type(eval(call, vars(fn).copy())) for call in calls} == set(BUILT_IN)
    assert all(eval(call, vars(fn).copy()) == getattr(fn, call.split("(")[0])() for call in calls)


def test_small_data(capsys):
    (example,) = examples("Small data, and how sure a network is")
    run(example)
    gamma, noise, sure_0, sure_1, spread_0, spread_1 = numbers(capsys.readouterr().out)
    assert 6 < gamma < 10
    assert noise == pytest.approx(0.2, abs=0.05)
    assert sure_0 == pytest.approx(np.sin(2), abs=0.15)
    assert np.isfinite(sure_1)
    assert 10 * spread_0 < spread_1


def test_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    example, _, _ = examples("Training")
    run(example)
    first = capsys.readouterr().out
    epochs, accuracy = first.split()
    assert 10 < int(epochs) < 200
    assert float(accuracy) > 0.95
    run(example)  # goes on from the checkpoint, where there is nothing left to do
    assert capsys.readouterr().out == first


def test_the_mnist_digits(shared_data, monkeypatch, capsys):
    """One epoch of the forty; `python -m bench mnist` trains them all."""
    monkeypatch.chdir(shared_data)
    _, example, _ = examples("Training")
    assert "epochs=40" in example
    run(example.replace("epochs=40", "epochs=1"))
    assert float(capsys.readouterr().out) > 0.85


def test_the_file_of_mnist_digits(tmp_path, monkeypatch, rng):
    """The block that makes the file, with made-up digits in place of the download."""
    datasets = pytest.importorskip("sklearn.datasets")
    pixels = rng.integers(0, 256, (70_000, 784), np.uint8)
    labels = rng.integers(0, 10, 70_000)

    def fetch_openml(name, *, return_X_y, as_frame):
        assert (name, return_X_y, as_frame) == ("mnist_784", True, False)
        return pixels, labels.astype(str).astype(object)

    monkeypatch.setattr(datasets, "fetch_openml", fetch_openml)
    monkeypatch.chdir(tmp_path)
    *_, example = examples("Training")
    run(example)
    with np.load("mnist10k.npz") as arrays:
        X, y = arrays["X"], arrays["y"]
    assert X.dtype == y.dtype == np.uint8
    assert np.array_equal(X, pixels[60_000:])
    assert np.array_equal(y, labels[60_000:])


def test_the_worked_derivatives(capsys):
    example, _ = examples("Derivatives")
    run(example)
    comments = "".join(re.findall(r"^#.*\n", example, re.MULTILINE))
    assert len(numbers(comments)) == 3 * 12
    assert numbers(capsys.readouterr().out) == numbers(comments)


def test_the_picture_of_a_jacobian(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    _, example = examples("Derivatives")
    run(example)
    assert (tmp_path / "jacobian.png").read_bytes().startswith(b"\x89PNG")


def test_the_example_in_place_of_scikit_learns(capsys):
    pytest.importorskip("sklearn")
    (example,) = examples("In place of scikit-learn's MLP")
    run(example)
    assert float(capsys.readouterr().out) == pytest.approx(0.973, abs=0.005)


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
    rows = re.findall(r"^\| (`.*?`) \| (\(.*?\)) \| ", section("Derivatives"), re.MULTILINE)
    assert len(rows) > 10
    for calls, shapes in rows:
        wanted = re.findall(r"\(.*?\)", shapes)
        for call in re.findall(r"`(.*?)`", calls):
            result = eval(call, given)
            results = result if isinstance(result, tuple) else (result,)
            assert [a.shape for a in results] == [eval(shape, sizes) for shape in wanted], call


def test_the_docstring_of_the_package():
    results = doctest.testmod(fn)
    assert results.attempted > 3
    assert results.failed == 0
