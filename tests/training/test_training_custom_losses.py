"""Training with a user's own loss: its interface and its errors."""

import numpy as np
import pytest

import fastnn as fn


def test_an_error_in_a_python_loss_arrives_unchanged(rng):
    class Failing:
        def value_and_grad(self, y_pred, y):
            raise LookupError("mine")

    net = fn.Network([fn.Linear(3, 1)], seed=0)
    with pytest.raises(LookupError, match="mine"):
        net.fit(rng.standard_normal((4, 3)), np.zeros(4), loss=Failing(), epochs=1)
    net.fit(rng.standard_normal((4, 3)), np.zeros(4), loss=fn.MeanSquaredError(), epochs=1)


def test_a_python_loss_may_overwrite_what_it_is_given(rng):
    class InPlace:
        def value_and_grad(self, y_pred, y):
            y_pred -= y
            return 0.5 * float((y_pred**2).sum()) / len(y), y_pred / len(y)

    X, y = rng.standard_normal((20, 3)), rng.random((20, 2))
    nets = []
    for loss in (InPlace(), fn.HalfSquaredError()):
        net = fn.Network([fn.Linear(3, 2), fn.Sigmoid()], "float64", seed=0)
        first = net.loss_and_grad(X, y, loss)[1]
        net.fit(X, y, loss=loss, optimizer=fn.SGD(0.5), epochs=5, seed=0, validation_data=(X, y))
        nets.append((first, net.params))
    np.testing.assert_allclose(nets[0], nets[1], rtol=1e-12)


def test_a_subclass_of_a_loss_is_its_own(rng):
    """It may override what the built-in loss computes, so the engine must not replace it."""

    class Doubled(fn.MeanSquaredError):
        def value_and_grad(self, y_pred, y):
            value, gradient = super().value_and_grad(y_pred, y)
            return 2 * value, 2 * gradient

    X, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    net = fn.Network([fn.Linear(3, 2)], "float64", seed=0)
    value, grad = net.loss_and_grad(X, y, fn.MeanSquaredError())
    doubled = net.loss_and_grad(X, y, Doubled())
    assert doubled[0] == pytest.approx(2 * value)
    np.testing.assert_allclose(doubled[1], 2 * grad)
    assert net.fit(X, y, loss=Doubled(), optimizer=fn.SGD(1e-9), epochs=1)["loss"][0] == (
        pytest.approx(2 * value, rel=1e-6)
    )
