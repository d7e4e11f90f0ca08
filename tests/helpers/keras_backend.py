"""Keras with the backend that is installed."""

import importlib.util
import os

import pytest


def keras_or_skip():
    """Return Keras; the backend is PyTorch or JAX, unless the environment names another."""
    for backend in ("torch", "jax"):
        if importlib.util.find_spec(backend):
            os.environ.setdefault("KERAS_BACKEND", backend)
    return pytest.importorskip("keras", reason="Keras is not installed")
