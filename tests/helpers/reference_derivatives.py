"""More derivatives of the oracle: second order by the complex step, and Gauss-Newton matrices.

The gradient of `reference` takes complex parameters, and Im ∇L(Θ + i h v) / h is the Hessian times
v with no difference taken, so exact to rounding: h can be so small that its square vanishes.
"""

import numpy as np
import reference
import reference_training
from reference_activations import sigmoid

STEP = 1e-30


def gradient(layers, params, X, y, loss, reduction="mean", weights=None):
    """Return the gradient of a loss of a batch by the flat parameters."""
    Y = reference.forward(layers, params, X)
    _, dY = reference_training.loss_value_and_grad(loss, Y, y, reduction, weights)
    return reference.backward(layers, params, X, dY)[0]


def hvp(layers, params, X, y, loss, v, reduction="mean", weights=None):
    """Return the Hessian of a loss of a batch by the flat parameters, times `v`."""
    moved = params + 1j * STEP * v
    return gradient(layers, moved, X, y, loss, reduction, weights).imag / STEP


def hessian(layers, params, X, y, loss, reduction="mean", weights=None):
    """Return the Hessian of a loss of a batch by the flat parameters, a product a column."""
    arguments = layers, params, X, y, loss
    columns = [hvp(*arguments, unit, reduction, weights) for unit in np.eye(len(params))]
    return np.stack(columns, axis=1)


def complex_jacobian(layers, params, X, wrt="input"):
    """Return the Jacobian of every sample as `reference.jacobian` does, by the complex step."""
    X, columns = np.asarray(X), []
    for unit in np.eye({"input": X.shape[1], "params": len(params)}[wrt]):
        step = 1j * STEP * unit
        moved = (params, X + step) if wrt == "input" else (params + step, X)
        columns.append(reference.forward(layers, *moved).imag / STEP)
    return np.stack(columns, axis=2)


def observed_gradient(
    layers, params, X, y, loss, reduction="mean", weights=None, output_weight=None
):
    """Return `gradient` for targets that may be missing, and weights of the outputs."""
    Y = reference.forward(layers, params, X)
    _, dY = reference_training.observed_value_and_grad(
        loss, Y, y, reduction, weights, output_weight
    )
    return reference.backward(layers, params, X, dY)[0]


def observed_gauss_newton(J, y_pred, y, loss, reduction="mean", weights=None, output_weight=None):
    """Return `gauss_newton` for targets that may be missing, and weights of the outputs.

    The Hessian by an output is the complex step of the loss's gradient.
    """
    n, n_outputs = np.shape(y_pred)
    shares = reference_training.observed_losses_and_grads(loss, y_pred, y, output_weight)[2]
    weights = np.ones(n) if weights is None else weights
    hessians = np.empty((n, n_outputs, n_outputs))
    for j, unit in enumerate(np.eye(n_outputs)):
        moved = y_pred + 1j * STEP * unit
        grads = reference_training.observed_losses_and_grads(loss, moved, y, output_weight)[1]
        hessians[:, :, j] = grads.imag / STEP
    total = sum(w * j.T @ h @ j for w, j, h in zip(weights, J, hessians, strict=True))
    return total / reference_training.divisor(reduction, weights * shares)


def loss_hessians(loss, y_pred, y):
    """Return the Hessian of every sample's loss by that sample's outputs, (n, out, out)."""
    y_pred, y = reference.as_inexact(y_pred), np.asarray(y)
    n, n_outputs = y_pred.shape
    hessians = np.zeros((n, n_outputs, n_outputs), y_pred.dtype)
    loss = {"kind": loss} if isinstance(loss, str) else loss
    name = loss["kind"]
    for i, p in enumerate(y_pred):
        match name:
            case "half_squared_error":
                hessians[i] = np.eye(n_outputs)
            case "mean_squared_error":
                hessians[i] = 2 / n_outputs * np.eye(n_outputs)
            case "huber":
                near = np.abs((p - y[i]).real) < loss.get("delta", 1.0)
                hessians[i] = np.diag(near / n_outputs)
            case "log_cosh":
                hessians[i] = np.diag(1 / np.cosh(p - y[i]) ** 2) / n_outputs
            case "poisson":
                hessians[i] = np.diag(np.exp(p))
            case "negative_log_likelihood":
                hessians[i, y[i], y[i]] = 1 / p[y[i]] ** 2
            case "softmax_cross_entropy":
                s = reference.softmax(p)
                hessians[i] = np.diag(s) - np.outer(s, s)
            case "binary_cross_entropy":
                slope = sigmoid(p) * sigmoid(-p)
                hessians[i] = np.diag(slope) / n_outputs
            case _:
                raise ValueError(f"unknown loss {name!r}")
    return hessians


def gauss_newton(J, hessians, reduction="mean", weights=None):
    """Return Σ_n w Jᵀ H J, or its mean, for J (n, out, n_params) and H (n, out, out)."""
    weights = np.ones(len(J)) if weights is None else weights
    total = sum(w * j.T @ h @ j for w, j, h in zip(weights, J, hessians, strict=True))
    return total / reference_training.divisor(reduction, weights)
