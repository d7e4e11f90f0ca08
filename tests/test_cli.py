"""The program `fastnn`, called as a function and as a process."""

import csv
import io
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnn as fn
from fastnn import cli, datasets
from fastnn.cli import main

FAST = ["--hidden", "16", "--epochs", "5"]


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
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *zip(*(c.tolist() for c in columns), strict=True)])
    return path


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


def read_predictions(text):
    """Return header and rows of a CSV text."""
    header, *rows = csv.reader(io.StringIO(text))
    return header, rows


def score(out, part, name):
    """Return the number printed as `name` on the line of `part`."""
    line = next(line for line in out.splitlines() if line.startswith(part))
    return float(line.split(f"{name} ")[1].split(",")[0].split()[0])


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
    # All digits are written.
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
    assert "nan" in out  # R2 has no meaning here
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


@pytest.mark.parametrize("activation", cli.ACTIVATIONS)
def test_activations(succeed, flowers_csv, activation):
    succeed("train", flowers_csv, "--target", "kind", "--activation", activation, *FAST)
    net = fn.load("flowers.safetensors")
    assert type(net.layers[2]) is cli.ACTIVATIONS[activation]


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
        ("", "Adam", (0.001, {"weight_decay": 0.0})),
        ("--learning-rate 0.01 --weight-decay 0.1", "Adam", (0.01, {"weight_decay": 0.1})),
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


@pytest.mark.parametrize("suffix", cli.PLOT_FORMATS)
def test_plot(succeed, flowers_csv, folder, monkeypatch, suffix):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "agg")
    argv = ["--target", "kind", "--plot", f"curve{suffix}", *FAST]
    assert f"curve{suffix}" in succeed("train", flowers_csv, *argv)
    magic = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert (folder / f"curve{suffix}").read_bytes().startswith(magic)


def test_display(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    from fastnn.plots import LearningCurveDisplay

    monkeypatch.setattr(pyplot, "show", lambda: pytest.fail("shown"))
    history = {"loss": [3.0, 2.0], "seconds": [1.0, 1.0]}
    figure, ax = pyplot.subplots()
    try:
        display = LearningCurveDisplay.from_history(history, ax=ax)
        assert display.ax_ is ax
        assert display.figure_ is figure
        assert display.metric_ax_ is None
        assert_array_equal(ax.lines[0].get_xydata(), [[1, 3], [2, 2]])

        history |= {"val_loss": [4.0, 5.0], "val_accuracy": [0.5, 0.75]}
        other = LearningCurveDisplay(history)
        assert other.plot() is other
        assert other.figure_ is not figure
        assert_array_equal(other.ax_.lines[1].get_ydata(), [4, 5])
        assert_array_equal(other.metric_ax_.lines[0].get_ydata(), [0.5, 0.75])
        assert other.metric_ax_.get_ylabel() == "accuracy"
        assert len(other.metric_ax_.get_legend().get_texts()) == 3
    finally:
        pyplot.close("all")


def test_missing_matplotlib_is_told_before_training(fail, flowers_csv, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = fail("train", flowers_csv, "--target", "kind", "--plot", "a.png")
    assert "pip install matplotlib" in message
    assert os.listdir(folder) == ["flowers.csv"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--output missing/m", "missing/m: No such file or directory"),
        ("--output .", ".: Is a directory"),
        ("--plot missing/p.png", "missing/p.png: No such file or directory"),
        ("--plot p.docx", "expected a .png, .svg, .pdf file"),
        ("--momentum 0.5", "--momentum needs --optimizer sgd"),
        ("--learning-rate -1", "learning_rate"),
        ("--hidden 0", "features"),
        ("--validation-fraction 1", "fraction"),
        ("--validation-fraction -0.1", "fraction"),
        ("--task regression", "the target is text"),
    ],
)
def test_bad_options_are_told_before_training(run, flowers_csv, folder, monkeypatch, argv, message):
    monkeypatch.setattr(fn.Network, "fit", lambda *_, **__: pytest.fail("trained"))
    status, _, err = run("train", flowers_csv, "--target", "kind", *argv.split())
    assert status == 2
    assert err.startswith("fastnn: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert os.listdir(folder) == ["flowers.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_is_told_before_training(fail, flowers_csv, folder, monkeypatch):
    monkeypatch.setattr(fn.Network, "fit", lambda *_, **__: pytest.fail("trained"))
    folder.chmod(0o500)
    try:
        message = fail("train", flowers_csv, "--target", "kind", "--output", "m")
    finally:
        folder.chmod(0o700)
    assert "m: Permission denied" in message


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("", "COMMAND"),
        ("grow", "invalid choice: 'grow'"),
        ("train", "DATA"),
        ("train digits --epochs many", "--epochs: invalid int value: 'many'"),
        ("train digits --activation relish", "--activation"),
        ("train digits --layers 3", "unrecognized arguments: --layers"),
        ("train missing.csv", "missing.csv: No such file or directory"),
        ("train missing.npz", "missing.npz: No such file or directory"),
        ("train flowers.txt", "expected a .csv or .npz file"),
        ("train flowers.csv", "--target must name the target, one of petal, kind, sepal"),
        ("train flowers.csv --target color", "no column 'color'; the columns are petal, kind"),
        ("train flowers.csv --target petal", "line 2, column 'kind'"),
        ("predict missing.safetensors digits", "missing.safetensors: No such file or directory"),
        ("predict flowers.csv digits", "flowers.csv: not a safetensors file"),
        ("evaluate flowers.csv digits", "flowers.csv: not a safetensors file"),
    ],
)
def test_errors(fail, flowers_csv, argv, message):
    assert message in fail(*argv.split())


def test_one_class(fail, folder):
    path = write_csv(folder / "c.csv", ["a", "y"], np.arange(9.0), np.full(9, "x"))
    assert "two classes" in fail("train", path, "--target", "y")


@pytest.mark.parametrize("value", [1e39, 1e300])
def test_too_large_for_float32(folder, value):
    write_csv(folder / "c.csv", ["a", "y"], np.array([1, value] * 9), np.arange(18) % 2)
    done = process("train", "c.csv", "--target", "y", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith("fastnn: error: ")
    assert done.stderr.count("\n") == 1


def test_divergence(run, houses_csv, folder):
    argv = ["--optimizer", "sgd", "--learning-rate", "1e6", "--activation", "relu"]
    status, _, err = run("train", houses_csv, "--target", "price", *argv)
    assert status == 2
    assert err.rstrip("\n").splitlines()[-1].startswith("fastnn: error: ")
    assert os.listdir(folder) == ["houses.csv"]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OverflowError("too\nlarge"), 2, "fastnn: error: too large\n"),
        (TypeError("no"), 2, "fastnn: error: no\n"),
        (MemoryError("no room"), 2, "fastnn: error: no room\n"),
        (KeyboardInterrupt(), 130, "fastnn: interrupted; no model was written\n"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exceptions_while_training(run, flowers_csv, monkeypatch, error, status, message):
    def fit(*_, **__):
        raise error

    monkeypatch.setattr(fn.Network, "fit", fit)
    got_status, _, err = run("train", flowers_csv, "--target", "kind")
    assert (got_status, err) == (status, message)
    assert not os.path.exists("flowers.safetensors")


def test_errors_of_the_program_itself_are_not_hidden(monkeypatch):
    monkeypatch.setattr(fn, "build_info", lambda: {}["bug"])
    with pytest.raises(KeyError):
        main(["info"])


def test_predict_matches_columns_by_name(succeed, fail, flowers_csv, folder):
    succeed("train", flowers_csv, "--target", "kind", *FAST)
    expected = succeed("predict", "flowers.safetensors", flowers_csv)
    X, _ = flowers()
    comment = np.full(len(X), "any text")
    write_csv("other.csv", ["sepal", "note", "petal"], X[:, 1], comment, X[:, 0])
    assert succeed("predict", "flowers.safetensors", "other.csv") == expected
    np.savez("other.npz", X=X)
    assert succeed("predict", "flowers.safetensors", "other.npz") == expected
    write_csv("less.csv", ["sepal", "kind"], X[:, 1], comment)
    assert "less.csv: no column 'petal'" in fail("predict", "flowers.safetensors", "less.csv")


def test_predict_to_a_file(succeed, flowers_csv, folder):
    succeed("train", flowers_csv, "--target", "kind", *FAST)
    expected = succeed("predict", "flowers.safetensors", flowers_csv)
    assert succeed("predict", "flowers.safetensors", flowers_csv, "--output", "p.csv") == ""
    assert (folder / "p.csv").read_bytes().decode() == expected


def test_predict_wrong_number_of_features(run, flowers_csv, succeed):
    succeed("train", flowers_csv, "--target", "kind", *FAST)
    status, _, err = run("predict", "flowers.safetensors", "digits")
    assert status == 2
    assert "64" in err


def test_model_that_ends_in_softmax(succeed):
    net = fn.Network([fn.Linear(64, 10), fn.Softmax()], seed=0)
    net.class_labels = list("abcdefghij")
    net.save("softmax.safetensors")
    header, rows = read_predictions(succeed("predict", "softmax.safetensors", "digits"))
    assert header[1] == "p_a"
    p = np.array([row[1:] for row in rows], dtype=np.float32)
    assert_array_equal(p, net.predict(datasets.load_digits()[0].astype(np.float32)))


def test_model_with_several_outputs_and_no_classes(succeed, fail):
    fn.Network([fn.Linear(64, 2)], seed=0).save("two.safetensors")
    header, rows = read_predictions(succeed("predict", "two.safetensors", "digits"))
    assert header == ["prediction_0", "prediction_1"]
    assert len(rows) == 1797
    assert "2 outputs" in fail("evaluate", "two.safetensors", "digits")


def test_evaluate_prints_the_metrics_of_scikit_learn(succeed, flowers_csv):
    metrics = pytest.importorskip("sklearn.metrics")
    succeed("train", flowers_csv, "--target", "kind", "--hidden", 2, "--epochs", 1)
    out = succeed("evaluate", "flowers.safetensors", flowers_csv)
    _, rows = read_predictions(succeed("predict", "flowers.safetensors", flowers_csv))
    kind, predicted = flowers()[1], [row[0] for row in rows]
    accuracy = metrics.accuracy_score(kind, predicted)
    assert accuracy < 1
    assert_allclose(score(out, "accuracy", "accuracy"), accuracy, atol=1e-4)
    table = metrics.precision_recall_fscore_support(kind, predicted, zero_division=0)
    lines = out.splitlines()[2:]
    assert [line[:10].strip() for line in lines] == ["fox, glove", "rose", "tulip"]
    got = np.array([line[10:].split() for line in lines], dtype=float)
    assert_allclose(got, np.transpose(table), atol=5.1e-5)


def test_evaluate_takes_the_target_that_was_trained_for(succeed, fail, flowers_csv):
    succeed("train", flowers_csv, "--target", "kind", *FAST)
    X, kind = flowers()
    header = ["petal", "sepal", "kind", "weight"]
    write_csv("more.csv", header, X[:, 0], X[:, 1], kind, np.ones(len(X)))
    expected = succeed("evaluate", "flowers.safetensors", flowers_csv)
    assert succeed("evaluate", "flowers.safetensors", "more.csv") == expected
    write_csv("other.csv", ["petal", "sepal", "weight"], X[:, 0], X[:, 1], np.ones(len(X)))
    message = fail("evaluate", "flowers.safetensors", "other.csv")  # it is no wild guess
    assert "must name the target, one of weight; there is no 'kind'" in message
    write_csv("none.csv", ["petal", "sepal"], X[:, 0], X[:, 1])
    message = fail("evaluate", "flowers.safetensors", "none.csv")
    assert "must name the target, but all columns are features; there is no 'kind'" in message


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(succeed, separator):
    X, kind = flowers()
    lines = [separator.join(["petal", "sepal", "kind"])]
    lines += [separator.join([str(a), str(b), k]) for (a, b), k in zip(X, kind, strict=True)]
    Path("flowers.csv").write_text("\n".join(lines))
    assert "90 samples, 2 features" in succeed("train", "flowers.csv", "--target", "kind", *FAST)


def test_no_file_is_overwritten_by_mistake(succeed, fail, flowers_csv):
    before = Path(flowers_csv).read_bytes()
    train = ("train", flowers_csv, "--target", "kind", *FAST)
    assert "would overwrite" in fail(*train, "--output", flowers_csv)
    succeed(*train)
    model = Path("flowers.safetensors").read_bytes()
    for output in (flowers_csv, "flowers.safetensors"):
        assert "would overwrite" in fail(
            "predict", "flowers.safetensors", flowers_csv, "--output", output
        )
    assert Path(flowers_csv).read_bytes() == before
    assert Path("flowers.safetensors").read_bytes() == model


def test_targets_that_float32_cannot_hold(fail, succeed, folder):
    x = np.linspace(-1, 1, 50)
    write_csv("huge.csv", ["x", "y"], x, x * 1e39)
    assert "float32" in fail("train", "huge.csv", "--target", "y", "--quiet", *FAST)
    assert not (folder / "huge.safetensors").exists()
    write_csv("offset.csv", ["x", "y"], x, 1e9 + x)
    assert "--dtype float64 keeps" in succeed("train", "offset.csv", "--target", "y", *FAST)


def test_version(capsys):
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out == f"fastnn {fn.__version__}\n"


def test_no_epochs(fail):
    assert "at least 1" in fail("train", "digits", "--epochs", 0)


def test_evaluate_unknown_class(succeed, fail, flowers_csv):
    succeed("train", flowers_csv, "--target", "kind", *FAST)
    write_csv("new.csv", ["petal", "sepal", "kind"], *np.ones((2, 1)), np.array(["weed"]))
    message = fail("evaluate", "flowers.safetensors", "new.csv")
    assert "does not know the class 'weed', only fox, glove, rose, tulip" in message


def test_evaluate_regression_of_text(succeed, fail, houses_csv):
    succeed("train", houses_csv, "--target", "price", *FAST)
    write_csv("new.csv", ["area", "age", "price"], *np.ones((2, 1)), np.array(["dear"]))
    assert "the target is text" in fail("evaluate", "houses.safetensors", "new.csv")


def test_evaluate_without_feature_names(succeed, fail):
    X, kind = flowers()
    np.savez("flowers.npz", X=X, y=kind)
    succeed("train", "flowers.npz", *FAST)
    write_csv("flowers.csv", ["a", "b", "c"], X[:, 0], X[:, 1], kind)
    assert "one of a, b, c" in fail("evaluate", "flowers.safetensors", "flowers.csv")
    out = succeed("evaluate", "flowers.safetensors", "flowers.csv", "--target", "c")
    assert out == succeed("evaluate", "flowers.safetensors", "flowers.npz")


@pytest.mark.parametrize("layers", [[], [fn.Sigmoid]], ids=["logit", "probability"])
def test_one_output_for_two_classes(succeed, layers):
    X = np.random.default_rng(0).normal(size=(50, 3))
    net = fn.Network([fn.Linear(3, 1), *(layer() for layer in layers)], dtype="float64", seed=0)
    net.class_labels = ["no", "yes"]
    net.save("binary.safetensors")
    p_yes = net.predict(X)[:, 0] if layers else 1 / (1 + np.exp(-net.predict(X)[:, 0]))
    answer = np.where(p_yes > 0.5, "yes", "no")
    assert len(set(answer)) == 2
    np.savez("data.npz", X=X, y=answer)
    header, rows = read_predictions(succeed("predict", "binary.safetensors", "data.npz"))
    assert header == ["prediction", "p_no", "p_yes"]
    assert [row[0] for row in rows] == answer.tolist()
    p = np.array([row[1:] for row in rows], dtype=float)
    assert_allclose(p, np.transpose([1 - p_yes, p_yes]), rtol=1e-12)
    assert succeed("evaluate", "binary.safetensors", "data.npz").startswith("accuracy 1 ")


def test_large_logits_have_probabilities(succeed):
    net = fn.Network([fn.Linear(64, 10)], seed=0)
    net.layers[0].weight[...] *= 1e4
    net.class_labels = list(range(10))
    net.save("large.safetensors")
    _, rows = read_predictions(succeed("predict", "large.safetensors", "digits"))
    p = np.array([row[1:] for row in rows], dtype=float)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


def test_info(succeed):
    out = succeed("info")
    info = fn.build_info()
    assert [line.split(":")[0] for line in out.splitlines()] == list(info)
    assert f"version: {info['version']}\n" in out
    assert f"available_isas: {' '.join(info['available_isas'])}\n" in out


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "info"])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as info:
        main([command, "--help"])
    assert info.value.code == 0
    assert f"usage: fastnn {command}" in capsys.readouterr().out


def test_process(flowers_csv, folder):
    done = process("train", flowers_csv, "--target", "kind", *FAST, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "model: flowers.safetensors" in done.stdout
    assert done.stderr == ""
    assert stat.S_ISREG((folder / "flowers.safetensors").stat().st_mode)


def test_process_reports_an_error_in_one_line(folder):
    done = process("train", "missing.csv", cwd=folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "fastnn: error: missing.csv: No such file or directory\n"


def test_training_does_not_need_matplotlib(folder):
    code = (
        "import sys; from fastnn.cli import main; "
        "sys.exit(main(['train', 'digits', '--epochs', '1']) or 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_reader_that_goes_away(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    fn.Network([fn.Linear(64, 30)], seed=0).save("m.safetensors")  # more than a pipe holds
    command = [sys.executable, "-m", "fastnn", "predict", "m.safetensors", "digits"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(timeout=60) == 1


def test_reader_that_never_came(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # the output waits for a flush
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fastnn", "info"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_interrupted_process(folder):
    command = [sys.executable, "-u", "-m", "fastnn", "train", "digits", "--epochs", "1000000"]
    # Where the tests run in the background, Ctrl-C is ignored, and a child would inherit that.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:  # fmt: skip
        try:
            for line in running.stdout:
                if line.startswith(b"split"):
                    break
            running.send_signal(signal.SIGINT)
            _, err = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 130
    assert err.endswith(b"fastnn: interrupted; no model was written\n")
    assert b"Traceback" not in err
    assert os.listdir(folder) == []


def test_pipe_as_destination_is_not_replaced(succeed, flowers_csv, folder):
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        succeed("train", flowers_csv, "--target", "kind", "--output", "pipe", *FAST)
        (folder / "copy.safetensors").write_bytes(os.read(reader, 100_000))
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)
    assert fn.load("copy.safetensors").feature_names == ["petal", "sepal"]
