"""Worked examples of textbooks, number by number, through the public interface."""

import numpy as np
import pytest
import reference
from case_inputs import sample_inputs
from layer_cases import ACTIVATION_CASES
from worked_examples import softmax_network

import fastnn as fn
from fastnn import numerical_jacobian
from fastnn.jacobians import Dense, Kronecker

pytestmark = pytest.mark.usefixtures("isa")

XOR_X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
XOR_Y = np.array([0, 1, 1, 0])


# The pieces of a network ---------------------------------------------------------------------


def test_linear_by_its_input_and_by_its_parameters(dtype):
    """∂z/∂a = W; for a scalar h, ∂h(W a)/∂W_ij = a_j ∂_i h, the outer product; ∂h/∂b = ∇h."""
    W, a, dh = [[1, 2, 3], [4, 5, 6]], [7, -8, 9], [10, -1]
    net = fn.Network([fn.Linear(3, 2)], dtype)
    net.layers[0].weight = W
    net(a)
    assert net.backward(dh).tolist() == (np.array(dh) @ W).tolist()
    assert net.layers[0].weight_grad.tolist() == np.outer(dh, a).tolist()
    assert net.layers[0].bias_grad.tolist() == dh


def test_linear_by_its_parameters_as_a_map(dtype):
    """∂z_k/∂W_ij = δ_ki a_j (identity ⊗ aᵀ), ∂z/∂b = I."""
    a = np.array([7, -8, 9], dtype)
    layer = fn.Linear(3, 2)
    J = layer.jacobian(a, wrt="params")
    by_weight = [[7, -8, 9, 0, 0, 0], [0, 0, 0, 7, -8, 9]]
    assert J.to_dense().tolist() == np.hstack([by_weight, np.eye(2)]).tolist()
    assert J.blocks[0].to_dense().tolist() == np.kron(np.eye(2), a).tolist()
    for k, i, j in np.ndindex(2, 2, 3):
        assert J.blocks[0].to_dense().reshape(2, 2, 3)[k, i, j] == (k == i) * a[j]
    H = np.arange(6.0).reshape(2, 3)
    assert (J.blocks[0] @ H.ravel()).tolist() == (H @ a).tolist()


def test_a_scalar_of_a_linear_layer_by_its_weight(dtype, rng):
    """D(h∘g)(W)(H) = Dh(W a) H a, for g(W) = W a; so ∂h(W a)/∂W_ij = a_j ∂_i h."""
    a, H = rng.standard_normal(3).astype(dtype), rng.standard_normal((2, 3)).astype(dtype)
    layer = fn.Linear(3, 2, bias=False)
    Dh = rng.standard_normal((1, 2)).astype(dtype)
    [by_weight] = layer.jacobian(a, wrt="params").blocks
    composed = Dense(Dh) @ by_weight
    assert type(composed) is Kronecker
    tolerance = 1e-5 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(composed @ H.ravel(), Dh @ H @ a, rtol=tolerance)
    np.testing.assert_allclose(
        composed.to_dense().reshape(2, 3), np.outer(Dh, a), rtol=tolerance, atol=tolerance
    )


def test_relu_by_its_input(dtype):
    """Diag(1[z > 0]), with 0 at the kink."""
    z = [-2, -1, 0, 1, 2]
    assert fn.ReLU()(np.array(z, dtype)).tolist() == [0, 0, 0, 1, 2]
    assert fn.ReLU().vjp(np.array(z, dtype), [3, 3, 3, 3, 3]).tolist() == [0, 0, 0, 3, 3]
    J = fn.ReLU().jacobian(np.array(z, dtype))
    assert J.to_dense().tolist() == np.diag([0, 0, 0, 1, 1]).tolist()


@pytest.mark.parametrize("case", ACTIVATION_CASES, ids=lambda case: case.name)
def test_an_elementwise_function_by_its_input(dtype, rng, case):
    """Diag(σ'(z))."""
    z = sample_inputs(case, rng, dtype, 1)[0]
    J = getattr(fn, case.cls)(**case.args).jacobian(z)
    slopes = reference.elementwise_derivative(case.description["kind"], z, **case.args)
    np.testing.assert_allclose(J.to_dense(), np.diag(slopes), rtol=1e-5, atol=1e-6)


def test_softmax_by_its_input(dtype, rng):
    """Diag(S) - S Sᵀ, row by row through vector-Jacobian products."""
    z = rng.standard_normal(4).astype(dtype)
    softmax = fn.Softmax()
    S = softmax(z)
    assert S.sum() == pytest.approx(1, rel=1e-6)
    rows = softmax.vjp(np.tile(z, (4, 1)), np.eye(4))
    np.testing.assert_allclose(rows, np.diag(S) - np.outer(S, S), atol=1e-7)
    J = softmax.jacobian(z)
    np.testing.assert_allclose(J.to_dense(), rows, atol=1e-7)
    np.testing.assert_allclose(J.T.to_dense(), J.to_dense(), atol=1e-7)  # symmetric
    # a constant added to all z has no effect
    np.testing.assert_allclose(J @ np.ones(4), 0, atol=1e-6)


def test_half_squared_error_by_the_prediction(dtype):
    y_pred, y = np.array([[3, -1, 2]], dtype), [[1, 1, 2]]
    value, gradient = fn.HalfSquaredError().value_and_grad(y_pred, y)
    assert value == 4
    assert gradient.tolist() == [[2, -2, 0]]
    exact = numerical_jacobian(
        lambda p: fn.HalfSquaredError().value_and_grad(p[None], y)[0], [3.0, -1.0, 2.0]
    )
    np.testing.assert_allclose(exact, gradient, atol=1e-10)


def test_likelihood_by_the_probability_and_through_softmax(dtype, rng):
    """-ln S_c: -1/S_c at c; through softmax, S - onehot_c."""
    z = rng.standard_normal((1, 4)).astype(dtype)
    S = fn.Softmax()(z)
    value, dS = fn.NegativeLogLikelihood().value_and_grad(S, [2])
    assert value == pytest.approx(-np.log(S[0, 2]), rel=1e-6)
    np.testing.assert_allclose(dS, [[0, 0, -1 / S[0, 2], 0]], rtol=1e-6)
    np.testing.assert_allclose(fn.Softmax().vjp(z, dS), S - [[0, 0, 1, 0]], atol=1e-6)
    through = Dense(dS) @ fn.Softmax().jacobian(z[0])
    np.testing.assert_allclose(through.to_dense(), S - [[0, 0, 1, 0]], atol=1e-6)


def test_a_network_without_nonlinearities_collapses(dtype, rng):
    """W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)."""
    two = fn.Network([fn.Linear(4, 6), fn.Linear(6, 3)], dtype, seed=1)
    two.params[...] = rng.standard_normal(two.n_params)
    first, second = two.layers
    one = fn.Network([fn.Linear(4, 3)], dtype)
    one.layers[0].weight = second.weight @ first.weight
    one.layers[0].bias = second.weight @ first.bias + second.bias
    X = rng.standard_normal((20, 4))
    np.testing.assert_allclose(one(X), two(X), rtol=1e-4, atol=1e-5)
    J = two.jacobian_operator(X[0])  # W2 W1, wherever it is taken
    np.testing.assert_allclose(J.to_dense(), second.weight @ first.weight, rtol=1e-4, atol=1e-5)


def test_minibatch_gradient_descent_sums_over_the_examples(rng):
    """Θ ← Θ - ε ∇ of the summed loss; with the mean, the step is divided by their number."""
    X, y = rng.standard_normal((4, 2)), rng.standard_normal(4)

    def stepped(reduction):
        net = fn.Network([fn.Linear(2, 1)], "float64", seed=2)
        start = net.params.copy()
        gradient = sum(net.loss_and_grad(X[i : i + 1], y[i : i + 1], HALF)[1] for i in range(4))
        net.fit(
            X, y, loss=fn.HalfSquaredError(reduction), optimizer=fn.SGD(0.1), epochs=1, batch_size=4
        )
        return (start - net.params) / 0.1, gradient

    summed, gradient = stepped("sum")
    np.testing.assert_allclose(summed, gradient, rtol=1e-12)
    mean, gradient = stepped("mean")
    np.testing.assert_allclose(mean, gradient / 4, rtol=1e-12)


HALF = fn.HalfSquaredError()


# Worked networks -----------------------------------------------------------------------------


def test_bias_exercise(dtype):
    net = fn.Network([fn.Linear(3, 2), fn.ReLU(), fn.Linear(2, 2)], dtype)
    net.layers[0].weight, net.layers[0].bias = [[1, 0, 1], [-1, 2, 3]], (-1, 2)
    net.layers[2].weight, net.layers[2].bias = [[1, -1], [-1, 1]], (0, 1)
    assert net([1, 0, -2]).tolist() == [0, 1]


def test_xor_by_hand(dtype):
    first = fn.Linear(2, 2)
    first.weight, first.bias = [[1, 1], [2, 2]], (-1, -1)
    net = fn.Network([first, fn.ReLU(), fn.Linear(2, 1)], dtype)
    hidden = net.layers[1](first(XOR_X))
    assert hidden[XOR_Y == 1].tolist() == [[0, 1], [0, 1]]  # both positive points
    net.layers[2].weight, net.layers[2].bias = [[-3, 1]], [0]
    assert net(XOR_X).ravel().tolist() == XOR_Y.tolist()


def test_the_weights_in_1_and_2_that_separate_xor():
    """Of all first layers with weights in {1, 2} and b = (-1, -1), those like ours separate."""
    first = fn.Linear(2, 2)
    first.bias = (-1, -1)
    separating = []
    for weights in np.ndindex(2, 2, 2, 2):
        first.weight = 1 + np.reshape(weights, (2, 2))
        h = fn.ReLU()(first(XOR_X))
        # a line w·h + b that is at least 1 on the positive points and at most -1 on the others
        optimize = pytest.importorskip("scipy.optimize")
        sign = np.where(XOR_Y, -1, 1)[:, None]
        found = optimize.linprog(
            np.zeros(3), sign * np.c_[h, np.ones(4)], -np.ones(4), bounds=(None, None)
        )
        if found.status == 0:
            separating.append((1 + np.reshape(weights, (2, 2))).tolist())
    assert [[1, 1], [2, 2]] in separating
    assert all(sorted(rows) == [[1, 1], [2, 2]] for rows in separating)


def test_no_linear_model_computes_xor():
    net = fn.Network([fn.Linear(2, 1)], "float64", seed=0)
    net.fit(XOR_X, XOR_Y, loss=HALF, optimizer=fn.SGD(0.1), epochs=5000, batch_size=4)
    np.testing.assert_allclose(net(XOR_X), 0.5, atol=1e-6)  # the best of them says one half


def test_xor_learned():
    """Plain gradient descent from random starts; more hidden units get stuck less often."""
    solved = {}
    for hidden in (2, 3, 4, 8):
        for seed in range(50):
            net = fn.Network([fn.Linear(2, hidden), fn.ReLU(), fn.Linear(hidden, 1)], seed=seed)
            net.fit(
                XOR_X,
                XOR_Y,
                loss=HALF,
                optimizer=fn.SGD(0.1),
                epochs=3000,
                batch_size=4,
                shuffle=False,
            )
            error = np.abs(net(XOR_X).ravel() - XOR_Y).max()
            solved[hidden] = solved.get(hidden, 0) + (error < 0.05)
    print(f"solved of 50 random starts, by hidden units: {solved}")
    assert 0 < solved[2] < solved[4] <= solved[8]
    assert solved[8] >= 45


@pytest.mark.parametrize("activation", ["Sigmoid", "Tanh", "Softplus", "ReLU"])
@pytest.mark.parametrize("x", [(0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (-0.5, 2.0)], ids=str)
def test_all_nine_partial_derivatives_of_the_xor_network(dtype, rng, activation, x):
    w1, w2, w3, w4, b1, b2, w5, w6, b3 = rng.standard_normal(9)
    net = fn.Network([fn.Linear(2, 2), getattr(fn, activation)(), fn.Linear(2, 1)], dtype)
    net.params[...] = w1, w2, w3, w4, b1, b2, w5, w6, b3
    kind = net.layers[1].kind
    z1, z2 = w1 * x[0] + w2 * x[1] + b1, w3 * x[0] + w4 * x[1] + b2
    a1, a2 = reference.elementwise(kind, z1), reference.elementwise(kind, z2)
    s1, s2 = (reference.elementwise_derivative(kind, z) for z in (z1, z2))
    assert net(x)[0] == pytest.approx(w5 * a1 + w6 * a2 + b3, rel=1e-5, abs=1e-6)
    net.backward([1])
    expected = [
        w5 * s1 * x[0],
        w5 * s1 * x[1],
        w6 * s2 * x[0],
        w6 * s2 * x[1],
        w5 * s1,
        w6 * s2,
        a1,
        a2,
        1,
    ]
    tolerance = 1e-5 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(net.grads, expected, rtol=tolerance, atol=tolerance)
    J = net.jacobian_operator(x, wrt="params")
    np.testing.assert_allclose(J.to_dense(), [expected], rtol=tolerance, atol=tolerance)


def test_softmax_network_forward(dtype):
    P, R, Q, S = softmax_network(dtype).layers
    assert P([1, -1]).tolist() == [2, 1, -3]
    assert R(P([1, -1])).tolist() == [2, 1, 0]
    assert Q(R(P([1, -1]))).tolist() == [1, 1]
    assert S(Q(R(P([1, -1])))).tolist() == [0.5, 0.5]
    assert softmax_network(dtype)([1, -1]).tolist() == [0.5, 0.5]


def test_softmax_network_by_its_logits(dtype):
    """J_S = [[¼, -¼], [-¼, ¼]]."""
    J = softmax_network(dtype).layers[3].jacobian(np.array([1, 1], dtype))
    assert J.dtype == dtype
    assert J.to_dense().tolist() == [[1 / 4, -1 / 4], [-1 / 4, 1 / 4]]


@pytest.mark.parametrize(
    ("cotangent", "gradient"),
    [
        ([1, 0], [3 / 4, -3 / 4, -3 / 2, 3 / 2, 0, 0, 1 / 2, 1 / 4, 0, -1 / 2, -1 / 4, 0]),
        ([0, 1], [-3 / 4, 3 / 4, 3 / 2, -3 / 2, 0, 0, -1 / 2, -1 / 4, 0, 1 / 2, 1 / 4, 0]),
    ],
    ids=["row 0 of J_Θ", "row 1 of J_Θ"],
)
def test_softmax_network_by_its_parameters(dtype, cotangent, gradient):
    net = softmax_network(dtype)
    net([1, -1])
    net.backward(cotangent)
    assert net.grads.tolist() == gradient
    J = net.jacobian_operator([1, -1], wrt="params")
    assert J.shape == (2, 12)
    assert J.rmatvec(np.array(cotangent, dtype)).tolist() == gradient
    assert J.to_dense()[cotangent.index(1)].tolist() == gradient


@pytest.mark.parametrize(
    ("cotangent", "gradient"),
    [
        ([1, 0], [1, -1, -1, 1, 0, 0, 2, 1, 0, 0, 0, 0]),
        ([0, 1], [-2, 2, 5, -5, 0, 0, 0, 0, 0, 2, 1, 0]),
    ],
    ids=["row 0", "row 1"],
)
def test_logits_by_their_parameters(dtype, cotangent, gradient):
    net = softmax_network(dtype)
    logits = fn.Network([fn.Linear(2, 3, False), fn.ReLU(), fn.Linear(3, 2, False)], dtype)
    logits.params[...] = net.params
    logits([1, -1])
    logits.backward(cotangent)
    assert logits.grads.tolist() == gradient
    J = logits.jacobian_operator([1, -1], wrt="params")
    assert J.to_dense()[cotangent.index(1)].tolist() == gradient
    J_S = net.layers[3].jacobian(np.array([1, 1], dtype))
    assert ((J_S @ J).to_dense() == net.jacobian_operator([1, -1], "params").to_dense()).all()


def test_softmax_network_under_negative_log_likelihood(dtype):
    """One positive example: class 1 of the classes 1 and 2, which is index 0."""
    net = softmax_network(dtype)
    value, gradient = net.loss_and_grad([[1, -1]], [0], fn.NegativeLogLikelihood())
    assert value == pytest.approx(np.log(2), rel=1e-6)
    assert gradient.tolist() == [-3 / 2, 3 / 2, 3, -3, 0, 0, -1, -1 / 2, 0, 1, 1 / 2, 0]
    by_probabilities = Dense([[-2, 0]])  # -1 / S_c at c
    J = by_probabilities @ net.jacobian_operator([1, -1], wrt="params")
    assert J.to_dense().tolist() == [gradient.tolist()]
