"""Errors of the program: one line on standard error, if possible before the training."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import FAST, process, write_csv
from systems import not_for_root, posix_only

import fastnn as fn
from fastnn.cli import main


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


@posix_only
@not_for_root
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
        ("train flowers.txt", "expected a .csv, .tsv or .npz file"),
        ("train flowers.csv", "--target must name the target, one of petal, kind, sepal"),
        ("train flowers.csv --target color", "no column 'color'; the columns are petal, kind"),
        ("predict missing.safetensors digits", "missing.safetensors: No such file or directory"),
        ("predict flowers.csv digits", "flowers.csv: not a safetensors file"),
        ("evaluate flowers.csv digits", "flowers.csv: not a safetensors file"),
    ],
)
def test_errors(fail, flowers_csv, argv, message):
    assert message in fail(*argv.split())


def test_no_epochs(fail):
    assert "at least 1" in fail("train", "digits", "--epochs", 0)


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


def test_targets_that_float32_cannot_hold(fail, succeed, folder):
    x = np.linspace(-1, 1, 50)
    write_csv("huge.csv", ["x", "y"], x, x * 1e39)
    assert "float32" in fail("train", "huge.csv", "--target", "y", "--quiet", *FAST)
    assert not (folder / "huge.safetensors").exists()
    write_csv("offset.csv", ["x", "y"], x, 1e9 + x)
    assert "--dtype float64 keeps" in succeed("train", "offset.csv", "--target", "y", *FAST)


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
