"""The HTML by which notebooks show networks, histories and gradient checks."""

import copy
import math
import pickle
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import fastnn as fn
from fastnn import _html

VOID = {"br", "hr", "img", "input"}


class Reader(HTMLParser):
    """Collects tags, attributes and the texts of cells, and demands that each tag is closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.rows, self.texts = [], [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        else:
            self.texts.append(data)


def read(thing):
    """Return the parsed HTML of an object; it must run no code, and load or colour nothing."""
    html = thing._repr_html_()
    reader = Reader(html)
    assert not {"script", "link", "style", "iframe", "img", "object"} & set(reader.tags)
    assert not [a for a in reader.attributes if a[1].startswith("on") or a[1] in ("href", "src")]
    assert not re.search(r"https?:|url\(|@import|background|[\" ;]color", html)
    return reader


def network(dtype="float32"):
    layers = [fn.Standardize([1, 2, 3], [1, 1, 2]), fn.Linear(3, 16), fn.BatchNorm(16), fn.ReLU()]
    return fn.Network([*layers, fn.Dropout(0.25), fn.Linear(16, 2)], dtype, seed=0)


# ------------------------------------------------------------------ networks


def test_a_network(dtype):
    net = network(dtype)
    net.layers[1].trainable = False
    reader = read(net)
    assert reader.rows[0] == ["", "layer", "output", "parameters"]
    assert len(reader.rows) == 1 + len(net.layers)
    for i, (row, layer) in enumerate(zip(reader.rows[1:], net.layers, strict=True)):
        frozen = "" if layer.trainable else " (frozen)"
        width = 3 if i == 0 else 2 if i == 5 else 16
        assert row == [str(i), repr(layer) + frozen, str(width), str(layer.n_params)]
    (caption,) = reader.texts
    assert caption == f"Network: 3 inputs, 2 outputs, {net.n_params} parameters, {dtype}"


@pytest.mark.parametrize("n", [20, 21, 500])
def test_a_long_network_is_shortened(n):
    net = fn.Network([fn.Linear(2, 2) for _ in range(n)])
    rows = read(net).rows[1:]
    if n == 20:
        assert [row[0] for row in rows] == [str(i) for i in range(20)]
        return
    shown = [*range(10), None, *range(n - 10, n)]
    assert [row[0] for row in rows] == ["" if i is None else str(i) for i in shown]
    assert rows[10][1] == f"… {n - 20} more layers"
    assert f"{net.n_params:,} parameters" in net._repr_html_()


def test_names_of_users_are_escaped():
    class Odd(fn.Network):
        pass

    Odd.__name__ = "<script>alert(1)</script>"
    (caption,) = read(Odd([fn.Linear(1, 1)])).texts
    assert caption.startswith("<script>alert(1)</script>: 1 inputs")
    history = fn.History({"loss": [1.0], "val_<b>&": [2.0], "seconds": [0.0]})
    assert read(history).rows[0] == ["epoch", "loss", "val_<b>&", "seconds"]
    # the quotes of an attribute cannot be closed by a text, either
    assert Reader(_html.curves({'"><script>': [1.0, 2.0]}, "<i>")).texts[0] == '"><script>'


def test_copies_and_pickles_of_a_network_look_alike():
    net = network()
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other._repr_html_() == net._repr_html_()


# ------------------------------------------------------------------ histories


def test_a_history(rng):
    X, y = rng.standard_normal((60, 3)), rng.integers(0, 2, 60)
    net = network()
    history = net.fit(X, y, epochs=8, validation_data=0.3, seed=0)
    reader = read(history)
    assert reader.rows[0] == ["epoch", *history]
    assert [row[0] for row in reader.rows[1:]] == ["4", "5", "6", "7", "8"]
    for row in reader.rows[1:]:
        for cell, column in zip(row[1:], history.values(), strict=True):
            assert float(cell) == pytest.approx(column[int(row[0]) - 1], rel=1e-5)
    assert reader.tags.count("polyline") == 2
    assert {"loss", "val_loss", "1", "8"} <= set(reader.texts)
    assert "History: 8 epochs, of which the last 5 are in the table" in reader.texts


def points(reader):
    """Return the curves as arrays of (x, y) in pixels; y points down."""
    paths = [
        value for tag, name, value in reader.attributes if (tag, name) == ("polyline", "points")
    ]
    return [np.array([pair.split(",") for pair in path.split()], float) for path in paths]


def test_a_curve_is_drawn_to_scale():
    values = [3.0, 1.0, 2.0, 2.5]
    (curve,) = points(Reader(_html.curves({"loss": values}, "epoch")))
    np.testing.assert_allclose(np.diff(curve[:, 0]), np.diff(curve[:, 0])[0], atol=0.11)
    share = (curve[:, 1] - _html.BOTTOM) / (_html.TOP - _html.BOTTOM)
    np.testing.assert_allclose(share, (np.array(values) - 1) / 2, atol=1e-3)


def test_a_curve_over_many_sizes_is_logarithmic():
    reader = Reader(_html.curves({"loss": [1e3, 1e1, 1e-1]}, "epoch"))
    (curve,) = points(reader)
    np.testing.assert_allclose(curve[1, 1], curve[:, 1].mean(), atol=0.11)
    assert "epoch; the vertical axis is logarithmic" in reader.texts


@pytest.mark.parametrize(
    ("values", "lines", "dots"),
    [
        ([], 0, 0),
        ([1.0], 0, 1),
        ([1.0, 1.0, 1.0], 1, 0),
        ([1.0, math.nan, 3.0, 2.0, math.inf], 1, 1),
        ([math.nan, math.inf, -math.inf], 0, 0),
        ([-1e308, 1e308, 0.0], 1, 0),
        ([0.0, 1e-320, 1e300], 1, 0),
        ([1e-320, 1e300], 1, 0),
    ],
)
def test_odd_histories(values, lines, dots):
    history = fn.History({"loss": values, "seconds": [0.0] * len(values)})
    reader = read(history)
    assert (reader.tags.count("polyline"), reader.tags.count("circle")) == (lines, dots)
    for curve in points(reader):
        assert np.isfinite(curve).all()
        assert (curve >= 0).all()
        assert (curve <= [_html.WIDTH, _html.HEIGHT]).all()


def test_histories_without_losses():
    assert repr(fn.History()) == "History(0 epochs)"
    assert read(fn.History()).rows == [["epoch"]]
    assert repr(fn.History(loss=[2.0, 1.0])) == "History(2 epochs; last: loss=1)"
    assert read(fn.History(val_r2=[0.5])).tags.count("svg") == 0
    assert read(fn.History(loss=[1.0, 2.0], val_loss=[3.0])).rows[2] == ["2", "2", ""]


def test_a_long_history_stays_small():
    history = fn.History(loss=np.linspace(5, 1, 100_000).tolist(), seconds=[0.0] * 100_000)
    assert len(history._repr_html_()) < 10_000
    (curve,) = points(read(history))
    assert (curve[0, 1], curve[-1, 1]) == (_html.TOP, _html.BOTTOM)


# ------------------------------------------------------------------ gradient checks


def test_a_gradient_check(rng):
    net = fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2)], "float64", seed=0)
    X, y = rng.standard_normal((5, 3)), rng.integers(0, 2, 5)
    report = fn.check_gradient(net, X, y, fn.SoftmaxCrossEntropy())
    reader = read(report)
    found = dict(reader.rows[1:])
    assert reader.texts == ["gradient right"]
    assert found["entries"] == str(net.n_params)
    assert found["entry with the largest error"] == report.entry
    assert float(found["analytic"]) == pytest.approx(report.analytic, rel=1e-8)
    assert float(found["relative error"]) == pytest.approx(report.relative_error, rel=0.05)

    wrong = fn.check_gradient(lambda x: x @ x, [1.0, 2.0], derivative=lambda x: 3 * x)
    assert read(wrong).texts == ["gradient WRONG"]


def test_a_gradient_check_with_kinks():
    net = fn.Network([fn.Linear(1, 8, bias=False), fn.ReLU(), fn.Linear(8, 1)], "float64", seed=0)
    report = fn.check_gradient(net, [[0.0]], [[1.0]], fn.MeanSquaredError(), wrt="input")
    assert len(report.kinks) == 8
    rows = read(report).rows
    assert [row[1] for row in rows if row[0] == "kink"] == [str(k) for k in report.kinks[:5]]
    assert rows[-1] == ["", "and 3 more kinks"]
