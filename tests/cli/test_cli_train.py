"""`fastnn train`: tasks, options, and the model that it writes."""

import re
from pathlib import Path

import numpy as np
import pytest
from command_line import FAST, flowers, read_predictions, score, write_csv
from numpy.testing import assert_allclose, assert_array_equal

import fastnn as fn
from fastnn import datasets
from fastnn.cli import arguments, train
from fastnn.training import defaults

COSINE = fn.schedules.CosineDecay


def test_train_digits(succeed, folder):
    out = succeed("train", "digits")
    assert "1797 samples, 64 features, 10 classes" in out
    assert "task: classification (inferred" in out
    assert "split: 1438 for training, 359 for validation" in out
    assert "Linear" in out
    assert "samples/s" in out
    assert "model: digits.safetensors" in out
    assert score(out, "validation", "accuracy") >= 0.95
    net = fn.load("digits.safetensors")
    assert net.class_labels == list(range(10))
    assert net.dtype == np.float32
    assert isinstance(net.layers[0], fn.Standardize)
    # The model takes raw pixels.
    X, y = datasets.load_digits()
    assert np.mean(net.predict(X.astype(np.float32)).argmax(axis=1) == y) > 0.98


def test_classes_of_a_csv(succeed, flowers_csv):
    out = succeed("train", flowers_csv, "--target", "kind", "--learning-rate", 0.01)
    assert "90 samples, 2 features, 3 classes" in out
    assert score(out, "validation", "accuracy") > 0.9
    net = fn.load("flowers.safetensors")
    assert net.class_labels == ["fox, glove", "rose", "tulip"]
    assert net.feature_names == ["petal", "sepal"]

    header, rows = read_predictions(succeed("predict", "flowers.safetensors", flowers_csv))
    assert header == ["prediction", "p_fox, glove", "p_rose", "p_tulip"]
    X, kind = flowers()
    assert np.mean([row[0] == label for row, label in zip(rows, kind, strict=True)]) > 0.95
    p = np.array([row[1:] for row in rows], dtype=float)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert [net.class_labels[i] for i in p.argmax(axis=1)] == [row[0] for row in rows]
    logits = net.predict(X.astype(np.float32)).astype(float)
    assert_allclose(p, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-4)


def test_regression_predicts_raw_units(succeed, houses_csv):
    out = succeed(
        "train", houses_csv, "--target", "price", "--dtype", "float64", "--activation", "tanh"
    )
    assert "task: regression (inferred" in out
    assert score(out, "validation", "R2") > 0.97
    header, rows = read_predictions(succeed("predict", "houses.safetensors", houses_csv))
    assert header == ["prediction"]
    table = datasets.read_table(houses_csv, "price")
    net = fn.load("houses.safetensors")
    assert net.class_labels is None
    # The CSV file has all digits of the predictions.
    predicted = net.predict(table.X)
    assert_array_equal(np.array(rows, dtype=float), predicted)
    rmse = np.sqrt(np.mean((predicted[:, 0] - table.y) ** 2))
    assert rmse < 0.2 * table.y.std()
    evaluation = succeed("evaluate", "houses.safetensors", houses_csv)
    assert_allclose(score(evaluation, "RMSE", "RMSE"), rmse, rtol=1e-3)
    r2 = 1 - rmse**2 / table.y.var()
    assert_allclose(score(evaluation, "RMSE", "R2"), r2, rtol=1e-3)


def test_regression_undoes_the_scaling_of_the_target(succeed, houses_csv, monkeypatch):
    seen = {}
    fit = fn.Network.fit

    def spy(net, X, y, **options):
        history = fit(net, X, y, **options)
        seen.update(X=X, y=y, outputs=net.predict(X)[:, 0])
        return history

    monkeypatch.setattr(fn.Network, "fit", spy)
    argv = ["--target", "price", "--dtype", "float64", "--validation-fraction", 0, *FAST]
    succeed("train", houses_csv, *argv)
    assert_allclose([seen["y"].mean(), seen["y"].std()], [0, 1], atol=1e-12)
    price = datasets.read_table(houses_csv, "price").y
    expected = price.mean() + price.std() * seen["outputs"]
    assert_allclose(fn.load("houses.safetensors").predict(seen["X"])[:, 0], expected, rtol=1e-12)


def test_constant_regression_target(succeed, folder):
    path = write_csv(folder / "c.csv", ["a", "y"], np.arange(20.0), np.full(20, 7.5))
    out = succeed("train", path, "--target", "y", "--task", "regression", *FAST)
    assert "nan" in out  # R2 is undefined for a constant target
    assert abs(fn.load("c.safetensors").predict(np.ones((1, 1), np.float32))[0, 0] - 7.5) < 2


def test_task_overrides_the_inference(succeed, folder):
    path = write_csv(folder / "t.csv", ["a", "y"], np.arange(40.0), np.arange(40) % 2)
    assert "inferred" in succeed("train", path, "--target", "y", *FAST)
    assert fn.load("t.safetensors").class_labels == [0, 1]
    out = succeed("train", path, "--target", "y", "--task", "regression", *FAST)
    assert "task: regression\n" in out
    assert fn.load("t.safetensors").class_labels is None


def test_npz(succeed, folder):
    X, kind = flowers()
    np.savez("flowers.npz", X=X, y=kind)
    out = succeed("train", "flowers.npz", *FAST)
    assert "3 classes" in out
    assert fn.load("flowers.safetensors").feature_names is None
    np.savez("new.npz", X=X[:5])
    _, rows = read_predictions(succeed("predict", "flowers.safetensors", "new.npz"))
    assert len(rows) == 5
    assert succeed("evaluate", "flowers.safetensors", "flowers.npz").startswith("accuracy")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(succeed, separator):
    X, kind = flowers()
    lines = [separator.join(["petal", "sepal", "kind"])]
    lines += [separator.join([str(a), str(b), k]) for (a, b), k in zip(X, kind, strict=True)]
    Path("flowers.csv").write_text("\n".join(lines), encoding="utf-8")
    assert "90 samples, 2 features" in succeed("train", "flowers.csv", "--target", "kind", *FAST)


@pytest.mark.parametrize("activation", arguments.ACTIVATIONS)
def test_activations(succeed, flowers_csv, activation):
    succeed("train", flowers_csv, "--target", "kind", "--activation", activation, *FAST)
    net = fn.load("flowers.safetensors")
    assert type(net.layers[2]) is arguments.ACTIVATIONS[activation]


def test_options_reach_the_network(succeed, flowers_csv, monkeypatch):
    seen = {}
    fit = fn.Network.fit

    def spy(net, X, y, **options):
        seen.update(options, X=X, weight=net.layers[1].weight.copy(), dtype=net.dtype)
        return fit(net, X, y, **options)

    monkeypatch.setattr(fn.Network, "fit", spy)
    options = "--hidden 5 7 --epochs 3 --batch-size 11 --seed 4 --dtype float64 --threads 1"
    argv = ["--target", "kind", "--validation-fraction", "0.4", *options.split()]
    assert "split: 54 for training, 36 for validation" in succeed("train", flowers_csv, *argv)
    assert (seen["epochs"], seen["batch_size"], seen["seed"], seen["n_threads"]) == (3, 11, 4, 1)
    assert isinstance(seen["loss"], fn.SoftmaxCrossEntropy)
    assert len(seen["X"]) == 54
    assert len(seen["validation_data"][0]) == 36
    assert seen["dtype"] == np.float64
    trained = fn.load("flowers.safetensors")
    weights = [layer.weight.shape for layer in trained.layers if isinstance(layer, fn.Linear)]
    assert weights == [(5, 2), (7, 5), (3, 7)]
    hidden = [fn.Linear(2, 5), fn.ReLU(), fn.Linear(5, 7), fn.ReLU()]
    layers = [fn.Standardize([0, 0], [1, 1]), *hidden, fn.Linear(7, 3)]
    expected = fn.Network(layers, dtype="float64", seed=4)
    assert_array_equal(seen["weight"], expected.layers[1].weight)


@pytest.mark.parametrize(
    ("argv", "name", "arguments"),
    [
        ("", "AdamW", (COSINE(0.02), {"weight_decay": 0.1})),
        ("--learning-rate 0.01 --weight-decay 0", "AdamW", (COSINE(0.01), {"weight_decay": 0.0})),
        ("--optimizer adam", "Adam", (0.001, {"weight_decay": 0.0})),
        ("--optimizer sgd", "SGD", (0.01, {"momentum": 0.9, "weight_decay": 0.0})),
        (
            "--optimizer sgd --learning-rate 0.05 --momentum 0.5 --weight-decay 0.1",
            "SGD",
            (0.05, {"momentum": 0.5, "weight_decay": 0.1}),
        ),
    ],
)
def test_optimizers(succeed, flowers_csv, monkeypatch, argv, name, arguments):
    seen = []
    optimizer = getattr(fn, name)

    def spy(learning_rate, **options):
        seen.append((learning_rate, options))
        return optimizer(learning_rate, **options)

    monkeypatch.setattr(fn, name, spy)
    succeed("train", flowers_csv, "--target", "kind", *FAST, *argv.split())
    assert seen == [arguments]


def test_the_defaults_are_those_of_fit(succeed, flowers_csv, monkeypatch):
    by_default = train.optimizer_of(
        arguments.with_defaults(arguments.parser().parse_args(["train", "x.csv"]))
    )
    assert by_default == defaults.optimizer()
    out = succeed("train", flowers_csv, "--target", "kind", "--hidden", 16)
    n = int(re.search(r"split: (\d+) for training", out)[1])
    assert f"({defaults.epochs(n, 32, by_default)} epochs in" in out


def test_scaling_is_fitted_on_the_training_rows_alone(succeed, flowers_csv):
    succeed("train", flowers_csv, "--target", "kind", "--dtype", "float64", *FAST)
    table = datasets.read_table(flowers_csv, "kind")
    train, _ = datasets.stratified_split(table.y, 0.2, np.random.default_rng(0))
    layer = fn.load("flowers.safetensors").layers[0]
    assert_allclose(layer.mean, table.X[train].mean(axis=0), rtol=1e-6)
    assert_allclose(layer.scale, table.X[train].std(axis=0), rtol=1e-6)


def test_no_validation(succeed, flowers_csv):
    out = succeed("train", flowers_csv, "--target", "kind", "--validation-fraction", 0, *FAST)
    assert "split: 90 for training, 0 for validation" in out
    assert "validation: " not in out


def test_no_hidden_layer(succeed, flowers_csv):
    succeed("train", flowers_csv, "--target", "kind", "--epochs", 2, "--hidden")
    assert len(fn.load("flowers.safetensors").layers) == 2


def test_same_seed_gives_the_same_file(succeed, flowers_csv, folder):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        succeed("train", flowers_csv, "--target", "kind", "--seed", seed, "--output", name, *FAST)
    a, b, c = ((folder / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_quiet(run, flowers_csv):
    assert run("train", flowers_csv, "--target", "kind", "--quiet", *FAST) == (0, "", "")
    assert fn.load("flowers.safetensors").feature_names == ["petal", "sepal"]


@pytest.mark.parametrize("suffix", arguments.PLOT_FORMATS)
def test_plot(succeed, flowers_csv, folder, monkeypatch, suffix):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "agg")
    argv = ["--target", "kind", "--plot", f"curve{suffix}", *FAST]
    assert f"curve{suffix}" in succeed("train", flowers_csv, *argv)
    magic = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert (folder / f"curve{suffix}").read_bytes().startswith(magic)
