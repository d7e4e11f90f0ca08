"""Inputs and parameters for the cases of the table: ordinary, awkward, and away from kinks."""

import numpy as np
import reference
from layer_cases import kinks_of

KINK_MARGIN = 1e-2


def sample_inputs(case, rng, dtype, n=7):
    """Return inputs (n, case.features) for a layer or network.

    Every column has both signs (if n > 1), and every entry of the inputs of a layer is at least
    KINK_MARGIN away from the kinks of the layer.
    """
    X = 2 * rng.standard_normal((n, case.features))
    X[:1], X[1:2] = abs(X[:1]), -abs(X[1:2])
    for kink in getattr(case, "kinks", ()):
        near = abs(X - kink) < 2 * KINK_MARGIN  # twice: rounding to `dtype` may not cross it
        X[near] = kink + np.copysign(2 * KINK_MARGIN, X[near] - kink)
    return X.astype(dtype)


def special_inputs(case, dtype):
    """Return inputs whose columns each hold every awkward value: 0, tiny, subnormal, huge."""
    info = np.finfo(dtype)
    magnitudes = [0.0, info.smallest_subnormal, 8 * info.smallest_subnormal, info.tiny, 50.0, 1e4]
    values = np.array([sign * value for value in magnitudes for sign in (1, -1)], dtype=dtype)
    # Each column starts elsewhere, so that the values meet each other within a row.
    return np.stack([np.roll(values, 5 * column) for column in range(case.features)], axis=1)


def sample_params(case, rng, dtype):
    """Return flat parameters, weights scaled so that activations keep their size."""
    params = rng.standard_normal(reference.n_params(case.layers))
    for weight, bias in reference.unpack(case.layers, params):
        if weight is not None:
            weight /= np.sqrt(weight.shape[-1])
        if bias is not None:
            bias /= 2
    return params.astype(dtype)


def leaf_inputs(layers, params, X):
    """Yield each layer that is no block with its inputs (n, features)."""
    activations = reference.forward_all(layers, params, X)
    pieces = reference.split([[layer] for layer in layers], params)
    for layer, own, x in zip(layers, pieces, activations[:-1], strict=True):
        branches = reference.branches_of(layer)
        if not branches:
            yield layer, x
            continue
        for branch, part in zip(branches, reference.split(branches, own), strict=True):
            if branch:
                yield from leaf_inputs(branch, part, x)


def smooth_inputs(case, params, rng, dtype, n=7):
    """Return inputs that keep every layer of a network at least KINK_MARGIN / 10 off its kinks.

    There a finite difference, or rounding in another order, cannot land on the other side.
    """
    candidates = sample_inputs(case, rng, dtype, 20 * n)
    smooth = np.full(len(candidates), True)
    for layer, x in leaf_inputs(case.layers, params, candidates):
        for kink in kinks_of(layer):
            smooth &= np.all(abs(x - kink) > KINK_MARGIN / 10, axis=1)
    assert smooth.sum() >= n, f"{case.name}: too few samples off the kinks"
    return candidates[smooth][:n]
