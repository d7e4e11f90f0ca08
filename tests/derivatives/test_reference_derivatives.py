"""The oracle's other derivatives, against finite differences and each other."""

import case_inputs
import cases
import numpy as np
import pytest
import reference
import reference_derivatives as derivatives
import reference_training

with_each_loss = pytest.mark.parametrize(
    "loss", cases.SMOOTH_LOSS_CASES, ids=lambda case: case.name
)


@with_each_loss
def test_the_losses_hessians_differentiate_their_gradients(rng, loss):
    y_pred, y = loss.make_y_pred(rng, 5, 4, float), loss.make_y(rng, 5, 4, float)
    found = derivatives.loss_hessians(loss.description, y_pred, y)
    for k, unit in enumerate(np.eye(4)):
        moved = y_pred + 1j * derivatives.STEP * unit
        column = reference_training.sample_losses_and_grads(loss.description, moved, y)[1]
        column = column.imag / derivatives.STEP
        np.testing.assert_allclose(found[:, :, k], column, rtol=1e-13, atol=1e-14)


@with_each_loss
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_hvp_is_the_derivative_of_the_gradient(rng, loss, reduction):
    ends = [{"kind": "softmax"}] if loss.name == "negative_log_likelihood" else []
    layers = [cases.linear(3, 4), {"kind": "tanh"}, cases.linear(4, 3), *ends]
    params = case_inputs.sample_params(cases.NetworkCase("net", layers), rng, float)
    X, y, v = rng.standard_normal((5, 3)), loss.make_y(rng, 5, 3, float), rng.standard_normal(31)

    def gradient(step):
        return derivatives.gradient(layers, params + step * v, X, y, loss.description, reduction)

    numerical = (gradient(1e-5) - gradient(-1e-5)) / 2e-5
    found = derivatives.hvp(layers, params, X, y, loss.description, v, reduction)
    np.testing.assert_allclose(found, numerical, rtol=1e-6, atol=1e-8)
    matrix = derivatives.hessian(layers, params, X, y, loss.description, reduction)
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(matrix @ v, found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("wrt", ["input", "params"])
@pytest.mark.parametrize("case", cases.NETWORK_CASES, ids=lambda case: case.name)
def test_the_complex_step_agrees_with_the_chain_rule(rng, case, wrt):
    params = case_inputs.sample_params(case, rng, float)
    X = case_inputs.smooth_inputs(case, params, rng, float, n=2)
    found = derivatives.complex_jacobian(case.layers, params, X, wrt)
    expected = reference.jacobian(case.layers, params, X, wrt)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


def test_gauss_newton_is_the_hessian_of_a_linear_network(rng):
    layers = [cases.linear(3, 2)]
    params, X, y = rng.standard_normal(8), rng.standard_normal((6, 3)), rng.integers(2, size=6)
    J, Y = reference.jacobian(layers, params, X, "params"), reference.forward(layers, params, X)
    for reduction in ("mean", "sum"):
        found = derivatives.gauss_newton(
            J, derivatives.loss_hessians("softmax_cross_entropy", Y, y), reduction
        )
        expected = derivatives.hessian(layers, params, X, y, "softmax_cross_entropy", reduction)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
