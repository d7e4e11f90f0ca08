"""A slow, obvious oracle: what a multi-layer perceptron computes, in plain NumPy.

The tests compare the library with this file, so nothing here is shared with the library and
nothing is clever: one sample at a time, one dense Jacobian a layer, the chain rule written as
matrix products. Results have the dtype of the inputs. Complex inputs pass through every function
(the real part chooses the piece of a piecewise one), so a complex step can check a derivative.

A network is a list of layer descriptions, for example ::

    [{"kind": "linear", "in_features": 2, "out_features": 3, "bias": True}, {"kind": "relu"}]

Its parameters are one flat array: layer by layer, the weight of shape (out_features, in_features)
row by row, then the bias if there is one. A block is {"kind": "residual", "layers": [...]} or
{"kind": "parallel", "branches": [[...], ...], "combine": "sum" or "concat"}.
"""

from itertools import chain, pairwise

import numpy as np
from reference_activations import as_inexact, elementwise, elementwise_derivative

NORMALIZATIONS = ("layer_norm", "batch_norm")


# Layers, one sample at a time ------------------------------------------------------------------


def log_softmax(x):
    """Return the logarithm of the softmax of one vector, without overflow."""
    top = np.argmax(x.real)
    shifted = x - x[top]
    others = np.delete(np.exp(shifted), top)
    return shifted - np.log1p(np.sum(others))


def softmax(x):
    """Return exp(x_i) / Σ_j exp(x_j) for one vector, without overflow."""
    e = np.exp(x - np.max(x.real))
    return e / np.sum(e)


def hyperparameters(layer):
    """Return everything in a layer description but its kind."""
    return {name: value for name, value in layer.items() if name != "kind"}


def branches_of(layer):
    """Return the lists of layers in a block, of which [] is the identity; [] for other layers."""
    match layer["kind"]:
        case "residual":
            return [[], layer["layers"]]
        case "parallel":
            return layer["branches"]
    return []


def leaves(layers):
    """Return the layers in the order of their parameters, with a block replaced by its layers."""
    found = []
    for layer in layers:
        branches = branches_of(layer)
        found += leaves(chain(*branches)) if branches else [layer]
    return found


def n_params(layers):
    """Return the number of parameters of a network."""
    return sum(
        layer["out_features"] * (layer["in_features"] + layer["bias"])
        if layer["kind"] == "linear"
        else layer.get("features", 0) * (1 + has_shift(layer))
        for layer in leaves(layers)
    )


def has_shift(layer):
    """Return whether a layer with one weight for each feature has a bias too."""
    return layer["kind"] in NORMALIZATIONS or layer.get("bias", False)


def split(layer_lists, flat):
    """Return the flat parameters of each list of layers, as views into `flat`."""
    sizes = [n_params(layers) for layers in layer_lists]
    if flat.shape != (sum(sizes),):
        raise ValueError(f"expected {sum(sizes)} flat parameters, got shape {flat.shape}")
    ends = np.cumsum([0, *sizes])
    return [flat[first:end] for first, end in pairwise(ends)]


def unpack(layers, flat):
    """Return a (weight, bias) pair for each of the `leaves`, as views into `flat`, or None."""
    layers = leaves(layers)
    return [
        weight_and_bias(layer, own)
        for layer, own in zip(layers, split([[layer] for layer in layers], flat), strict=True)
    ]


def weight_and_bias(layer, flat):
    """Return weight and bias of one layer that is no block; None for what is not there."""
    if layer["kind"] == "linear":
        rows, columns = layer["out_features"], layer["in_features"]
        weight = flat[: rows * columns].reshape(rows, columns)
        return weight, flat[rows * columns :] if layer["bias"] else None
    if "features" in layer:  # of a parametric activation, alpha is the weight
        n = layer["features"]
        return flat[:n], flat[n:] if has_shift(layer) else None
    return None, None


def running_statistics(layer):
    """Return some mean and variance, which are constants of a batch normalisation."""
    places = np.arange(layer["features"])
    return np.sin(places), 1 + np.cos(places) ** 2


def set_running_statistics(layer, description):
    """Give a layer of fastnn, if it is a BatchNorm, the constants that the oracle knows."""
    if description["kind"] == "batch_norm":
        layer.running_mean, layer.running_var = running_statistics(description)
    inner = [own for _, branch in layer.inner_layers() for own in branch]
    for own, described in zip(inner, chain(*branches_of(description)), strict=True):
        set_running_statistics(own, described)


def normalized(layer, x):
    """Return what a normalisation gives before its weight and bias, outside of training."""
    if layer["kind"] == "batch_norm":
        mean, variance = running_statistics(layer)
        return ((x - mean) / np.sqrt(variance + layer["eps"])).astype(x.dtype)
    centred = x - np.mean(x)
    return centred / np.sqrt(np.mean(centred**2) + layer["eps"])


def by_weight(layer, x):
    """Return the diagonal of the Jacobian by the weight, for one weight a feature."""
    match layer["kind"]:
        case "scale":
            return x
        case "parametric":
            f = layer["activation"]
            return elementwise(f["kind"], x, **hyperparameters(f)) - x
    return normalized(layer, x)


def layer_forward(layer, weight, bias, x):
    """Return the output of one layer for one sample, the vector `x`."""
    match layer["kind"]:
        case "linear":
            return weight @ x if bias is None else weight @ x + bias
        case "softmax":
            return softmax(x)
        case "log_softmax":
            return log_softmax(x)
        case "standardize":
            return ((x - layer["mean"]) / layer["scale"]).astype(x.dtype)
        case "unstandardize":
            return (x * layer["scale"] + layer["mean"]).astype(x.dtype)
        case "dropout":
            return x
        case "layer_norm" | "batch_norm":
            return weight * normalized(layer, x) + bias
        case "scale":
            return weight * x if bias is None else weight * x + bias
        case "parametric":
            return x + weight * by_weight(layer, x)
        case kind:
            return elementwise(kind, x, **hyperparameters(layer))


def layer_jacobian(layer, weight, x):
    """Return the dense Jacobian (out, in) of one layer by its input, at one sample `x`."""
    match layer["kind"]:
        case "linear":
            return weight
        case "softmax":
            s = softmax(x)
            return np.diag(s) - np.outer(s, s)
        case "log_softmax":
            return np.eye(len(x), dtype=x.dtype) - softmax(x)  # every row of the second term is S
        case "standardize":
            return np.diag(1 / np.broadcast_to(layer["scale"], x.shape)).astype(x.dtype)
        case "unstandardize":
            return np.diag(np.broadcast_to(layer["scale"], x.shape)).astype(x.dtype)
        case "dropout":
            return np.eye(len(x), dtype=x.dtype)
        case "scale":
            return np.diag(weight)
        case "parametric":
            f = layer["activation"]
            slope = elementwise_derivative(f["kind"], x, **hyperparameters(f))
            return np.diag(1 + weight * (slope - 1))
        case "batch_norm":
            deviation = np.sqrt(running_statistics(layer)[1] + layer["eps"])
            return np.diag(weight / deviation.astype(x.dtype))
        case "layer_norm":
            n, centred = len(x), x - np.mean(x)
            deviation = np.sqrt(np.mean(centred**2) + layer["eps"])
            unit = np.eye(n, dtype=x.dtype)
            by_centred = unit / deviation - np.outer(centred, centred) / (n * deviation**3)
            return weight[:, np.newaxis] * (by_centred @ (unit - 1 / n))
        case kind:
            return np.diag(elementwise_derivative(kind, x, **hyperparameters(layer)))


# Networks --------------------------------------------------------------------------------------


def output_of(layers, params, x):
    """Return the output of layers one after the other for one sample, the vector `x`."""
    return outputs_of(layers, params, x)[-1]


def outputs_of(layers, params, x):
    """Return [x, output of layer 1, ...] for one sample."""
    outputs = [x]
    for layer, own in zip(layers, split([[layer] for layer in layers], params), strict=True):
        branches = branches_of(layer)
        if branches:
            parts = [
                output_of(branch, part, outputs[-1])
                for branch, part in zip(branches, split(branches, own), strict=True)
            ]
            y = np.concatenate(parts) if concatenates(layer) else sum(parts[1:], parts[0])
        else:
            y = layer_forward(layer, *weight_and_bias(layer, own), outputs[-1])
        outputs.append(y)
    return outputs


def concatenates(layer):
    """Return whether the branches of a block stand side by side; otherwise they are added."""
    return layer.get("combine") == "concat"


def forward_all(layers, params, X):
    """Return the activations [X, output of layer 1, ..., Y], each (n_samples, features)."""
    samples = [outputs_of(layers, params, x) for x in as_inexact(X)]
    return [np.stack(rows) for rows in zip(*samples, strict=True)]


def forward(layers, params, X):
    """Return the outputs Y of shape (n_samples, out) for the inputs X of shape (n_samples, in)."""
    return forward_all(layers, params, X)[-1]


def backward(layers, params, X, dY):
    """Pull the cotangent `dY` of the outputs back through the network.

    A cotangent that is not finite spreads over its sample: dense products meet 0 * inf.

    Returns
    -------
    grads : ndarray
        Cotangent of the flat parameters, summed over the samples.
    dX : ndarray
        Cotangent of the inputs, a row a sample.
    """
    X, dY = as_inexact(X), np.asarray(dY)
    grads = np.zeros(params.shape, dtype=np.result_type(params, X, dY))
    dX = [pull(layers, params, grads, x, dy) for x, dy in zip(X, dY, strict=True)]
    return grads, np.stack(dX)


def pull(layers, params, grads, x, dy):
    """Add the cotangent of the parameters to `grads`; return that of the input of one sample."""
    outputs, each = outputs_of(layers, params, x), [[layer] for layer in layers]
    pieces = list(zip(layers, split(each, params), split(each, grads), outputs[:-1], strict=True))
    for layer, own, own_grads, x in reversed(pieces):
        branches = branches_of(layer)
        if branches:
            parts = split(branches, own), split(branches, own_grads)
            dx, start = 0, 0
            for branch, branch_params, branch_grads in zip(branches, *parts, strict=True):
                width = len(output_of(branch, branch_params, x))
                part = dy[start : start + width] if concatenates(layer) else dy
                dx = dx + pull(branch, branch_params, branch_grads, x, part)
                start += width
            dy = dx
            continue
        (weight, _), (dw, db) = weight_and_bias(layer, own), weight_and_bias(layer, own_grads)
        if "features" in layer:
            dw += dy * by_weight(layer, x)
        elif dw is not None:
            dw += np.outer(dy, x)  # y_i = Σ_j w_ij x_j: the cotangent of w_ij is dy_i x_j
        if db is not None:
            db += dy
        dy = dy @ layer_jacobian(layer, weight, x)
    return dy


def jacobian(layers, params, X, wrt="input"):
    """Return the Jacobian of every sample: (n, out, in), or (n, out, n_params) `wrt` "params"."""
    which = {"params": 0, "input": 1}[wrt]
    Y = forward(layers, params, X)
    unit_rows = np.eye(Y.shape[1], dtype=Y.dtype)

    def of_sample(x):  # row k is the transposed gradient of output k
        return [backward(layers, params, [x], [row])[which].ravel() for row in unit_rows]

    return np.array([of_sample(x) for x in as_inexact(X)])


def numerical_vjp(f, x, dy, step=1e-6):
    """Return Σ_i dy_i ∂f_i/∂x_j for every entry of `x`, by central differences in float64."""
    x = np.array(x, dtype=np.float64)
    dx = np.zeros_like(x)
    for j in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[j] += step
        below[j] -= step
        dx[j] = np.sum(dy * (f(above) - f(below))) / (above[j] - below[j])
    return dx
