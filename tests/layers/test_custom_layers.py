"""Layers in Python: every method of a network with them agrees with its compiled counterpart."""

import numpy as np
import pytest
import scipy.sparse
from closeness import assert_close
from custom_layers import PLACES, Fourier, PythonLinear, PythonTanh, Quadratic, Scaling, networks
from custom_loss import Python, Weighted

import fastnn as fn

N = 17


@pytest.fixture(params=PLACES)
def pair(request, dtype):
    return networks(request.param, dtype)


@pytest.fixture
def X(rng):
    return rng.standard_normal((N, 3))


@pytest.fixture
def targets(rng):
    return rng.standard_normal((N, 4))


def test_predict(pair, X):
    own, compiled = pair
    assert_close(own.predict(X), compiled.predict(X))
    assert_close(own.predict(X[0]), compiled.predict(X[0]))
    for form in (X.tolist(), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], X.astype("f4")):
        assert_close(own.predict(form), compiled.predict(form))
    assert own.predict(X[:0]).shape == (0, 4)
    assert np.array_equal(own.predict(X, n_threads=2), own.predict(X, n_threads=1))


def test_forward_and_backward(pair, X, targets):
    own, compiled = pair
    for x, dy in ((X, targets), (X[0], targets[0])):
        assert_close(own.forward(x), compiled.forward(x))
        assert_close(own.backward(dy), compiled.backward(dy), 1000)
        assert_close(own.grads, compiled.grads, 1000)


def test_a_pass_in_training_mode(pair, X, targets):
    own, compiled = pair
    assert_close(own.forward(X, training=True), compiled.forward(X, training=True), 1000)
    assert_close(own.backward(targets), compiled.backward(targets), 5000)
    assert_close(own.grads, compiled.grads, 5000)
    assert_close(own._model.constants, compiled._model.constants)  # the running statistics


@pytest.mark.parametrize("wrt", ["input", "params"])
def test_first_derivatives(pair, X, targets, rng, wrt):
    own, compiled = pair
    h = rng.standard_normal(X.shape if wrt == "input" else own.n_params)
    for method, *arguments in (("jacobian",), ("jvp", h), ("vjp", targets)):
        found = getattr(own, method)(X, *arguments, wrt)
        assert_close(found, getattr(compiled, method)(X, *arguments, wrt), 1000)
    outputs, jacobian = own.value_and_jacobian(X, wrt)
    assert_close(outputs, compiled.predict(X))
    assert np.array_equal(jacobian, own.jacobian(X, wrt))
    out = np.empty_like(jacobian)
    assert own.jacobian(X, wrt, out=out) is out
    assert np.array_equal(out, jacobian)
    one = own.jacobian(X[0], wrt)
    assert_close(one, compiled.jacobian(X[0], wrt), 1000)
    assert_close(own.jacobian_operator(X[0], wrt).to_dense(), one, 1000)
    assert own.jacobian(X[:0], wrt).shape == (0, *one.shape)


def test_losses(pair, X, targets, rng):
    own, compiled = pair
    labels, weights = rng.integers(4, size=N), rng.random(N)
    cases = [(fn.SoftmaxCrossEntropy(), labels), (fn.MeanSquaredError(), targets)]
    cases += [(fn.HalfSquaredError("sum"), targets), (Weighted(fn.Huber()), targets)]
    if isinstance(own.layers[-1], fn.Softmax):
        cases.append((fn.NegativeLogLikelihood(), labels))
    for loss, y in cases:
        for w in (None, weights):
            value, grad = own.loss_and_grad(X, y, loss, w)
            expected = compiled.loss_and_grad(X, y, loss, w)
            assert value == pytest.approx(expected[0], rel=1e-5)
            assert_close(grad, expected[1], 1000)
        assert_close(own.sample_grads(X, y, loss), compiled.sample_grads(X, y, loss), 1000)


def test_gauss_newton_matrix_of_squared_errors(pair, X, targets, rng):
    own, compiled = pair
    for loss in (fn.HalfSquaredError("sum"), fn.MeanSquaredError()):
        for w in (None, rng.random(N)):
            found = own.gram(X, targets, loss, sample_weight=w)
            expected = compiled.gram(X, targets, loss, sample_weight=w)
            assert_close(found[0], expected[0], 2000)
            assert_close(found[1], expected[1], 2000)
    with pytest.raises(TypeError, match="SoftmaxCrossEntropy.*custom layer.*HalfSquaredError"):
        own.gram(X, np.zeros(N, int), fn.SoftmaxCrossEntropy())


@pytest.mark.parametrize("loss", [fn.HalfSquaredError, fn.MeanSquaredError])
def test_gauss_newton_matrix_of_missing_targets(pair, X, targets, rng, loss):
    own, compiled = pair
    y = np.where(rng.random(targets.shape) < 0.3, np.nan, targets)
    weights = rng.uniform(0.5, 2, own.out_features)
    for options in ({"ignore_nan": True}, {"ignore_nan": True, "output_weight": weights}):
        options = loss(**options)
        for found, expected in zip(
            own.gram(X, y, options), compiled.gram(X, y, options), strict=True
        ):
            assert_close(found, expected, 2000)
    found, expected = (net.gram(X, targets, loss(output_weight=weights)) for net in pair)
    assert_close(found[0], expected[0], 2000)


def test_sparse_input_is_refused_by_name(pair, X, targets):
    own, _ = pair
    x = scipy.sparse.csr_array(X)
    for call in (own.predict, lambda x: own.loss_and_grad(x, targets, fn.MeanSquaredError())):
        with pytest.raises(TypeError, match="X is sparse, and the network has the layer"):
            call(x)


def test_second_derivatives_are_refused(pair, X, targets):
    own, _ = pair
    with pytest.raises(TypeError, match=r"layer layers\[\d\], Python\w+\([^)]*\), whose second"):
        own.hvp(X, targets, fn.MeanSquaredError(), own.params)
    with pytest.raises(TypeError, match="second derivatives"):
        own.hessian(X, targets, fn.MeanSquaredError())


@pytest.mark.parametrize("wrt", ["input", "params"])
def test_many_samples_give_the_results_of_few(rng, wrt, monkeypatch):
    """Long inputs are cut into parts."""
    own, _ = networks("two in a row")
    X, c = rng.standard_normal((600, 3)), rng.standard_normal((600, 4))
    h = rng.standard_normal(X.shape if wrt == "input" else own.n_params)
    calls = [
        lambda: own.predict(X),
        lambda: own.jacobian(X, wrt),
        lambda: own.jvp(X, h, wrt),
        lambda: own.vjp(X, c, wrt),
        lambda: own.loss_and_grad(X, c, fn.MeanSquaredError())[1],
        lambda: own.gram(X)[0],
    ]
    whole = [call() for call in calls]
    cls = type(own._model)
    monkeypatch.setattr(
        cls, "parts", lambda self, n, *_: [slice(i, i + 70) for i in range(0, n, 70)]
    )
    for call, expected in zip(calls, whole, strict=True):
        assert_close(call(), expected, 5000)


def own_network(dtype="float64", seed=0):
    """Return a network of layers that have no compiled counterpart."""
    layers = [Fourier([[1.0, 0.5], [0.3, 2.0]]), fn.Linear(4, 3), Scaling(3), Quadratic(3, 2)]
    net = fn.Network(layers, dtype, seed=seed)
    net.layers[2].parameters["scale"][...] = [0.5, 1.5, -1]
    return net


def torch_outputs(net, x, params):
    """Return the outputs of `own_network` in PyTorch."""
    torch = pytest.importorskip("torch")
    weight, bias, scale, a, b = torch.split(params, [12, 3, 3, 18, 2])
    phase = x @ torch.tensor(net.layers[0].frequencies)
    z = torch.cat([torch.cos(phase), torch.sin(phase)], dim=1) @ weight.reshape(3, 4).T + bias
    z = z * scale
    return torch.einsum("ni,kij,nj->nk", z, a.reshape(2, 3, 3), z) + b


def test_own_layers_agree_with_pytorch(rng):
    torch = pytest.importorskip("torch")
    net, X, y = own_network(), rng.standard_normal((9, 2)), rng.standard_normal((9, 2))
    x, params = torch.tensor(X), torch.tensor(net.params)
    assert_close(net.predict(X), torch_outputs(net, x, params).numpy())
    by_input, by_params = torch.func.jacrev(
        lambda *arguments: torch_outputs(net, *arguments), argnums=(0, 1)
    )(x, params)
    expected = torch.einsum("nknd->nkd", by_input).numpy()
    assert_close(net.jacobian(X), expected, 1000)
    assert_close(net.jacobian(X, "params"), by_params.numpy(), 1000)
    grad = torch.func.grad(lambda p: ((torch_outputs(net, x, p) - torch.tensor(y)) ** 2).mean())
    found = net.loss_and_grad(X, y, fn.MeanSquaredError())[1]
    assert_close(found, grad(params).numpy(), 1000)


@pytest.mark.parametrize("wrt", ["input", "params"])
def test_own_layers_agree_with_finite_differences(dtype, rng, wrt):
    net, X, y = own_network(dtype), rng.standard_normal((6, 2)), rng.standard_normal((6, 2))
    report = fn.check_gradient(net, X, y, fn.MeanSquaredError(), wrt=wrt)
    assert report.ok, report
    assert report.n_entries == (12 if wrt == "input" else net.n_params)


def test_a_wrong_vjp_is_found_by_the_gradient_check(rng):
    class Wrong(Scaling):
        def vjp(self, x, params, cotangent):
            dx, gradients = super().vjp(x, params, cotangent)
            return dx, {"scale": 2 * gradients["scale"]}

    net = fn.Network([fn.Linear(2, 3), Wrong(3)], "float64", seed=0)
    report = fn.check_gradient(net, rng.random((4, 2)), rng.random((4, 3)), fn.MeanSquaredError())
    assert not report.ok
    assert report.entry.startswith("layers[1].scale[")


def test_forward_mode_needs_jvp(rng):
    net, X = own_network(), rng.standard_normal((4, 2))
    with pytest.raises(TypeError, match=r"layers\[0\] is Fourier\(.*has no method jvp; jvp\(x, "):
        net.jvp(X, X)
    # wider outputs than inputs: forward mode would take fewer passes, and backward mode is used
    net = fn.Network([Scaling(2), fn.Linear(2, 5)], "float64", seed=0)
    expected = net.layers[1].weight * net.layers[0].parameters["scale"]
    assert_close(net.jacobian(X), np.broadcast_to(expected, (4, 5, 2)))


def test_forward_mode_is_used_where_it_is_cheaper(rng, monkeypatch):
    own, compiled = networks("first")
    monkeypatch.setattr(PythonLinear, "vjp", lambda *_: pytest.fail("backward mode"))
    X = rng.standard_normal((5, 3))
    assert_close(own.jacobian(X), compiled.jacobian(X))


def test_a_layer_without_a_network(dtype, rng):
    x = rng.standard_normal((5, 3)).astype(dtype)
    layer = Quadratic(3, 2)
    params = layer.parameters
    assert params["a"].shape == (2, 3, 3)
    assert params["a"].dtype == np.float64
    assert layer.parameter_grads is None
    params["b"][...] = 7
    assert_close(layer(x), layer.forward(x, {k: v.astype(dtype) for k, v in params.items()}))
    assert layer(x[0]).shape == (2,)
    assert layer(x).dtype == dtype
    net = fn.Network([layer], dtype)
    assert np.array_equal(layer.parameters["b"], [7, 7])
    assert_close(layer.dense_jacobian(x), net.jacobian(x))
    assert_close(layer.dense_jacobian(x[0]), net.jacobian(x[0]))
    for wrt in ("input", "params"):
        assert_close(layer.jacobian(x[0], wrt).to_dense(), net.jacobian(x[0], wrt))
    with pytest.raises(ValueError, match="one sample"):
        layer.jacobian(x)
    with pytest.raises(ValueError, match=r"x has shape \(5, 2\)"):
        layer(x[:, :2])


def test_parameters_are_views_into_the_network():
    net = own_network()
    net.params[15:18] = [1, 2, 3]
    assert np.array_equal(net.layers[2].parameters["scale"], [1, 2, 3])
    net.layers[2].parameters["scale"][1] = 5
    assert net.params[16] == 5
    net.forward(np.ones((2, 2)))
    net.backward(np.ones((2, 2)))
    assert np.array_equal(net.layers[2].parameter_grads["scale"], net.grads[15:18])
    assert net.grads[15:18].any()


def test_initial_values_follow_the_seed():
    a, b, c = own_network(seed=1), own_network(seed=1), own_network(seed=2)
    assert np.array_equal(a.params, b.params)
    assert not np.array_equal(a.layers[3].parameters["a"], c.layers[3].parameters["a"])
    compiled = fn.Network([fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 4)], seed=3)
    own = fn.Network([PythonLinear(3, 5), PythonTanh(), PythonLinear(5, 4)], seed=3)
    assert np.array_equal(own.params, compiled.params)


def test_how_it_is_shown():
    net = own_network()
    assert repr(Scaling(3)) == "Scaling(features=3)"
    row = next(row for row in net.summary().splitlines() if row.startswith("Quadratic"))
    assert row.split() == ["Quadratic(n_in=3,", "n_out=2)", "2", "20"]
    assert "    Scaling(features=3),\n" in repr(net)


def test_layers_between_take_only_widths_that_fit():
    with pytest.raises(ValueError, match=r"layers\[1\] is Scaling\(features=3\), which takes 3"):
        fn.Network([fn.Linear(2, 4), Scaling(3)])
    with pytest.raises(ValueError, match="at least one layer that fixes its width"):
        fn.Network([PythonTanh()])
    shared = Scaling(3)
    with pytest.raises(ValueError, match="already belongs to a network"):
        fn.Network([shared, shared])


def test_an_own_loss_beside_own_layers(pair, X, targets):
    own, compiled = pair
    loss = Python(fn.LogCosh())
    assert_close(
        own.loss_and_grad(X, targets, loss)[1], compiled.loss_and_grad(X, targets, loss)[1], 1000
    )
