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
    sizes = [ref.n_params([layer]) for layer in layers]
    for layer, own in zip(layers, params.split(sizes), strict=True):
        x = torch_layer(layer, own, x)
    return x


def torch_layer(layer, params, x):
    """Apply a layer; `params` is the flat tensor of its parameters."""
    branches = ref.branches_of(layer)
    if branches:
        pieces = params.split([ref.n_params(branch) for branch in branches])
        parts = [torch_network(b, own, x) for b, own in zip(branches, pieces, strict=True)]
        return torch.cat(parts, 1) if ref.concatenates(layer) else sum(parts[1:], parts[0])
    match layer["kind"]:
        case "linear":
            rows, columns = layer["out_features"], layer["in_features"]
            weight, bias = params.split([rows * columns, rows * layer["bias"]])
            weight = weight.reshape(rows, columns)
            return torch.nn.functional.linear(x, weight, bias if layer["bias"] else None)
        case "layer_norm":
            n = layer["features"]
            return torch.nn.functional.layer_norm(x, (n,), *params.split([n, n]), layer["eps"])
        case "batch_norm":
            n = layer["features"]
            running = (torch.tensor(a) for a in ref.running_statistics(layer))
            return torch.nn.functional.batch_norm(
                x, *running, *params.split([n, n]), eps=layer["eps"]
            )
        case "dropout":
            return x
        case "scale":
            n = layer["features"]
            weight, bias = params.split([n, n * layer["bias"]])
            return x * weight + bias if layer["bias"] else x * weight
        case "parametric":
            f = layer["activation"]
            return torch.lerp(x, torch_function(f["kind"], x, **ref.hyperparameters(f)), params)
    return torch_function(layer["kind"], x, **ref.hyperparameters(layer))


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
