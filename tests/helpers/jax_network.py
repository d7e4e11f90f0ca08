"""The oracle's networks written in JAX, which differentiates them in float64 by itself.

It takes expm1(x) + 1 for the slope of expm1, which cancels: far below 0 the slopes of its ELU and
SELU have few digits left, so these are compared with mpmath instead.
"""

import numpy as np
import pytest
import reference

jax = pytest.importorskip("jax")
jnp = jax.numpy


def activation(kind, x, **hyper):
    """Apply a layer without parameters to one sample."""
    match kind:
        case "identity":
            return x
        case "abs" | "tanh":
            return getattr(jnp, kind)(x)
        case "gelu":
            return jax.nn.gelu(x, approximate=False)
        case "standardize":
            return (x - hyper["mean"]) / hyper["scale"]
        case "unstandardize":
            return x * hyper["scale"] + hyper["mean"]
    return getattr(jax.nn, kind)(x, **hyper)


def forward(layers, params, x):
    """Return the outputs for one sample."""
    for layer in layers:
        own, params = jnp.split(params, [reference.n_params([layer])])
        branches = reference.branches_of(layer)
        if branches:
            parts = []
            for branch in branches:
                branch_params, own = jnp.split(own, [reference.n_params(branch)])
                parts.append(forward(branch, branch_params, x))
            x = jnp.concatenate(parts) if reference.concatenates(layer) else sum(parts)
        elif layer["kind"] == "linear":
            rows, columns = layer["out_features"], layer["in_features"]
            x = own[: rows * columns].reshape(rows, columns) @ x
            if layer["bias"]:
                x = x + own[rows * columns :]
        elif layer["kind"] in reference.NORMALIZATIONS:
            weight, bias = jnp.split(own, 2)
            x = weight * normalized(layer, x) + bias
        elif layer["kind"] == "scale":
            weight, bias = jnp.split(own, [layer["features"]])
            x = x * weight + bias if layer["bias"] else x * weight
        elif layer["kind"] == "parametric":
            f = layer["activation"]
            x = x + own * (activation(f["kind"], x, **reference.hyperparameters(f)) - x)
        elif layer["kind"] != "dropout":
            x = activation(layer["kind"], x, **reference.hyperparameters(layer))
    return x


def normalized(layer, x):
    """Return what a normalisation gives before its weight and bias, outside of training."""
    mean, variance = jnp.mean(x), jnp.var(x)
    if layer["kind"] == "batch_norm":
        mean, variance = reference.running_statistics(layer)
    return (x - mean) / jnp.sqrt(variance + layer["eps"])


def sample_loss(loss, y_pred, y):
    """Return the loss of one sample, described as for the oracle."""
    match loss["kind"]:
        case "half_squared_error":
            return jnp.sum((y_pred - y) ** 2) / 2
        case "mean_squared_error":
            return jnp.mean((y_pred - y) ** 2)
        case "huber":
            e, delta = y_pred - y, loss.get("delta", 1.0)
            beyond = delta * (jnp.abs(e) - delta / 2)
            return jnp.mean(jnp.where(jnp.abs(e) < delta, e**2 / 2, beyond))
        case "log_cosh":
            return jnp.mean(jnp.log(jnp.cosh(y_pred - y)))
        case "poisson":
            return jnp.sum(jnp.exp(y_pred) - y * y_pred)
        case "negative_log_likelihood":
            return -jnp.log(y_pred[y])
        case "softmax_cross_entropy":
            smoothing, log_p = loss.get("label_smoothing", 0.0), jax.nn.log_softmax(y_pred)
            return -(1 - smoothing) * log_p[y] - smoothing * jnp.mean(log_p)
        case "binary_cross_entropy":
            smoothing = loss.get("label_smoothing", 0.0)
            y = (1 - smoothing) * y + smoothing / 2
            return jnp.mean(jax.nn.softplus(y_pred) - y * y_pred)
    raise ValueError(f"unknown loss {loss!r}")


def total_loss(layers, params, X, y, loss):
    """Return the sum of the losses of all samples."""
    return sum(
        sample_loss(loss, forward(layers, params, x), target)
        for x, target in zip(X, y, strict=True)
    )


def in_float64(function):
    """Let JAX compute in float64 throughout a call, and return NumPy's arrays."""

    def call(*args):
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, function(*args))

    return call


@in_float64
def jacobians(layers, params, x, mode):
    """Return a sample's Jacobians by the input and by the parameters."""
    differentiate = {"rev": jax.jacrev, "fwd": jax.jacfwd}[mode]
    params, x = jnp.asarray(params), jnp.asarray(x)
    by_params, by_input = differentiate(lambda p, z: forward(layers, p, z), (0, 1))(params, x)
    return {"input": by_input, "params": by_params}


@in_float64
def hessian(layers, params, X, y, loss):
    """Return the Hessian of the summed loss by the parameters."""
    return jax.hessian(lambda p: total_loss(layers, p, X, y, loss))(jnp.asarray(params))


@in_float64
def hvp(layers, params, X, y, loss, v):
    """Return that Hessian times a vector, forward over reverse."""
    gradient = jax.grad(lambda p: total_loss(layers, p, X, y, loss))
    return jax.jvp(gradient, (jnp.asarray(params),), (jnp.asarray(v),))[1]
