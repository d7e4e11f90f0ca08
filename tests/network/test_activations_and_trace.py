"""The values between the layers: `activations` and `trace`."""

import copy
import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
import reference
from array_forms import misaligned, spread
from case_inputs import sample_inputs, sample_params
from cases import NETWORK_CASES
from closeness import assert_close
from custom_layers import PLACES, Scaling, networks
from layer_cases import LAYER_CASES

import fastnn as fn
from fastnn.layers import composition


@pytest.fixture(params=[*NETWORK_CASES, *LAYER_CASES], ids=lambda case: case.name)
def case(request):
    return request.param


@pytest.fixture
def net(case, dtype, rng, make_network):
    return make_network(case, dtype, sample_params(case, rng, dtype))


def top_level(activations):
    """Return the outputs without those of layers inside blocks."""
    return {name: value for name, value in activations.items() if name.count(".") == 1}


def test_activations_are_those_of_the_reference(case, net, dtype, rng):
    X = sample_inputs(case, rng, dtype)
    found = top_level(net.activations(X))
    expected = reference.forward_all(case.layers, net.params.astype(float), X.astype(float))
    assert list(found) == [f"{i}.{type(layer).__name__}" for i, layer in enumerate(net.layers)]
    for value, wanted in zip([*found.values()][-len(case.layers) :], expected[1:], strict=True):
        assert value.dtype == net.dtype
        assert_close(value, wanted.astype(dtype), 2000)
    assert_close([*found.values()][-1], net.predict(X))
    for name, value in top_level(net.activations(X[0])).items():
        assert_close(value, found[name][0])
    for value in net.activations(X[:0]).values():
        assert value.shape[0] == 0


def test_traces(case, net, dtype, rng):
    x = sample_inputs(case, rng, dtype)[0]
    trace, activations = net.trace(x), top_level(net.activations(x))
    assert trace.names == tuple(activations)
    assert len(trace) == len(net.layers)
    before = x
    for record, layer in zip(trace, net.layers, strict=True):
        assert record.layer is layer
        assert record is trace[record.name]
        assert np.array_equal(record.input, before)
        assert_close(record.output, activations[record.name])
        numeric = fn.numerical_jacobian(_in_float64(layer, net), record.input.astype(float))
        np.testing.assert_allclose(record.jacobian, numeric, rtol=1e-3, atol=1e-4)
        assert np.array_equal(record.jacobian_operator.to_dense(), record.jacobian)
        if layer.n_params:
            assert record.params_jacobian.shape == (record.output.size, layer.n_params)
        else:
            assert record.params_jacobian is record.params_jacobian_operator is None
        before = record.output
    assert np.array_equal(trace.input, x)
    assert trace.output is trace[-1].output
    assert_close(trace.output, net.predict(x))
    assert_close(trace.jacobian, net.jacobian(x), 1000)
    product = trace[0].jacobian
    for record in trace[1:]:
        product = record.jacobian @ product
    assert_close(product, net.jacobian(x), 1000)


def _in_float64(layer, net):
    own = copy.deepcopy(layer)
    return fn.Network([fn.Standardize(*_unchanged(layer, net)), own], "float64").predict


def _unchanged(layer, net):
    place = net.layers.index(layer)
    width = composition.widths_through(net.layers, net.in_features)[place]
    return np.zeros(width), np.ones(width)


def test_jacobians_by_the_parameters_add_up(rng):
    net = fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.LayerNorm(4), fn.Linear(4, 2)], "float64")
    x = rng.standard_normal(3)
    trace, parts, after = net.trace(x), [], np.eye(2)
    for record in reversed(trace):
        if record.params_jacobian is not None:
            parts.append(after @ record.params_jacobian)
        after = after @ record.jacobian
    assert_close(np.hstack(parts[::-1]), net.jacobian(x, "params"), 1000)


def test_pre_activations_of_a_fused_relu():
    net = fn.Network([fn.Linear(2, 2), fn.ReLU(), fn.Linear(2, 1)], "float64")
    net.params[...] = [1, 0, 0, 1, 0, 0, 1, 1, 0]
    assert np.array_equal(net.activations([[2.0, -3.0]])["0.Linear"], [[2, -3]])
    trace = net.trace([2.0, -3.0])
    assert np.array_equal(trace["1.ReLU"].input, [2, -3])
    assert np.array_equal(trace["1.ReLU"].output, [2, 0])
    assert np.array_equal(trace["1.ReLU"].jacobian, [[1, 0], [0, 0]])
    assert np.array_equal(
        trace["0.Linear"].params_jacobian, [[2, -3, 0, 0, 1, 0], [0, 0, 2, -3, 0, 1]]
    )


@pytest.mark.parametrize("place", PLACES)
def test_custom_layers(place, dtype, rng):
    own, compiled = networks(place, dtype)
    X = rng.standard_normal((600, 3))
    found, expected = own.activations(X), compiled.activations(X)
    for value, wanted in zip(found.values(), expected.values(), strict=True):
        assert_close(value, wanted, 1000)
    assert_close(own.trace(X[0]).jacobian, compiled.trace(X[0]).jacobian, 1000)
    assert f"{len(own.layers) - 1}.{type(own.layers[-1]).__name__}" in own.trace(X[0]).names


@pytest.mark.parametrize(
    "form",
    [np.ndarray.tolist, np.asfortranarray, misaligned, spread, pd.DataFrame]
    + [lambda a, d=d: a.astype(d) for d in ("i1", "u2", "f2", "f4", ">f8")],
)
def test_every_form_of_input(form, dtype, rng):
    X = rng.integers(0, 9, (7, 3)).astype(float)
    net = fn.Network([fn.Linear(3, 4), fn.ReLU(), fn.Linear(4, 2)], dtype, seed=0)
    given, expected = form(X), net.activations(X)
    for name, value in net.activations(given).items():
        assert np.array_equal(value, expected[name])
    if form is not pd.DataFrame:
        assert np.array_equal(net.trace(form(X[0])).output, net.trace(X[0]).output)


def test_the_result_is_no_view(rng):
    X = rng.standard_normal((5, 3)).astype("f4")
    net = fn.Network([fn.Identity(), fn.Dropout(0.5), fn.Linear(3, 3)], seed=0)
    found = net.activations(X)
    trace = net.trace(X[0])
    for array in (*found.values(), trace.input, trace.output):
        assert not np.shares_memory(array, X)
    before = trace["2.Linear"].jacobian.copy()
    net.params[...] = 0
    assert np.array_equal(trace["2.Linear"].jacobian, before)
    assert np.array_equal(found["1.Dropout"], X)


def test_threads_change_no_bit(rng):
    net = fn.Network([fn.Linear(64, 200), fn.GELU(), fn.Linear(200, 10)], seed=0)
    X = rng.standard_normal((3000, 64))
    one, two = (net.activations(X, n_threads=n) for n in (1, 2))
    assert all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.ones((2, 4)), ValueError, r"X has shape \(2, 4\)"),
        ([[1, 2, np.nan]], ValueError, r"X\[0, 2\] is nan"),
        (["a", "b", "c"], TypeError, "X has dtype"),
        (np.ma.ones((2, 3)), TypeError, "masked"),
    ],
)
def test_invalid_inputs(X, error, message):
    net = fn.Network([fn.Linear(3, 2)], seed=0)
    with pytest.raises(error, match=message):
        net.activations(X)
    with pytest.raises(error, match="x "):
        net.trace(X)
    with pytest.raises(TypeError, match="n_threads"):
        net.activations(np.ones(3), n_threads="2")
    net.params[0] = np.nan
    with pytest.raises(ValueError, match="params hold NaN"):
        net.trace(np.ones(3))


def test_how_a_trace_is_shown():
    net = fn.Network([fn.Linear(2, 5), fn.ReLU(), Scaling(5)], "float64")
    net.params[...] = [*np.arange(10), *np.zeros(5), *np.ones(5)]
    trace = net.trace([1.0, -1.0])
    lines = [re.split(r" {2,}", line) for line in repr(trace).splitlines()]
    assert lines[0] == ["layer", "input", "output", "Jacobian", "Jacobian by the parameters"]
    negative, zeros = "[-1, -1, -1, … 5 in all]", "[0, 0, 0, … 5 in all]"
    assert lines[2:] == [
        ["0.Linear", "[1, -1]", negative, "Dense 5 x 2", "Block 5 x 15"],
        ["1.ReLU", negative, zeros, "Diagonal 5 x 5"],
        ["2.Scaling", zeros, zeros, "Dense 5 x 5", "Dense 5 x 5"],
    ]
    assert "0.Linear" in repr(trace[0])
    cells = re.findall(r"<td[^>]*>(.*?)</td>", trace._repr_html_())
    assert [unescape(cell) for cell in cells[::5]] == list(trace.names)
    with pytest.raises(KeyError, match=r"the layers are 0\.Linear, 1\.ReLU, 2\.Scaling"):
        trace["ReLU"]
    with pytest.raises(IndexError):
        trace[3]


def test_html_is_escaped():
    cls = type("<b>&", (Scaling,), {})
    text = fn.Network([cls(2)]).trace([1, 2])._repr_html_()
    assert "&lt;b&gt;&amp;" in text
    assert "<b>" not in text
