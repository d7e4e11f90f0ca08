"""`explain`: its numbers, its counts, and its text, HTML and LaTeX."""

import pickle
import re
from fractions import Fraction
from html.parser import HTMLParser

import numpy as np
import pytest
from case_inputs import sample_params, smooth_inputs
from cases import LOSS_CASES, NETWORK_CASES
from custom_layers import PythonLinear
from custom_loss import Python
from layer_cases import LAYER_CASES
from worked_examples import softmax_network

import fastnn as fn
from fastnn import numerical_jacobian

F = Fraction
QR_BY_THETA = [[1, -1, -1, 1, 0, 0, 2, 1, 0, 0, 0, 0], [-2, 2, 5, -5, 0, 0, 0, 0, 0, 2, 1, 0]]
ROW = [F(3, 4), F(-3, 4), F(-3, 2), F(3, 2), 0, 0, F(1, 2), F(1, 4), 0, F(-1, 2), F(-1, 4), 0]
S_BY_THETA = [ROW, [-v for v in ROW]]
GRADIENT = [F(-3, 2), F(3, 2), 3, -3, 0, 0, -1, F(-1, 2), 0, 1, F(1, 2), 0]


def lines_of(explanation):
    """Return the equations by their symbols: a dict of the text before the last number to it."""
    found = {}
    for _, lines in explanation.sections:
        for line in lines:
            if isinstance(line, list):
                numbers = [part for part in line if not isinstance(part, str)]
                symbols = "".join(part for part in line if isinstance(part, str))
                found[symbols.strip(" ()0123456789,·=")] = numbers
                found[symbols.split(" = ")[0]] = numbers
    return found


def last(explanation, symbol):
    """Return the last numbers of the equation that begins with a symbol."""
    return lines_of(explanation)[symbol][-1].tolist()


def is_exact(array):
    return all(isinstance(value, Fraction) for value in array.ravel().tolist())


def close(actual, expected, dtype):
    tolerance = 2e-4 if dtype == "float32" else 1e-9
    scale = np.abs(expected).max(initial=1e-3)
    np.testing.assert_allclose(actual.astype(float), expected, rtol=0, atol=tolerance * scale)


# Worked examples -----------------------------------------------------------------------------


def test_the_softmax_network_line_by_line(dtype):
    e = fn.explain(softmax_network(dtype), [1, -1], 0)
    assert last(e, "x") == [1, -1]
    assert last(e, "a₀") == [2, 1, -3]
    assert last(e, "a₁") == [2, 1, 0]
    assert last(e, "a₂") == [1, 1]
    assert last(e, "a₃") == [F(1, 2), F(1, 2)]
    assert last(e, "J₀") == [[3, 1], [1, 0], [-1, 2]]
    assert last(e, "J₁") == np.diag([1, 1, 0]).tolist()
    assert last(e, "J₂") == [[1, -1, 3], [-2, 5, 4]]
    assert last(e, "J₃") == [[F(1, 4), F(-1, 4)], [F(-1, 4), F(1, 4)]]
    assert last(e, "∂a₂/∂Θ") == QR_BY_THETA
    assert last(e, "∂a₃/∂Θ") == e.params_jacobian.tolist() == S_BY_THETA
    assert last(e, "∂l/∂W₀") == [[F(-3, 2), 3, 0], [F(3, 2), -3, 0]]  # transposed
    assert last(e, "∇l") == e.gradient.tolist() == GRADIENT
    assert e.loss == pytest.approx(np.log(2), rel=1e-6)
    assert is_exact(e.gradient)
    assert is_exact(e.jacobian)
    reverse = [last(e, f"∂l/∂{by}") for by in ("a₃", "a₂", "a₁", "a₀", "x")]
    rows = [[-2, 0], [F(-1, 2), F(1, 2)], [F(-3, 2), 3, F(1, 2)], [F(-3, 2), 3, 0], [F(-3, 2)] * 2]
    assert reverse == [[row] for row in rows]


def test_the_text_of_the_softmax_network():
    text = str(fn.explain(softmax_network("float32"), [1, -1], 0))
    assert "\n  a₃ = softmax(a₂) = (1/2, 1/2)\n" in text
    assert "\n  ∂l/∂a₂ = (a₃ - y)ᵀ = [-1/2  1/2]\n" in text
    assert "Forward: 18 + 12 + 8 + 4 = 42 multiplications.\n" in text
    assert "Reverse: 4 + 6 + 9 + 6 = 25 multiplications.\n" in text
    assert text.endswith("∇l = (-3/2, 3/2, 3, -3, 0, 0, -1, -1/2, 0, 1, 1/2, 0)")
    product = """
              [ 3  1]
  a₀ = W₀ x = [ 1  0] (1, -1) = (2, 1, -3)
              [-1  2]
"""
    assert product in text


def test_the_bias_exercise(dtype):
    net = fn.Network([fn.Linear(3, 2), fn.ReLU(), fn.Linear(2, 2)], dtype)
    net.params = [1, 0, 1, -1, 2, 3, -1, 2, 1, -1, -1, 1, 0, 1]
    e = fn.explain(net, [1, 0, -2])
    assert last(e, "a₂") == [0, 1]
    assert e.loss is e.gradient is None
    assert "∂l" not in str(e)


def test_xor_by_hand(dtype):
    net = fn.Network([fn.Linear(2, 2), fn.ReLU(), fn.Linear(2, 1)], dtype)
    net.params = [1, 1, 2, 2, -1, -1, -3, 1, 0]
    for x, y in (([0, 0], 0), ([0, 1], 1), ([1, 0], 1), ([1, 1], 0)):
        e = fn.explain(net, x, y)
        assert last(e, "a₂") == [y]
        assert e.loss == 0
        assert e.gradient.tolist() == [0] * 9


def test_a_composition_of_linear_maps(dtype):
    """J_f = [1, -2, 1/4] after J_g: the product is [3/4, 0]."""
    net = fn.Network([fn.Linear(2, 3), fn.Linear(3, 1, bias=False)], dtype)
    net.params = [1, 2, 0, 1, -1, 0, 0, 0, 3, 1, -2, 1 / 4]
    e = fn.explain(net, [5, 1 / 7])
    assert e.jacobian.tolist() == last(e, "J₁ J₀") == [[F(3, 4), 0]]
    assert last(e, "a₁") == [F(3, 4) * (5 + 1)]


def test_a_squared_error_by_its_weights(dtype):
    """z = (⟨x,w⟩ - y)²: ∂z/∂w = 2 (⟨x,w⟩ - y) xᵀ."""
    net = fn.Network([fn.Linear(3, 1, bias=False)], dtype)
    net.params = [1 / 3, 2, -1]
    e = fn.explain(net, [3, 0.1, -2], 5, loss=fn.MeanSquaredError())
    error = 1 + F(1, 5) + 2 - 5
    assert e.loss == error**2
    assert e.gradient.tolist() == [2 * error * x for x in (3, F(1, 10), -2)]


def test_all_nine_partial_derivatives_of_the_xor_network(dtype):
    w1, w2, w3, w4, b1, b2, w5, w6, _ = values = [2, -1, 1, 1, 0, -2, 3, 0.5, 1]
    net = fn.Network([fn.Linear(2, 2), fn.Sigmoid(), fn.Linear(2, 1)], dtype)
    net.params = values
    x1, x2 = 1, 2  # the pre-activations are 0 and 1: σ(0) = 1/2 and σ'(0) = 1/4 are exact
    z1, z2 = w1 * x1 + w2 * x2 + b1, w3 * x1 + w4 * x2 + b2
    a2 = 1 / (1 + np.exp(-z2))
    s1, s2 = F(1, 4), a2 * (1 - a2)
    expected = [w5 * s1 * x1, w5 * s1 * x2, w6 * s2 * x1, w6 * s2 * x2, w5 * s1, w6 * s2]
    found = fn.explain(net, [x1, x2]).params_jacobian[0].tolist()
    assert z1 == 0
    assert [*found[:2], found[4], found[6], found[8]] == [*expected[:2], expected[4], F(1, 2), 1]
    assert found == pytest.approx([*map(float, expected), 0.5, a2, 1], rel=1e-6)


# Numbers -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize("case", [*NETWORK_CASES, *LAYER_CASES], ids=lambda case: case.name)
def test_all_networks_and_layers(dtype, rng, case, make_network):
    params = sample_params(case, rng, dtype)
    net = make_network(case, dtype, params)
    x = smooth_inputs(case, params, rng, dtype, 1)[0]
    y = rng.standard_normal(net.out_features)
    for layout in ("numerator", "denominator"):
        e = fn.explain(net, x, y, layout=layout)
        close(e.jacobian, net.jacobian(x), dtype)
        loss, gradient = net.loss_and_grad([x], [y], fn.HalfSquaredError())
        assert e.loss == pytest.approx(loss, rel=1e-5)
        close(e.gradient, gradient, dtype)
        assert e.params_jacobian.shape == (net.out_features, net.n_params)
        close(e.params_jacobian, net.jacobian(x, "params"), dtype)
        read(e)
    if dtype == "float64":
        np.testing.assert_allclose(
            e.jacobian.astype(float), numerical_jacobian(net, x), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("case", LOSS_CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("own", [False, True], ids=["built in", "own"])
def test_all_losses(dtype, rng, case, own):
    probabilities = case.cls == "NegativeLogLikelihood"
    layers = [fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 3), *([fn.Softmax()] * probabilities)]
    net = fn.Network(layers, dtype, seed=1)
    x, y = rng.standard_normal(3), case.make_y(rng, 1, 3, dtype)
    loss = getattr(fn, case.cls)(**case.args)
    loss = Python(loss) if own else loss
    e = fn.explain(net, x, y[0], loss=loss)
    value, gradient = net.loss_and_grad([x], y, loss)
    assert e.loss == pytest.approx(value, rel=1e-5)
    close(e.gradient, gradient, dtype)
    assert f"Loss: {'Python' if own else case.cls}" in [title for title, _ in e.sections]
    read(e)


def test_losses_with_weights_and_missing_targets_are_the_engines():
    net = fn.Network([fn.Linear(2, 3)], "float64", seed=0)
    for loss in (
        fn.HalfSquaredError(output_weight=[1, 0, 2]),
        fn.MeanSquaredError("sum", ignore_nan=True),
        fn.SoftmaxCrossEntropy(label_smoothing=0.1),
    ):
        y = 1 if loss.takes_labels else [1.0, np.nan if loss.ignore_nan else 2.0, 3.0]
        e = fn.explain(net, [1, 2], y, loss=loss)
        value, gradient = net.loss_and_grad([[1, 2]], [y], loss)
        assert e.loss == pytest.approx(value)
        close(e.gradient, gradient, "float64")


def test_the_default_loss():
    def loss(net, y):
        (title,) = [title for title, _ in fn.explain(net, [1, 2], y).sections if "Loss" in title]
        return title.removeprefix("Loss: ")

    def network(*layers):
        return fn.Network([fn.Linear(2, 3), *layers])

    assert loss(network(), 2) == "SoftmaxCrossEntropy"
    assert loss(network(), [1, 2, 3]) == "HalfSquaredError"
    assert loss(network(fn.Softmax()), 2) == "NegativeLogLikelihood"
    assert loss(network(fn.Linear(3, 1)), 2) == "HalfSquaredError"
    assert loss(network(fn.Linear(3, 1)), [2.5]) == "HalfSquaredError"


def rational_network(dtype):
    layers = [
        fn.Standardize([1, -1 / 2], [2, 1 / 4]),
        fn.Linear(2, 4),
        fn.LeakyReLU(0.2),
        fn.Scale(4, bias=True),
        fn.Linear(4, 3, bias=False),
        fn.HardTanh(),
        fn.Abs(),
        fn.Dropout(0.5),
        fn.Identity(),
        fn.Linear(3, 2),
        fn.ReLU(),
        fn.Unstandardize([1, 0], [1 / 3, 5]),
    ]
    net = fn.Network(layers, dtype)
    rng = np.random.default_rng(0)
    net.params = rng.integers(-6, 7, net.n_params) / rng.integers(7, 30, net.n_params)
    net.layers[9].bias = [1, 1 / 2]
    return net


def values_of(net, x, params):
    """Compute the rational network in fractions, layer by layer."""
    p = iter(params)

    def linear(a, m, bias=True):
        rows = [[next(p) for _ in a] for _ in range(m)]
        shifts = [next(p) for _ in range(m)] if bias else [0] * m
        return [
            sum(w * v for w, v in zip(r, a, strict=True)) + b
            for r, b in zip(rows, shifts, strict=True)
        ]

    a = [(x[0] - 1) / 2, (x[1] + F(1, 2)) * 4]
    a = [v if v > 0 else v / 5 for v in linear(a, 4)]
    scales = [next(p) for _ in a]
    a = [w * v + next(p) for w, v in zip(scales, a, strict=True)]
    a = [abs(max(F(-1), min(F(1), v))) for v in linear(a, 3, bias=False)]
    a = [max(F(0), v) for v in linear(a, 2)]
    return [a[0] / 3 + 1, 5 * a[1]]


def test_fractions_are_exact(dtype):
    """Differences of a piecewise linear function are its derivatives, in exact arithmetic."""
    net = rational_network(dtype)
    x = [F(1, 10), F(3, 7)]
    params = [F(p).limit_denominator(29) for p in net.params.tolist()]
    e = fn.explain(net, [0.1, 3 / 7], [1, 1 / 3])
    y = values_of(net, x, params)
    assert last(e, "a₁₁") == y
    step = F(1, 10**9)

    def slope(x, params):
        return [(v - w) / step for v, w in zip(values_of(net, x, params), y, strict=True)]

    def moved(numbers, j):
        return [v + step * (i == j) for i, v in enumerate(numbers)]

    assert e.jacobian.T.tolist() == [slope(moved(x, j), params) for j in range(2)]
    assert e.params_jacobian.T.tolist() == [slope(x, moved(params, j)) for j in range(len(params))]
    assert e.loss == sum((v - t) ** 2 for v, t in zip(y, [1, F(1, 3)], strict=True)) / 2
    for array in (e.jacobian, e.params_jacobian, e.gradient):
        assert is_exact(array)
    assert e.jacobian.any()


def test_what_is_no_small_fraction_makes_all_numbers_decimals(dtype):
    net = softmax_network(dtype)
    for value in (0.123456, 1 / 101, 2e6):
        net.params[0] = value
        e = fn.explain(net, [1, -1], 0)
        assert e.jacobian.dtype == e.gradient.dtype == float
    net.params[0] = 99 / 100
    assert last(fn.explain(net, [1, -1]), "J₀")[0][0] == F(99, 100)


def test_a_network_of_many_numbers_is_computed_in_floats():
    for n, exact in ((21, True), (22, False)):
        net = fn.Network([fn.Linear(n, n)])
        net.params = np.ones(net.n_params)
        assert (fn.explain(net, np.ones(n)).jacobian.dtype == object) == exact


def test_the_explanation_is_of_the_moment():
    net = softmax_network("float64")
    e = fn.explain(net, [1, -1], 0)
    before = str(e)
    net.params = np.zeros(12)
    assert str(e) == before == repr(e)
    assert str(pickle.loads(pickle.dumps(e))) == before


# Layouts, counts and long networks -----------------------------------------------------------


def test_the_denominator_layout_transposes(dtype):
    net = softmax_network(dtype)
    rows, columns = (
        fn.explain(net, [1, -1], 0, layout=layout) for layout in ("numerator", "denominator")
    )
    for name in ("J₀", "J₁", "J₂", "J₃"):
        transposed = np.transpose(last(rows, name)).tolist()
        assert last(columns, f"{name}ᵀ") == transposed
    assert np.transpose(last(rows, "∂a₃/∂Θ")).tolist() == last(columns, "∂a₃/∂Θ")
    for layer in (0, 2):
        weight = last(columns, f"∂l/∂W{'₀₁₂'[layer]}")
        assert np.shape(weight) == net.layers[layer].weight.shape
        assert np.transpose(last(rows, f"∂l/∂W{'₀₁₂'[layer]}")).tolist() == weight
    assert last(columns, "J₀ᵀ J₁ᵀ") == np.transpose(last(rows, "J₁ J₀")).tolist()
    assert last(columns, "∂l/∂a₁") == last(rows, "∂l/∂a₁")[0]  # a column is a tuple
    assert columns.gradient.tolist() == rows.gradient.tolist()
    assert columns.params_jacobian.tolist() == S_BY_THETA
    assert "18 + 12 + 8 + 4 = 42" in str(columns)


@pytest.mark.parametrize("y", [None, 1.0])
def test_the_number_of_multiplications(y):
    net = fn.Network([fn.Linear(7, 5), fn.Tanh(), fn.Linear(5, 1)], seed=0)
    text = str(fn.explain(net, np.ones(7), y))
    forward, reverse = 5 * 5 * 7 + 1 * 5 * 7, 1 * 5 * 5 + 1 * 5 * 7
    if y is not None:
        forward, reverse = forward + 7, reverse + 5
    found = re.findall(r"(Forward|Reverse): .* = (\d+) multiplications", text)
    assert found == [("Forward", str(forward)), ("Reverse", str(reverse))]


def test_one_layer():
    net = fn.Network([fn.Linear(2, 1)])
    net.params = [1, 2, 3]
    e = fn.explain(net, [1, 1])
    assert "multiplications" not in str(e)
    assert e.jacobian.tolist() == [[1, 2]]
    e = fn.explain(net, [1, 1], 5)
    assert e.gradient.tolist() == [1, 1, 1]
    read(e)
    plain = fn.explain(fn.Network([fn.Standardize([0], [1]), fn.Softmax()]), [3], [0.5])
    assert plain.gradient.shape == (0,)
    read(plain)


def test_long_rows_are_shortened():
    net = fn.Network([fn.Linear(13, 12, bias=False), fn.Linear(12, 13, bias=False)], seed=0)
    text = str(fn.explain(net, np.arange(13)))
    assert "Long rows and columns are shortened in the middle." in text
    assert "x = (0, 1, 2, 3, 4, 5, 6, 7, …, 10, 11, 12)" in text
    rows = text.split("== layers[1]: Linear(12, 13, bias=False) ==\n")[1].split("\n\n")[0]
    assert [row.count("…") for row in rows.splitlines()] == [0, 0, 0, 0, 0, 1, 0, 0, 12, 0, 0, 0]


def test_a_deep_network_is_shortened():
    net = fn.Network([fn.Linear(2, 2) for _ in range(40)], "float64", seed=0)
    e = fn.explain(net, [1, 2], [0, 0])
    assert len(str(e)) < 20_000
    close(e.gradient, net.loss_and_grad([[1, 2]], [[0, 0]], fn.HalfSquaredError())[1], "float64")
    titles = [title for title, _ in e.sections]
    assert titles[8:11] == ["layers[7]: Linear(2, 2)", "…", "layers[37]: Linear(2, 2)"]
    assert "J = J₃₉ J₃₈ … J₀" in str(e)
    read(e)


@pytest.mark.parametrize("weight", [1e5 / 7, 12345.678])
def test_a_product_that_overflows(weight):
    net = fn.Network([fn.Linear(1, 1, bias=False) for _ in range(80)], "float64")
    net.params = [weight] * 80
    e = fn.explain(net, [0], 1)
    assert e.loss == 0.5
    assert "[-inf]" in str(e)
    read(e)


def test_a_wide_network():
    net = fn.Network([fn.Linear(1000, 1000), fn.ReLU(), fn.Linear(1000, 2)], seed=0)
    x = np.linspace(-1, 1, 1000)
    e = fn.explain(net, x, 1)
    assert e.params_jacobian is None
    close(e.gradient, net.loss_and_grad([x], [1], fn.SoftmaxCrossEntropy())[1], "float32")
    assert len(str(e)) < 20_000


# HTML and LaTeX ------------------------------------------------------------------------------


class Reader(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts = [], set(), []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"form", "style"}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(explanation):
    """Demand well-formed HTML and LaTeX, and the same numbers of both as of the text."""
    reader = Reader(explanation._repr_html_())
    assert reader.tags <= set("div p b math mtext mn mo mrow mfrac mtable mtr mtd".split())
    latex = explanation.to_latex()
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", latex):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    for left, right in ((r"\left", r"\right"), (r"\[", r"\]"), (r"\begin{", r"\end{")):
        assert latex.count(left) == latex.count(right)
    equations = re.findall(r"\\\[(.*?)\\\]", latex, re.DOTALL)
    assert len(equations) == explanation._repr_html_().count("<math>")
    assert all(equation.isascii() for equation in equations)
    assert not re.search(r"\^[^{\\2]|[_^]\s*[_^]|\^(\{[^}]*\}|\\top|2)\s*\^", "".join(equations))
    for text in (str(explanation), latex, "".join(reader.texts)):
        assert "Fraction(" not in text
        assert "None" not in text
    return reader


def test_the_fractions_in_html_and_latex():
    e = fn.explain(softmax_network("float32"), [1, -1], 0)
    html, latex = e._repr_html_(), e.to_latex()
    # a minus without this form is set like a difference
    assert '<mo form="prefix">-</mo><mfrac><mn>3</mn><mn>2</mn></mfrac>' in html
    assert r"\end{array}\right]\quad (2, 12)" in latex
    assert r"(-\tfrac{3}{2}, \tfrac{3}{2}, 3, -3, 0, 0, -1, -\tfrac{1}{2}" in latex
    assert r"\paragraph{layers[0]: Linear(2, 3, bias=False)}" in latex
    assert r"\operatorname{softmax}(a_{2}) = (\tfrac{1}{2}, \tfrac{1}{2})" in latex
    assert "diag(1[a₀ &gt; 0])".replace(" ", "\xa0") in html


def test_decimals_in_latex():
    net = fn.Network([fn.Linear(1, 1, bias=False)], "float64")
    net.params = [1.23456e-8]
    e = fn.explain(net, [1])
    assert "= [1.235e-08]" in str(e)
    assert r"1.235 \cdot 10^{-8}" in e.to_latex()


def test_names_of_users_are_escaped():
    class Odd(PythonLinear):
        def __repr__(self):
            return "<script>alert(1)</script>\n\\end{document} 100 % of_it ~^&#$"

    Odd.__name__ = "<b>Été_1"

    class Loss(Python):
        pass

    Loss.__name__ = "<i>Loss_2"
    net = fn.Network([Odd(2, 2), fn.Linear(2, 2)], seed=0)
    e = fn.explain(net, [1, 2], [1, 2], loss=Loss(fn.HalfSquaredError()))
    reader = read(e)
    assert any("<script>alert(1)</script>" in text for text in reader.texts)
    assert any("Loss: <i>Loss_2" in text for text in reader.texts)
    assert r"\end{document}" not in e.to_latex()
    assert r"100 \% of\_it ??\&\#\$" in e.to_latex()
    assert "  a₀ = bt(x) = " in str(e)


# Bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"net": 3}, TypeError, "net is 3; a Network is wanted"),
        ({"x": [1, 2, 3]}, ValueError, r"x has shape \(3,\); \(2,\) is wanted"),
        ({"x": [[1, 2]]}, ValueError, r"x has shape \(1, 2\)"),
        ({"x": [1, np.nan]}, ValueError, r"x\[1\] is nan"),
        ({"x": ["a", "b"]}, TypeError, "x has dtype"),
        ({"y": 3}, ValueError, "y"),
        ({"y": 0.5}, ValueError, "y"),
        ({"y": [1, 2]}, ValueError, "y has shape"),
        ({"y": [1, 2, np.inf]}, ValueError, "y"),
        ({"y": 1, "loss": "mse"}, TypeError, "loss is 'mse'"),
        ({"loss": fn.HalfSquaredError()}, ValueError, "loss is given without y"),
        ({"layout": "row"}, ValueError, "layout is 'row'; 'numerator' or 'denominator' is wanted"),
        ({"y": 1, "loss": fn.NegativeLogLikelihood()}, ValueError, "takes probabilities"),
    ],
)
def test_bad_input(arguments, error, message):
    net = fn.Network([fn.Linear(2, 3)], seed=0)
    with pytest.raises(error, match=message):
        fn.explain(**{"net": net, "x": [1, 2], **arguments})


def test_parameters_that_are_not_finite():
    net = fn.Network([fn.Linear(2, 3)], seed=0)
    net.params[0] = np.inf
    with pytest.raises(ValueError, match="params hold NaN or infinity"):
        fn.explain(net, [1, 2])


def test_a_probability_of_0():
    net = fn.Network([fn.Linear(1, 2, bias=False), fn.Softmax()])
    net.params = [0, 1000]
    with pytest.raises(ValueError, match="the probability of class y is 0"):
        fn.explain(net, [1], 0)
    assert fn.explain(net, [1], 1).loss == 0


def test_a_jacobian_that_is_too_large():
    net = fn.Network([fn.Linear(2, 2000), fn.ReLU(), fn.Linear(2000, 1)], seed=0)
    with pytest.raises(ValueError, match=r"of layers\[1\] is 2000 x 2000; at most 1,000,000"):
        fn.explain(net, [1, 2])
