"""Histograms of parameters and gradients: each panel has the shares of its layer's values."""

import sys

import numpy as np
import pytest

import fastnn as fn
from fastnn.plots import HistogramDisplay


def network(dtype="float64"):
    layers = [fn.Linear(4, 20), fn.BatchNorm(20), fn.ReLU(), fn.Linear(20, 3, bias=False)]
    return fn.Network(layers, dtype, seed=0)


def drawn(panel):
    """Return {name: (shares, edges)} of the histograms in a panel."""
    return {
        patch.get_label(): (patch.get_data().values, patch.get_data().edges)
        for patch in panel.patches
    }


def test_each_layer_has_a_row(pyplot, rng, dtype):
    net = network(dtype)
    net.fit(rng.standard_normal((40, 4)), rng.integers(0, 3, 40), epochs=2, seed=0)
    display = HistogramDisplay.from_network(net, bins=15)
    assert display.axes_.shape == (3, 2)
    rows = [ax.get_ylabel() for ax in display.axes_[:, 0]]
    assert rows == ["0: Linear", "1: BatchNorm", "3: Linear"]
    assert [ax.get_title("left") for ax in display.axes_[0]] == ["parameters", "gradients"]
    for row, layer in zip(display.axes_, [net.layers[i] for i in (0, 1, 3)], strict=True):
        sides = (layer.weight, layer.bias), (layer.weight_grad, layer.bias_grad)
        for panel, (weight, bias) in zip(row, sides, strict=True):
            names = ["weight"] if bias is None else ["weight", "bias"]
            assert list(drawn(panel)) == names
            arrays = [np.asarray(a, float).ravel() for a in (weight, bias) if a is not None]
            values = np.concatenate(arrays)
            for (shares, edges), array in zip(drawn(panel).values(), arrays, strict=True):
                assert len(shares) == 15
                assert (edges[0], edges[-1]) == (values.min(), values.max())
                assert shares.sum() == pytest.approx(1)
                inside = (array >= edges[0]) & (array < edges[1])
                assert shares[0] == pytest.approx(inside.mean())
    legends = [ax.get_legend() for ax in display.axes_.ravel() if ax.get_legend()]
    assert [[t.get_text() for t in legend.get_texts()] for legend in legends] == [
        ["weight", "bias"]
    ]
    assert display.figure_ is display.axes_[0, 0].figure
    display.figure_.canvas.draw()


def test_the_values_are_those_of_its_construction(pyplot):
    net = network()
    display = HistogramDisplay(net)
    before = net.layers[0].weight.max()
    net.params[...] = 100
    _, edges = drawn(display.plot().axes_[0, 0])["weight"]
    assert edges[-1] == before


def test_constant_and_tiny_values(pyplot):
    net = network("float32")
    net.params[...] = 1
    net.grads[...] = np.float32(1e-38)
    HistogramDisplay.from_network(net).figure_.canvas.draw()
    net.grads[...] = 1e38
    HistogramDisplay.from_network(net, bins=1).figure_.canvas.draw()


def test_other_axes_and_drawing_again(pyplot):
    figure, (left, right) = pyplot.subplots(1, 2)
    display = HistogramDisplay.from_network(network(), ax=left)
    assert display.figure_ is figure
    assert not left.axison
    assert display.plot(right) is display
    assert display.plot().figure_ is not figure
    with pytest.raises(ValueError, match="ax has no place in a grid"):
        display.plot(pyplot.figure().add_axes((0, 0, 1, 1)))


def test_bad_input_is_named():
    with pytest.raises(TypeError, match="net is 3; a Network is wanted"):
        HistogramDisplay(3)
    with pytest.raises(ValueError, match="bins is 0"):
        HistogramDisplay(network(), bins=0)
    with pytest.raises(ValueError, match="net has no parameters"):
        HistogramDisplay(fn.Network([fn.Standardize([0], [1])]))
    for name in ("params", "grads"):
        net = network()
        getattr(net, name)[3] = np.nan
        with pytest.raises(ValueError, match=f"net.{name} hold NaN or infinity"):
            HistogramDisplay(net)


def test_missing_matplotlib_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="plots need matplotlib: pip install matplotlib"):
        HistogramDisplay.from_network(network())
