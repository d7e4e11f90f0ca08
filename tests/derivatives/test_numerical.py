"""Numerical derivatives of plain functions: accuracy, layouts, and functions that misbehave."""

import math

import numpy as np
import pytest

import fastnn as fn
from fastnn import numerical_hessian, numerical_jacobian

methods = pytest.mark.parametrize(("method", "rtol"), [("central", 2e-9), ("complex", 1e-14)])
layouts = pytest.mark.parametrize("layout", ["numerator", "denominator"])


@methods
@pytest.mark.parametrize("x", [-20.0, -0.7, 0.01, 0.3, 1.0, 7.0])
def test_accuracy_on_scalars(method, rtol, x):
    for f, derivative in [
        (np.exp, np.exp),
        (np.sin, np.cos),
        (np.arctan, lambda x: 1 / (1 + x * x)),
        (lambda x: x**5 - 3 * x, lambda x: 5 * x**4 - 3),
        (lambda x: 1 / x, lambda x: -1 / x**2),
        (lambda x: np.log(x * x), lambda x: 2 / x),
    ]:
        derived = numerical_jacobian(f, x, method)
        assert derived.shape == ()
        assert derived.dtype == np.float64
        assert derived == pytest.approx(derivative(x), rel=rtol, abs=rtol)


@methods
def test_accuracy_of_second_derivatives(method, rtol):
    def f(x):
        return np.exp(x[0]) * np.sin(x[1]) + x[0] * x[1] ** 3

    hessian = numerical_hessian(f, [0.3, 0.7], method)
    e, s, c = math.exp(0.3), math.sin(0.7), math.cos(0.7)
    expected = [[e * s, e * c + 3 * 0.49], [e * c + 3 * 0.49, -e * s + 6 * 0.3 * 0.7]]
    np.testing.assert_allclose(hessian, expected, rtol=1e-8 if method == "central" else 1e-11)
    assert np.array_equal(hessian, hessian.T)


def test_second_derivatives_of_matrices_and_of_vectors():
    A = np.arange(6.0).reshape(2, 3)
    cubes = numerical_hessian(lambda X: np.sum(X**3), A, "complex")
    assert cubes.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(cubes.reshape(6, 6), np.diag(6 * A.ravel()), atol=1e-10)
    of_vector = numerical_hessian(lambda x: np.array([x[0] * x[1], x[0] ** 2, 5.0]), [2.0, 3.0])
    assert of_vector.shape == (3, 2, 2)
    np.testing.assert_allclose(of_vector[0], [[0, 1], [1, 0]], atol=1e-8)
    np.testing.assert_allclose(of_vector[1:], [[[2, 0], [0, 0]], np.zeros((2, 2))], atol=1e-8)
    assert numerical_hessian(np.sin, 1.0) == pytest.approx(-math.sin(1), rel=1e-9)


@layouts
@pytest.mark.parametrize("x_shape", [(), (2,), (2, 3), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("y_shape", [(), (5,), (5, 6)], ids=str)
def test_layouts(layout, y_shape, x_shape, rng):
    """The coefficients ∂y_i/∂x_j of a linear map have the documented order."""
    coefficients = rng.standard_normal(y_shape + x_shape)

    def f(x):
        return np.tensordot(coefficients, x, len(x_shape)) if x_shape else coefficients * x

    derived = numerical_jacobian(f, rng.standard_normal(x_shape), layout=layout)
    if layout == "denominator":
        assert derived.shape == x_shape + y_shape[::-1]
    elif (len(y_shape), len(x_shape)) in [(0, 1), (1, 0)]:
        assert derived.shape == (*(y_shape or (1,)), *(x_shape or (1,)))
        derived = derived.reshape(y_shape + x_shape)
    else:
        assert derived.shape == y_shape + x_shape[::-1]
    for i in np.ndindex(y_shape):
        for j in np.ndindex(x_shape):
            place = j + i[::-1] if layout == "denominator" else i + j[::-1]
            assert derived[place] == pytest.approx(coefficients[(*i, *j)], abs=1e-10)


def test_a_gradient_has_the_shape_of_what_it_updates():
    W = np.arange(6.0).reshape(2, 3)
    gradient = numerical_jacobian(lambda W: np.sum(W**2) / 2, W, layout="denominator")
    np.testing.assert_allclose(gradient, W, atol=1e-10)
    transposed = numerical_jacobian(lambda W: np.sum(W**2) / 2, W)
    np.testing.assert_allclose(transposed, W.T, atol=1e-10)


def test_functions_of_plain_numbers_lists_and_single_precision():
    assert numerical_jacobian(math.sin, 0.5) == pytest.approx(math.cos(0.5), rel=1e-10)
    pair = numerical_jacobian(lambda x: [x[0] * x[1], 3], [2, 5])
    np.testing.assert_allclose(pair, [[5, 2], [0, 0]], atol=1e-10)
    layer = fn.Tanh()
    x = np.array([0.5, -1, 2], "float32")
    single = numerical_jacobian(lambda x: layer(x.astype("float32")), x)
    np.testing.assert_allclose(single, layer.jacobian(x).to_dense(), atol=1e-4)
    assert numerical_jacobian(lambda x: x, []).shape == (0, 0)
    assert numerical_jacobian(lambda x: 3, 2.0) == 0


def test_a_network_against_its_operator(rng):
    net = fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2)], "float64", seed=0)
    x = rng.standard_normal(3)
    J = net.jacobian_operator(x)
    np.testing.assert_allclose(numerical_jacobian(net, x), J.to_dense(), atol=1e-10)


def test_f_may_write_into_its_argument():
    def f(x):
        x *= 2
        return x

    x = np.ones(2)
    np.testing.assert_allclose(numerical_jacobian(f, x), 2 * np.eye(2), atol=1e-10)
    assert x.tolist() == [1, 1]


def test_at_a_kink_central_differences_give_the_mean_of_both_slopes():
    assert numerical_jacobian(abs, 0.0) == pytest.approx(0, abs=1e-12)
    assert numerical_jacobian(lambda x: max(0, x), 0.0) == pytest.approx(0.5, rel=1e-12)


def discards(x):
    y = np.zeros(x.shape)
    y[:] = x
    return y


def grows():
    calls = iter(range(100))
    return lambda x: np.zeros(next(calls))


@pytest.mark.parametrize("derive", [numerical_jacobian, numerical_hessian])
@pytest.mark.parametrize(
    ("f", "x", "method", "error", "message"),
    [
        (3, 1, "central", TypeError, "f is 3; a function is wanted"),
        (np.sin, [1, np.nan], "central", ValueError, r"x\[1\] is nan"),
        (np.sin, "one", "central", TypeError, "x has dtype <U3"),
        (np.sin, 1j, "central", TypeError, "x has dtype complex128"),
        (np.sin, 1, "forward", ValueError, "method is 'forward'; 'central' or 'complex' is wanted"),
        (np.sin, 1, None, ValueError, "method is None"),
        (lambda x: x + 1j, 1.0, "central", TypeError, "the value of f has dtype complex128"),
        (lambda x: None, 1.0, "central", TypeError, "the value of f has dtype object"),
        (lambda x: "y", 1.0, "central", TypeError, "the value of f has dtype <U1"),
        (lambda x: np.nan, 1.0, "central", ValueError, "f returned nan at x"),
        (
            lambda x: x if x == 1 else np.inf,
            1.0,
            "central",
            ValueError,
            "f returned inf where x is",
        ),
        (
            lambda x: x if x[1] == 1 else x * np.inf,
            [1, 1],
            "central",
            ValueError,
            r"f returned inf where x\[1\] is",
        ),
        (grows(), 1.0, "central", ValueError, r"f returned shape \(\d,\) where x is"),
        (np.abs, [1, 2], "complex", TypeError, "float64 for a complex argument: an operation"),
        (lambda x: np.real(x) ** 2, 1.0, "complex", TypeError, "drops the imaginary part"),
        (discards, [1, 2], "complex", TypeError, "f discards imaginary parts"),
    ],
    ids=range(16),
)
def test_bad_input(derive, f, x, method, error, message):
    with pytest.raises(error, match=message):
        derive(f, x, method)


def test_bad_layout():
    with pytest.raises(ValueError, match="layout is 'jax'; 'numerator' or 'denominator'"):
        numerical_jacobian(np.sin, 1, layout="jax")
