"""The defaults of `fit` train with every loss, on networks of several widths and depths."""

import re
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
from fastnn.losses import BUILT_IN
from fastnn.training import defaults

N, D = 256, 4
HIDDEN = {"8": [8], "128": [128], "1024": [1024], "64-64-64-64": [64] * 4}
SCALES = {"standardised": (1.0, 0.0, 1.0), "plainly scaled": (0.25, 0.5, 0.3)}
CLASSES = (fn.SoftmaxCrossEntropy, fn.NegativeLogLikelihood)


def problem(loss, scale):
    """Return X, y, the number of outputs, and the losses of the best constant and of the truth."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, D))
    truth = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] / 2
    size, offset, y_size = scale
    if isinstance(loss, CLASSES):
        y = np.digitize(truth, [-0.5, 0.5])
        shares = np.bincount(y) / N
        return X * size + offset, y, 3, -np.sum(shares * np.log(shares)), 0.0
    if isinstance(loss, fn.BinaryCrossEntropy):
        y = (truth > 0).astype(float)
        return X * size + offset, y, 1, np.log(2), 0.0
    if isinstance(loss, fn.Poisson):
        y = np.exp(truth)
        constant = np.full((N, 1), np.log(y.mean()))
    else:
        truth = truth * y_size + offset
        y = truth
        constant = np.full((N, 1), np.median(y))
    floor, top = (loss.value_and_grad(a.reshape(-1, 1), y)[0] for a in (truth, constant))
    return X * size + offset, y, 1, top, floor


def network(hidden, outputs, loss, seed):
    layers, width = [], D
    for units in hidden:
        layers += [fn.Linear(width, units), fn.ReLU()]
        width = units
    layers.append(fn.Linear(width, outputs))
    if isinstance(loss, fn.NegativeLogLikelihood):
        layers.append(fn.Softmax())
    return fn.Network(layers, seed=seed)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(
    "loss", [loss() for loss in BUILT_IN], ids=lambda loss: type(loss).__name__
)
def test_every_loss_trains(loss, hidden, scale):
    X, y, outputs, constant, truth = problem(loss, SCALES[scale])
    net = network(HIDDEN[hidden], outputs, loss, seed=1)
    history = net.fit(X, y, loss=loss, seed=1)
    left = (history["loss"][-1] - truth) / (constant - truth)
    assert left < (0.75 if hidden == "8" else 0.3)  # eight units cannot learn all of it


@pytest.mark.parametrize("seed", range(10))
def test_the_targets_of_friedman_do_not_diverge(seed):
    """In this case SGD with a rate of 0.1 diverges for 9 of 10 seeds."""
    made = pytest.importorskip("sklearn.datasets")
    X, y = made.make_friedman1(300, random_state=seed)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    net = fn.Network([fn.Linear(10, 64), fn.ReLU(), fn.Linear(64, 1)], seed=seed)
    assert net.fit(X, y, loss=fn.MeanSquaredError(), seed=seed)["loss"][-1] < 0.02


@pytest.mark.parametrize(
    ("n", "batch_size", "epochs"),
    [(1, 32, 5000), (32, 32, 5000), (33, 32, 2500), (3200, 32, 50), (10**6, 32, 20), (64, 1, 79)],
)
def test_the_epochs_make_enough_updates(n, batch_size, epochs):
    assert defaults.epochs(n, min(n, batch_size), defaults.optimizer()) == epochs


def test_the_documented_defaults():
    documented = fn.Network.fit.__doc__
    calls = re.findall(r"`(AdamW\(.*?\))`", documented)
    optimizers = [eval(call, vars(fn) | vars(fn.schedules)) for call in calls]
    assert optimizers == [defaults.optimizer(), defaults.steady_optimizer()]
    calls = re.findall(r"`(AdamW\(.*?\))`", fn.Network.partial_fit.__doc__)
    assert [eval(call, vars(fn)) for call in calls] == [defaults.steady_optimizer()]
    assert f"{defaults.UPDATES:,} updates, at least {defaults.EPOCHS}" in documented


def test_second_order_optimizers_take_steps_until_they_converge(rng):
    pytest.importorskip("scipy")
    X = rng.standard_normal((50, 2))
    for optimizer in (fn.LBFGS(), fn.LevenbergMarquardt()):
        net = fn.Network([fn.Linear(2, 1)], "float64", seed=0)
        history = net.fit(X, X[:, 0], loss=fn.MeanSquaredError(), optimizer=optimizer)
        assert len(history["loss"]) < defaults.ITERATIONS
        assert history["loss"][-1] < 1e-8


def test_training_without_an_end_keeps_its_rate(rng):
    """`partial_fit` and iterables: many short calls learn what one long fit learns."""
    X = rng.standard_normal((512, D))
    y = np.sin(2 * X[:, 0]) + X[:, 1]
    nets = [network([64], 1, fn.MeanSquaredError(), seed=2) for _ in range(2)]
    for _ in range(100):
        history = nets[0].partial_fit(X, y, loss=fn.MeanSquaredError(), seed=0)
    assert history["loss"][-1] < 0.1 * y.var()
    assert list(history) == ["loss", "seconds"]  # no schedule
    history = nets[1].fit([(X, y)], loss=fn.MeanSquaredError())
    assert len(history["loss"]) == defaults.EPOCHS
    assert history["loss"][-1] < 0.3 * y.var()


def test_the_page_about_the_defaults():
    page = (Path(__file__).parents[2] / "docs" / "defaults.md").read_text(encoding="utf-8")
    calls = re.findall(r"`(AdamW\(.*?\))`", page)
    optimizers = [eval(call, vars(fn) | vars(fn.schedules)) for call in calls]
    assert optimizers == [defaults.optimizer(), defaults.steady_optimizer()]
    assert f"{defaults.UPDATES:,} updates, at least {defaults.EPOCHS}" in page
    assert f"at most {defaults.ITERATIONS} steps" in page
