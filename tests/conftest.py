"""Fixtures: every build of the engine that this machine can run, both dtypes, and real data."""

import random
import signal
import zlib
from pathlib import Path

import layer_cases
import numpy as np
import pytest
import reference

import fastnn as fn
from fastnn import _core


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_raises():
    """Let SIGINT raise KeyboardInterrupt: a shell lets its background jobs ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def same_seeds_in_every_run(request, monkeypatch):
    """Let generators without a seed draw the same numbers whenever this test runs."""
    entropy = random.Random(zlib.crc32(request.node.nodeid.encode()))
    monkeypatch.setattr(np.random.bit_generator, "randbits", entropy.getrandbits)


@pytest.fixture(params=_core.available_isas())
def isa(request, monkeypatch):
    """Run the test on one build of the engine, in place of the one picked at import."""
    monkeypatch.setattr(_core, "engine", _core.load_engine(request.param))
    return request.param


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(20240229)


@pytest.fixture
def make_network():
    """Make a `fastnn.Network` from a NetworkCase or LayerCase of the table.

    A layer that takes any width stands behind a Standardize that changes nothing.
    """

    def make(case, dtype="float64", params=None):
        layers = [layer_cases.made(description, fn) for description in case.layers]
        if isinstance(case, layer_cases.LayerCase) and case.cls not in ("Linear", "Standardize"):
            layers.insert(0, fn.Standardize(np.zeros(case.features), np.ones(case.features)))
        net = fn.Network(layers, dtype, seed=0)
        if params is not None:
            net.params[...] = params
        for layer, described in zip(net.layers[-len(case.layers) :], case.layers, strict=True):
            reference.set_running_statistics(layer, described)
        return net

    return make


@pytest.fixture
def shared_data():
    """The folder of real data sets beside the project, which a newcomer's clone does not have."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder of real data sets, ../shared/data, is not here")
    return folder
