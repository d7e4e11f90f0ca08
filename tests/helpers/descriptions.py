"""Descriptions of layers for the oracle in `reference.py`."""


def linear(in_features, out_features, bias=True):
    """Return the description of a linear layer."""
    return {
        "kind": "linear",
        "in_features": in_features,
        "out_features": out_features,
        "bias": bias,
    }


def layer_norm(features, eps=1e-5):
    """Return the description of a layer normalisation."""
    return {"kind": "layer_norm", "features": features, "eps": eps}


def batch_norm(features, eps=1e-5):
    """Return the description of a batch normalisation; the oracle knows running statistics."""
    return {"kind": "batch_norm", "features": features, "eps": eps}


def scale(features, bias=False):
    """Return the description of a layer that scales each feature."""
    return {"kind": "scale", "features": features, "bias": bias}


def parametric(features, activation, **hyper):
    """Return the description of a parametric activation."""
    return {"kind": "parametric", "features": features, "activation": kind(activation, **hyper)}


def kind(name, **hyper):
    """Return the description of a layer without parameters."""
    return {"kind": name, **hyper}


def residual(*layers):
    """Return the description of a residual block."""
    return {"kind": "residual", "layers": list(layers)}


def parallel(*branches, combine="sum"):
    """Return the description of branches, each a list of layers."""
    return {"kind": "parallel", "branches": list(branches), "combine": combine}
