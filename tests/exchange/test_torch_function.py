"""`torch_function` and its derivatives, compared with the same network in PyTorch."""

import sys

import numpy as np
import pytest
from case_inputs import smooth_inputs
from cases import NETWORK_CASES
from custom_layers import PythonTanh
from onnx_cases import network_of
from torch_counterparts import torch_network

import fastnn as fn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

TOLERANCE = {"float32": 2e-4, "float64": 1e-10}


def assert_close(found, wanted, dtype):
    for a, b in zip(found, wanted, strict=True):
        assert str(a.dtype) == f"torch.{dtype}"
        a, b = a.detach().double(), b.detach().double()
        atol = TOLERANCE[dtype] * max(float(abs(b).max()) if b.numel() else 0, 1)
        torch.testing.assert_close(a, b, rtol=0, atol=atol)


def both(case, make_network, rng, dtype):
    """Return the two functions, x and params; PyTorch computes in float64."""
    net = network_of(case, make_network, rng, dtype)
    X = smooth_inputs(case, net.params, rng, dtype, 3)

    def theirs(x, p):
        return torch_network(case.layers, p.double(), x.double())

    x, p = (torch.tensor(array, requires_grad=True) for array in (X, net.params))
    return fn.torch_function(net), theirs, x, p


@pytest.mark.parametrize("case", NETWORK_CASES, ids=lambda case: case.name)
def test_first_derivatives(case, make_network, rng, dtype):
    ours, theirs, x, p = both(case, make_network, rng, dtype)
    found, wanted = (
        (y, *torch.autograd.grad((y**2).sum(), (x, p), allow_unused=True, materialize_grads=True))
        for y in (ours(x, p), theirs(x, p))
    )
    assert_close(found, wanted, dtype)


@pytest.mark.parametrize("case", NETWORK_CASES, ids=lambda case: case.name)
def test_double_backward(case, make_network, rng, dtype):
    """A gradient penalty, by x and by the parameters, and a vector times the Hessian."""
    ours, theirs, x, p = both(case, make_network, rng, dtype)
    options = {"allow_unused": True, "materialize_grads": True}
    results = []
    for y in (ours(x, p), theirs(x, p)):
        c = torch.linspace(0.5, 1.5, y.numel(), dtype=x.dtype).reshape(y.shape).requires_grad_()
        dx, dp = torch.autograd.grad((c * y).sum(), (x, p), create_graph=True, **options)
        for penalty in ((dx**2).sum(), (dp**2).sum(), (dx**2).sum() + dp.cos().sum()):
            results.append(torch.autograd.grad(penalty, (x, p, c), retain_graph=True, **options))
    for found, wanted in zip(results[:3], results[3:], strict=True):
        assert_close(found, wanted, dtype)


def net_of(dtype="float64"):
    return fn.Network([fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 2)], dtype, seed=0)


def test_pytorch_checks_the_derivatives(rng):
    net = net_of()
    f = fn.torch_function(net)
    x, p = (torch.tensor(a, requires_grad=True) for a in (rng.normal(size=(4, 3)), net.params))
    assert torch.autograd.gradcheck(f, (x, p))
    assert torch.autograd.gradgradcheck(f, (x, p))


def test_inside_a_graph_of_pytorch(rng, dtype):
    """Modules before and behind the network train together with its parameters."""
    net = net_of(dtype)
    before = net.params.copy()
    f = fn.torch_function(net)
    first = torch.nn.Linear(4, 3, dtype=getattr(torch, dtype))
    p = torch.nn.Parameter(torch.tensor(net.params))
    optimizer = torch.optim.Adam([*first.parameters(), p], lr=0.05)
    X = torch.tensor(rng.normal(size=(50, 4)).astype(dtype))
    y = torch.sin(X[:, :2])
    losses = []
    for _ in range(100):
        loss = ((f(first(X), p) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3
    np.testing.assert_array_equal(net.params, before)


def test_one_sample_and_the_network_as_it_is(dtype, rng):
    net = net_of(dtype)
    f = fn.torch_function(net)
    x = torch.tensor(rng.normal(size=3).astype(dtype), requires_grad=True)
    np.testing.assert_array_equal(f(x).detach().numpy(), net.predict(x.detach().numpy()))
    J = torch.stack([torch.autograd.grad(f(x)[i], x)[0] for i in range(2)])
    np.testing.assert_allclose(J, net.jacobian(x.detach().numpy()), rtol=1e-5)
    y = f(x)
    net.params[...] = 0  # the derivative is still that of the call
    assert torch.autograd.grad(y.sum(), x)[0].any()
    assert not f(x).any()


def test_an_array_that_is_not_contiguous(dtype, rng):
    net = net_of(dtype)
    X = torch.tensor(rng.normal(size=(3, 7)).astype(dtype)).T
    np.testing.assert_array_equal(fn.torch_function(net)(X).numpy(), net.predict(X.numpy()))


def test_views_that_numpy_lacks(dtype, rng):
    """A tensor may stand for the negative of its memory, also as a cotangent."""
    f = fn.torch_function(net_of(dtype))
    values = torch.tensor(rng.normal(size=(4, 3)).astype(dtype))
    complex_values = torch.complex(values, values)
    for x in (torch._neg_view(-values), complex_values.conj().imag.neg()):
        assert torch.equal(f(x), f(values))
    x = values.clone().requires_grad_()
    c = torch.ones(4, 2, dtype=values.dtype)
    found, wanted = (torch.autograd.grad(f(x), x, own)[0] for own in (torch._neg_view(-c), c))
    assert torch.equal(found, wanted)


def test_custom_layers(dtype, rng):
    net = fn.Network([fn.Linear(3, 5), PythonTanh(), fn.Linear(5, 2)], dtype, seed=0)
    x = torch.tensor(rng.normal(size=(4, 3)).astype(dtype), requires_grad=True)
    p = torch.tensor(net.params, requires_grad=True)
    results = []
    for f in (fn.torch_function(net), fn.torch_function(net_of(dtype))):
        results.append(torch.autograd.grad(f(x, p).square().sum(), (x, p)))
    assert_close(*results, dtype)
    (dx,) = torch.autograd.grad(fn.torch_function(net)(x).sum(), x, create_graph=True)
    with pytest.raises(TypeError, match="layers written in Python have no second derivatives"):
        dx.sum().backward()


def test_a_third_derivative_is_refused(rng):
    x = torch.tensor(rng.normal(size=(4, 3)), requires_grad=True)
    (dx,) = torch.autograd.grad(fn.torch_function(net_of())(x).sum(), x, create_graph=True)
    (ddx,) = torch.autograd.grad(dx.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="no third derivatives"):
        ddx.sum().backward()


def test_invalid_arguments(monkeypatch):
    f = fn.torch_function(net_of())
    x = torch.ones(2, 3, dtype=torch.float64)
    for call, error, message in (
        (lambda: f(np.ones((2, 3))), TypeError, "x is a ndarray; a tensor is wanted"),
        (lambda: f(x.float()), TypeError, "x has dtype torch.float32 on cpu; torch.float64 on"),
        (lambda: f(x, x.float()), TypeError, "params has dtype torch.float32"),
        (lambda: f(x.to_sparse()), TypeError, "x is sparse or nested; a dense tensor is wanted"),
        (lambda: f(x.to("meta")), TypeError, "x has dtype torch.float64 on meta"),
        (lambda: f(x[:, :2]), ValueError, r"x has shape \(2, 2\); \(n, 3\) is wanted"),
        (lambda: f(x, x), ValueError, r"params has shape \(2, 3\); \(32,\) is wanted"),
        (lambda: f(x * np.nan), ValueError, r"x\[0, 0\] is nan"),
        (lambda: fn.torch_function(3), TypeError, "net is 3; a Network is wanted"),
    ):
        with pytest.raises(error, match=message):
            call()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"pip install 'fastnn\[torch\]'"):
        fn.torch_function(net_of())


def test_second_derivatives_of_tiny_cotangents(rng):
    net = fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2)], "float32", seed=0)
    f = fn.torch_function(net)
    found = []
    for factor in (1.0, 1e-30):
        x = torch.linspace(-1, 1, 6).reshape(2, 3).requires_grad_()
        params = torch.tensor(net.params, requires_grad=True)
        (slope,) = torch.autograd.grad(f(x, params).sum() * factor, x, create_graph=True)
        (slope / factor).sum().backward()
        found.append(params.grad.numpy())
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-6)
