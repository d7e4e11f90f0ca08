"""The oracle's losses and training, in plain NumPy; its optimizers are `reference_optimizers`."""

import numpy as np
from reference import backward, forward, hyperparameters, log_softmax, softmax
from reference_activations import as_inexact, sigmoid, softplus

# Losses ----------------------------------------------------------------------------------------


def sample_losses_and_grads(loss, y_pred, y):
    """Return the loss of every sample (n,), and its gradient by that sample's outputs (n, out).

    `loss` is its name, or a description as of a layer: its "kind", and its numbers. A class label
    is an integer a sample; any other target has the shape of `y_pred`, and may be (n,) for a single
    output.
    """
    loss = {"kind": loss} if isinstance(loss, str) else loss
    name, hyper = loss["kind"], hyperparameters(loss)
    y_pred, y = as_inexact(y_pred), np.asarray(y)
    n, n_outputs = y_pred.shape
    labels = name in ("negative_log_likelihood", "softmax_cross_entropy")
    if not labels and y.shape == (n,):
        y = y[:, None]
    if y.shape != ((n,) if labels else y_pred.shape):
        raise ValueError(f"targets of shape {y.shape} do not fit predictions of {y_pred.shape}")

    losses, grads = np.zeros(n, dtype=y_pred.dtype), np.zeros_like(y_pred)
    for i, (p, t) in enumerate(zip(y_pred, y, strict=True)):
        match name:
            case "half_squared_error":
                losses[i] = np.sum((p - t) ** 2) / 2
                grads[i] = p - t
            case "mean_squared_error":
                losses[i] = np.mean((p - t) ** 2)
                grads[i] = 2 * (p - t) / n_outputs
            case "mean_absolute_error":
                sign = np.sign((p - t).real)
                losses[i] = np.mean(sign * (p - t))
                grads[i] = sign / n_outputs
            case "huber":
                delta, e = hyper.get("delta", 1.0), p - t
                near, sign = np.abs(e.real) < delta, np.sign(e.real)
                losses[i] = np.mean(np.where(near, e**2 / 2, delta * (sign * e - delta / 2)))
                grads[i] = np.where(near, e, delta * sign) / n_outputs
            case "log_cosh":
                e, sign = p - t, np.sign((p - t).real)
                shrunk = np.expm1(-2 * sign * e)  # cosh e = e^|e| (1 + shrunk / 2)
                losses[i] = np.mean(sign * e + np.log1p(shrunk / 2))
                grads[i] = np.tanh(e) / n_outputs
            case "pinball":
                tau, e = np.asarray(hyper.get("quantiles", 0.5)), t - p
                losses[i] = np.mean(np.where(e.real > 0, tau * e, (tau - 1) * e))
                slope = np.where(e.real > 0, -tau, 1 - tau)
                grads[i] = np.where(e.real == 0, 0, slope) / n_outputs
            case "poisson":
                losses[i] = np.sum(np.exp(p) - t * p)
                grads[i] = np.exp(p) - t
            case "negative_log_likelihood":
                losses[i] = -np.log(p[t])
                grads[i, t] = -1 / p[t]
            case "softmax_cross_entropy":
                smoothing = hyper.get("label_smoothing", 0.0)
                wanted = np.full(n_outputs, smoothing / n_outputs)
                wanted[t] += 1 - smoothing
                losses[i] = -np.sum(wanted * log_softmax(p))
                grads[i] = softmax(p) - wanted
            case "binary_cross_entropy":
                smoothing = hyper.get("label_smoothing", 0.0)
                t = (1 - smoothing) * t + smoothing / 2
                # -log(sigmoid(p)) = softplus(-p) and -log(1 - sigmoid(p)) = softplus(p)
                losses[i] = np.mean(t * softplus(-p) + (1 - t) * softplus(p))
                grads[i] = ((1 - t) * sigmoid(p) - t * sigmoid(-p)) / n_outputs
            case _:
                raise ValueError(f"unknown loss {name!r}")
    return losses, grads


def observed_losses_and_grads(loss, y_pred, y, output_weight=None):
    """Return the results of `sample_losses_and_grads` for targets that may be missing, and shares.

    A missing target is NaN, or the label -1. Each output is a loss of its own, with a weight. The
    divisor of a mean over samples of weights w is the sum of w times the shares.
    """
    loss = {"kind": loss} if isinstance(loss, str) else loss
    y_pred = as_inexact(y_pred)
    n, n_outputs = y_pred.shape
    losses, grads = np.zeros(n, dtype=y_pred.dtype), np.zeros_like(y_pred)
    if loss["kind"] in ("negative_log_likelihood", "softmax_cross_entropy"):
        seen = np.asarray(y) >= 0
        losses[seen], grads[seen] = sample_losses_and_grads(loss, y_pred[seen], y[seen])
        return losses, grads, seen.astype(float)
    y = np.reshape(y, y_pred.shape)
    v = np.ones(n_outputs) if output_weight is None else np.asarray(output_weight)
    sums = loss["kind"] in ("half_squared_error", "poisson")
    for j in range(n_outputs):
        seen = ~np.isnan(y[:, j])
        of_output = dict(loss)
        if np.ndim(loss.get("quantiles")):
            of_output["quantiles"] = loss["quantiles"][j]
        found = sample_losses_and_grads(of_output, y_pred[seen, j : j + 1], y[seen, j])
        share = v[j] if sums else v[j] / v.sum()
        losses[seen] += share * found[0]
        grads[seen, j] = share * found[1][:, 0]
    counted = np.where(np.isnan(y), 0, v).sum(axis=1)
    return losses, grads, (counted > 0).astype(float) if sums else counted / v.sum()


def observed_value_and_grad(loss, y_pred, y, reduction="mean", weights=None, output_weight=None):
    """Return `loss_value_and_grad` for targets that may be missing, and weights of the outputs."""
    losses, grads, shares = observed_losses_and_grads(loss, y_pred, y, output_weight)
    weights = np.ones(len(losses)) if weights is None else weights
    d = divisor(reduction, weights * shares)
    return np.sum(weights * losses) / d, weights[:, None] * grads / d


def divisor(reduction, weights):
    """Return what the sum over a batch is divided by; a batch of weight 0 adds up to 0 anyhow."""
    return {"mean": np.sum(weights) or 1, "sum": 1}[reduction]


def loss_value_and_grad(loss, y_pred, y, reduction="mean", weights=None):
    """Return the loss of a batch and its gradient by `y_pred`; "mean" averages over samples."""
    losses, grads = sample_losses_and_grads(loss, y_pred, y)
    weights = np.ones(len(losses)) if weights is None else weights
    d = divisor(reduction, weights)
    return np.sum(weights * losses) / d, weights[:, None] * grads / d


# Training ----------------------------------------------------------------------------------------


def train(
    layers,
    params,
    X,
    y,
    *,
    loss,
    optimizer,
    epochs,
    batch_size,
    rng=None,
    reduction="mean",
    weights=None,
    output_weight=None,
):
    """Train in minibatches, the last one of an epoch possibly short.

    Parameters
    ----------
    optimizer : SGD, Adam, AdamW or RMSprop
        Of `reference_optimizers`; changed by the call, since it holds the state.
    rng : numpy.random.Generator, optional
        Draws the order of each epoch, `rng.permutation(n)`; without it the order is that of X.
    output_weight : array_like, optional
        Weights of the outputs. Real targets that are NaN, and labels -1, are missing.

    Returns
    -------
    params : ndarray
        A new array.
    history : list of float
        Per epoch, the mean (or sum, as `reduction` says) of the losses of all samples, each
        evaluated before the update of its batch.
    """
    X, y, params = np.asarray(X), np.asarray(y), np.array(params)
    n, history = len(X), []
    weights = np.ones(n) if weights is None else weights
    for _ in range(epochs):
        order = np.arange(n) if rng is None else rng.permutation(n)
        epoch_losses, epoch_weights = [], []
        for start in range(0, n, batch_size):
            rows = order[start : start + batch_size]
            y_pred = forward(layers, params, X[rows])
            losses, dY, shares = observed_losses_and_grads(loss, y_pred, y[rows], output_weight)
            epoch_losses.extend(weights[rows] * losses)
            epoch_weights.extend(weights[rows] * shares)
            w = weights[rows]
            dY = w[:, None] * dY / divisor(reduction, w * shares)
            grads, _ = backward(layers, params, X[rows], dY)
            params = optimizer.step(params, grads)
        history.append(float(np.sum(epoch_losses) / divisor(reduction, epoch_weights)))
    return params, history
