"""Scale and Parametric: their parameters, training against PyTorch, files and bad arguments.

The tables of cases have both layers too, so all tests of derivatives run for them.
"""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fn
from fastnn.layers import LAYERS, composition

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

ACTIVATIONS = [
    fn.Identity,
    fn.ReLU,
    lambda: fn.LeakyReLU(0.3),
    lambda: fn.ELU(0.7),
    fn.SELU,
    fn.Sigmoid,
    fn.Tanh,
    fn.Softplus,
    fn.GELU,
    fn.SiLU,
    fn.Mish,
    fn.Abs,
    fn.HardTanh,
]
every_activation = pytest.mark.parametrize("make", ACTIVATIONS, ids=lambda make: repr(make()))


@every_activation
def test_alpha_1_is_the_activation_and_0_the_identity(isa, dtype, rng, make):
    X = (3 * rng.standard_normal((40, 5))).astype(dtype)
    layer, activation = fn.Parametric(5, make()), make()
    assert np.array_equal(layer(X), activation(X))
    assert np.array_equal(layer.vjp(X, np.ones_like(X)), activation.vjp(X, np.ones_like(X)))
    layer.alpha = np.zeros(5)
    assert np.array_equal(layer(X), X)
    assert np.array_equal(layer.vjp(X, np.ones_like(X)), np.ones_like(X))


@every_activation
def test_derivatives_by_alpha(isa, dtype, rng, make):
    """All derivatives by α of [Linear, Parametric], from those of the activation itself."""
    X, dY = (rng.standard_normal((9, 4)).astype(dtype) for _ in range(2))
    net = fn.Network([fn.Parametric(4, make())], dtype)
    alpha = net.layers[0].alpha
    alpha[:] = rng.standard_normal(4)
    tolerance = 20 * np.finfo(dtype).eps
    change = make()(X) - X
    net(X)
    net.backward(dY)
    np.testing.assert_allclose(net.grads, (change * dY).sum(axis=0), tolerance, 8 * tolerance)
    assert np.shares_memory(net.layers[0].alpha_grad, net.grads)
    expected = np.einsum("ni,ij->nij", change, np.eye(4))
    np.testing.assert_allclose(net.jacobian(X, "params"), expected, tolerance, tolerance)
    v = rng.standard_normal(4).astype(dtype)
    np.testing.assert_allclose(net.jvp(X, v, "params"), change * v, tolerance, tolerance)


@every_activation
def test_the_hessian_is_that_of_finite_differences(isa, rng, make):
    net = fn.Network(
        [fn.Linear(2, 3), fn.Parametric(3, make()), fn.Scale(3, bias=True), fn.Linear(3, 1)],
        "float64",
        seed=3,
    )
    net.params[...] += 0.3 * rng.standard_normal(net.n_params)
    X, y, loss = rng.standard_normal((60, 2)), rng.standard_normal(6), fn.MeanSquaredError()
    z = net.layers[0](X)  # away from the kinks
    smooth = [abs(z - kink).min(axis=1) > 0.02 for kink in net.layers[1].kinks]
    X = X[np.all([*smooth, np.full(60, True)], axis=0)][:6]
    hessian = net.hessian(X, y, loss)
    params = net.params.copy()

    def value(moved):
        net.params = moved
        return net.loss_and_grad(X, y, loss)[0]

    expected = fn.numerical_hessian(value, params)
    np.testing.assert_allclose(hessian, expected, rtol=1e-5, atol=1e-5)


class ParametricMish(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.alpha = torch.nn.Parameter(torch.ones(features))

    def forward(self, x):
        return x + self.alpha * (torch.nn.functional.mish(x) - x)


class Scale(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(features))

    def forward(self, x):
        return x * self.weight


@pytest.mark.parametrize("frozen", [(), (0,), (2,), (0, 1), (1, 2, 3), (0, 1, 2, 3)], ids=str)
def test_fits_agree_with_pytorch(isa, rng, frozen):
    X, y = rng.standard_normal((20, 5)), rng.integers(3, size=20)
    layers = [fn.Scale(5), fn.Linear(5, 7), fn.Parametric(7, fn.Mish), fn.Scale(7)]
    net = fn.Network([*layers, fn.Linear(7, 3)], "float64", 4)
    theirs = torch.nn.Sequential(
        Scale(5), torch.nn.Linear(5, 7), ParametricMish(7), Scale(7), torch.nn.Linear(7, 3)
    ).double()
    torch.nn.utils.vector_to_parameters(torch.tensor(net.params), theirs.parameters())
    before = net.params.copy()
    for i in frozen:
        net.layers[i].trainable = False
        theirs[i].requires_grad_(False)
    update = torch.optim.AdamW([p for p in theirs.parameters() if p.requires_grad], 0.01)
    for _ in range(10):
        update.zero_grad()
        torch.nn.functional.cross_entropy(theirs(torch.tensor(X)), torch.tensor(y)).backward()
        update.step()
    net.fit(X, y, optimizer=fn.AdamW(0.01), epochs=10, batch_size=20, shuffle=False)
    expected = torch.nn.utils.parameters_to_vector(theirs.parameters()).detach().numpy()
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)
    assert (net.params != before).any()


def test_bits_do_not_depend_on_threads(isa, dtype, rng):
    X, y = rng.standard_normal((600, 6)).astype(dtype), rng.standard_normal((600, 2))
    layers = [fn.Scale(6), fn.Linear(6, 300), fn.Parametric(300, fn.Mish), fn.Linear(300, 2)]
    first = fn.Network(layers, dtype, seed=0)
    second = copy.deepcopy(first)
    for net, threads in ((first, 1), (second, 2)):
        net.fit(X, y, loss=fn.MeanSquaredError(), epochs=2, seed=0, n_threads=threads)
    assert np.array_equal(first.params, second.params)
    one, two = (first.jacobian(X[:90], n_threads=n) for n in (1, 2))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("n", [0, 1])
def test_few_samples(isa, dtype, n):
    net = fn.Network([fn.Scale(3), fn.Parametric(3, fn.SELU)], dtype)
    X = np.ones((n, 3), dtype)
    assert net.predict(X).shape == net(X).shape == (n, 3)
    assert net.jacobian(X).shape == (n, 3, 3)
    assert net.jacobian(X, "params").shape == (n, 3, 6)
    net(X)
    assert net.backward(X).shape == (n, 3)
    assert (net.grads == 0).all() == (n == 0)


# What needs no build of its own ---------------------------------------------------------------


def test_scale_of_its_own():
    layer = fn.Scale(3)
    assert layer.weight.tolist() == [1, 1, 1]
    assert layer.bias is None
    assert layer.n_params == 3
    assert layer.arrays().keys() == {"weight"}
    layer.weight = [1, -2, 0.5]
    assert layer([3, 3, 3]).tolist() == [3, -6, 1.5]
    with pytest.raises(ValueError, match="no bias"):
        layer.bias = [1, 1, 1]
    shifted = fn.Scale(2, bias=True)
    assert shifted.bias.tolist() == [0, 0]
    shifted.bias = [1, 2]
    assert shifted([0, 1]).tolist() == [1, 3]
    assert shifted.weight_grad is shifted.bias_grad is None


def test_parametric_of_its_own():
    layer = fn.Parametric(2, fn.ReLU)
    assert layer.alpha.tolist() == [1, 1]
    assert layer.alpha_grad is None
    assert layer.arrays().keys() == {"alpha"}
    layer.alpha = [0.5, 2]
    assert layer([-2, -2]).tolist() == [-1, 2]
    assert not hasattr(layer, "weight")
    net = fn.Network([layer])
    assert np.shares_memory(layer.alpha, net.params)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (fn.Scale(3), "Scale(3)"),
        (fn.Scale(3, bias=True), "Scale(3, bias=True)"),
        (fn.Parametric(3, fn.Mish), "Parametric(3, Mish())"),
        (fn.Parametric(3, fn.ELU(0.5)), "Parametric(3, ELU(alpha=0.5))"),
    ],
)
def test_repr(layer, text):
    assert repr(layer) == text


def network(dtype="float32"):
    layers = [
        fn.Scale(3),
        fn.Linear(3, 4),
        fn.Residual([fn.Parametric(4, fn.LeakyReLU(0.2)), fn.Scale(4, bias=True)]),
        fn.Parametric(4, fn.Mish),
    ]
    net = fn.Network(layers, dtype, seed=0)
    net.params[...] += np.linspace(0, 1, net.n_params)
    net.layers[0].trainable = False
    return net


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), "file"],
    ids=["deepcopy", "pickle", "file"],
)
def test_copies_and_files(dtype, tmp_path, rng, duplicate):
    net, X = network(dtype), rng.standard_normal((5, 3))
    if duplicate == "file":
        net.save(tmp_path / "net")
        again = fn.load(tmp_path / "net")
    else:
        again = duplicate(net)
    assert repr(again) == repr(net)
    assert again.summary() == net.summary()
    assert np.array_equal(again.params, net.params)
    assert np.array_equal(again.predict(X), net.predict(X))
    assert not again.layers[0].trainable
    assert list(composition.arrays_of(again.layers)) == [
        "0.weight",
        "1.weight",
        "1.bias",
        "2.layers.0.alpha",
        "2.layers.1.weight",
        "2.layers.1.bias",
        "3.alpha",
    ]


def test_the_next_activation_chooses_the_initial_weights():
    def weight(activation):
        return fn.Network([fn.Linear(9, 5), fn.Scale(5), activation], seed=3).layers[0].weight

    assert np.array_equal(weight(fn.Parametric(5, fn.SELU)), weight(fn.SELU()))
    assert np.array_equal(weight(fn.Parametric(5, fn.Tanh)), weight(fn.Tanh()))
    assert not np.array_equal(weight(fn.SELU()), weight(fn.Tanh()))


def test_the_gradient_checker_finds_the_kinks():
    net = fn.Network([fn.Linear(1, 1), fn.Parametric(1, fn.HardTanh)], "float64")
    net.params[...] = 1, 0, 0.5
    report = fn.check_gradient(net, [[1.0]], [[0.0]], fn.HalfSquaredError(), wrt="input")
    [kink] = report.kinks
    assert sorted(kink.interval) == pytest.approx([0.5, 1], abs=1e-4)
    assert fn.Parametric(1, fn.Tanh).kinks == ()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fn.Scale(0), ValueError, "features is 0"),
        (lambda: fn.Scale(2.5), TypeError, r"features is 2\.5"),
        (lambda: fn.Scale(2, bias=1.5), TypeError, r"bias is 1\.5"),
        (lambda: fn.Parametric(-1, fn.Mish), ValueError, "features is -1"),
        (lambda: fn.Parametric(3, "mish"), TypeError, "activation is 'mish'; an activation such"),
        (lambda: fn.Parametric(3, fn.Linear), TypeError, "activation is <class"),
        (lambda: fn.Parametric(3, fn.Softmax()), TypeError, r"activation is Softmax\(\)"),
        (
            lambda: fn.Parametric(3, fn.Parametric(3, fn.Mish)),
            TypeError,
            "activation is Parametric",
        ),
        (lambda: setattr(fn.Parametric(2, fn.Mish), "alpha", [1]), ValueError, "alpha has shape"),
        (
            lambda: setattr(fn.Parametric(2, fn.Mish), "alpha", [1, np.nan]),
            ValueError,
            r"alpha\[1\] is nan",
        ),
        (lambda: setattr(fn.Parametric(2, fn.Mish), "activation", 1), AttributeError, "activation"),
        (lambda: fn.Parametric(2, fn.Mish)([1, 2, 3]), ValueError, "x has"),
        (lambda: fn.Network([fn.Linear(2, 3), fn.Scale(4)]), ValueError, "takes 4 features"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "activation",
    [
        None,
        "mish",
        {"kind": "linear"},
        {"kind": "tangent"},
        {},
        {"kind": []},
        {"kind": "elu", "a": 1},
    ],
    ids=str,
)
def test_damaged_descriptions(activation):
    config = {"features": 2, "activation": activation}
    with pytest.raises((ValueError, TypeError, KeyError)):
        LAYERS["parametric"].from_config(config, {"alpha": np.ones(2)})
