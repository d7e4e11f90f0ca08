"""What a user's layer returns and declares is checked; messages name the class and the method."""

import numpy as np
import pytest
from custom_layers import Quadratic, Scaling

import fastnn as fn

X = np.random.default_rng(0).standard_normal((5, 3))


def returning(method, change):
    """Return a network whose custom layer changes what a method of Scaling returns."""

    class Odd(Scaling):
        def jvp(self, x, params, x_tangent, params_tangent):
            return x_tangent * params["scale"] + x * params_tangent["scale"]

    original = getattr(Odd, method)
    setattr(Odd, method, lambda self, *arguments: change(original(self, *arguments)))
    return fn.Network([fn.Linear(3, 4), Odd(4)], "float64", seed=0)


CALLS = {
    "forward": [
        lambda net: net.predict(X),
        lambda net: net(X),
        lambda net: net.jacobian(X),
        lambda net: net.layers[1](np.ones((2, 4))),
        lambda net: net.loss_and_grad(X, np.ones((5, 4)), fn.MeanSquaredError()),
    ],
    "vjp": [
        lambda net: net.vjp(X, np.ones((5, 4))),
        lambda net: net.jacobian(X, "params"),
        lambda net: net.loss_and_grad(X, np.ones((5, 4)), fn.MeanSquaredError()),
        lambda net: net.sample_grads(X, np.ones((5, 4)), fn.MeanSquaredError()),
        lambda net: net.layers[1].jacobian(np.ones(4)),
    ],
    "jvp": [lambda net: net.jvp(X, X), lambda net: net.jvp(X, net.params, "params")],
}

WRONG = [
    ("forward", lambda y: y[:, :3], ValueError, r"of shape \(\d+, 3\); \(\d+, 4\) is wanted"),
    ("forward", lambda y: y[:-1], ValueError, r"of shape .* is wanted"),
    ("forward", lambda y: y[0], ValueError, r"of shape \(4,\)"),
    ("forward", lambda y: None, TypeError, "NoneType of dtype object"),
    ("forward", lambda y: y + 1j, TypeError, "dtype complex128"),
    ("forward", lambda y: "text", TypeError, "of real numbers is wanted"),
    ("forward", lambda y: [[1, 2], [3]], ValueError, "ragged"),
    ("forward", lambda y: y * np.nan, ValueError, "NaN, infinity"),
    ("forward", lambda y: y + np.inf, ValueError, "NaN, infinity"),
    ("vjp", lambda r: r[0], TypeError, r"ndarray; a pair \(cotangent of x"),
    ("vjp", lambda r: (*r, 1), TypeError, "tuple of length 3; a pair"),
    ("vjp", lambda r: (r[0], None), TypeError, "NoneType as the gradients; a mapping"),
    ("vjp", lambda r: (r[0], {}), ValueError, r"gradients of \[\]; \['scale'\] are wanted"),
    ("vjp", lambda r: (r[0], {**r[1], "b": 1}), ValueError, r"\['scale', 'b'\]; \['scale'\]"),
    ("vjp", lambda r: (r[0].T[:2], r[1]), ValueError, "as the cotangent of x; .* is wanted"),
    ("vjp", lambda r: (r[0], {"scale": np.ones((4, 1))}), ValueError, "as the gradient of scale"),
    ("vjp", lambda r: (r[0], {"scale": ["a"] * 4}), TypeError, "as the gradient of scale"),
    ("vjp", lambda r: (r[0] * np.inf, r[1]), ValueError, "NaN, infinity"),
    ("vjp", lambda r: (r[0], {"scale": r[1]["scale"] * np.nan}), ValueError, "NaN, infinity"),
    ("jvp", lambda y: y[:, :1], ValueError, r"of shape \(5, 1\); \(5, 4\) is wanted"),
    ("jvp", lambda y: y * np.nan, ValueError, "NaN, infinity"),
]


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(("method", "change", "error", "message"), WRONG)
def test_wrong_results(method, change, error, message):
    net = returning(method, change)
    for call in CALLS[method]:
        with pytest.raises(error, match=rf"Odd\.{method} returned .*{message}"):
            call(net)


@pytest.mark.parametrize(
    "form", [np.ndarray.tolist, np.asfortranarray, lambda y: y.astype("f4"), lambda y: y[:, ::1]]
)
def test_results_of_any_form(form):
    found, expected = returning("forward", form), returning("forward", lambda y: y)
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-6)
    assert found.predict(X).dtype == np.float64


def test_numbers_out_of_the_range_of_float32():
    class Huge(Scaling):
        def forward(self, x, params):
            return x.astype(float) * 1e300

    net = fn.Network([fn.Linear(3, 4), Huge(4)], seed=0)
    with pytest.raises(ValueError, match=r"Huge\.forward returned .* too large for float32"):
        net.predict(X)


def test_arguments_are_read_only():
    class Writing(Scaling):
        def forward(self, x, params):
            x *= params["scale"]
            return x

    class WritingParams(Scaling):
        def vjp(self, x, params, cotangent):
            params["scale"][...] = 0
            return super().vjp(x, params, cotangent)

    for cls in (Writing, WritingParams):
        net = fn.Network([cls(3)], "float64")
        given = X.copy()
        with pytest.raises(ValueError, match="read-only"):
            net.vjp(given, X)
        assert np.array_equal(given, X)
        assert net.params.all()


def test_a_layer_may_return_its_argument_or_one_buffer():
    class Same(Scaling):
        def forward(self, x, params):
            return x

    class Buffered(Scaling):
        buffer = np.empty((5, 3))

        def forward(self, x, params):
            self.buffer[: len(x)] = super().forward(x, params)
            return self.buffer[: len(x)]

    same = fn.Network([Same(3)], "float64")
    assert not np.shares_memory(same.predict(X), X)
    net = fn.Network([Buffered(3), Quadratic(3, 2)], "float64", seed=0)
    expected = fn.Network([Scaling(3), Quadratic(3, 2)], "float64", seed=0)
    net(X)
    net.predict(2 * X)  # must not change what `forward` has kept
    expected(X)
    c = np.ones((5, 2))
    assert np.array_equal(net.backward(c), expected.backward(c))


def test_no_sample_calls_no_method():
    net = returning("forward", lambda y: pytest.fail("called"))
    assert net.predict(X[:0]).shape == (0, 4)


def nothing(*arguments):
    pass


@pytest.mark.parametrize("missing", ["forward", "vjp"])
def test_a_missing_method(missing):
    body = {"forward": nothing, "vjp": nothing}
    del body[missing]
    with pytest.raises(TypeError, match=f"Short has no method {missing}"):
        type("Short", (fn.CustomLayer,), body)()


def test_the_constructor_of_the_base_class_must_be_called():
    class Forgetful(Scaling):
        def __init__(self):
            pass

    for use in (lambda layer: fn.Network([fn.Linear(2, 3), layer]), lambda layer: layer(X)):
        with pytest.raises(TypeError, match=r"Forgetful\.__init__ must call super\(\)\.__init__"):
            use(Forgetful())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0,), ValueError, "in_features is 0"),
        ((2.5,), TypeError, "in_features is 2.5"),
        ((2, True), TypeError, "out_features is True"),
        ((None, 2), ValueError, "out_features is 2 and in_features None"),
        ((2, 2, [1]), TypeError, "a mapping from names to values"),
        ((2, 2, {"a b": 1.0}), ValueError, "the name 'a b'; a Python identifier"),
        ((2, 2, {1: 1.0}), ValueError, "the name 1"),
        ((2, 2, {"a": []}), ValueError, r"parameters\['a'\] is empty"),
        ((2, 2, {"a": np.nan}), ValueError, r"parameters\['a'\] is nan"),
        ((2, 2, {"a": "x"}), TypeError, r"parameters\['a'\] has dtype"),
        ((2, 2, {"a": (nothing, 3)}), TypeError, r"parameters\['a'\] has the shape 3"),
        ((2, 2, {"a": (nothing, (0,))}), ValueError, r"parameters\['a'\], its shape is 0"),
        ((2, 2, {"a": (nothing, (2**40, 2**40))}), ValueError, "too large"),
    ],
)
def test_invalid_arguments(arguments, error, message):
    cls = type("Own", (fn.CustomLayer,), {"forward": nothing, "vjp": nothing})
    with pytest.raises(error, match=message):
        cls(*arguments)


def test_an_invalid_initializer():
    cls = type("Own", (fn.CustomLayer,), {"forward": nothing, "vjp": nothing})
    with pytest.raises(
        ValueError, match=r"parameters\['a'\]: what its initializer returns has sha"
    ):
        fn.Network([cls(2, 2, {"a": (lambda rng, shape: np.ones(3), (2,))})])


def test_initial_values_out_of_range():
    cls = type("Own", (fn.CustomLayer,), {"forward": nothing, "vjp": nothing})
    with pytest.raises(ValueError, match="a parameter is out of the range of float32"):
        fn.Network([cls(2, 2, {"a": 1e300})])


@pytest.mark.parametrize("name", ["", 3, None, "a\nb"])
def test_an_invalid_name(name):
    with pytest.raises(TypeError, match=r"Own\.name is .*; a printable text is wanted"):
        type("Own", (fn.CustomLayer,), {"name": name})


def test_layer_itself_cannot_be_subclassed():
    with pytest.raises(TypeError, match="Own: Layer cannot be subclassed.*CustomLayer"):
        type("Own", (fn.Layer,), {})


def test_widths_cannot_change_and_own_attributes_can():
    layer = Scaling(3)
    with pytest.raises(AttributeError, match="in_features of Scaling"):
        layer.in_features = 4
    layer.count = 1
    layer.count += 1
    assert layer.count == 2


def test_blocks_refuse_custom_layers():
    for make in (fn.Residual, lambda layers: fn.Parallel([[], layers])):
        with pytest.raises(TypeError, match=r"has the custom layer Scaling\(features=3\); blocks"):
            make([fn.Linear(3, 3), Scaling(3)])


def test_blocks_beside_custom_layers():
    blocks = [fn.Residual([fn.Linear(3, 3), fn.Tanh()]), fn.Parallel([[], []], "concat")]
    net = fn.Network([blocks[0], Scaling(3), blocks[1], fn.Linear(6, 2)], "float64", seed=0)
    assert fn.check_gradient(net, X, np.ones((5, 2)), fn.MeanSquaredError())
    found = net.activations(X)
    inner = ["0.layers.0.Linear", "0.layers.1.Tanh"]
    assert list(found) == ["0.Residual", *inner, "1.Scaling", "2.Parallel", "3.Linear"]
    first = blocks[0].layers[0]
    np.testing.assert_allclose(found[inner[0]], X @ first.weight.T + first.bias)
    np.testing.assert_allclose(found["0.Residual"], X + found[inner[1]])
    np.testing.assert_allclose(found["3.Linear"], net.predict(X))
    np.testing.assert_allclose(net.trace(X[0]).jacobian, net.jacobian(X[0]))
    net.fit(X, np.ones((5, 2)), loss=fn.MeanSquaredError(), epochs=2)
