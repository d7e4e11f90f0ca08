"""`jax_function` and its derivatives, compared with the same network in JAX."""

import sys

import numpy as np
import pytest
from case_inputs import smooth_inputs
from cases import NETWORK_CASES
from onnx_cases import network_of

import fastnn as fn

jax = pytest.importorskip("jax", reason="JAX is not installed")

import jax.numpy as jnp  # noqa: E402
import jax_network  # noqa: E402

TOLERANCE = {"float32": 2e-4, "float64": 1e-10}


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def assert_close(found, wanted, dtype):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == dtype
        atol = TOLERANCE[dtype] * max(float(abs(b).max(initial=0)), 1)
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def both(case, make_network, rng, dtype):
    """Return our function with its x and params, and JAX's with the same in float64."""
    net = network_of(case, make_network, rng, dtype)
    x = smooth_inputs(case, net.params, rng, dtype, 3)
    theirs = jax.vmap(lambda x, p: jax_network.forward(case.layers, p, x), (0, None))
    return (fn.jax_function(net), x, net.params), (
        theirs,
        x.astype(float),
        net.params.astype(float),
    )


# The engine's derivatives of all networks are compared in `test_torch_function`.
NAMES = ("xor_2_2_1", "residual_normalized", "embeddings_in_blocks")
FEW = [case for case in NETWORK_CASES if case.name in NAMES]
assert len(FEW) == len(NAMES)


@pytest.mark.parametrize("case", FEW, ids=lambda case: case.name)
def test_first_derivatives(case, make_network, rng, dtype):
    results = []
    for f, x, p in both(case, make_network, rng, dtype):
        gradients = jax.jit(jax.grad(lambda x, p, f=f: (f(x, p) ** 2).sum(), (0, 1)))(x, p)
        results.append((f(x, p), gradients, jax.jvp(f, (x, p), (x + 1, p - 1))))
    assert_close(*results, dtype)


@pytest.mark.parametrize("case", FEW[:1], ids=lambda case: case.name)
def test_second_derivatives(case, make_network, rng, dtype):
    """Hessian products forward over reverse, and a gradient penalty."""
    results = []
    for f, x, p in both(case, make_network, rng, dtype):

        def total(x, p, f=f):
            return (f(x, p) ** 2).sum()

        gradient = jax.grad(total, (0, 1))

        def penalty(x, p, gradient=gradient):
            dx, dp = gradient(x, p)
            return (dx**2).sum() + jnp.cos(dp).sum()

        hvp = jax.jvp(gradient, (x, p), (x + 1, p - 1))[1]
        results.append((hvp, jax.jit(jax.grad(penalty, (0, 1)))(x, p)))
    assert_close(*results, dtype)


def net_of(dtype="float64"):
    return fn.Network([fn.Linear(3, 5), fn.Tanh(), fn.Linear(5, 2)], dtype, seed=0)


def theirs_of(x, p):
    w1, b1, w2, b2 = jnp.split(p, [15, 20, 30])
    return jnp.tanh(x @ w1.reshape(5, 3).T + b1) @ w2.reshape(2, 5).T + b2


def test_hessians_and_jacobians(rng):
    net, x = net_of(), rng.normal(size=3)
    f = fn.jax_function(net)
    p = jnp.asarray(net.params)
    np.testing.assert_allclose(jax.jacrev(f)(x), net.jacobian(x), rtol=1e-12)
    np.testing.assert_allclose(jax.jacfwd(f)(x), net.jacobian(x), rtol=1e-12)
    np.testing.assert_allclose(jax.jacfwd(f, 1)(x, p), net.jacobian(x, "params"), atol=1e-13)
    for argument in (0, 1):
        found, wanted = (jax.hessian(g, argument)(x, p) for g in (f, theirs_of))
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_a_gradient_of_a_jvp(rng):
    """Reverse over forward."""
    net, x = net_of(), rng.normal(size=(4, 3))
    p, tangent = jnp.asarray(net.params), rng.normal(size=(4, 3))

    def total(f):
        return lambda x, p: (jax.jvp(lambda x: f(x, p), (x,), (tangent,))[1] ** 3).sum()

    found, wanted = (jax.grad(total(f), (0, 1))(x, p) for f in (fn.jax_function(net), theirs_of))
    assert_close(found, wanted, "float64")


def test_vmap(rng):
    dtype = "float64"
    net = net_of(dtype)
    f = fn.jax_function(net)
    X = rng.normal(size=(6, 3)).astype(dtype)
    P = jnp.asarray(np.stack([net.params, 2 * net.params]))
    np.testing.assert_allclose(jax.vmap(f)(X), net.predict(X), rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.jacrev(f))(X), net.jacobian(X), rtol=1e-5)
    axes = jax.vmap(f, (None, 0))(X, P), jax.vmap(theirs_of, (None, 0))(X, P)
    assert_close(*axes, dtype)
    by_params = jax.vmap(jax.grad(lambda x, p: (f(x, p) ** 2).sum(), 1), (0, None))(X, P[0])
    wanted = jax.vmap(jax.grad(lambda x, p: (theirs_of(x, p) ** 2).sum(), 1), (0, None))(X, P[0])
    assert_close(by_params, wanted, dtype)
    hessians = (jax.vmap(jax.hessian(g), (0, None))(X, P[0]) for g in (f, theirs_of))
    assert_close(*hessians, dtype)


def test_inside_a_compiled_loop(rng, dtype):
    """Training with `jax.lax.scan` reaches the parameters that JAX's own network reaches."""
    net = net_of(dtype)
    before = net.params.copy()
    X = jnp.asarray(rng.normal(size=(50, 3)).astype(dtype))
    y = jnp.sin(X[:, :2])
    found = []
    for f in (fn.jax_function(net), theirs_of):

        def step(p, _, f=f):
            gradient = jax.grad(lambda p: ((f(X, p) - y) ** 2).mean())(p)
            return p - jnp.asarray(0.1, dtype) * gradient, None

        found.append(jax.jit(lambda p: jax.lax.scan(step, p, length=50)[0])(jnp.asarray(before)))
    np.testing.assert_allclose(*found, rtol=1e-3 if dtype == "float32" else 1e-10)
    np.testing.assert_array_equal(net.params, before)


def test_many_samples(rng, dtype):
    """Arrays larger than what JAX copies at once."""
    net = net_of(dtype)
    X = rng.normal(size=(500_000, 3)).astype(dtype)
    found = jax.jit(fn.jax_function(net))(X)
    np.testing.assert_array_equal(found, net.predict(X))


def test_what_is_refused(monkeypatch):
    f, x, p = fn.jax_function(net_of()), jnp.ones((2, 3)), jnp.asarray(net_of().params)
    with pytest.raises(NotImplementedError, match="no forward-over-forward derivatives"):
        jax.jacfwd(jax.jacfwd(f))(x)
    with pytest.raises(NotImplementedError, match="no third derivatives"):
        jax.jacrev(jax.hessian(f))(x)
    for call, error, message in (
        (lambda: f(x.astype("float32")), TypeError, "x has dtype float32; float64, which needs"),
        (lambda: f(x, p.astype("float32")), TypeError, "params has dtype float32"),
        (lambda: f(x[:, :2]), ValueError, r"x has shape \(2, 2\)"),
        (lambda: f(x, x), ValueError, r"params has shape \(2, 3\)"),
        (lambda: fn.jax_function(3), TypeError, "net is 3; a Network is wanted"),
        (lambda: f(x * np.nan), Exception, r"x\[0, 0\] is nan"),
    ):
        with pytest.raises(error, match=message):
            call()
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ImportError, match=r"pip install 'fastnn\[jax\]'"):
        fn.jax_function(net_of())
