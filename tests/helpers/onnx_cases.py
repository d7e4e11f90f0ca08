"""The layers and networks of the tables with inputs, for ONNX files."""

import numpy as np
import pytest
from block_cases import BLOCK_NETWORKS
from case_inputs import sample_inputs, sample_params
from cases import NETWORK_CASES
from layer_cases import LAYER_CASES

CASES = [*LAYER_CASES, *NETWORK_CASES]
assert BLOCK_NETWORKS.keys() <= {case.name for case in NETWORK_CASES}


def inputs_of(case, rng, dtype, n=7):
    """Return inputs; columns of codes hold whole numbers, unknown codes and fractions too."""
    X = sample_inputs(case, rng, dtype, n)
    for description in case.layers[:1]:
        if description["kind"] == "categorical_embedding":
            k = len(description["cardinalities"])
            X[:, -k:] = rng.choice([-1, -0.5, 0, 0.49, 1, 1.5, 2, 7, 1e9], (n, k))
    return X


def network_of(case, make_network, rng, dtype):
    """Return a network with random parameters."""
    net = make_network(case, dtype)
    net.params[...] = sample_params(case, rng, dtype)
    return net


def run(path, X):
    """Return what onnxruntime computes from a file."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    onnxruntime.set_default_logger_severity(3)  # errors only
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": np.asarray(X)})[0]
