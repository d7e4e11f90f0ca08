"""Derivatives as linear maps: the calculus behind the library, checked with numbers.

First the general rules, then the shapes of ∂y/∂x, then values worked by hand. Each value is
compared with `numerical_jacobian`, and with a layer or network if one computes it.
"""

import itertools

import numpy as np
import pytest
from test_names import name_of

import fastnn as fn
from fastnn import numerical_hessian, numerical_jacobian
from fastnn.jacobians import Block, Dense, Identity


def close(actual, expected, atol=1e-9):
    assert np.shape(actual) == np.shape(expected)
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=atol)


@pytest.fixture
def net():
    layers = [fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 4), fn.Softmax()]
    return fn.Network(layers, "float64", seed=3)


# What holds in general -----------------------------------------------------------------------


def test_total_derivative(net, rng):
    """f(x + h) = f(x) + Df_x(h) + o(|h|), and Df_x(h) = J_f(x) h."""
    x, direction = rng.standard_normal(3), rng.standard_normal(3)
    J = net.jacobian_operator(x)
    close(J.to_dense(), numerical_jacobian(net, x))

    def remainder(size):
        h = size * direction
        return np.linalg.norm(net(x + h) - net(x) - J.matvec(h)) / np.linalg.norm(h)

    ratios = [remainder(size) for size in (1e-1, 1e-2, 1e-3, 1e-4)]
    assert all(finer < coarser / 5 for coarser, finer in itertools.pairwise(ratios))


def test_total_derivative_is_linear(net, rng):
    J = net.jacobian_operator(rng.standard_normal(3))
    g, h = rng.standard_normal((2, 3))
    close(J.matvec(2 * g - 3 * h), 2 * J.matvec(g) - 3 * J.matvec(h))


def test_a_row_of_the_jacobian_is_the_transposed_gradient_of_an_output(net, rng):
    x = rng.standard_normal(3)
    J = net.jacobian_operator(x)
    assert J.shape == (4, 3)  # a row per output, a column per input
    for k, row in enumerate(J.to_dense()):
        gradient = numerical_jacobian(lambda x, k=k: net(x)[k], x, layout="denominator")
        close(row, gradient)
        assert numerical_jacobian(lambda x, k=k: net(x)[k], x).shape == (1, 3)
        close(J.rmatvec(np.eye(4)[k]), gradient)


def f(u):
    return u[0] - 2 * u[1] + u[2] / 4


def g(x):
    return np.array([x[0] + 2 * x[1], x[1], 3 - x[0]])


def swirl(u):
    return np.array([u[0] * u[1], np.sin(u[2]), u[0] * np.exp(u[1])])


def test_chain_rule(rng):
    """J_{f∘g}(x) = J_f(g(x)) J_g(x)."""
    x = rng.standard_normal(2)
    outer, inner = numerical_jacobian(swirl, g(x)), numerical_jacobian(g, x)
    close(outer @ inner, numerical_jacobian(lambda x: swirl(g(x)), x))
    close((Dense(outer) @ Dense(inner)).to_dense(), outer @ inner)


def test_order_matters(rng):
    A, B = Dense(rng.standard_normal((2, 2))), Dense(rng.standard_normal((2, 2)))
    assert not np.allclose((A @ B).to_dense(), (B @ A).to_dense())
    with pytest.raises(ValueError, match="the order matters"):
        Dense(numerical_jacobian(g, [1, 2])) @ Dense(numerical_jacobian(swirl, [1, 2, 3]))


def test_chain_rule_by_entries(rng):
    """∂(f_i∘g)/∂x_j = ∇f_i(g(x)) · ∂g/∂x_j."""
    x = rng.standard_normal(2)
    composed = numerical_jacobian(lambda x: swirl(g(x)), x)
    for i, j in np.ndindex(3, 2):
        gradient = numerical_jacobian(lambda u, i=i: swirl(u)[i], g(x), layout="denominator")
        close(gradient @ numerical_jacobian(g, x)[:, j], composed[i, j])


def test_chain_rule_by_columns(rng):
    """DF = Σ_k ∂f/∂x_k(g(x)) · dg_k/dx."""
    x = rng.standard_normal(2)
    outer = numerical_jacobian(swirl, g(x))
    terms = [outer[:, [k]] @ numerical_jacobian(lambda x, k=k: g(x)[k], x) for k in range(3)]
    close(sum(terms), numerical_jacobian(lambda x: swirl(g(x)), x))


def test_copies(rng):
    """g(x) = (x, …, x), F = f∘g: DF = Σ_k ∂f/∂x_k, for scalars and for vectors."""
    outer = numerical_jacobian(swirl, np.full(3, 0.7))
    close(outer.sum(axis=1, keepdims=True), numerical_jacobian(lambda t: swirl([t, t, t]), 0.7))
    A, B, x = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), rng.standard_normal(4)
    copies = Block([Identity(4), Identity(4)]).T  # x -> (x, x)
    J = Block([Dense(A), Dense(B)]) @ copies
    close(J.to_dense(), A + B)
    close(J.to_dense(), numerical_jacobian(lambda x: A @ x + B @ x, x))


def test_a_value_used_twice_accumulates_its_gradients(rng):
    """A hidden unit feeds two outputs: its cotangent is the sum of the two cotangents."""
    net = fn.Network([fn.Linear(1, 1), fn.Tanh(), fn.Linear(1, 2)], "float64", seed=0)
    net([0.3])
    both = net.backward([2, 5])
    net([0.3])
    close(both, net.backward([2, 0]) + net.backward([0, 5]), atol=1e-14)


def test_partial_derivative(rng):
    """Freeze the other arguments, and differentiate the one-argument restriction."""
    x = rng.standard_normal(3)
    J = numerical_jacobian(swirl, x)
    for j in range(3):

        def restriction(t, j=j):
            return swirl(np.where(np.arange(3) == j, t, x))

        close(numerical_jacobian(restriction, x[j]), J[:, [j]])


@pytest.mark.parametrize(
    ("layer", "function", "interval"),
    [(fn.Abs(), abs, (-1, 1)), (fn.ReLU(), lambda x: max(0, x), (0, 1))],
    ids=name_of,
)
def test_subderivative(layer, function, interval, dtype):
    """At 0, |x| has the subderivatives [-1, 1], max(0, x) has [0, 1]; fastnn documents 0."""
    around = np.linspace(-1, 1, 41)
    for a in np.linspace(*interval, 11):
        assert all(function(x) >= a * x - 1e-15 for x in around)
    for a in (interval[0] - 0.01, interval[1] + 0.01):
        assert any(function(x) < a * x for x in around)
    assert layer.jacobian(np.zeros(2, dtype)).to_dense().tolist() == [[0, 0], [0, 0]]
    assert "0 at the kink" in type(layer).__doc__


@pytest.mark.parametrize(
    ("activation", "interval"), [(fn.Abs(), (-1, 1)), (fn.ReLU(), (0, 1))], ids=repr
)
def test_the_gradient_checker_knows_about_kinks(activation, interval):
    net = fn.Network([fn.Linear(1, 1), activation], "float64")
    net.params[...] = 1, 0
    report = fn.check_gradient(net, [[0]], [[-1]], fn.HalfSquaredError(), wrt="input")
    assert report.ok
    [kink] = report.kinks
    assert (kink.layer, kink.unit, kink.sample) == (1, 0, 0)
    assert kink.interval == pytest.approx(interval, abs=1e-4)


def test_second_derivatives():
    """The sign of f'' distinguishes a minimum, a maximum and a straight line."""
    assert numerical_hessian(lambda x: (x - 2) ** 2 + 1, 2.0) == pytest.approx(2)  # minimum
    assert numerical_hessian(np.cos, 0.0) == pytest.approx(-1)  # maximum
    assert numerical_hessian(lambda x: 3 * x - 1, 5.0) == pytest.approx(0, abs=1e-6)  # line
    for x in (2.0, 0.0):  # and f' is 0 at the first two
        function = np.cos if x == 0 else lambda x: (x - 2) ** 2 + 1
        assert numerical_jacobian(function, x) == pytest.approx(0, abs=1e-10)


def test_hessian_vector_product(rng):
    """For a scalar loss, H v is the derivative of the gradient in direction v."""
    net = fn.Network([fn.Linear(2, 3), fn.Tanh(), fn.Linear(3, 1)], "float64", seed=1)
    X, y, v = rng.standard_normal((5, 2)), rng.standard_normal((5, 1)), rng.standard_normal(13)
    theta, loss = net.params.copy(), fn.HalfSquaredError()

    def value_and_grad(params):
        net.params = params
        return net.loss_and_grad(X, y, loss)

    H = numerical_hessian(lambda params: value_and_grad(params)[0], theta)
    along = numerical_jacobian(lambda t: value_and_grad(theta + t * v)[1], 0.0)
    np.testing.assert_allclose(H @ v, along[:, 0], atol=1e-8)


# The shapes of ∂y/∂x, in the numerator layout --------------------------------------------------

n, k, m, l = 2, 3, 4, 5  # noqa: E741


@pytest.mark.parametrize(
    ("y_shape", "x_shape", "shape"),
    [
        ((), (), ()),
        ((), (n,), (1, n)),
        ((), (n, k), (k, n)),
        ((m,), (), (m, 1)),
        ((m,), (n,), (m, n)),
        ((m,), (n, k), (m, k, n)),
        ((m, l), (), (m, l)),
        ((m, l), (n,), (m, l, n)),
        ((m, l), (n, k), (m, l, k, n)),
    ],
    ids=[
        f"{y} by {x}"
        for y in ("scalar", "vector", "matrix")
        for x in ("scalar", "vector", "matrix")
    ],
)
def test_shapes(y_shape, x_shape, shape, rng):
    C = rng.standard_normal(y_shape + x_shape)

    def linear(x):
        return np.tensordot(C, x, len(x_shape)) if x_shape else C * x

    x = rng.standard_normal(x_shape)
    assert np.shape(linear(x)) == y_shape
    assert numerical_jacobian(linear, x).shape == shape


def test_a_matrix_argument_comes_transposed(rng):
    """The last axis comes first; NumPy and JAX have (…, n, k)."""
    C = rng.standard_normal((m, n, k))
    D = numerical_jacobian(lambda X: np.tensordot(C, X, 2), rng.standard_normal((n, k)))
    close(D, C.transpose(0, 2, 1))


def test_the_gradient_that_updates_a_weight_matrix_has_its_shape(rng):
    net = fn.Network([fn.Linear(3, 2)], "float64", seed=0)
    X, y, loss = rng.standard_normal((4, 3)), rng.standard_normal((4, 2)), fn.HalfSquaredError()

    def of_weight(W):
        return loss.value_and_grad(X @ W.T, y)[0]

    W = net.layers[0].weight.copy()
    gradient = net.loss_and_grad(X, y, loss)[1][:6].reshape(2, 3)
    close(numerical_jacobian(of_weight, W, layout="denominator"), gradient)
    close(numerical_jacobian(of_weight, W), gradient.T)


# Worked values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["central", "complex"])
@pytest.mark.parametrize(("x1", "x2"), [(1.0, 2.0), (-3.0, 0.5)])
def test_jacobian_of_three_functions(x1, x2, method):
    """f(x1, x2) = (2 x1 + x2, π x2, -x1 / x2)."""
    J = numerical_jacobian(
        lambda x: np.array([2 * x[0] + x[1], np.pi * x[1], -x[0] / x[1]]), [x1, x2], method
    )
    close(J, [[2, 1], [0, np.pi], [-1 / x2, x1 / x2**2]])


def test_chain_of_a_function_of_three_and_one_of_two(rng):
    x = rng.standard_normal(2)
    J_f, J_g = numerical_jacobian(f, g(x)), numerical_jacobian(g, x)
    close(J_f, [[1, -2, 1 / 4]])
    close(J_g, [[1, 2], [0, 1], [-1, 0]])
    close((Dense(J_f) @ Dense(J_g)).to_dense(), [[3 / 4, 0]])
    close(numerical_jacobian(lambda x: f(g(x)), x), [[3 / 4, 0]])
    assert f(g(x)) == pytest.approx(3 / 4 * (x[0] + 1))  # by substitution


@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (lambda x: 7 + 0 * x, lambda x: 0),
        (lambda x: 3.5 * x, lambda x: 3.5),
        (lambda x: x**5, lambda x: 5 * x**4),
        (lambda x: x**-1.5, lambda x: -1.5 * x**-2.5),
        (np.exp, np.exp),
        (np.log, lambda x: 1 / x),
        (lambda x: np.exp(x) + np.log(x), lambda x: np.exp(x) + 1 / x),
        (lambda x: np.exp(x) * np.log(x), lambda x: np.exp(x) * np.log(x) + np.exp(x) / x),
        (lambda x: np.exp(np.log(x) ** 2), lambda x: np.exp(np.log(x) ** 2) * 2 * np.log(x) / x),
    ],
    ids=[
        "constant",
        "a x",
        "power",
        "negative power",
        "exponential",
        "logarithm",
        "sum",
        "product",
        "chain",
    ],
)
@pytest.mark.parametrize("method", ["central", "complex"])
@pytest.mark.parametrize("x", [0.4, 1.0, 2.3])
def test_rules(function, derivative, method, x):
    close(numerical_jacobian(function, x, method), derivative(x))


def test_repeated_differentiation():
    """f⁽ⁿ⁾ of x⁴: 4 x³, 12 x², 24 x, 24."""

    def differentiated(function, times):
        if times == 0:
            return function
        return lambda x: numerical_jacobian(differentiated(function, times - 1), x)

    for times, value in enumerate([1.5**4, 4 * 1.5**3, 12 * 1.5**2, 24 * 1.5, 24]):
        derived = differentiated(lambda x: x**4, times)(1.5)
        assert derived == pytest.approx(value, rel=10.0 ** (-12 + 3 * times))


def test_the_gradient_is_perpendicular_to_the_contour():
    """∇(x1² + 2 x2²) = (2 x1, 4 x2), so (2, 4) at (1, 1)."""

    def bowl(x):
        return x[0] ** 2 + 2 * x[1] ** 2

    for x in ([1.0, 1.0], [-0.5, 3.0]):
        gradient = numerical_jacobian(bowl, x, layout="denominator")
        close(gradient, [2 * x[0], 4 * x[1]])
    gradient = numerical_jacobian(bowl, [1.0, 1.0], layout="denominator")
    close(gradient, [2, 4])

    def contour(t):  # the ellipse x1² + 2 x2² = 3, which passes through (1, 1)
        return np.array([np.sqrt(3) * np.cos(t), np.sqrt(3 / 2) * np.sin(t)])

    at = np.arctan(np.sqrt(2))
    close(contour(at), [1, 1])
    assert bowl(contour(2.0)) == pytest.approx(3)
    tangent = numerical_jacobian(contour, at)[:, 0]
    assert np.linalg.norm(tangent) > 1
    assert gradient @ tangent == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("activation", [fn.Sigmoid(), fn.Tanh(), fn.GELU(), fn.ReLU()], ids=repr)
def test_a_unit_by_its_weight(activation):
    """d/dw (v σ(u w + z)) = u v σ'(u w + z)."""
    u, v, w, z = 1.7, -0.6, 0.8, 0.3
    slope = activation.jacobian([u * w + z]).to_dense()[0, 0]
    close(numerical_jacobian(lambda w: v * activation([u * w + z])[0], w), u * v * slope)


def test_squared_norm_and_sum(rng):
    """∂|x|²/∂x = 2 xᵀ, ∂ sum(x)/∂x = 1ᵀ."""
    x = rng.standard_normal(4)
    close(numerical_jacobian(lambda x: x @ x, x), 2 * x[None])
    close(numerical_jacobian(np.sum, x), np.ones((1, 4)))


def test_inner_product(rng):
    """∂⟨u,v⟩/∂x = uᵀ ∂v/∂x + vᵀ ∂u/∂x."""
    x = rng.standard_normal(3)

    def other(x):
        return np.cos(x) * x[::-1]

    u, v = swirl(x), other(x)
    J_u, J_v = numerical_jacobian(swirl, x), numerical_jacobian(other, x)
    product = numerical_jacobian(lambda x: swirl(x) @ other(x), x)
    close(product, (u @ J_v + v @ J_u)[None])


def test_matrix_times_vector(rng):
    """∂(A x)/∂x = A, ∂(xᵀ A)/∂x = Aᵀ."""
    A, x, y = rng.standard_normal((3, 4)), rng.standard_normal(4), rng.standard_normal(3)
    close(numerical_jacobian(lambda x: A @ x, x), A)
    close(numerical_jacobian(lambda y: y @ A, y), A.T)
    layer = fn.Linear(4, 3)
    layer.weight = A
    close(layer.jacobian(x).to_dense(), A)


def test_one_squared_error(rng):
    """z = (⟨x,w⟩ - y)²: ∂z/∂w = 2 (⟨x,w⟩ - y) xᵀ."""
    x, w, y = rng.standard_normal(4), rng.standard_normal(4), 0.7
    expected = 2 * (x @ w - y) * x[None]
    close(numerical_jacobian(lambda w: (x @ w - y) ** 2, w), expected)
    net = fn.Network([fn.Linear(4, 1, bias=False)], "float64")
    net.params = w
    close(net.loss_and_grad([x], [y], fn.MeanSquaredError())[1], expected[0])


def test_squared_errors(rng):
    """z = |X w - y|²: ∂z/∂w = 2 (X w - y)ᵀ X."""
    X, w, y = rng.standard_normal((6, 4)), rng.standard_normal(4), rng.standard_normal(6)
    expected = 2 * (X @ w - y)[None] @ X
    close(numerical_jacobian(lambda w: np.sum((X @ w - y) ** 2), w), expected)
    net = fn.Network([fn.Linear(4, 1, bias=False)], "float64")
    net.params = w
    close(net.loss_and_grad(X, y, fn.MeanSquaredError("sum"))[1], expected[0])
