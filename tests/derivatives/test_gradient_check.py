"""`check_gradient`: right gradients pass, wrong entries are named, kinks are reported."""

import numpy as np
import pytest
from case_inputs import sample_inputs, sample_params, smooth_inputs
from cases import LOSS_CASES, NETWORK_CASES
from test_names import name_of

import fastnn as fn
from fastnn import check_gradient, numerical_jacobian
from fastnn.jacobians import Dense, Diagonal


@pytest.mark.parametrize("wrt", ["params", "input"])
@pytest.mark.parametrize("case", NETWORK_CASES[:-1], ids=lambda case: case.name)
def test_every_network_passes(case, dtype, rng, make_network, wrt):
    params = sample_params(case, rng, dtype)
    net = make_network(case, dtype, params)
    X = smooth_inputs(case, params, rng, dtype)
    y = rng.standard_normal((len(X), net.out_features))
    report = check_gradient(net, X, y, fn.HalfSquaredError(), wrt=wrt)
    assert report, report
    assert report.n_entries == (net.n_params if wrt == "params" else X.size)
    assert report.relative_error < (1e-4 if dtype == "float32" else 1e-6)
    assert report.kinks == ()
    assert report.tolerance == (1e-3 if dtype == "float32" else 1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("wrt", ["params", "input"])
@pytest.mark.parametrize("case", LOSS_CASES, ids=lambda case: case.name)
def test_every_loss_passes(case, dtype, rng, wrt, reduction):
    last = [fn.Softmax()] if case.target == "labels" and "Likelihood" in case.cls else []
    net = fn.Network([fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 4), *last], dtype, seed=1)
    X, y = rng.standard_normal((6, 3)), case.make_y(rng, 6, 4, dtype)
    loss = getattr(fn, case.cls)(**case.args, reduction=reduction)
    assert check_gradient(net, X, y, loss, wrt=wrt)


@pytest.mark.parametrize("case", NETWORK_CASES[:3], ids=lambda case: case.name)
def test_a_network_stays_as_it_is(case, rng, make_network):
    net = make_network(case, "float32", sample_params(case, rng, "float32"))
    net.grads[...] = 7
    before = net.params.copy()
    X = sample_inputs(case, rng, "float32")
    for wrt in ("params", "input"):
        check_gradient(net, X, net(X), fn.HalfSquaredError(), wrt=wrt)
    assert np.array_equal(net.params, before)
    assert (net.grads == 7).all()


# Wrong gradients -----------------------------------------------------------------------------


class FourthPower:
    """Σ (ŷ - y)⁴ / n, with a right or a wrong gradient."""

    def __init__(self, factor=4.0):
        self.factor = factor

    def value_and_grad(self, y_pred, y):
        r = y_pred - y
        return float((r**4).sum() / len(r)), self.factor * r**3 / len(r)


class WrongInOnePlace(FourthPower):
    def value_and_grad(self, y_pred, y):
        value, gradient = super().value_and_grad(y_pred, y)
        gradient[2, 1] *= 1.001
        return value, gradient


@pytest.mark.parametrize("wrt", ["params", "input"])
def test_a_loss_of_your_own(dtype, rng, wrt):
    net = fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2)], dtype, seed=0)
    X, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    assert check_gradient(net, X, y, FourthPower(), wrt=wrt).ok
    wrong = check_gradient(net, X, y, FourthPower(-4), wrt=wrt)
    assert not wrong
    assert wrong.relative_error > 1
    assert "WRONG" in str(wrong)
    subtle = check_gradient(net, X, y, WrongInOnePlace(), wrt=wrt, tolerance=1e-5)
    assert not subtle
    if wrt == "input" and dtype == "float64":
        assert subtle.entry.startswith("x[2, ")
        assert subtle.absolute_error == abs(subtle.analytic - subtle.numeric)
        assert subtle.relative_error < 1e-2


class Tampered(fn.Network):
    """A network whose gradient has one wrong entry."""

    place, amount = 0, 0.01

    def loss_and_grad(self, X, y, loss):
        value, gradient = super().loss_and_grad(X, y, loss)
        gradient[self.place] += self.amount
        return value, gradient


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (0, "layers[1].weight[0, 0]"),
        (11, "layers[1].weight[3, 2]"),
        (12, "layers[1].bias[0]"),
        (15, "layers[1].bias[3]"),
        (16, "layers[3].weight[0, 0]"),
        (23, "layers[3].weight[1, 3]"),
    ],
)
def test_the_worst_entry_is_named(dtype, rng, place, name):
    layers = [fn.Standardize([0, 1, 2], [1, 2, 3]), fn.Linear(3, 4), fn.Tanh()]
    net = Tampered([*layers, fn.Linear(4, 2, bias=False)], dtype, seed=0)
    net.place = place
    X, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    report = check_gradient(net, X, y, fn.HalfSquaredError())
    assert not report
    assert report.entry == name
    assert name in str(report)
    assert report.absolute_error == pytest.approx(0.01, rel=1e-2)


# Minima: both gradients consist of rounding errors, and of the error of the differences


@pytest.mark.parametrize("wrt", ["params", "input"])
@pytest.mark.parametrize("case", NETWORK_CASES[:-1], ids=lambda case: case.name)
def test_a_minimum_passes(case, dtype, rng, make_network, wrt):
    params = sample_params(case, rng, dtype)
    net = make_network(case, dtype, params)
    X = smooth_inputs(case, params, rng, dtype)
    for loss in (fn.HalfSquaredError(), fn.Huber(), FourthPower()):
        report = check_gradient(net, X, net(X), loss, wrt=wrt)
        assert report, report
        assert abs(report.analytic) < (1e-4 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize(("x_unit", "y_unit"), [(1, 1e-3), (1, 1e3), (1e3, 1e-3), (1e3, 1e3)])
def test_a_minimum_passes_in_all_units(dtype, rng, x_unit, y_unit):
    X = x_unit * rng.standard_normal((9, 3))
    layers = [fn.Standardize.from_data(X), fn.Linear(3, 6), fn.Tanh(), fn.Linear(6, 2)]
    net = fn.Network([*layers, fn.Unstandardize([0, y_unit], [y_unit, y_unit])], dtype, seed=0)
    for wrt in ("params", "input"):
        report = check_gradient(net, X, net(X), fn.MeanSquaredError(), wrt=wrt)
        assert report, report


def test_a_wrong_gradient_is_found_at_a_minimum(dtype, rng):
    net = Tampered([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2)], dtype, seed=0)
    X = rng.standard_normal((5, 3))
    net.amount = 1e-4 if dtype == "float32" else 1e-8
    for place in range(net.n_params):
        net.place = place
        report = check_gradient(net, X, net(X), fn.HalfSquaredError())
        assert not report
        assert report.absolute_error == pytest.approx(net.amount, rel=1e-2)


# Kinks ---------------------------------------------------------------------------------------


def at_a_kink(activation, weight, bias, **kwargs):
    """Return the report for the network 2 σ(w x + b) with ½ (ŷ - y)², at x = 1 and y = -1."""
    net = fn.Network([fn.Linear(1, 1), activation, fn.Linear(1, 1, bias=False)], "float64")
    net.params[...] = weight, bias, 2
    return check_gradient(net, [[1.0]], [[-1.0]], fn.HalfSquaredError("sum"), **kwargs)


@pytest.mark.parametrize(
    ("activation", "interval"),
    [(fn.ReLU(), (0, 2)), (fn.Abs(), (-2, 2)), (fn.LeakyReLU(0.5), (1, 2)), (fn.ELU(3), (6, 2))],
    ids=repr,
)
def test_a_kink_is_listed_and_no_failure(activation, interval):
    report = at_a_kink(activation, 0.5, -0.5)
    assert report.ok
    assert [kink.entry for kink in report.kinks] == ["layers[0].weight[0, 0]", "layers[0].bias[0]"]
    for kink in report.kinks:
        assert (kink.layer, kink.unit, kink.sample) == (1, 0, 0)
        assert kink.interval == pytest.approx(interval, abs=1e-3)
    line = "kink at layers[1], unit 0, sample 0: the derivative by layers[0].weight[0, 0] is"
    assert line in str(report)


def test_a_kink_within_the_step_is_seen_and_one_outside_is_not():
    assert len(at_a_kink(fn.ReLU(), 0.5, -0.5 + 1e-6).kinks) == 2
    report = at_a_kink(fn.ReLU(), 0.5, -0.5 + 1e-4)
    assert report
    assert not report.kinks


def test_a_smooth_activation_has_no_kinks():
    assert not at_a_kink(fn.Tanh(), 0.5, -0.5).kinks


def test_a_gradient_outside_the_interval_of_a_kink_is_wrong():
    net = Tampered([fn.Linear(1, 1), fn.ReLU(), fn.Linear(1, 1, bias=False)], "float64")
    net.params[...] = 0.5, -0.5, 2
    net.place = 1
    for amount, ok in [(0.01, True), (-0.01, False)]:  # 0.01 is a subderivative, -0.01 is not
        net.amount = amount
        report = check_gradient(net, [[1.0]], [[-1.0]], fn.HalfSquaredError("sum"))
        assert report.ok == ok
        assert len(report.kinks) == 2
    assert report.entry == "layers[0].bias[0]"


def test_an_entry_with_several_kinks_is_not_compared():
    """relu(z) - relu(-z) = z has slope 1 at 0, but fastnn returns 0."""
    net = fn.Network([fn.Linear(1, 2, bias=False), fn.ReLU(), fn.Linear(2, 1, bias=False)])
    net.params[...] = 1, -1, 1, -1
    report = check_gradient(net, [[0.0]], [[-1.0]], fn.HalfSquaredError(), wrt="input")
    assert report
    assert report.n_entries == 0
    assert report.entry == ""
    assert [(kink.unit, kink.entry) for kink in report.kinks] == [(0, "x[0, 0]"), (1, "x[0, 0]")]
    assert report.kinks[0].interval == pytest.approx((1, 1), rel=1e-4)


def test_zero_biases_meet_zero_inputs(dtype):
    net = fn.Network([fn.Linear(2, 8), fn.ReLU(), fn.Linear(8, 1)], dtype, seed=0)
    X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [1, 1, 1, 0]
    report = check_gradient(net, X, y, fn.HalfSquaredError())
    assert report
    assert {kink.entry for kink in report.kinks} == {f"layers[0].bias[{i}]" for i in range(8)}
    assert "and 3 more kinks" in str(report)


# Functions -----------------------------------------------------------------------------------


def test_functions(rng):
    A, x, W = rng.standard_normal((3, 4)), rng.standard_normal(4), rng.standard_normal((2, 3))
    assert check_gradient(np.sin, 0.5, derivative=np.cos)
    assert check_gradient(lambda x: x @ x, x, derivative=lambda x: 2 * x)
    assert check_gradient(lambda W: (W**3).sum(), W, derivative=lambda W: 3 * W**2)
    assert check_gradient(lambda x: A @ x, x, derivative=A)
    assert check_gradient(lambda x: A @ np.exp(x), x, derivative=lambda x: Dense(A * np.exp(x)))
    assert check_gradient(np.exp, x, derivative=lambda x: Diagonal(np.exp(x)))
    outer = numerical_jacobian(lambda W: W @ W.T, W)
    assert check_gradient(lambda W: W @ W.T, W, derivative=outer)
    net = fn.Network([fn.Linear(4, 3), fn.Tanh()], "float32", seed=0)
    assert check_gradient(net, x, derivative=net.jacobian_operator)
    loose = check_gradient(net.layers[1], x, derivative=net.layers[1].jacobian)
    assert loose
    assert loose.tolerance == 1e-6


@pytest.mark.parametrize(
    ("f", "x", "derivative", "entry"),
    [
        (np.sin, 0.5, np.sin, "x"),
        (lambda x: x @ x, [1.0, 2.0], [2.0, 4.001], "x[1]"),
        (lambda W: (W**2).sum(), [[1.0, 2.0]], [[2.0, 3.9]], "x[0, 1]"),
        (np.exp, [0.0, 0.0], [[1, 0], [0.01, 1]], "f(x)[1] by x[0]"),
        (lambda x: np.array([x, x * x]), 1.0, [[1], [2.1]], "f(x)[1] by x"),
        (
            lambda W: W @ [1.0, 1.0],
            [[1.0, 2.0], [3.0, 4.0]],
            np.array([[[1, 0], [1, 0]], [[0, 1], [0, 2]]]),
            "f(x)[1] by x[1, 1]",
        ),
    ],
    ids=name_of,
)
def test_wrong_derivatives_of_functions(f, x, derivative, entry):
    report = check_gradient(f, x, derivative=derivative)
    assert not report
    assert report.entry == entry
    assert repr(report) == str(report)


def network():
    return fn.Network([fn.Linear(2, 2), fn.Tanh()], seed=0)


X, Y, HALF = np.ones((3, 2)), np.zeros((3, 2)), fn.HalfSquaredError()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: check_gradient(np.sin, 1), TypeError, "a function and its derivative="),
        (lambda: check_gradient(3, 1), TypeError, "f is 3"),
        (lambda: check_gradient(3, 1, derivative=1), TypeError, "f is 3; a function is wanted"),
        (lambda: check_gradient(network(), X), TypeError, "loss is None"),
        (lambda: check_gradient(network(), X, Y, "mse"), TypeError, "loss is 'mse'"),
        (lambda: check_gradient(network(), X[:, :1], Y, HALF), ValueError, r"x has shape \(3, 1\)"),
        (lambda: check_gradient(network(), X, Y[:2], HALF), ValueError, r"y has shape \(2, 2\)"),
        (lambda: check_gradient(network(), X, Y, HALF, wrt="X"), ValueError, "wrt is 'X'"),
        (lambda: check_gradient(network(), X, Y, HALF, tolerance=0), ValueError, "tolerance is 0"),
        (
            lambda: check_gradient(np.sin, 1, Y, derivative=np.cos),
            TypeError,
            "y, loss and wrt go with",
        ),
        (
            lambda: check_gradient(np.sin, 1, derivative=np.cos, wrt="params"),
            TypeError,
            "y, loss and wrt go with",
        ),
        (
            lambda: check_gradient(np.sin, 1, derivative=np.cos, wrt="input"),
            TypeError,
            "y, loss and wrt go with",
        ),
        (
            lambda: check_gradient(lambda x: x @ x, [1, 2], derivative=[[2, 4]]),
            ValueError,
            r"derivative has shape \(1, 2\); \(2,\) is wanted",
        ),
        (lambda: check_gradient(np.sin, 1, derivative=np.nan), ValueError, "derivative is nan"),
        (lambda: check_gradient(np.sin, [1, np.inf], derivative=0), ValueError, r"x\[1\] is inf"),
    ],
    ids=range(15),
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
