"""Diagrams of networks: units, lines, widths and names, and that no texts overlap."""

import itertools
import sys

import numpy as np
import pytest

import fastnn as fn
from fastnn.plots import NetworkDisplay


def network(*widths, dtype="float32"):
    layers = [fn.Linear(a, b) for a, b in itertools.pairwise(widths)]
    return fn.Network(layers, dtype, seed=0)


def collections(display, kind):
    return [c for c in display.ax_.collections if type(c).__name__ == kind]


def units(display):
    """Return the centres of the units of each column."""
    return [
        np.array([path.vertices[:-1].mean(axis=0) for path in c.get_paths()])
        for c in collections(display, "PatchCollection")
    ]


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


def expect_no_overlap(display):
    figure = display.figure_
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in display.ax_.texts if text.get_text()]
    for a, b in itertools.combinations(boxes, 2):
        assert not a.overlaps(b)
    for box in boxes:
        assert figure.bbox.padded(1).contains(*box.p0)
        assert figure.bbox.padded(1).contains(*box.p1)


def test_a_small_network(pyplot, dtype):
    net = network(3, 5, 2, dtype=dtype)
    net.feature_names, net.class_labels = ["age", "$income", "city"], ["no", "yes"]
    display = NetworkDisplay.from_network(net)
    assert [len(column) for column in units(display)] == [3, 5, 2]
    lines = collections(display, "LineCollection")
    assert [len(c.get_segments()) for c in lines] == [15, 10]
    assert {"3", "5", "2", "age", "$income", "city", "no", "yes"} <= set(texts(display))
    assert display.figure_ is display.ax_.figure
    expect_no_overlap(display)


def test_layers_are_named_below_their_column(pyplot, rng):
    layers = [fn.Standardize.from_data(rng.standard_normal((9, 4))), fn.Linear(4, 6)]
    layers += [fn.BatchNorm(6), fn.ReLU(), fn.Dropout(0.5), fn.Linear(6, 2), fn.LogSoftmax()]
    display = NetworkDisplay.from_network(fn.Network(layers))
    assert texts(display) == [
        *("4", "input\nStandardize"),
        *("6", "Linear\nBatchNorm\nReLU\nDropout"),
        *("2", "Linear\nLogSoftmax"),
    ]
    expect_no_overlap(display)


@pytest.mark.parametrize("max_units", [2, 3, 8])
def test_a_wide_column_has_dots(pyplot, max_units):
    net = network(784, 1000, max_units)
    net.feature_names = [f"pixel {i}" for i in range(784)]
    display = NetworkDisplay.from_network(net, max_units=max_units)
    shown = [len(column) for column in units(display)]
    assert shown == [max_units - 1, max_units - 1, max_units]
    dots = [patch for patch in display.ax_.patches if type(patch).__name__ == "Circle"]
    assert len(dots) == 6
    for column, x in zip(units(display)[:2], (0, 2), strict=True):
        for dot in dots:
            if dot.center[0] == x:  # it hides no unit
                assert np.abs(column[:, 1] - dot.center[1]).min() > 0.16 + 0.03
    assert {"784", "1,000"} <= set(texts(display))
    assert "pixel 0" in texts(display)
    assert ("pixel 783" in texts(display)) is (max_units > 2)
    expect_no_overlap(display)


@pytest.mark.parametrize("n_layers", [13, 14, 60])
def test_a_deep_network_is_shortened(pyplot, n_layers):
    layers = [layer for _ in range(n_layers) for layer in (fn.Linear(3, 3), fn.Tanh())]
    display = NetworkDisplay.from_network(fn.Network(layers))
    assert len(units(display)) == 14
    hidden = n_layers + 1 - 14
    assert (f"{hidden} more" in texts(display)) is (hidden > 0)
    assert len(collections(display, "LineCollection")) == (13 if hidden == 0 else 12)
    expect_no_overlap(display)


def test_the_colours_of_the_weights(pyplot):
    """Each line has the weight between its two units, and all layers share a scale around 0."""
    net = network(12, 4, 3)
    display = NetworkDisplay.from_network(net, weights=True, max_units=6)
    limit = max(np.abs(layer.weight).max() for layer in net.layers)
    first, second = collections(display, "LineCollection")
    inputs = [0, 1, 2, 10, 11]
    expected = net.layers[0].weight[:, inputs] / limit
    columns = units(display)
    for (start, end), value in zip(first.get_segments(), first.get_array(), strict=True):
        i = np.argmin(np.abs(columns[0] - start).sum(axis=1))
        j = np.argmin(np.abs(columns[1] - end).sum(axis=1))
        assert value == expected[j, i]
    np.testing.assert_array_equal(second.get_array(), net.layers[1].weight.ravel() / limit)
    assert first.get_clim() == second.get_clim() == (-1, 1)
    (scale,) = [ax for ax in display.figure_.axes if ax is not display.ax_]
    np.testing.assert_allclose(scale.get_ylim(), (-limit, limit))


def test_weights_of_zero(pyplot):
    net = network(2, 2)
    net.params[...] = 0
    NetworkDisplay.from_network(net, weights=True).figure_.canvas.draw()
    only = fn.Network([fn.Standardize([0, 0], [1, 1]), fn.Tanh()])
    assert [len(c) for c in units(NetworkDisplay.from_network(only, weights=True))] == [2]


def test_a_single_output_is_named_after_the_second_class(pyplot):
    net = network(2, 1)
    net.class_labels = ["no", "yes"]
    found = texts(NetworkDisplay.from_network(net))
    assert "yes" in found
    assert "no" not in found


def test_other_axes_and_drawing_again(pyplot):
    figure, (left, right) = pyplot.subplots(1, 2)
    display = NetworkDisplay.from_network(network(2, 2), ax=left)
    assert (display.ax_, display.figure_) == (left, figure)
    assert display.plot(right) is display
    assert display.plot().figure_ is not figure


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"net": "net"}, TypeError, "net is 'net'; a Network is wanted"),
        ({"max_units": 1}, ValueError, "max_units is 1"),
        ({"max_units": 2.5}, TypeError, "max_units is 2.5"),
        ({"weights": 1}, TypeError, "weights is 1; True or False"),
    ],
)
def test_bad_input_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        NetworkDisplay.from_network(**({"net": network(2, 2)} | arguments))


def test_missing_matplotlib_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="plots need matplotlib: pip install matplotlib"):
        NetworkDisplay.from_network(network(2, 2))
