"""Decision boundaries: the values that are drawn equal those of `predict`."""

import sys

import numpy as np
import pytest

import fastnn as fn
from fastnn.plots import DecisionBoundaryDisplay


def layers(n_in, n_out, *last):
    return [fn.Linear(n_in, 6), fn.Tanh(), fn.Linear(6, n_out), *last]


def network(n_in, n_out, *last, dtype="float64"):
    return fn.Network(layers(n_in, n_out, *last), dtype, seed=3)


@pytest.fixture
def X(rng):
    return rng.standard_normal((30, 2)) * [1, 100] + [0, 50]


def grid_of(display):
    return np.stack([display.xx0.ravel(), display.xx1.ravel()], axis=1)


def softmax(z):
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def pixels(display):
    """Return the colours of the plane, row by row from the smallest second feature."""
    image = display.surface_
    assert image.origin == "lower"
    return np.asarray(image.get_array()).reshape(-1, 3)


def legend_of(display):
    legend = display.ax_.get_legend()
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_classes(pyplot, X, dtype, n_classes):
    net = fn.Network([fn.Standardize.from_data(X), *layers(2, n_classes)], dtype, seed=3)
    y = net.predict(X).argmax(axis=1)
    display = DecisionBoundaryDisplay.from_network(net, X, y, grid_resolution=40)
    predicted = net.predict(grid_of(display)).argmax(axis=1)
    colours = pixels(display)
    found = {tuple(colour): k for colour, k in zip(colours.round(6), predicted, strict=True)}
    assert len(set(predicted)) >= 2
    assert len(found) == len(set(predicted))  # one colour for each class
    # the points have the colour of their class, which is that of the plane, darker
    (points,) = [c for c in display.ax_.collections if len(c.get_offsets()) == len(X)]
    np.testing.assert_array_equal(points.get_offsets(), X)
    faces = points.get_facecolors()[:, :3]
    for face, k in zip(faces, y, strict=True):
        assert found[tuple((0.45 * face + 0.55).round(6))] == k
    assert legend_of(display) == [str(k) for k in range(n_classes)]
    assert display.ax_.figure is display.figure_
    assert display.ax_.get_xlabel() == "feature 0"
    display.figure_.canvas.draw()


def test_the_boundary_is_where_two_classes_are_equal(pyplot, X):
    net = network(2, 3)
    display = DecisionBoundaryDisplay.from_network(net, X, grid_resolution=300)
    lines = [path.vertices for c in display.ax_.collections for path in c.get_paths()[:1]]
    scores = np.sort(softmax(net.predict(np.concatenate([v for v in lines if len(v) > 20]))))
    assert len(scores) > 50
    assert np.median(scores[:, -1] - scores[:, -2]) < 0.01


@pytest.mark.parametrize("last", [(), (fn.Softmax,), (fn.LogSoftmax,)])
def test_probabilities(pyplot, X, last):
    net = network(2, 3, *(layer() for layer in last))
    display = DecisionBoundaryDisplay.from_network(
        net, X, response="probability", grid_resolution=20
    )
    logits = fn.Network(layers(2, 3), "float64", seed=3).predict(grid_of(display))
    expected = softmax(logits)
    np.testing.assert_allclose(display.response.reshape(-1, 3), expected, atol=1e-12)
    colours = np.array([h.get_markerfacecolor() for h in display.ax_.get_legend().legend_handles])
    np.testing.assert_allclose(pixels(display), 0.55 + 0.45 * expected @ colours, atol=1e-9)


@pytest.mark.parametrize("last", [(), (fn.Sigmoid,)])
def test_one_output_is_the_second_class(pyplot, X, last):
    net = network(2, 1, *(layer() for layer in last))
    net.class_labels = ["no", "$yes"]
    display = DecisionBoundaryDisplay.from_network(net, X, np.arange(30) % 2, grid_resolution=20)
    logits = fn.Network(layers(2, 1), "float64", seed=3).predict(grid_of(display)).ravel()
    expected = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(display.response[..., 1].ravel(), expected, atol=1e-12)
    assert display.kind == "class"
    assert legend_of(display) == ["no", "$yes"]
    display.figure_.canvas.draw()  # a label is no formula


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_an_output(pyplot, X, rng, dtype, n_outputs):
    net = network(2, n_outputs, dtype=dtype)
    y = rng.standard_normal((30, n_outputs))
    display = DecisionBoundaryDisplay.from_network(
        net, X, y, response="output", output=n_outputs - 1, grid_resolution=25
    )
    expected = net.predict(grid_of(display))[:, -1]
    np.testing.assert_allclose(display.response.ravel(), expected, rtol=1e-6)
    (points,) = [c for c in display.ax_.collections if len(c.get_offsets()) == len(X)]
    np.testing.assert_array_equal(points.get_array(), y[:, -1])
    assert points.get_clim() == display.surface_.get_clim()
    low, high = points.get_clim()
    assert low <= min(y[:, -1].min(), expected.min())
    assert high >= max(y[:, -1].max(), expected.max())
    assert display.surface_.colorbar is not None


def test_a_single_output_is_drawn_by_default(pyplot, X):
    net = network(2, 1)
    assert DecisionBoundaryDisplay.from_network(net, X, X[:, 0]).kind == "output"
    net.params[...] = 0  # a constant output has contours, too
    DecisionBoundaryDisplay.from_network(net, X).figure_.canvas.draw()


@pytest.mark.parametrize("features", [(3, 1), ("d", "b"), [3, "b"]])
def test_two_of_many_features(pyplot, rng, features):
    net, X = network(5, 3), rng.standard_normal((31, 5))
    net.feature_names = list("abcde")
    display = DecisionBoundaryDisplay.from_network(
        net, X, features=features, response="output", output=2, grid_resolution=15
    )
    grid = np.tile(np.median(X, axis=0), (15 * 15, 1))
    grid[:, 3], grid[:, 1] = display.xx0.ravel(), display.xx1.ravel()
    np.testing.assert_allclose(display.response.ravel(), net.predict(grid)[:, 2], rtol=1e-9)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("d", "b")
    assert display.xx0.min() < X[:, 3].min() < X[:, 3].max() < display.xx0.max()


def test_forms_of_input(pyplot, X):
    net = network(2, 2)
    pandas = pytest.importorskip("pandas")
    expected = DecisionBoundaryDisplay.from_network(net, X, grid_resolution=9).response
    frame = pandas.DataFrame(X, columns=["u", "v"])
    for form in (X.tolist(), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], frame):
        found = DecisionBoundaryDisplay.from_network(net, form, grid_resolution=9)
        np.testing.assert_array_equal(found.response, expected)
        pyplot.close("all")
    one = DecisionBoundaryDisplay.from_network(net, X[:1], [1], grid_resolution=9)
    assert np.ptp(one.xx0) > 0


def test_other_axes_and_drawing_again(pyplot, X):
    figure, (left, right) = pyplot.subplots(1, 2)
    display = DecisionBoundaryDisplay.from_network(network(2, 2), X, ax=left)
    assert (display.ax_, display.figure_) == (left, figure)
    assert display.plot(right) is display
    assert display.ax_ is right
    assert display.plot().figure_ is not figure


def test_many_classes(pyplot, X, rng):
    display = DecisionBoundaryDisplay.from_network(network(2, 40), X, rng.integers(0, 40, 30))
    assert len(legend_of(display)) == 40
    display.figure_.canvas.draw()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"features": (0, 0)}, ValueError, "two different features"),
        ({"features": (0, 2)}, ValueError, r"features\[1\] is 2; at most 1"),
        ({"features": ("a", 1)}, ValueError, r"features\[0\] is 'a', which is not in"),
        ({"features": 1}, TypeError, "features is 1; a pair"),
        ({"features": (0, 1.0)}, TypeError, r"features\[1\] is 1.0; an integer"),
        ({"response": "logit"}, ValueError, "response is 'logit'; 'auto' or 'class'"),
        ({"response": "output", "output": 3}, ValueError, "output is 3; at most 2"),
        ({"grid_resolution": 1}, ValueError, "grid_resolution is 1"),
        ({"grid_resolution": 10**9}, (MemoryError, ValueError), "grid_resolution"),
        ({"y": [0, 1]}, ValueError, r"y has shape \(2,\); \(30,\)"),
        ({"y": [3] * 30}, ValueError, r"y\[0\] is 3; a class index 0 to 2"),
        ({"y": np.ones((30, 2)), "response": "output"}, ValueError, r"y has shape \(30, 2\)"),
        ({"X": np.ones((0, 2))}, ValueError, "X is empty; at least one row"),
        ({"X": np.ones((3, 4))}, ValueError, r"X has shape \(3, 4\)"),
        ({"net": network}, TypeError, "net is <function"),
        ({"net": network(1, 1)}, ValueError, r"X has shape"),
    ],
)
def test_bad_input_is_named(X, arguments, error, message):
    given = {"net": network(2, 3), "X": X} | arguments
    with pytest.raises(error, match=message):
        DecisionBoundaryDisplay.from_network(**given)


def test_networks_that_have_no_plane_or_no_classes(X):
    with pytest.raises(ValueError, match="net has 1 input; a network with two or more"):
        DecisionBoundaryDisplay.from_network(network(1, 1), X[:, :1])
    with pytest.raises(ValueError, match="has several outputs, which are no classes"):
        DecisionBoundaryDisplay.from_network(network(2, 2, fn.Sigmoid()), X)


def test_missing_matplotlib_is_told(monkeypatch, X):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="plots need matplotlib: pip install matplotlib"):
        DecisionBoundaryDisplay.from_network(network(2, 2), X)
