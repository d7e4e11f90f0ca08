"""Softmax cross-entropy of many rows at once: each row gets what it gets alone."""

import numpy as np
import pytest

import fastnn as fn

WIDTHS = (2, 3, 4, 9, 10, 16, 17, 31, 32, 50)


def logits_and_labels(rng, rows, classes, dtype):
    z = rng.standard_normal((rows, classes)) * rng.choice([0.1, 3, 40], (rows, 1))
    return z.astype(dtype), rng.integers(0, classes, rows)


def exact(z, labels, smoothing):
    """The losses of the rows and their gradients by the definition, in long double."""
    z = z.astype(np.longdouble)
    logs = z - z.max(1, keepdims=True)
    logs = logs - np.log(np.exp(logs).sum(1, keepdims=True))
    wanted = np.full(z.shape, np.longdouble(smoothing) / z.shape[1])
    wanted[np.arange(len(z)), labels] += 1 - np.longdouble(smoothing)
    return -(wanted * logs).sum(1), np.exp(logs) - wanted


@pytest.mark.parametrize("smoothing", [0, 0.1])
@pytest.mark.parametrize("classes", WIDTHS)
def test_rows_do_not_depend_on_each_other(rng, dtype, isa, classes, smoothing):
    loss = fn.SoftmaxCrossEntropy(label_smoothing=smoothing, reduction="sum")
    for rows in (7, 8, 15, 16, 17, 40):
        z, labels = logits_and_labels(rng, rows, classes, dtype)
        value, grad = loss.value_and_grad(z, labels)
        alone = [loss.value_and_grad(z[i : i + 1], labels[i : i + 1]) for i in range(rows)]
        total = 0.0
        for one, _ in alone:  # in the order of the rows; `sum` compensates in newer Pythons
            total += one
        assert value == total
        assert np.array_equal(grad, np.concatenate([one for _, one in alone]))


@pytest.mark.parametrize("smoothing", [0, 0.1])
@pytest.mark.parametrize("classes", WIDTHS)
def test_values_and_gradients_are_exact(rng, dtype, isa, classes, smoothing):
    loss = fn.SoftmaxCrossEntropy(label_smoothing=smoothing, reduction="sum")
    z, labels = logits_and_labels(rng, 21, classes, dtype)
    value, grad = loss.value_and_grad(z, labels)
    losses, slopes = exact(z, labels, smoothing)
    unit = float(np.finfo(dtype).eps)
    assert value == pytest.approx(float(losses.sum()), rel=4 * unit)
    assert np.abs(grad - slopes).max() < 4 * unit


def test_weights_and_rows_without_weight(rng, dtype, isa):
    """The logits of the rows of weight 0 are infinite, and nobody sees them."""
    net = fn.Network([fn.Linear(3, 4)], dtype, seed=0)
    X = rng.standard_normal((24, 3)).astype(dtype)
    y = rng.integers(0, 4, 24)
    weights = rng.uniform(0.5, 2, 24)
    weights[[2, 9, 20]] = 0
    X[9] = X[20] = np.finfo(dtype).max
    loss = fn.SoftmaxCrossEntropy(reduction="sum")
    value, grad = net.loss_and_grad(X, y, loss, weights)
    seen = weights > 0
    _, slopes = loss.value_and_grad(net.predict(X[seen]), y[seen])
    slopes = slopes * weights[seen, None]
    losses = [
        loss.value_and_grad(z[None], [c])[0]
        for z, c in zip(net.predict(X[seen]), y[seen], strict=True)
    ]
    assert value == pytest.approx(np.dot(weights[seen], losses), rel=1e-6)
    wanted = np.concatenate([(slopes.T @ X[seen]).ravel(), slopes.sum(0)])
    assert grad == pytest.approx(wanted, rel=1e-4, abs=1e-5)


def test_rows_without_a_label_are_skipped(rng, dtype, isa):
    net = fn.Network([fn.Linear(3, 4)], dtype, seed=0)
    X = rng.standard_normal((30, 3)).astype(dtype)
    y = rng.integers(0, 4, 30)
    y[[0, 13, 29]] = -1
    loss = fn.SoftmaxCrossEntropy(ignore_nan=True, reduction="sum")
    value, grad = net.loss_and_grad(X, y, loss)
    wanted, wanted_grad = net.loss_and_grad(X[y >= 0], y[y >= 0], loss)
    assert value == pytest.approx(wanted, rel=1e-6)
    assert grad == pytest.approx(wanted_grad, rel=1e-4, abs=1e-5)
