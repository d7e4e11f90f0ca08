"""Softmax with NegativeLogLikelihood: all results equal those from the logits."""

import numpy as np
import pytest

import fastnn as fn

FAR = {"float32": 90.0, "float64": 740.0}  # e^-90 and e^-740 are denormal
BEYOND = {"float32": 200.0, "float64": 1000.0}  # these round to 0


def pair(dtype, hidden=False):
    """Return a network that ends in Softmax, and the same network without Softmax."""
    layers = [fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 3)] if hidden else [fn.Linear(3, 3)]
    with_softmax = fn.Network([*layers, fn.Softmax()], dtype, seed=4)
    rest = [fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 3)] if hidden else [fn.Linear(3, 3)]
    without = fn.Network(rest, dtype, seed=4)
    without.params[:] = with_softmax.params
    return with_softmax, without


def data(dtype, rng, n=12):
    return rng.standard_normal((n, 3)).astype(dtype), rng.integers(3, size=n)


def scaled(nets, far):
    """Scale the parameters; for large factors, some probabilities are 0."""
    for net in nets:
        net.params *= far


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("far", [1.0, 400.0])
def test_value_and_derivatives_are_those_of_cross_entropy(isa, dtype, rng, far, reduction):
    nets = pair(dtype, hidden=True)
    scaled(nets, far)
    X, labels = data(dtype, rng)
    weights = rng.random(12)
    likelihood = fn.NegativeLogLikelihood(reduction)
    cross_entropy = fn.SoftmaxCrossEntropy(reduction)
    for sample_weight in (None, weights):
        values = [
            net.loss_and_grad(X, labels, loss, sample_weight=sample_weight)
            for net, loss in zip(nets, (likelihood, cross_entropy), strict=True)
        ]
        assert values[0][0] == values[1][0]
        assert np.isfinite(values[0][0])
        assert np.array_equal(values[0][1], values[1][1])
    v = rng.standard_normal(nets[0].params.size)
    for ours, theirs in (
        (nets[0].hvp(X, labels, likelihood, v), nets[1].hvp(X, labels, cross_entropy, v)),
        (nets[0].hessian(X, labels, likelihood), nets[1].hessian(X, labels, cross_entropy)),
        (
            nets[0].sample_grads(X, labels, likelihood),
            nets[1].sample_grads(X, labels, cross_entropy),
        ),
    ):
        assert np.isfinite(ours).all()
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("far", [FAR, BEYOND])
def test_probability_that_vanishes(isa, dtype, far):
    net = fn.Network([fn.Linear(1, 2), fn.Softmax()], dtype)
    net.params[:] = far[dtype], 0, 0, 0
    X, labels = np.ones((1, 1), dtype), [1]
    loss = fn.NegativeLogLikelihood()
    value, gradient = net.loss_and_grad(X, labels, loss)
    assert value == far[dtype]
    assert gradient.tolist() == [1, -1, 1, -1]
    assert net.sample_grads(X, labels, loss).tolist() == [[1, -1, 1, -1]]
    matrix, again = net.gram(X, labels, loss)
    assert again.tolist() == [1, -1, 1, -1]
    assert np.array_equal(matrix, np.outer(gradient, gradient))
    assert np.isfinite(net.hessian(X, labels, loss)).all()
    for wrt in ("params", "input"):
        assert fn.check_gradient(net, X, labels, loss, wrt=wrt)
    history = net.fit(
        X, labels, loss=loss, optimizer=fn.SGD(0.5), epochs=3, validation_data=(X, labels)
    )
    assert history["loss"] == [far[dtype], far[dtype] - 2, far[dtype] - 4]
    assert history["val_loss"] == [far[dtype] - 2, far[dtype] - 4, far[dtype] - 6]
    assert history["val_accuracy"] == [0, 0, 0]
    net.fit(X, labels, loss=loss, optimizer=fn.LBFGS(), epochs=30)
    assert net.loss_and_grad(X, labels, loss)[0] < 1e-3


def test_training_is_that_of_cross_entropy_to_the_bit(isa, dtype, rng):
    nets = pair(dtype, hidden=True)
    X, labels = data(dtype, rng, 40)
    losses = fn.NegativeLogLikelihood(), fn.SoftmaxCrossEntropy()
    histories = [
        net.fit(
            X,
            labels,
            loss=loss,
            optimizer=fn.Adam(0.01),
            epochs=4,
            batch_size=8,
            seed=1,
            validation_data=(X, labels),
        )
        for net, loss in zip(nets, losses, strict=True)
    ]
    assert np.array_equal(nets[0].params, nets[1].params)
    for name in ("loss", "val_loss", "val_accuracy"):
        assert histories[0][name] == histories[1][name]


def test_gauss_newton_is_that_of_the_probabilities(isa, dtype, rng):
    """It equals Jᵀ H J with the Jacobian J of p, and H_cc = 1 / p_c² for -ln p_c."""
    net, _ = pair(dtype, hidden=True)
    X, labels = data(dtype, rng)
    matrix, _ = net.gram(X, labels, fn.NegativeLogLikelihood("sum"))
    J = net.jacobian(X, wrt="params")[np.arange(12), labels].astype(float)
    rows = J / net(X)[np.arange(12), labels][:, None]
    rtol = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(matrix, rows.T @ rows, rtol=rtol, atol=rtol)


def test_backward_by_hand_gives_the_same_gradient(isa, dtype):
    """This holds if 1 / p is finite in the dtype; otherwise the cotangent raises an error."""
    net = fn.Network([fn.Linear(1, 2), fn.Softmax()], dtype)
    loss, X = fn.NegativeLogLikelihood(), np.ones((1, 1), dtype)
    for far in (17, 40, 86):
        for label, sign in ((1, 1), (0, -1)):
            net.params[:] = far, 0, 0, 0
            _, dS = loss.value_and_grad(net.forward(X), [label])
            net.backward(dS)
            _, expected = net.loss_and_grad(X, [label], loss)
            np.testing.assert_allclose(net.grads, expected, rtol=8 * np.finfo(dtype).eps)
            assert np.sign(expected[0]) == sign
    net.params[:] = BEYOND[dtype], 0, 0, 0
    value, dS = loss.value_and_grad(net.forward(X), [1])
    assert value == np.inf
    assert dS[0, 1] == -np.inf
    with pytest.raises(ValueError, match="inf; finite numbers are wanted"):
        net.backward(dS)


def test_network_of_nothing_but_softmax(isa, dtype):
    net = fn.Network([fn.Standardize([0, 0], [1, 1]), fn.Softmax()], dtype)
    X = np.array([[BEYOND[dtype], 0]], dtype)
    assert net.loss_and_grad(X, [1], fn.NegativeLogLikelihood())[0] == BEYOND[dtype]
