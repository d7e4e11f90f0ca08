"""The networks and losses of the table in PyTorch, where it is installed."""

import math

import pytest
import reference as ref

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


def torch_function(kind, x, **hyper):
    """Apply a layer without parameters."""
    match kind:
        case "identity":
            return x
        case "abs" | "sigmoid" | "tanh":
            return getattr(torch, kind)(x)
        case "hard_tanh":
            return torch.nn.functional.hardtanh(x)
        case "softplus":
            hyper["threshold"] = 60  # above its threshold PyTorch cuts log1p off
        case "softmax" | "log_softmax":
            hyper["dim"] = 1
        case "standardize":
            return (x - torch.tensor(hyper["mean"])) / torch.tensor(hyper["scale"])
        case "unstandardize":
            return x * torch.tensor(hyper["scale"]) + torch.tensor(hyper["mean"])
    return getattr(torch.nn.functional, kind)(x, **hyper)


def torch_network(layers, params, x):
    """Apply a network; `params` is the flat parameter tensor."""
    for layer in layers:
        if layer["kind"] == "linear":
            rows, columns = layer["out_features"], layer["in_features"]
            sizes = [rows * columns, rows * layer["bias"]]
            weight, bias, params = params.split([*sizes, len(params) - sum(sizes)])
            weight = weight.reshape(rows, columns)
            x = torch.nn.functional.linear(x, weight, bias if layer["bias"] else None)
        elif layer["kind"] == "layer_norm":
            n = layer["features"]
            weight, bias, params = params.split([n, n, len(params) - 2 * n])
            x = torch.nn.functional.layer_norm(x, (n,), weight, bias, layer["eps"])
        elif layer["kind"] == "batch_norm":
            n = layer["features"]
            weight, bias, params = params.split([n, n, len(params) - 2 * n])
            running = (torch.tensor(a) for a in ref.running_statistics(layer))
            x = torch.nn.functional.batch_norm(x, *running, weight, bias, eps=layer["eps"])
        elif layer["kind"] == "dropout":
            continue
        else:
            x = torch_function(layer["kind"], x, **ref.hyperparameters(layer))
    return x


def torch_loss(loss, y_pred, y, reduction, weights=None):
    """Apply a loss, described as for the oracle."""
    F, hyper = torch.nn.functional, ref.hyperparameters(loss)
    kind, n_outputs = loss["kind"], y_pred.shape[1]
    smoothing = hyper.pop("label_smoothing", 0.0)
    if kind == "negative_log_likelihood":
        y_pred = torch.log(y_pred)
    if kind == "binary_cross_entropy":
        y = (1 - smoothing) * y + smoothing / 2
    if kind == "pinball":  # as |e| and e: PyTorch has none
        tau, e = torch.tensor(hyper["quantiles"], dtype=y.dtype), y - y_pred
        each = (e.abs() / 2 + (tau - 0.5) * e) / n_outputs
    elif kind == "log_cosh":
        each = (torch.logaddexp(y_pred - y, y - y_pred) - math.log(2)) / n_outputs
    else:
        function, factor = {
            "half_squared_error": (F.mse_loss, 1 / 2),
            "mean_squared_error": (F.mse_loss, 1 / n_outputs),
            "mean_absolute_error": (F.l1_loss, 1 / n_outputs),
            "huber": (F.huber_loss, 1 / n_outputs),
            "poisson": (F.poisson_nll_loss, 1),
            "negative_log_likelihood": (F.nll_loss, 1),
            "softmax_cross_entropy": (F.cross_entropy, 1),
            "binary_cross_entropy": (F.binary_cross_entropy_with_logits, 1 / n_outputs),
        }[kind]
        if kind == "softmax_cross_entropy":
            hyper["label_smoothing"] = smoothing
        each = factor * function(y_pred, y, reduction="none", **hyper)
    each = each.reshape(len(y_pred), -1).sum(dim=1)
    weights = torch.ones_like(each) if weights is None else weights
    total = (weights * each).sum()
    return total / weights.sum() if reduction == "mean" else total


def torch_optimizer(name):
    """Return the class of an optimizer, or skip the test."""
    if not hasattr(torch.optim, name):
        pytest.skip(f"PyTorch has no {name}")
    return getattr(torch.optim, name)


def leaf(array):
    """Return a tensor with the values of `array`, to differentiate by."""
    return torch.tensor(array, requires_grad=True)
