"""Figures: the tests compare the data in them, not their pixels."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnn as fn
from fastnn.plots import JacobianDisplay


def test_display(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    from fastnn.plots import LearningCurveDisplay

    monkeypatch.setattr(pyplot, "show", lambda: pytest.fail("shown"))
    history = {"loss": [3.0, 2.0], "seconds": [1.0, 1.0]}
    figure, ax = pyplot.subplots()
    try:
        display = LearningCurveDisplay.from_history(history, ax=ax)
        assert display.ax_ is ax
        assert display.figure_ is figure
        assert display.metric_ax_ is None
        assert_array_equal(ax.lines[0].get_xydata(), [[1, 3], [2, 2]])

        history |= {"val_loss": [4.0, 5.0], "val_accuracy": [0.5, 0.75]}
        other = LearningCurveDisplay(history)
        assert other.plot() is other
        assert other.figure_ is not figure
        assert_array_equal(other.ax_.lines[1].get_ydata(), [4, 5])
        assert_array_equal(other.metric_ax_.lines[0].get_ydata(), [0.5, 0.75])
        assert other.metric_ax_.get_ylabel() == "accuracy"
        assert len(other.metric_ax_.get_legend().get_texts()) == 3
    finally:
        pyplot.close("all")


def make_network(dtype="float64", n_out=3):
    net = fn.Network([fn.Linear(6, 5), fn.Tanh(), fn.Linear(5, n_out)], dtype, seed=0)
    net.feature_names = list("abcdef")
    net.class_labels = ["low", "$5 to $9", "high"][: max(n_out, 2)]
    return net


def drawn(axes):
    """Return the data of the only image on the axes."""
    (image,) = axes.images
    return image.get_array()


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def expect_one_scale(display, limit):
    """All panels share one scale, in which zero is in the middle and white."""
    for axes in display.axes_:
        (image,) = axes.images
        assert image.get_clim() == (-limit, limit)
        np.testing.assert_allclose(image.cmap(image.norm(0.0))[:3], 1, atol=0.04)
    assert display.axes_[0].images[0].colorbar is not None


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), [1, 6]])
def test_jacobian_as_images(pyplot, rng, dtype, shape):
    net, X = make_network(dtype), rng.standard_normal((4, 6))
    display = JacobianDisplay.from_network(net, X[1], image_shape=shape)
    J = net.jacobian(X[1])
    assert display.axes_.shape == (3,)
    for k, axes in enumerate(display.axes_):
        assert_array_equal(drawn(axes), J[k].reshape(shape))
        assert axes.get_title() == net.class_labels[k]
        assert axes.figure is display.figure_
        assert (list(axes.get_xticks()), list(axes.get_yticks())) == ([], [])
    expect_one_scale(display, np.abs(J).max())
    display.figure_.canvas.draw()  # a label is no formula


def test_jacobian_as_a_matrix(pyplot, rng, dtype):
    net, x = make_network(dtype), rng.standard_normal((1, 6))  # a matrix of one row will do
    display = JacobianDisplay.from_network(net, x)
    (axes,) = display.axes_
    assert_array_equal(drawn(axes), net.jacobian(x[0]))
    assert tick_labels(axes.xaxis) == net.feature_names
    assert tick_labels(axes.yaxis) == net.class_labels
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("feature", "output")
    expect_one_scale(display, np.abs(net.jacobian(x[0])).max())
    display.figure_.canvas.draw()


def test_jacobian_without_names(pyplot, rng):
    J = rng.standard_normal((12, 64))
    images = JacobianDisplay(J, image_shape=(8, 8)).plot()
    assert [axes.get_title() for axes in images.axes_] == [str(k) for k in range(12)]
    columns = {round(axes.get_position().x0, 6) for axes in images.axes_}
    assert len(columns) == 5
    matrix = JacobianDisplay(J).plot()
    for ticks in (matrix.axes_[0].get_xticks(), matrix.axes_[0].get_yticks()):
        assert_array_equal(ticks, np.round(ticks))


@pytest.mark.parametrize("image_shape", [None, (2, 3)])
def test_jacobian_of_zeros(pyplot, image_shape):
    display = JacobianDisplay(np.zeros((2, 6)), image_shape=image_shape).plot()
    expect_one_scale(display, 1)


def test_a_single_output_is_named_after_the_second_class(pyplot):
    net = make_network(n_out=1)
    display = JacobianDisplay.from_network(net, np.ones(6), image_shape=(2, 3))
    assert [axes.get_title() for axes in display.axes_] == ["$5 to $9"]
    display = JacobianDisplay.from_network(net, np.ones(6))
    assert tick_labels(display.axes_[0].yaxis) == ["$5 to $9"]


def test_jacobian_beside_another_plot(pyplot, rng):
    J = rng.standard_normal((3, 6))
    figure, (left, right) = pyplot.subplots(1, 2)
    box = left.get_position()
    display = JacobianDisplay(J, image_shape=(2, 3))
    assert display.plot(left) is display
    assert display.figure_ is figure
    assert not left.axison
    for axes in display.axes_:
        panel = axes.get_position(original=True)
        assert box.x0 - 1e-9 <= panel.x0 < panel.x1 <= box.x1 + 1e-9
    matrix = JacobianDisplay(J).plot(right)
    assert list(matrix.axes_) == [right]
    assert display.plot().figure_ is not figure  # again, elsewhere


def test_jacobian_needs_a_place_for_its_images(pyplot):
    ax = pyplot.figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match="ax has no place in a grid"):
        JacobianDisplay(np.ones((2, 6)), image_shape=(2, 3)).plot(ax)


@pytest.mark.parametrize(
    ("X", "image_shape", "error", "message"),
    [
        (np.ones((2, 6)), None, ValueError, r"X has shape \(2, 6\); a single sample is wanted"),
        (np.ones((0, 6)), None, ValueError, r"X has shape \(0, 6\); a single sample is wanted"),
        (np.ones(5), None, ValueError, r"X has shape \(5,\)"),
        (np.full(6, np.nan), None, ValueError, r"X\[0\] is nan"),
        (np.ones(6), (2, 2), ValueError, r"\(2, 2\), which is 4 pixels; 6, one for each"),
        (np.ones(6), (-2, -3), ValueError, r"image_shape\[0\] is -2"),
        (np.ones(6), (2, 3.0), TypeError, r"image_shape\[1\] is 3.0; an integer"),
        (np.ones(6), 6, TypeError, r"image_shape is 6; a pair \(height, width\)"),
        (np.ones(6), (1, 2, 3), TypeError, r"image_shape is \(1, 2, 3\); a pair"),
    ],
)
def test_bad_input_is_named(X, image_shape, error, message):
    with pytest.raises(error, match=message):
        JacobianDisplay.from_network(make_network(), X, image_shape=image_shape)


def test_bad_jacobians_and_names_are_named():
    with pytest.raises(TypeError, match="net is <function"):
        JacobianDisplay.from_network(make_network, np.ones(6))
    for bad in (np.ones(6), np.ones((4, 2, 6)), np.ones((0, 6))):
        with pytest.raises(ValueError, match=r"jacobian has shape .* is wanted"):
            JacobianDisplay(bad)
    with pytest.raises(ValueError, match="class_labels is .* a list of 2"):
        JacobianDisplay(np.ones((2, 6)), class_labels=["one"])
    with pytest.raises(ValueError, match="feature_names is .* a list of 6"):
        JacobianDisplay(np.ones((2, 6)), feature_names=[1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("image_shape", [None, (2, 3)])
def test_missing_matplotlib_is_told(monkeypatch, image_shape):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="plots need matplotlib: pip install matplotlib"):
        JacobianDisplay.from_network(make_network(), np.ones(6), image_shape=image_shape)
