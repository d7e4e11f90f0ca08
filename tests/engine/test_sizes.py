"""Too large arguments raise an error that names them, before anything is copied or allocated."""

import tracemalloc

import numpy as np
import pytest

import fastnn as fn
from fastnn._core.memory import available_memory

ROWS = 3_000_000
WIDE = np.broadcast_to(np.float32(1), (ROWS, 8))  # 100 MB, if it were copied
HUGE = np.broadcast_to(np.float32(1), (10**14, 8))  # no machine has the memory for a copy
HALF = fn.HalfSquaredError()
MEGABYTES = 100  # half of the memory of a float64 copy of WIDE


def network():
    return fn.Network([fn.Linear(8, 300), fn.Tanh(), fn.Linear(300, 2)], "float64", seed=0)


def peak_megabytes(call, error):
    tracemalloc.start()
    try:
        with pytest.raises(error):
            call()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


SHAPES = {
    "predict": lambda net: net.predict(WIDE[:, :7]),
    "forward": lambda net: net(WIDE[:, :7]),
    "jacobian": lambda net: net.jacobian(WIDE[:, :7]),
    "fit, X": lambda net: net.fit(WIDE[:, :7], np.zeros((5, 2)), loss=HALF),
    "fit, y": lambda net: net.fit(WIDE, np.zeros((5, 2)), loss=HALF),
    "fit, weights": lambda net: net.fit(WIDE[:9], np.zeros((9, 2)), loss=HALF, sample_weight=WIDE),
    "fit, labels": lambda net: net.fit(WIDE[:9], WIDE),
    "validation": lambda net: net.fit(
        WIDE[:9], np.zeros((9, 2)), loss=HALF, validation_data=(WIDE, np.zeros((5, 2)))
    ),
    "loss_and_grad": lambda net: net.loss_and_grad(WIDE, np.zeros((5, 2)), HALF),
    "jvp": lambda net: net.jvp(WIDE, np.zeros((5, 8))),
    "vjp": lambda net: net.vjp(WIDE, np.zeros((5, 2))),
    "vjp, cotangent": lambda net: net.vjp(WIDE[:9], WIDE),
    "hvp": lambda net: net.hvp(WIDE, np.zeros((5, 2)), HALF, np.zeros(net.n_params)),
    "hvp, v": lambda net: net.hvp(WIDE[:9], np.zeros((9, 2)), HALF, WIDE),
    "gram": lambda net: net.gram(WIDE, np.zeros((5, 2))),
    "sample_grads": lambda net: net.sample_grads(WIDE[:9], WIDE, HALF),
    "params": lambda net: setattr(net, "params", WIDE),
    "weight": lambda net: setattr(net.layers[0], "weight", WIDE),
    "backward": lambda net: (net(WIDE[:9]), net.backward(WIDE)),
    "a layer": lambda net: net.layers[0](WIDE[:, :7]),
    "a layer, vjp": lambda net: net.layers[0].vjp(WIDE[:9], WIDE),
    "a loss": lambda net: HALF.value_and_grad(WIDE, np.zeros((5, 2))),
    "Standardize": lambda net: fn.Standardize(WIDE, WIDE),
    "running_var": lambda net: setattr(fn.BatchNorm(3), "running_var", WIDE),
    "Dense": lambda net: fn.jacobians.Dense(WIDE[:, :, None]),
    "fit_many, rows": lambda net: fn.fit_many([net], WIDE, np.zeros(5), rows=[[0]], loss=HALF),
}


@pytest.mark.parametrize("call", SHAPES)
def test_a_shape_that_does_not_fit_is_refused_without_a_copy(call):
    net = network()
    assert peak_megabytes(lambda: SHAPES[call](net), ValueError) < MEGABYTES


MEMORY = {
    "predict": lambda net: net.predict(HUGE),
    "forward": lambda net: net(HUGE),
    "jacobian": lambda net: net.jacobian(HUGE),
    "jacobian by params": lambda net: net.jacobian(HUGE, "params"),
    "value_and_jacobian": lambda net: net.value_and_jacobian(HUGE),
    "vjp": lambda net: net.vjp(HUGE, np.broadcast_to(1.0, (10**14, 2))),
    "gram": lambda net: net.gram(HUGE),
    "fit": lambda net: net.fit(HUGE, np.broadcast_to(1.0, (10**14, 2)), loss=HALF),
    "loss": lambda net: HALF.value_and_grad(HUGE, HUGE),
}


@pytest.mark.parametrize("call", MEMORY)
def test_what_memory_cannot_hold_is_refused_before_a_copy(call):
    net = network()
    assert peak_megabytes(lambda: MEMORY[call](net), MemoryError) < MEGABYTES


def test_a_jacobian_that_is_too_large_is_refused_before_x_is_converted():
    result = 8 * 2 * network().n_params  # bytes for a row; a row of x has far fewer
    rows = available_memory() // result * 4
    x = np.broadcast_to(np.float32(1), (rows, 8))
    net = network()
    for call in (lambda: net.jacobian(x, "params"), lambda: net.sample_grads(x, x[:, :2], HALF)):
        with pytest.raises(MemoryError, match="the Jacobian|the gradients"):
            call()
    assert peak_megabytes(lambda: net.jacobian(x, "params"), MemoryError) < MEGABYTES


@pytest.mark.parametrize("size", [2**47, 2**48, 2**61])
def test_layers_that_are_too_large_are_refused_by_name(size):
    for make in (
        fn.BatchNorm,
        fn.LayerNorm,
        lambda n: fn.Scale(min(2 * n, 2**61)),
        lambda n: fn.Parametric(min(2 * n, 2**61), fn.Mish),
        lambda n: fn.Linear(n, 2),
        lambda n: fn.Linear(2, n),
    ):
        with pytest.raises(ValueError, match=r"\(.*too many"):
            make(size)


@pytest.mark.parametrize("size", [2**62, 2**63, 2**64, 10**400, 0, -1])
def test_sizes_out_of_range_are_refused_by_name(size):
    for make, name in (
        (fn.BatchNorm, "features"),
        (fn.LayerNorm, "features"),
        (fn.Scale, "features"),
        (lambda n: fn.Parametric(n, fn.Mish), "features"),
        (lambda n: fn.Linear(n, 2), "in_features"),
        (lambda n: fn.Linear(2, n), "out_features"),
    ):
        with pytest.raises(ValueError, match=name):
            make(size)


@pytest.mark.parametrize(("n", "batch_size"), [(1, 32), (33, 32), (5, 2), (4, 1)])
def test_a_batch_of_one_is_refused_by_the_callers_own_batch_size(n, batch_size):
    net = fn.Network([fn.Linear(2, 3), fn.BatchNorm(3), fn.Linear(3, 1)])
    with pytest.raises(ValueError, match=f"batch_size is {batch_size}, .* of the {n} samples"):
        net.fit(np.ones((n, 2)), np.ones(n), loss=HALF, batch_size=batch_size)


def test_an_estimator_names_its_own_batch_size():
    regressor = pytest.importorskip("fastnn.sklearn").MLPRegressor
    layers = [fn.Linear(2, 3), fn.BatchNorm(3), fn.Linear(3, 1)]
    x, y = np.ones((201, 2)), np.ones(201)
    for given, shown in (("auto", "'auto'"), (100, "100")):
        with pytest.raises(ValueError, match=f"batch_size is {shown}, so"):
            regressor(network=layers, batch_size=given).fit(x, y)


def test_slsqp_takes_the_gradient_as_the_documentation_says():
    minimize = pytest.importorskip("scipy.optimize").minimize
    net = fn.Network([fn.Linear(2, 1)], "float32", seed=0)
    x, y = np.eye(2), np.array([1.0, 2.0])

    def value_and_grad(params):
        net.params = params
        value, gradient = net.loss_and_grad(x, y, HALF)
        assert gradient.dtype == net.dtype
        return value, gradient.astype(float)

    found = minimize(value_and_grad, net.params.astype(float), jac=True, method="SLSQP")
    assert found.fun < 1e-6
