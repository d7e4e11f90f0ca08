"""The accuracy on real data, averaged over seeds."""

import re

import numpy as np

import fastnn as fn
from fastnn import cli, datasets


def test_digits_from_the_command_line(tmp_path, monkeypatch, capsys):
    """`fastnn train digits` with its defaults, seeds 0 to 9."""
    monkeypatch.chdir(tmp_path)
    accuracies = []
    for seed in range(10):
        assert cli.main(["train", "digits", "--seed", str(seed)]) == 0
        shown = capsys.readouterr().out
        accuracies.append(float(re.search(r"validation: accuracy (\S+)", shown)[1]))
    print(f"validation accuracy, mean of 10 seeds: {np.mean(accuracies):.4f}")
    assert np.mean(accuracies) >= 0.97


def test_mnist(shared_data):
    """784-128-10 with ReLU and SGD with momentum; a stratified fifth is held out; seeds 0 to 4."""
    with np.load(shared_data / "mnist10k.npz") as file:
        X, y = file["X"] / np.float32(255), file["y"]
    accuracies = []
    for seed in range(5):
        train, held_out = datasets.stratified_split(y, 0.2, np.random.default_rng(seed))
        net = fn.Network([fn.Linear(784, 128), fn.ReLU(), fn.Linear(128, 10)], seed=seed)
        net.fit(X[train], y[train], optimizer=fn.SGD(0.1, momentum=0.9), epochs=20, seed=seed)
        accuracies.append(np.mean(net.predict(X[held_out]).argmax(axis=1) == y[held_out]))
    print(f"accuracy on the held-out fifth, mean of 5 seeds: {np.mean(accuracies):.4f}")
    assert np.mean(accuracies) >= 0.955
