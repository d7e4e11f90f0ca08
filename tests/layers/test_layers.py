"""Every layer of the table against the oracle and finite differences."""

import copy
import pickle

import numpy as np
import pytest
import reference
from case_inputs import sample_inputs, sample_params, special_inputs
from layer_cases import LAYER_CASES

import fastnn as fn
from fastnn import _core

all_layers = pytest.mark.parametrize("case", LAYER_CASES, ids=lambda case: case.name)
pytestmark = pytest.mark.usefixtures("isa")


def make_layer(case, params):
    layer = getattr(fn, case.cls)(**case.args)
    [values] = reference.unpack(case.layers, params)
    for name, value in zip(layer.arrays(), values, strict=False):
        if value is not None:
            setattr(layer, name, value)
    reference.set_running_statistics(layer, case.description)
    return layer


def close(actual, expected, dtype, factor=8):
    """Assert that arrays agree within a few units in the last place of the largest number."""
    assert actual.dtype == dtype
    assert actual.shape == expected.shape
    tolerance = factor * np.finfo(dtype).eps
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@all_layers
@pytest.mark.parametrize("n", [1, 7, 40])
def test_forward(case, dtype, rng, n):
    params, X = sample_params(case, rng, dtype), sample_inputs(case, rng, dtype, n)
    expected = reference.forward(case.layers, params.astype(float), X.astype(float))
    close(make_layer(case, params)(X), expected, dtype)


@all_layers
def test_one_sample_is_a_row(case, dtype, rng):
    params, X = sample_params(case, rng, dtype), sample_inputs(case, rng, dtype)
    layer = make_layer(case, params)
    for x, y in zip(X, layer(X), strict=True):
        if case.cls == "Linear":  # a sum over few rows has another order
            assert np.allclose(layer(x), y, rtol=0, atol=20 * np.finfo(dtype).eps * np.abs(X).max())
        else:
            assert np.array_equal(layer(x), y)


@all_layers
def test_forward_at_special_values(case, dtype, rng):
    params, X = sample_params(case, rng, dtype), special_inputs(case, dtype)
    expected = reference.forward(case.layers, params.astype(float), X.astype(float))
    actual = make_layer(case, params)(X)
    info = np.finfo(dtype)
    # Relative to each value; sums of huge and tiny terms relative to the largest term.
    largest = {
        "Linear": np.abs(X).max(),
        "LayerNorm": np.abs(expected).max(),
        "BatchNorm": np.abs(expected).max(),
    }
    atol = max(20 * info.eps * largest.get(case.cls, 0), 4 * info.smallest_subnormal)
    np.testing.assert_allclose(actual, expected, rtol=20 * info.eps, atol=atol)


@all_layers
def test_vjp_against_the_oracle(case, dtype, rng):
    params, X = sample_params(case, rng, dtype), sample_inputs(case, rng, dtype)
    layer = make_layer(case, params)
    dy = rng.standard_normal(layer(X).shape).astype(dtype)
    _, expected = reference.backward(
        case.layers, params.astype(float), X.astype(float), dy.astype(float)
    )
    close(layer.vjp(X, dy), expected, dtype, factor=30)


@all_layers
def test_vjp_against_finite_differences(case, rng):
    params, X = sample_params(case, rng, "float64"), sample_inputs(case, rng, "float64")
    layer = make_layer(case, params)
    dy = rng.standard_normal(layer(X).shape)
    expected = reference.numerical_vjp(layer, X, dy)
    np.testing.assert_allclose(layer.vjp(X, dy), expected, rtol=1e-7, atol=1e-7)


@all_layers
def test_gradients_overwrite(case, dtype, rng):
    """The engine's arrays may hold any numbers before a pass, also NaN."""
    params, X = sample_params(case, rng, dtype), sample_inputs(case, rng, dtype)
    layer = make_layer(case, params)
    plan = _core.engine.Plan([layer.operation(case.features)])
    flat, constants = layer._flat_params(np.dtype(dtype)), layer._flat_constants(np.dtype(dtype))
    activations = np.full(len(X) * plan.row_width, np.nan, dtype)
    _core.engine.forward(plan, flat, constants, X, activations, 1)
    dy = rng.standard_normal((len(X), plan.n_out)).astype(dtype)
    grads, dx = np.full(plan.n_params, np.nan, dtype), np.full_like(X, np.nan)
    untouched = dy.copy(), X.copy(), activations.copy()
    _core.engine.backward(plan, flat, constants, X, activations, dy, grads, dx, 1)
    for before, after in zip(untouched, (dy, X, activations), strict=True):
        assert np.array_equal(before, after, equal_nan=True)
    expected, _ = reference.backward(
        case.layers, params.astype(float), X.astype(float), dy.astype(float)
    )
    close(grads, expected, dtype, factor=30)
    close(dx, layer.vjp(X, dy), dtype)


@all_layers
@pytest.mark.parametrize("column", [0, -1])
def test_nan_is_handed_on(case, dtype, rng, column):
    """The public methods reject NaN; in the engine NaN must never become a number."""
    params, X = sample_params(case, rng, dtype), sample_inputs(case, rng, dtype, n=40)
    layer = make_layer(case, params)
    X[3, column] = np.nan
    plan = _core.engine.Plan([layer.operation(case.features)])
    y = np.empty((len(X), plan.n_out), dtype)
    _core.engine.predict(plan, layer._flat_params(y.dtype), layer._flat_constants(y.dtype), X, y, 1)
    whole_row = case.cls in ("Linear", "Softmax", "LogSoftmax", "LayerNorm")
    assert np.isnan(y[3] if whole_row else y[3, column]).all()
    assert np.isfinite(np.delete(y, 3, axis=0)).all()


def test_subderivatives_at_the_kink(dtype):
    at_zero, one = np.zeros(4, dtype), np.ones(4, dtype)
    for layer, slope in [
        (fn.ReLU(), 0),
        (fn.LeakyReLU(0.2), 0.2),
        (fn.ELU(0.5), 0.5),
        (fn.Abs(), 0),
    ]:
        np.testing.assert_allclose(layer.vjp(at_zero, one), slope, rtol=1e-6)


def test_softmax_neither_overflows_nor_loses_the_small(dtype):
    x = np.array([1e4, 0, -1e4], dtype)
    assert fn.Softmax()(x).tolist() == [1, 0, 0]
    assert fn.LogSoftmax()(x).tolist() == [0, -1e4, -2e4]


# What needs no build of its own ---------------------------------------------------------------


def test_linear_of_its_own():
    layer = fn.Linear(3, 2)
    assert layer.weight.shape == (2, 3)
    assert layer.weight.dtype == np.float64
    assert np.array_equal(layer.bias, [0, 0])
    layer.weight = [[1, 0, 1], [-1, 2, 3]]
    layer.bias = (-1, 2)
    assert layer([1, 0, -2]).tolist() == [-2, -5]
    layer.weight[0, 0] = 5
    assert layer([1, 0, -2]).tolist() == [2, -5]
    assert fn.Linear(3, 2, bias=False).bias is None
    assert layer.weight_grad is None


def test_a_layer_in_a_network_is_a_view():
    first = fn.Linear(3, 2)
    first.weight = [[1, 0, 1], [-1, 2, 3]]
    first.bias = (-1, 2)
    net = fn.Network([first, fn.ReLU(), fn.Linear(2, 2)], dtype="float32", seed=0)
    assert net.layers[0] is first
    assert net.params[:8].tolist() == [1, 0, 1, -1, 2, 3, -1, 2]
    assert np.shares_memory(first.weight, net.params)
    first.weight = np.zeros((2, 3))
    first.bias[1] = 7
    assert net.params[:8].tolist() == [0] * 6 + [-1, 7]
    net.params[0] = 4
    assert first.weight[0, 0] == 4
    assert np.shares_memory(first.weight_grad, net.grads)
    assert np.shares_memory(first.bias_grad, net.grads)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))]
)
def test_a_copied_layer_is_a_layer_of_its_own(duplicate):
    net = fn.Network([fn.Standardize([1, 2], [3, 4]), fn.Linear(2, 2), fn.ELU(0.5)], seed=0)
    again = fn.Network([duplicate(layer) for layer in net.layers], seed=1)
    assert np.array_equal(again.params, net.params)
    assert again.layers[2].alpha == 0.5
    again.params[...] = 0
    assert net.params.any()


def test_standardize_from_data(rng):
    X = rng.normal([5, -3, 7], [0.1, 20, 0], (500, 3))
    Z = fn.Standardize.from_data(X)(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(Z.std(axis=0)[:2], 1, rtol=1e-12)
    assert (Z[:, 2] == 0).all()  # a constant column is centred, and not divided by zero


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (fn.Linear(3, 2), "Linear(3, 2)"),
        (fn.Linear(3, 2, bias=False), "Linear(3, 2, bias=False)"),
        (fn.ReLU(), "ReLU()"),
        (fn.LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)"),
        (fn.Standardize([0, 1], [1, 1]), "Standardize(2 features)"),
    ],
)
def test_repr(layer, text):
    assert repr(layer) == text


def test_hard_tanh_has_slope_0_at_its_kinks(isa, dtype):
    one = np.dtype(dtype).type(1)
    within = np.nextafter(one, one - one)
    x = np.array([-one, -within, within, one])
    assert np.array_equal(fn.HardTanh()(x), x)
    assert fn.HardTanh().jacobian(x).to_dense().diagonal().tolist() == [0, 1, 1, 0]
    assert "0 at the kinks" in fn.HardTanh.__doc__


@pytest.mark.parametrize("at", [-1.0, 1.0])
def test_the_gradient_checker_finds_the_kinks_of_hard_tanh(at):
    net = fn.Network([fn.Linear(1, 1), fn.HardTanh()], "float64")
    net.params[...] = 1, 0
    report = fn.check_gradient(net, [[at]], [[at - 1]], fn.HalfSquaredError(), wrt="input")
    [kink] = report.kinks
    assert (kink.layer, kink.unit, kink.sample) == (1, 0, 0)
    assert sorted(kink.interval) == pytest.approx([0, 1], abs=1e-4)
    assert not fn.check_gradient(net, [[0.0]], [[1.0]], fn.HalfSquaredError(), wrt="input").kinks
