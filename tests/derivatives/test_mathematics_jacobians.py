"""The worked Jacobians of textbooks, number by number, through the public interface."""

import numpy as np
import pytest
import reference
from worked_examples import softmax_network

import fastnn as fn

pytestmark = pytest.mark.usefixtures("isa")

X = [1, -1]  # the embedding E of the softmax network
QR_BY_THETA = [[1, -1, -1, 1, 0, 0, 2, 1, 0, 0, 0, 0], [-2, 2, 5, -5, 0, 0, 0, 0, 0, 2, 1, 0]]
S_BY_THETA = [
    [3 / 4, -3 / 4, -3 / 2, 3 / 2, 0, 0, 1 / 2, 1 / 4, 0, -1 / 2, -1 / 4, 0],
    [-3 / 4, 3 / 4, 3 / 2, -3 / 2, 0, 0, -1 / 2, -1 / 4, 0, 1 / 2, 1 / 4, 0],
]


# The pieces of a network ---------------------------------------------------------------------


def piece(layer, width, dtype):
    """Return a network of one layer without parameters."""
    return fn.Network([fn.Standardize(np.zeros(width), np.ones(width)), layer], dtype)


def linear(dtype):
    net = fn.Network([fn.Linear(3, 2)], dtype)
    net.params[...] = 1, 2, 3, 4, 5, 6, 0.5, -1
    return net


def test_linear_by_its_input_is_its_weight(dtype):
    assert linear(dtype).jacobian([7, -8, 9]).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_linear_by_its_parameters_is_a_kronecker_product_and_the_identity(dtype):
    """∂z_k/∂W_ij = δ_ki a_j: identity ⊗ aᵀ; ∂z/∂b = I."""
    a = np.array([7, -8, 9])
    expected = np.hstack([np.kron(np.eye(2), a), np.eye(2)])
    assert linear(dtype).jacobian(a, "params").tolist() == expected.tolist()


def test_a_scalar_of_linear_by_its_weight_is_an_outer_product(dtype):
    """∂h(W a)/∂W_ij = a_j ∂_i h; as a linear map D(h∘g)(W)(H) = Dh(W a) H a."""
    net, a, dh, H = linear(dtype), np.array([7, -8, 9]), np.array([10, -1]), np.arange(6)
    by_params = net.vjp(a, dh, "params")
    assert by_params[:6].reshape(2, 3).tolist() == np.outer(dh, a).tolist()
    assert by_params[6:].tolist() == dh.tolist()
    step = net.jvp(a, [*H, 0, 0], "params")
    assert step.tolist() == (H.reshape(2, 3) @ a).tolist()
    assert dh @ step == by_params[:6] @ H


def test_relu_by_its_input_is_diagonal(dtype):
    """Diag(1[z > 0])."""
    J = piece(fn.ReLU(), 5, dtype).jacobian([-2, -1, 0, 1, 2])
    assert J.tolist() == np.diag([0, 0, 0, 1, 1]).tolist()


@pytest.mark.parametrize(
    "name", ["Sigmoid", "Tanh", "Softplus", "GELU", "SiLU", "Mish", "ELU", "SELU"]
)
def test_an_elementwise_function_by_its_input_is_diagonal(dtype, name):
    """Diag(σ'(z))."""
    layer, z = getattr(fn, name)(), np.array([-3, -0.5, 0.25, 2])
    expected = np.diag(reference.elementwise_derivative(layer.kind, z))
    J = piece(layer, 4, dtype).jacobian(z)
    np.testing.assert_allclose(J, expected, atol=20 * np.finfo(dtype).eps)


def test_softmax_by_its_input_is_a_diagonal_minus_an_outer_product(dtype, rng):
    """Diag(S) - S Sᵀ; its rows and columns sum to 0."""
    z = rng.standard_normal(4).astype(dtype)
    net = piece(fn.Softmax(), 4, dtype)
    S, J = net.value_and_jacobian(z)
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(J, np.diag(S) - np.outer(S, S), atol=tolerance)
    np.testing.assert_allclose(J.sum(axis=0), 0, atol=tolerance)
    np.testing.assert_allclose(J.sum(axis=1), 0, atol=tolerance)


def test_the_chain_rule_multiplies_jacobians(dtype, rng):
    """J_{f∘g}(x) = J_f(g(x)) J_g(x), in this order."""
    g = fn.Network([fn.Linear(3, 4), fn.Tanh()], dtype, seed=0)
    f = fn.Network([fn.Linear(4, 2), fn.Softmax()], dtype, seed=1)
    both = fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2), fn.Softmax()], dtype)
    both.params = np.concatenate([g.params, f.params])
    x = rng.standard_normal(3)
    product = f.jacobian(g(x)) @ g.jacobian(x)
    np.testing.assert_allclose(both.jacobian(x), product, atol=20 * np.finfo(dtype).eps)


def test_the_chain_rule_on_worked_numbers(dtype):
    """J_f = [1, -2, 1/4], J_g = [[1, 2], [0, 1], [-1, 0]], J_{f∘g} = [3/4, 0]."""
    g, f = fn.Linear(2, 3), fn.Linear(3, 1)
    g.weight, g.bias = [[1, 2], [0, 1], [-1, 0]], [0, 0, 3]
    f.weight, f.bias = [[1, -2, 0.25]], [0]
    assert fn.Network([g, f], dtype).jacobian([5, 7]).tolist() == [[0.75, 0]]


def test_without_nonlinearities_the_jacobian_is_the_product_of_the_weights(dtype, rng):
    net = fn.Network([fn.Linear(4, 6), fn.Linear(6, 3)], dtype, seed=1)
    product = net.layers[1].weight @ net.layers[0].weight
    J = net.jacobian(rng.standard_normal((5, 4)))
    np.testing.assert_allclose(J, np.tile(product, (5, 1, 1)), atol=20 * np.finfo(dtype).eps)


# Worked networks -----------------------------------------------------------------------------


def test_bias_exercise_by_its_input(dtype):
    """The hidden values are (-2, -5), so no unit is active, and nothing depends on the input."""
    net = fn.Network([fn.Linear(3, 2), fn.ReLU(), fn.Linear(2, 2)], dtype)
    net.params[...] = 1, 0, 1, -1, 2, 3, -1, 2, 1, -1, -1, 1, 0, 1
    y, J = net.value_and_jacobian([1, 0, -2])
    assert y.tolist() == [0, 1]
    assert J.tolist() == [[0, 0, 0], [0, 0, 0]]
    by_params = net.jacobian([1, 0, -2], "params")
    assert by_params[:, :12].tolist() == np.zeros((2, 12)).tolist()
    assert by_params[:, 12:].tolist() == [[1, 0], [0, 1]]


def test_xor_network_by_its_nine_parameters(dtype):
    """At (1, 1) with weights [[1, 1], [2, 2]], b = (-1, -1), output weights (-3, 1), bias 0."""
    net = fn.Network([fn.Linear(2, 2), fn.ReLU(), fn.Linear(2, 1)], dtype)
    net.params[...] = 1, 1, 2, 2, -1, -1, -3, 1, 0
    assert net.jacobian([1, 1], "params").tolist() == [[-3, -3, 1, 1, -3, 1, 1, 3, 1]]
    assert net.jacobian([0, 0], "params").tolist() == [[0, 0, 0, 0, 0, 0, 0, 0, 1]]


def logits(dtype):
    """Return the softmax network without its softmax, Q R(P E)."""
    net = fn.Network([fn.Linear(2, 3, False), fn.ReLU(), fn.Linear(3, 2, False)], dtype)
    net.params = softmax_network(dtype).params
    return net


def test_softmax_network_jacobian_of_the_softmax(dtype):
    """J_S = [[¼, -¼], [-¼, ¼]] at Q R = (1, 1)."""
    J = piece(fn.Softmax(), 2, dtype).jacobian([1, 1])
    assert J.tolist() == [[0.25, -0.25], [-0.25, 0.25]]


def test_softmax_network_jacobian_of_the_logits_by_theta(dtype):
    assert logits(dtype).jacobian(X, "params").tolist() == QR_BY_THETA


def test_softmax_network_jacobian_by_theta(dtype):
    net = softmax_network(dtype)
    assert net.jacobian(X, "params").tolist() == S_BY_THETA
    assert net.jacobian_operator(X, "params").to_dense().tolist() == S_BY_THETA
    product = np.array([[0.25, -0.25], [-0.25, 0.25]]) @ QR_BY_THETA
    assert product.tolist() == S_BY_THETA


def test_softmax_network_jacobian_by_the_embedding(dtype):
    """J_S Q diag(1, 1, 0) P = J_S [[2, 1], [-1, -2]]."""
    assert logits(dtype).jacobian(X).tolist() == [[2, 1], [-1, -2]]
    assert softmax_network(dtype).jacobian(X).tolist() == [[0.75, 0.75], [-0.75, -0.75]]


def test_softmax_network_gradient(dtype):
    """The gradient equals -1/S_c times row c of J_Θ, for one example of the first class."""
    net = softmax_network(dtype)
    gradient = [-3 / 2, 3 / 2, 3, -3, 0, 0, -1, -1 / 2, 0, 1, 1 / 2, 0]
    assert (np.array([-2, 0]) @ net.jacobian(X, "params")).tolist() == gradient
    assert net.vjp(X, [-2, 0], "params").tolist() == gradient
    assert net.sample_grads([X], [0], fn.NegativeLogLikelihood()).tolist() == [gradient]
    assert logits(dtype).vjp(X, [-0.5, 0.5], "params").tolist() == gradient  # S - onehot


def test_squared_error_of_a_linear_model(dtype, rng):
    """∂(⟨x,w⟩ - y)²/∂w = 2 (⟨x,w⟩ - y) xᵀ, a row a sample; ∂|X w - y|²/∂w = 2 (X w - y)ᵀ X."""
    net = fn.Network([fn.Linear(3, 1, bias=False)], dtype, seed=0)
    x, y = rng.standard_normal((5, 3)).astype(dtype), rng.standard_normal((5, 1)).astype(dtype)
    w, tolerance = net.params, 50 * np.finfo(dtype).eps
    residuals = x @ w[:, np.newaxis] - y
    rows = net.sample_grads(x, y, fn.MeanSquaredError("sum"))
    np.testing.assert_allclose(rows, 2 * residuals * x, atol=tolerance)
    half_gradient = net.gram(x, y)[1]
    np.testing.assert_allclose(2 * half_gradient, 2 * (residuals.T @ x)[0], atol=tolerance)
    np.testing.assert_allclose(net.gram(x)[0], x.T @ x, atol=tolerance)
