"""The network: passes against the oracle, the flat parameters and their views, and copies."""

import copy
import pickle
from functools import partial
from itertools import pairwise

import cases
import numpy as np
import pytest
import reference
import reference_training
from case_inputs import sample_params, smooth_inputs
from cases import NETWORK_CASES

import fastnn as fn

all_networks = pytest.mark.parametrize("case", NETWORK_CASES, ids=lambda case: case.name)


@all_networks
def test_forward_and_backward(isa, dtype, rng, case, make_network):
    params = sample_params(case, rng, dtype)
    X = smooth_inputs(case, params, rng, dtype)
    net = make_network(case, dtype, params)
    Y = net(X)
    exact = params.astype(float), X.astype(float)
    rtol = 200 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(Y, reference.forward(case.layers, *exact), rtol=rtol, atol=rtol)
    dY = rng.standard_normal(Y.shape).astype(dtype)
    net.grads[...] = np.nan  # overwritten
    dX = net.backward(dY)
    grads, expected = reference.backward(case.layers, *exact, dY.astype(float))
    np.testing.assert_allclose(dX, expected, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(net.grads, grads, rtol=rtol, atol=10 * rtol)
    assert dX.dtype == net.grads.dtype == Y.dtype == dtype


@all_networks
def test_backward_against_finite_differences(rng, case, make_network):
    params = sample_params(case, rng, "float64")
    X = smooth_inputs(case, params, rng, "float64")
    net = make_network(case, "float64", params)
    dY = rng.standard_normal(net(X).shape)

    def outputs(values):
        net.params[...] = values
        return net.predict(X)

    numerical = reference.numerical_vjp(outputs, params, dY)
    net.params[...] = params
    net(X)
    dX = net.backward(dY)
    np.testing.assert_allclose(net.grads, numerical, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(
        dX, reference.numerical_vjp(net.predict, X, dY), rtol=1e-6, atol=1e-7
    )


@all_networks
def test_predict_agrees_with_forward(isa, dtype, rng, case, make_network):
    net = make_network(case, dtype)
    X = rng.standard_normal((300, net.in_features)).astype(dtype)
    Y = net(X)
    assert np.array_equal(net.predict(X), Y)
    # a sum over few rows has another order
    close = partial(np.allclose, rtol=0, atol=200 * np.finfo(dtype).eps * np.abs(Y).max())
    assert close(net.predict(X[7:9]), Y[7:9])
    assert close(net.predict(X[5]), Y[5])
    assert net.predict(X[:0]).shape == (0, net.out_features)


def test_predict_works_in_blocks(isa, rng):
    """There are more rows than in one block."""
    net = fn.Network([fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 2)], "float64", seed=0)
    X = rng.standard_normal((10_000, 3))
    Y = net.predict(X, n_threads=2)
    assert np.array_equal(Y, net(X))
    assert np.array_equal(Y, net.predict(X, n_threads=1))


def test_relu_inside_the_products(isa, dtype, rng):
    """In wide layers a product has several blocks; ReLU is applied after the last block."""
    widths = [530, 1060, 3, 40, 1]
    net = fn.Network(
        [layer for a, b in pairwise(widths) for layer in (fn.Linear(a, b), fn.ReLU())],
        dtype,
        seed=0,
    )
    net.params = net.params + rng.uniform(-0.1, 0.1, net.n_params).astype(dtype)
    x = rng.standard_normal((600, 530)).astype(dtype)
    linears = [layer for layer in net.layers if isinstance(layer, fn.Linear)]
    inputs, signs = [x.astype(float)], []
    for layer in linears:
        z = inputs[-1] @ layer.weight.T.astype(float) + layer.bias
        signs.append(z > 0)
        inputs.append(z * signs[-1])
    eps = 3000 * np.finfo(dtype).eps
    assert np.allclose(net(x), inputs[-1], rtol=0, atol=eps * np.abs(inputs[-1]).max())
    cotangent = np.ones((600, 1))
    dx = net.backward(cotangent)
    for layer, a, sign in zip(linears[::-1], inputs[-2::-1], signs[::-1], strict=True):
        cotangent = cotangent * sign
        for found, exact in (
            (layer.weight_grad, cotangent.T @ a),
            (layer.bias_grad, cotangent.sum(axis=0)),
        ):
            assert np.allclose(found, exact, rtol=0, atol=eps * np.abs(exact).max())
        cotangent = cotangent @ layer.weight.astype(float)
    assert np.allclose(dx, cotangent, rtol=0, atol=eps * np.abs(cotangent).max())


LOSSES = {case.name: case for case in cases.LOSS_CASES}


@pytest.mark.parametrize("loss_name", LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("n", [7, 5000])  # 5000 rows take more than one chunk
def test_loss_and_grad(isa, dtype, rng, make_network, loss_name, reduction, n):
    softmax = loss_name == "negative_log_likelihood"
    layers = [cases.linear(3, 5), {"kind": "tanh"}, cases.linear(5, 4)]
    case = cases.NetworkCase("net", layers + [{"kind": "softmax"}] * softmax)
    params, X = sample_params(case, rng, dtype), rng.standard_normal((n, 3)).astype(dtype)
    y = LOSSES[loss_name].make_y(rng, n, 4, dtype)
    loss = getattr(fn, LOSSES[loss_name].cls)(**LOSSES[loss_name].args, reduction=reduction)
    net = make_network(case, dtype, params)
    net.grads[...] = 3
    value, grads = net.loss_and_grad(X, y, loss)
    assert (net.grads == 3).all()  # the returned array is a copy
    params, X = params.astype(float), X.astype(float)
    y = y if y.dtype.kind == "i" else y.astype(float)
    expected, dY = reference_training.loss_value_and_grad(
        LOSSES[loss_name].description, reference.forward(case.layers, params, X), y, reduction
    )
    rtol = 200 * float(np.finfo(dtype).eps)
    assert value == pytest.approx(expected, rel=rtol)
    expected_grads, _ = reference.backward(case.layers, params, X, dY)
    scale = np.abs(expected_grads).max()
    np.testing.assert_allclose(grads, expected_grads, rtol=rtol, atol=rtol * scale * 10)


def test_loss_and_grad_feeds_scipy(rng):
    optimize = pytest.importorskip("scipy.optimize")
    net = fn.Network([fn.Linear(2, 3), fn.Tanh(), fn.Linear(3, 1)], "float64", seed=1)
    X = rng.standard_normal((50, 2))
    y = np.sin(X[:, 0]) * X[:, 1]

    def objective(params):
        net.params[...] = params
        return net.loss_and_grad(X, y, fn.MeanSquaredError())

    start = objective(net.params.copy())[0]
    assert (
        optimize.check_grad(lambda p: objective(p)[0], lambda p: objective(p)[1], net.params.copy())
        < 1e-6
    )
    result = optimize.minimize(objective, net.params.copy(), jac=True, method="BFGS")
    assert result.fun < start / 5


def test_parameters_set_by_hand_are_seen():
    net = fn.Network([fn.Linear(2, 2), fn.ReLU(), fn.Linear(2, 1)], "float64", seed=0)
    net.layers[0].weight = [[1, 1], [2, 2]]
    net.layers[0].bias = [-1, -1]
    net.params[6:] = -3, 1, 0
    assert net([[0, 0], [0, 1], [1, 0], [1, 1]]).ravel().tolist() == [0, 1, 1, 0]
    net.params[-1] += 0.5
    assert net([0, 0]).tolist() == [0.5]
    assert net.n_params == 9


def test_assigning_params_copies_into_the_vector(rng):
    net = fn.Network([fn.Linear(2, 2)], "float64", seed=0)
    vector = net.params
    net.params = [1, 2, 3, 4, 5, 6]
    assert net.params is vector
    assert net.predict([1, 1]).tolist() == [8, 13]
    assert net.layers[0].weight.tolist() == [[1, 2], [3, 4]]
    net.grads = np.zeros(6)
    with pytest.raises(ValueError, match=r"params has shape \(5,\); \(6,\) is wanted"):
        net.params = np.zeros(5)


def test_parameters_that_are_not_finite_are_kept_as_they_are(tmp_path):
    net = fn.Network([fn.Linear(2, 2)], "float32", seed=0)
    net.params[3] = np.nan
    net.save(tmp_path / "net.safetensors")
    for again in (copy.deepcopy(net), fn.load(tmp_path / "net.safetensors")):
        assert again.params.tobytes() == net.params.tobytes()
    assert np.isnan(net.predict([1, 1])).any()


def test_a_network_that_fails_leaves_its_layers_as_they_were():
    first, huge = fn.Linear(2, 3), fn.Linear(3, 1)
    huge.weight = np.full((1, 3), 1e200)
    with pytest.raises(ValueError, match="out of the range of float32"):
        fn.Network([first, huge], "float32", seed=0)
    again = fn.Network([first, huge], "float64", seed=0)
    expected = fn.Network([fn.Linear(2, 3), fn.Linear(3, 1)], "float64", seed=0)
    assert np.array_equal(again.params[:9], expected.params[:9])  # depends on the seed only


def test_no_rows_go_back():
    net = fn.Network([fn.Linear(2, 3), fn.Tanh()], seed=0)
    net.grads = np.ones(9)
    assert net(np.empty((0, 2))).shape == (0, 3)
    assert net.backward(np.empty((0, 3))).shape == (0, 2)
    assert not net.grads.any()
    assert fn.ReLU().vjp(np.empty((0, 2)), np.empty((0, 2))).shape == (0, 2)


def test_backward_uses_the_input_as_it_was(rng):
    net = fn.Network([fn.Linear(3, 2)], "float64", seed=0)
    X = rng.standard_normal((4, 3))
    net(X)
    kept = X.copy()
    X[...] = 0
    net.backward(np.ones((4, 2)))
    np.testing.assert_allclose(net.layers[0].weight_grad, np.tile(kept.sum(axis=0), (2, 1)))


def test_one_sample_goes_back_as_one(rng):
    net = fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2)], "float64", seed=0)
    x, dy = rng.standard_normal(3), rng.standard_normal(2)
    assert net(x).shape == (2,)
    dx = net.backward(dy)
    net(x[np.newaxis])
    assert np.array_equal(net.backward(dy[np.newaxis])[0], dx)


def test_backward_without_forward():
    with pytest.raises(RuntimeError, match="call forward"):
        fn.Network([fn.Linear(3, 4)]).backward([1, 2, 3, 4])


# Initial weights -----------------------------------------------------------------------------


def test_seeds():
    def params(seed, dtype="float32"):
        return fn.Network([fn.Linear(20, 30), fn.ReLU(), fn.Linear(30, 2)], dtype, seed).params

    assert np.array_equal(params(1), params(1))
    assert not np.array_equal(params(1), params(2))
    assert not np.array_equal(params(None), params(None))
    assert np.array_equal(params(1), params(1, "float64").astype("float32"))


@pytest.mark.parametrize(
    ("following", "variance"),
    [
        ("ReLU", 2 / 300),
        ("LeakyReLU", 2 / 300),
        ("GELU", 2 / 300),
        ("SELU", 1 / 300),
        ("Tanh", 2 / 500),
        ("Softmax", 2 / 500),
        (None, 2 / 500),
    ],
)
def test_initial_weights_fit_the_following_activation(following, variance):
    layer = fn.Linear(300, 200)
    net = fn.Network([layer] + ([getattr(fn, following)()] if following else []), "float64", seed=0)
    assert layer.weight.var() == pytest.approx(variance, rel=0.02)
    assert abs(layer.weight.mean()) < 4 * np.sqrt(variance / 60_000)
    assert (layer.bias == 0).all()
    assert net.n_params == 200 * 301


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("he_uniform", 2 / 300),
        ("he_normal", 2 / 300),
        ("xavier_uniform", 2 / 500),
        ("xavier_normal", 2 / 500),
        ("lecun_normal", 1 / 300),
        ("zeros", 0),
    ],
)
def test_initializers_by_choice(name, variance):
    layer = fn.Linear(300, 200, weight_init=getattr(fn.initializers, name))
    fn.Network([layer, fn.ReLU()], "float64", seed=0)
    assert layer.weight.var() == pytest.approx(variance, rel=0.02)


def test_an_initializer_of_ones_own():
    def ramp(rng, shape):
        return np.arange(np.prod(shape)).reshape(shape)

    layer = fn.Linear(3, 2, weight_init=ramp, bias_init=lambda rng, shape: np.full(shape, 7))
    net = fn.Network([layer], seed=0)
    assert net.params.tolist() == [0, 1, 2, 3, 4, 5, 7, 7]


# Copies and text -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))]
)
def test_copies_are_independent_and_go_on_alike(rng, duplicate):
    X, y = rng.standard_normal((30, 4)), rng.integers(3, size=30)
    net = fn.Network(
        [fn.Standardize.from_data(X), fn.Linear(4, 5), fn.ELU(0.3), fn.Linear(5, 3)], seed=0
    )
    net.class_labels, net.feature_names = ["a", "b", "c"], list("wxyz")
    net.fit(X, y, epochs=2, seed=0, optimizer=fn.Adam())
    again = duplicate(net)
    assert repr(again) == repr(net)
    assert (again.class_labels, again.feature_names) == (["a", "b", "c"], ["w", "x", "y", "z"])
    assert np.array_equal(again.predict(X), net.predict(X))
    before = net.params.copy()
    again.fit(X, y, epochs=1, seed=1, optimizer=fn.Adam())
    assert np.array_equal(net.params, before)
    net.fit(X, y, epochs=1, seed=1, optimizer=fn.Adam())  # the optimizer's state was copied too
    assert np.array_equal(net.params, again.params)


def test_summary_and_repr():
    net = fn.Network([fn.Linear(64, 32), fn.ReLU(), fn.Linear(32, 10, bias=False)], seed=0)
    assert net.summary().split("\n") == [
        "layer                       output  parameters",
        "----------------------------------------------",
        "Linear(64, 32)                  32       2,080",
        "ReLU()                          32           0",
        "Linear(32, 10, bias=False)      10         320",
        "----------------------------------------------",
        "total, float32                           2,400",
    ]
    assert repr(net) == (
        "Network([\n    Linear(64, 32),\n    ReLU(),\n    Linear(32, 10, bias=False),\n"
        "], dtype='float32')"
    )


def test_no_layer_learns():
    """A network without parameters still runs, forward and backward."""
    net = fn.Network([fn.Standardize([1, 2], [2, 4]), fn.ReLU()], "float64")
    assert net([3, 1]).tolist() == [1, 0]
    assert net.backward([1, 1]).tolist() == [0.5, 0]
    assert net.n_params == 0
    net.fit([[1, 2], [3, 4]], [[0, 0], [0, 0]], loss=fn.MeanSquaredError(), epochs=2)


@pytest.mark.parametrize("rows", [1, 7, 37, 64])
def test_the_weight_gradient_of_a_wide_layer(isa, dtype, rng, rows):
    """The engine transposes the cotangent first if its rows are a page of memory apart."""
    net = fn.Network([fn.Linear(33, 1100), fn.Linear(1100, 3)], dtype, seed=0)
    X, dY = rng.standard_normal((rows, 33)), rng.standard_normal((rows, 3))
    X, dY = X.astype(dtype), dY.astype(dtype)
    net(X)
    net.backward(dY)
    dz = dY.astype(float) @ net.layers[1].weight.astype(float)
    tolerance = 200 * np.finfo(dtype).eps
    np.testing.assert_allclose(
        net.layers[0].weight_grad, dz.T @ X, rtol=tolerance, atol=tolerance * np.sqrt(rows)
    )
    np.testing.assert_allclose(
        net.layers[0].bias_grad, dz.sum(axis=0), rtol=tolerance, atol=tolerance * np.sqrt(rows)
    )


def test_predict_looks_at_every_sample_of_a_large_array(isa, dtype, rng):
    net = fn.Network([fn.Linear(8, 300), fn.ReLU(), fn.Linear(300, 2)], dtype, 0)
    X = rng.standard_normal((3000, 8)).astype(dtype)
    assert np.array_equal(net.predict(X), net.predict(X.tolist()))
    for bad in (np.nan, np.inf):
        X[2999, 7] = bad
        with pytest.raises(ValueError, match=rf"X\[2999, 7\] is {bad}"):
            net.predict(X)
