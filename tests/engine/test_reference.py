"""The reference itself, against worked numbers, finite differences, complex steps and PyTorch."""

import case_inputs
import cases
import layer_cases
import mpmath as mp
import numpy as np
import pytest
import reference as ref
import reference_optimizers
import reference_training
from numpy.testing import assert_allclose, assert_array_equal
from optimizer_cases import OPTIMIZER_CASES
from scipy.special import expit
from torch_counterparts import leaf, needs_torch, torch, torch_loss, torch_network, torch_optimizer

LINEAR = {"linear", "identity", "standardize", "unstandardize", "batch_norm", "dropout", "scale"}
DTYPES = [np.float32, np.float64]
NETWORKS = layer_cases.LAYER_CASES + cases.NETWORK_CASES  # a layer is a network of one layer


def over(table):
    """Run a test once for every case of a table."""
    return pytest.mark.parametrize("case", table, ids=lambda case: case.name)


def rng():
    """Return a new random generator."""
    return np.random.default_rng(20)


def assert_close(actual, desired, tolerance=1e-12):
    """Compare relative to the size of an entry, or to 1 for entries below 1."""
    assert_allclose(actual, desired, rtol=tolerance, atol=tolerance)


def complex_step(f, x, dy, step=1e-30):
    """Return Σ_i dy_i ∂f_i/∂x_j as Im f(x + i·step·e_j) / step, which is exact to rounding."""
    dx = np.zeros(x.shape)
    for j in np.ndindex(x.shape):
        z = x.astype(complex)
        z[j] += 1j * step
        dx[j] = np.sum(dy * f(z).imag) / step
    return dx


VJPS = ref.numerical_vjp, complex_step


# Layers and networks ---------------------------------------------------------------------------


def test_derivatives_at_the_kinks():
    at_zero = {"relu": 0, "leaky_relu": 0.01, "abs": 0, "elu": 0.5, "selu": 1.7580993408473766}
    for kind, slope in at_zero.items():
        hyper = {"alpha": 0.5} if kind == "elu" else {}
        for zero in 0.0, -0.0:
            assert_allclose(ref.elementwise_derivative(kind, zero, **hyper), slope, rtol=1e-15)


PRECISE = {
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "tanh": mp.tanh,
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "gelu": lambda x: x * mp.ncdf(x),
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "mish": lambda x: x * mp.tanh(mp.log1p(mp.exp(x))),
}


@pytest.mark.parametrize("kind", PRECISE)
@pytest.mark.parametrize("x", [-50.0, -30.0, -8.0, -1.0, -1e-10, 1e-10, 0.1, 3.0, 30.0, 50.0])
def test_elementwise_has_no_cancellation_in_the_tails(kind, x):
    with mp.workdps(600):
        value, slope = float(PRECISE[kind](mp.mpf(x))), float(mp.diff(PRECISE[kind], x))
    # The rounding of x²/2 in exp(-x²/2) is magnified by x²/2, which is 1250 at 50.
    rtol = {"gelu": 1e-12, "mish": 1e-13}.get(kind, 1e-15)
    assert_allclose(ref.elementwise(kind, x), value, rtol=rtol, atol=0)
    assert_allclose(ref.elementwise_derivative(kind, x), slope, rtol=rtol, atol=0)


def test_standardize_by_the_columns_own_mean_and_deviation():
    X = rng().normal([1.0, -7.0, 40.0], [2.0, 0.1, 9.0], size=(20, 3))
    layer = {"kind": "standardize", "mean": X.mean(axis=0), "scale": X.std(axis=0)}
    Y = ref.forward([layer], np.zeros(0), X)
    assert_close(Y.mean(axis=0), 0)
    assert_close(Y.std(axis=0), 1)


@over(NETWORKS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_forward_keeps_dtype_and_hands_nan_on(case, dtype):
    params = case_inputs.sample_params(case, rng(), dtype)
    X = case_inputs.sample_inputs(case, rng(), dtype, n=3)
    X[1, -1] = np.nan
    Y = ref.forward(case.layers, params, X)
    grads, dX = ref.backward(case.layers, params, X, np.ones_like(Y))
    assert Y.dtype == grads.dtype == dX.dtype == dtype
    assert_array_equal(np.isnan(Y).any(axis=1), [False, True, False])
    if not {layer["kind"] for layer in ref.leaves(case.layers)} <= LINEAR:
        assert_array_equal(np.isnan(dX).any(axis=1), [False, True, False])


@over(NETWORKS)
def test_backward_is_the_vjp(case):
    generator = rng()
    params = case_inputs.sample_params(case, generator, float)
    X = case_inputs.smooth_inputs(case, params, generator, float, n=3)
    Y = ref.forward(case.layers, params, X)
    dY = generator.standard_normal(Y.shape)
    grads, dX = ref.backward(case.layers, params, X, dY)
    for vjp, tolerance in zip(VJPS, (1e-7, 1e-13), strict=True):
        by_params = vjp(lambda p: ref.forward(case.layers, p, X), params, dY)
        by_inputs = vjp(lambda x: ref.forward(case.layers, params, x), X, dY)
        assert_close(grads, by_params, tolerance)
        assert_close(dX, by_inputs, tolerance)
    constant = ("softmax_one_feature", "layer_norm_one_feature")
    assert np.any(dX) or case.name in constant


@over(cases.NETWORK_CASES[:5])
def test_complex_step_through_backward_is_a_hessian_vector_product(case):
    params = case_inputs.sample_params(case, rng(), float)
    X, v = case_inputs.smooth_inputs(case, params, rng(), float, n=2), params[::-1] + 1
    dY = np.ones_like(ref.forward(case.layers, params, X))
    products = (f(lambda p: ref.backward(case.layers, p, X, dY)[0], params, v) for f in VJPS)
    assert_close(*products, 1e-7)


@over([case for case in NETWORKS if case.name != "layer_norm_one_feature"])  # there torch rounds
@needs_torch
def test_network_agrees_with_torch(case):
    generator = rng()
    params = case_inputs.sample_params(case, generator, float)
    ordinary = case_inputs.sample_inputs(case, generator, float)
    X = np.concatenate([ordinary, case_inputs.special_inputs(case, float)])
    params_torch, X_torch = leaf(params), leaf(X)
    Y_torch = torch_network(case.layers, params_torch, X_torch)
    dY = generator.standard_normal(Y_torch.shape)
    Y_torch.backward(torch.tensor(dY))
    grads, dX = ref.backward(case.layers, params, X, dY)
    assert_close(ref.forward(case.layers, params, X), Y_torch.detach())
    assert_close(dX, X_torch.grad)
    assert_close(grads, params_torch.grad if params.size else [])


@over(NETWORKS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_network_is_finite_and_silent_at_special_inputs(case, dtype):
    params, X = (
        case_inputs.sample_params(case, rng(), dtype),
        case_inputs.special_inputs(case, dtype),
    )
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        Y = ref.forward(case.layers, params, X)
        grads, dX = ref.backward(case.layers, params, X, np.ones_like(Y))
    assert all(np.isfinite(result).all() for result in (Y, grads, dX))


def test_jacobian_of_a_linear_layer():
    layers, params, x = [cases.linear(3, 2)], np.array([1, 2, 3, 4, 5, 6, 7, 8.0]), [10, 20, 30]
    assert_array_equal(ref.forward(layers, params, [x]), [[147, 328]])
    assert_array_equal(ref.jacobian(layers, params, [x]), [[[1, 2, 3], [4, 5, 6]]])
    by_params = [[10, 20, 30, 0, 0, 0, 1, 0], [0, 0, 0, 10, 20, 30, 0, 1]]
    assert_array_equal(ref.jacobian(layers, params, [x], wrt="params"), [by_params])


def test_linear_layers_collapse():
    two, one = np.array([1, 2, 3, 4, 1, 0, 1, -1, 5.0]), np.array([-2, -2, 6.0])
    X = [[3, 7], [-1, 2]]
    Y = ref.forward([cases.linear(2, 2), cases.linear(2, 1)], two, X)
    assert_array_equal(Y, ref.forward([cases.linear(2, 1)], one, X))


def test_wrong_use_raises():
    with pytest.raises(ValueError, match="flat parameters"):
        ref.forward([cases.linear(3, 2)], np.zeros(9), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="do not fit"):
        reference_training.loss_value_and_grad(
            "half_squared_error", np.zeros((4, 2)), np.zeros((4, 1))
        )


# Losses, optimizers and training -----------------------------------------------------------------


@over(cases.LOSS_CASES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("n_outputs", [1, 4])
def test_loss_gradient_is_the_derivative_of_its_value(case, reduction, n_outputs):
    generator = rng()
    y_pred = case.make_y_pred(generator, 5, n_outputs, float)
    y = case.make_y(generator, 5, n_outputs, float)

    def value(p):
        return reference_training.loss_value_and_grad(case.description, p, y, reduction)[0]

    _, grad = reference_training.loss_value_and_grad(case.description, y_pred, y, reduction)
    assert_close(grad, complex_step(value, y_pred, 1.0), 1e-14)
    assert_close(grad, ref.numerical_vjp(value, y_pred, 1.0), 1e-7)


@over(cases.LOSS_CASES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("size", [1.0, 1e3])  # logits far past the range of exp
@needs_torch
def test_loss_agrees_with_torch(case, reduction, size):
    generator = rng()
    y_pred = case.make_y_pred(generator, 6, 4, float)
    if case.kind == "poisson":
        size = min(size, 100.0)  # e^1000 is infinite
    if case.kind != "negative_log_likelihood":
        y_pred *= size
    y = case.make_y(generator, 6, 4, float)
    y_pred_torch = leaf(y_pred)
    value_torch = torch_loss(case.description, y_pred_torch, torch.tensor(y), reduction)
    value_torch.backward()
    value, grad = reference_training.loss_value_and_grad(case.description, y_pred, y, reduction)
    assert_close(value, value_torch.item())
    assert_close(grad, y_pred_torch.grad)


def test_loss_values_by_hand():
    y_pred, y = [[1.0, 2.0], [3.0, 5.0]], [[0.0, 0.0], [3.0, 1.0]]
    half, _ = reference_training.loss_value_and_grad("half_squared_error", y_pred, y, "sum")
    assert half == 10.5
    mean, _ = reference_training.loss_value_and_grad("mean_squared_error", y_pred, y)
    assert mean == 5.25
    nll, _ = reference_training.loss_value_and_grad(
        "negative_log_likelihood", [[0.5, 0.5], [0.25, 0.75]], [1, 0]
    )
    assert nll == pytest.approx(np.log(8) / 2)
    bce, _ = reference_training.loss_value_and_grad(
        "binary_cross_entropy", [[np.log(3), 0.0]], [[1.0, 0.5]]
    )
    assert bce == pytest.approx((np.log(4 / 3) + np.log(2)) / 2)


@over(OPTIMIZER_CASES)
@needs_torch
def test_optimizer_agrees_with_torch_over_50_steps(case):
    generator = rng()
    params = generator.standard_normal(12)
    params_torch, ours = leaf(params), getattr(reference_optimizers, case.cls)(**case.args)
    args = {"lr" if name == "learning_rate" else name: v for name, v in case.args.items()}
    l1, norm, value = (args.pop(name, None) for name in ("l1", "clip_norm", "clip_value"))
    theirs = torch_optimizer(case.cls)([params_torch], **args)
    for target in generator.standard_normal((50, 12)):
        params_torch.grad = torch.tensor(params - target)
        if norm:
            torch.nn.utils.clip_grad_norm_([params_torch], norm)
        if value:
            torch.nn.utils.clip_grad_value_([params_torch], value)
        params_torch.grad += (l1 or 0) * params_torch.detach().sign()
        theirs.step()
        params = ours.step(params, params - target)
        assert_close(params, params_torch.detach())


@needs_torch
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_training_agrees_with_torch(reduction):
    generator, case = rng(), cases.NetworkCase("", cases.NETWORK_CASES[1].layers[:-1])
    params = case_inputs.sample_params(case, generator, float)
    X, y = case_inputs.sample_inputs(case, generator, float, n=11), generator.integers(4, size=11)
    params_torch, history_torch, orders = leaf(params), [], np.random.default_rng(3)
    momentum = torch.optim.SGD([params_torch], lr=0.1, momentum=0.9)
    for _ in range(5):
        total, order = 0.0, orders.permutation(11)
        for rows in order[:4], order[4:8], order[8:]:
            momentum.zero_grad()
            logits = torch_network(case.layers, params_torch, torch.tensor(X[rows]))
            loss = torch_loss(
                {"kind": "softmax_cross_entropy"}, logits, torch.tensor(y[rows]), reduction
            )
            loss.backward()
            momentum.step()
            total += loss.item() * (len(rows) / 11 if reduction == "mean" else 1)
        history_torch.append(total)
    trained, history = reference_training.train(
        case.layers,
        params,
        X,
        y,
        loss="softmax_cross_entropy",
        reduction=reduction,
        epochs=5,
        optimizer=reference_optimizers.SGD(0.1, momentum=0.9),
        batch_size=4,
        rng=np.random.default_rng(3),
    )
    assert_close(trained, params_torch.detach())
    assert_close(history, history_torch)


def test_training_by_hand():
    # y = w x on (1, 1), (2, 0), (1, 2) from w = 0, in natural order, batches of two and one:
    # losses 1/2 and 0, gradient -1, w = 1/4; then loss (7/4)²/2, gradient -7/4, w = 11/16.
    trained, history = reference_training.train(
        [cases.linear(1, 1, bias=False)],
        [0.0],
        [[1], [2], [1]],
        [1, 0, 2],
        epochs=1,
        loss="half_squared_error",
        optimizer=reference_optimizers.SGD(0.25),
        batch_size=2,
        reduction="sum",
    )
    assert trained == [11 / 16]
    assert history == [1 / 2 + 49 / 32]


# Worked numbers ----------------------------------------------------------------------------------


def test_bias_exercise():
    layers = [cases.linear(3, 2), {"kind": "relu"}, cases.linear(2, 2)]
    params = np.array([1, 0, 1, -1, 2, 3, -1, 2, 1, -1, -1, 1, 0, 1.0])
    assert_array_equal(ref.forward(layers, params, [[1, 0, -2]]), [[0, 1]])


def test_xor_by_hand():
    layers = cases.NETWORK_CASES[0].layers
    params = np.array([1, 1, 2, 2, -1, -1, -3, 1, 0.0])
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    activations = ref.forward_all(layers, params, X)
    assert_array_equal(activations[2], [[0, 0], [0, 1], [0, 1], [1, 3]])
    assert_array_equal(activations[3], [[0], [1], [1], [0]])


def test_xor_gradient_formulas():
    params = w1, w2, w3, w4, b1, b2, w5, w6, _ = rng().standard_normal(9)
    x1, x2 = 0.7, -0.4
    s1, s2 = expit(w1 * x1 + w2 * x2 + b1), expit(w3 * x1 + w4 * x2 + b2)
    d1, d2 = w5 * s1 * (1 - s1), w6 * s2 * (1 - s2)
    expected = [d1 * x1, d1 * x2, d2 * x1, d2 * x2, d1, d2, s1, s2, 1]
    layers = [cases.linear(2, 2), {"kind": "sigmoid"}, cases.linear(2, 1)]
    assert_close(ref.jacobian(layers, params, [[x1, x2]], wrt="params")[0, 0], expected, 1e-14)


def test_softmax_network():
    layers = [cases.linear(2, 3, False), {"kind": "relu"}, cases.linear(3, 2, False)]
    theta = np.array([3, 1, 1, 0, -1, 2, 1, -1, 3, -2, 5, 4.0])
    E = [[1, -1]]
    values = ref.forward_all([*layers, {"kind": "softmax"}], theta, E)
    expected = [2, 1, -3], [2, 1, 0], [1, 1], [1 / 2, 1 / 2]
    assert [value[0].tolist() for value in values[1:]] == list(expected)
    by_theta = [[1, -1, -1, 1, 0, 0, 2, 1, 0, 0, 0, 0], [-2, 2, 5, -5, 0, 0, 0, 0, 0, 2, 1, 0]]
    assert_array_equal(ref.jacobian(layers, theta, E, wrt="params"), [by_theta])
    layers.append({"kind": "softmax"})
    row = np.array([3 / 4, -3 / 4, -3 / 2, 3 / 2, 0, 0, 1 / 2, 1 / 4, 0, -1 / 2, -1 / 4, 0])
    quarter = np.array([[1, -1], [-1, 1]]) / 4
    assert_array_equal(ref.jacobian(layers[-1:], theta[:0], [[1, 1]]), [quarter])
    assert_array_equal(ref.jacobian(layers, theta, E, wrt="params"), [[row, -row]])
    value, dS = reference_training.loss_value_and_grad("negative_log_likelihood", values[-1], [0])
    assert value == pytest.approx(np.log(2))
    gradient = [-3 / 2, 3 / 2, 3, -3, 0, 0, -1, -1 / 2, 0, 1, 1 / 2, 0]
    assert_array_equal(ref.backward(layers, theta, E, dS)[0], gradient)


# The helpers of the tests ------------------------------------------------------------------------


def test_numerical_vjp_of_a_linear_map():
    A, dy = np.array([[1.0, -2.0, 0.25], [3.0, 0.0, 5.0]]), np.array([2.0, -1.0])
    assert_close(ref.numerical_vjp(lambda x: A @ x, np.ones(3), dy), [-1, -4, -4.5], 1e-9)


@over(layer_cases.LAYER_CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_inputs_of_the_table(case, dtype):
    X = case_inputs.sample_inputs(case, rng(), dtype)
    assert X.dtype == dtype
    assert (X.max(axis=0) > 0).all()
    assert (X.min(axis=0) < 0).all()
    for kink in case.kinks:
        assert abs(X - kink).min() >= case_inputs.KINK_MARGIN
    special = case_inputs.special_inputs(case, dtype)
    for value in 0, np.finfo(dtype).smallest_subnormal, -np.finfo(dtype).tiny, 50, -1e4:
        assert (special == dtype(value)).any(axis=0).all()
