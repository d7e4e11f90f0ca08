"""Every public method accepts every form of an array, with the same results."""

import numpy as np
import pytest
from array_forms import forms, memory_layouts, misaligned, read_only, spread

import fastnn as fn

RNG = np.random.default_rng(5)
N, N_IN, N_OUT = 6, 3, 2
X = RNG.integers(0, 4, (N, N_IN)).astype(float)
Y = RNG.integers(0, 2, (N, N_OUT)).astype(float)
LABELS = np.array([0, 1, 1, 0, 1, 0], float)
WEIGHT = np.array([1, 2, 0, 1, 3, 1], float)
SAME = np.ones((N, N_IN))  # equal rows, so that a zero stride can represent them
HALF = fn.HalfSquaredError()
CROSS = fn.SoftmaxCrossEntropy()


def network(dtype, *ending):
    layers = [fn.Linear(N_IN, 4), fn.Tanh(), fn.Linear(4, N_OUT), *ending]
    return fn.Network(layers, dtype, seed=3)


def backward(net, x, dy):
    net.forward(x)
    return net.backward(dy), net.grads.copy()


def fitted(net, *arguments, **settings):
    settings = {"epochs": 2, "batch_size": 4, "seed": 0, "loss": HALF, **settings}
    history = net.fit(*arguments, **settings)
    return net.params.copy(), history["loss"]


def assigned(owner, name, value):
    setattr(owner, name, value)
    return np.array(getattr(owner, name))


def vector(net):
    return np.arange(net.n_params) % 3 - 1.0


class Custom:
    """A custom loss whose gradient has a given form."""

    def __init__(self, form=lambda gradient: gradient):
        self.form = form

    def value_and_grad(self, y_pred, y):
        error = y_pred - np.asarray(y, float)
        return float((error**2).sum()), self.form(2 * error)


P = {}  # calls of a network: by name, the plain array and the call
P["forward"] = X, lambda net, x: net(x)
P["forward of one"] = X[0], lambda net, x: net(x)
P["forward of equal rows"] = SAME, lambda net, x: net(x)
P["forward in training"] = X, lambda net, x: net.forward(x, training=True)
P["predict"] = X, lambda net, x: net.predict(x)
P["predict of one"] = X[0], lambda net, x: net.predict(x)
P["predict of equal rows"] = SAME, lambda net, x: net.predict(x)
P["predict on two threads"] = X, lambda net, x: net.predict(x, n_threads=2)
P["backward, X"] = X, lambda net, x: backward(net, x, Y)
P["backward, dY"] = Y, lambda net, dy: backward(net, X, dy)
P["params"] = np.arange(26) % 5 - 2.0, lambda net, v: assigned(net, "params", v)
P["grads"] = np.arange(26) % 5 - 2.0, lambda net, v: assigned(net, "grads", v)
for wrt in ("input", "params"):
    P[f"jacobian, {wrt}"] = X, lambda net, x, wrt=wrt: net.jacobian(x, wrt)
    P[f"value_and_jacobian, {wrt}"] = X, lambda net, x, wrt=wrt: net.value_and_jacobian(x, wrt)
    P[f"jacobian_operator, {wrt}"] = (
        X[0],
        lambda net, x, wrt=wrt: net.jacobian_operator(x, wrt).to_dense(),
    )
    P[f"vjp, X, {wrt}"] = X, lambda net, x, wrt=wrt: net.vjp(x, Y, wrt)
    P[f"vjp, cotangent, {wrt}"] = Y, lambda net, c, wrt=wrt: net.vjp(X, c, wrt)
P["jvp, X"] = X, lambda net, x: net.jvp(x, X)
P["jvp, tangent"] = X, lambda net, h: net.jvp(X, h)
P["jvp, tangent of params"] = np.arange(26) % 3 - 1.0, lambda net, h: net.jvp(X, h, "params")
P["loss_and_grad, X"] = X, lambda net, x: net.loss_and_grad(x, Y, HALF)
P["loss_and_grad, y"] = Y, lambda net, y: net.loss_and_grad(X, y, HALF)
P["loss_and_grad, labels"] = LABELS, lambda net, y: net.loss_and_grad(X, y, CROSS)
P["loss_and_grad, weights"] = WEIGHT, lambda net, w: net.loss_and_grad(X, Y, HALF, w)
P["loss_and_grad of a custom loss"] = X, lambda net, x: net.loss_and_grad(x, Y, Custom())
P["sample_grads, X"] = X, lambda net, x: net.sample_grads(x, Y, HALF)
P["sample_grads, y"] = Y, lambda net, y: net.sample_grads(X, y, HALF)
P["gram, X"] = X, lambda net, x: net.gram(x)[0]
P["gram, y"] = Y, lambda net, y: net.gram(X, y)
P["gram, weights"] = WEIGHT, lambda net, w: net.gram(X, Y, sample_weight=w)
P["hvp, X"] = X, lambda net, x: net.hvp(x, Y, HALF, vector(net))
P["hvp, v"] = np.arange(26) % 3 - 1.0, lambda net, v: net.hvp(X, LABELS, CROSS, v)
P["hvp, labels"] = LABELS, lambda net, y: net.hvp(X, y, CROSS, vector(net))
P["hessian"] = X, lambda net, x: net.hessian(x, Y, HALF, sample_weight=WEIGHT)
P["fit, X"] = X, lambda net, x: fitted(net, x, Y)
P["fit, equal rows"] = SAME, lambda net, x: fitted(net, x, Y)
P["fit, y"] = Y, lambda net, y: fitted(net, X, y)
P["fit, labels"] = LABELS, lambda net, y: fitted(net, X, y, loss=CROSS)
P["fit, sample_weight"] = WEIGHT, lambda net, w: fitted(net, X, Y, sample_weight=w)
P["fit, class_weight and labels"] = (
    LABELS,
    lambda net, y: fitted(net, X, y, loss=CROSS, class_weight="balanced"),
)
P["fit, validation X"] = X, lambda net, x: fitted(net, X, Y, validation_data=(x, Y))
P["fit, validation y"] = Y, lambda net, y: fitted(net, X, Y, validation_data=(X, y))
P["fit, validation weights"] = (
    WEIGHT,
    lambda net, w: fitted(net, X, Y, validation_data=(X, Y, w), metrics=("rmse",)),
)
P["fit, a share to validate"] = X, lambda net, x: fitted(net, x, Y, validation_data=0.5)
P["fit, LBFGS"] = Y, lambda net, y: fitted(net, X, y, optimizer=fn.LBFGS())
P["fit, Levenberg-Marquardt"] = (
    Y,
    lambda net, y: fitted(net, X, y, optimizer=fn.LevenbergMarquardt()),
)
P["fit, custom loss"] = Y, lambda net, y: fitted(net, X, y, loss=Custom())
P["fit, batches, X"] = X, lambda net, x: fitted(net, [(x, Y), (x, Y)])
P["fit, batches, y"] = Y, lambda net, y: fitted(net, [(X, y), (X, y)])
P["fit, batches of labels"] = LABELS, lambda net, y: fitted(net, [(X, y)] * 2, loss=CROSS)
P["partial_fit"] = X, lambda net, x: net.partial_fit(x, Y, loss=HALF, seed=0)["loss"]
P["fit_many, X"] = (
    X,
    lambda net, x: fn.fit_many([net], x, Y, loss=HALF, epochs=2, seed=0)[0]["loss"],
)
P["fit_many, rows"] = (
    np.array([0, 2, 4, 5, 5], float).astype(int),
    lambda net, rows: fn.fit_many([net], X, Y, rows=[rows], loss=HALF, epochs=2, seed=0)[0]["loss"],
)
P["fit_many, X of rows"] = (
    X,
    lambda net, x: fn.fit_many([net], x, Y, rows=[[0, 2, 4]], loss=HALF, epochs=2, seed=0)[0][
        "loss"
    ],
)
P["check_gradient, X"] = X, lambda net, x: fn.check_gradient(net, x, Y, HALF).analytic
P["weight"] = (
    np.arange(12).reshape(4, 3) % 5 - 2.0,
    lambda net, v: assigned(net.layers[0], "weight", v),
)
P["bias"] = np.array([1.0, -1, 2, 0]), lambda net, v: assigned(net.layers[0], "bias", v)
P["a layer"] = X, lambda net, x: net.layers[0](x)
P["a layer, vjp, x"] = X, lambda net, x: net.layers[0].vjp(x, np.ones((N, 4)))
P["a layer, vjp, cotangent"] = Y, lambda net, c: net.layers[2].vjp(np.ones((N, 4)), c)
P["a layer, dense_jacobian"] = X, lambda net, x: net.layers[0].dense_jacobian(x)
P["a layer, jacobian"] = X[0], lambda net, x: net.layers[0].jacobian(x).to_dense()
P["operator @ vector"] = X[0], lambda net, h: net.jacobian_operator(X[0]) @ h
P["matvec"] = X[0], lambda net, h: net.jacobian_operator(X[0]).matvec(h)
P["rmatvec"] = Y[0], lambda net, c: net.jacobian_operator(X[0]).rmatvec(c)
P["matmat"] = X.T, lambda net, h: net.jacobian_operator(X[0]).matmat(h)
P["rmatmat"] = Y.T, lambda net, c: net.jacobian_operator(X[0]).rmatmat(c)

FREE = {}  # calls without a network
FREE["Standardize.from_data"] = X, lambda x: fn.Standardize.from_data(x)(X)
FREE["Standardize, mean"] = X[0], lambda m: fn.Standardize(m, np.ones(3))(X)
FREE["Standardize, scale"] = X[0] + 1, lambda s: fn.Standardize(np.ones(3), s)(X)
FREE["running_mean"] = X[0], lambda v: assigned(fn.BatchNorm(3), "running_mean", v)
FREE["running_var"] = X[0], lambda v: assigned(fn.BatchNorm(3), "running_var", v)
FREE["initializer, weight"] = (
    Y,
    lambda v: fn.Network([fn.Linear(2, 6, weight_init=lambda rng, shape: v)]).params.copy(),
)
FREE["initializer, bias"] = (
    LABELS,
    lambda v: fn.Network([fn.Linear(2, 6, bias_init=lambda rng, shape: v)], seed=0).params.copy(),
)
for kind in ("HalfSquaredError", "MeanAbsoluteError", "Huber", "Poisson", "BinaryCrossEntropy"):
    loss = getattr(fn, kind)()
    FREE[f"{kind}, y"] = Y, lambda y, loss=loss: loss.value_and_grad(Y + 1.0, y, WEIGHT)
    FREE[f"{kind}, weights"] = WEIGHT, lambda w, loss=loss: loss.value_and_grad(Y, Y, w)
FREE["cross-entropy, labels"] = LABELS, lambda y: CROSS.value_and_grad(Y, y)
FREE["Pinball, y"] = LABELS, lambda y: fn.Pinball((0.1, 0.9)).value_and_grad(Y, y)
FREE["Dense"] = X, lambda x: fn.jacobians.Dense(x).to_dense()
FREE["Diagonal"] = X[0], lambda x: fn.jacobians.Diagonal(x).to_dense()
FREE["Kronecker"] = X, lambda x: fn.jacobians.Kronecker(x, x).to_dense()
FREE["numerical_jacobian"] = X[0], lambda x: fn.numerical_jacobian(np.sin, x)
ROUNDED = ("f2", "float32", "f4", "bfloat16")  # layers, losses and operators keep float32


def numbers(result):
    """All numbers of a result, as arrays."""
    if isinstance(result, tuple | list):
        return [array for part in result for array in numbers(part)]
    return [np.asarray(result)]


def assert_same(found, wanted, rtol, what):
    for one, other in zip(numbers(found), numbers(wanted), strict=True):
        assert one.shape == other.shape, what
        if rtol:
            np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol, err_msg=what)
        else:
            np.testing.assert_array_equal(one, other, err_msg=what)


def of_dtype(plain, tmp_path):
    whole_rows = plain.dtype.kind == "i"
    for name, form in forms(plain, tmp_path):
        dtype = getattr(form, "dtype", None)
        if whole_rows and (
            name in ("f2", "f4", "f8", "g", "bfloat16", "pandas", "polars")
            or not str(dtype).startswith(("int", "uint", "Int"))
        ):
            continue
        yield name, form


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("call", P)
def test_a_network_takes_every_form(call, dtype, tmp_path):
    plain, method = P[call]
    wanted = method(network(dtype), plain.copy())
    operator = call in ("matvec", "rmatvec", "matmat", "rmatmat", "operator @ vector")
    for name, form in of_dtype(plain, tmp_path):
        rtol = 1e-5 if operator and dtype == "float32" else 0  # float64 operands stay float64
        if operator and name == "g" and np.dtype("g").itemsize == 8:
            rtol = max(rtol, 1e-15)  # NumPy multiplies it without BLAS
        assert_same(method(network(dtype), form), wanted, rtol, f"{call}: {name}")


@pytest.mark.parametrize("call", FREE)
def test_functions_take_every_form(call, tmp_path):
    plain, method = FREE[call]
    wanted = method(plain.copy())
    for name, form in of_dtype(plain, tmp_path):
        rtol = 1e-5 if name.startswith(ROUNDED) else 0
        assert_same(method(form), wanted, rtol, f"{call}: {name}")


@pytest.mark.parametrize("form", ["F", "float64", "strided", "read-only", "swapped", "list"])
def test_a_gradient_of_ones_own_has_any_form(form):
    made = {
        "F": np.asfortranarray,
        "float64": lambda g: g.astype(np.float64),
        "strided": lambda g: np.repeat(g, 2, axis=1)[:, ::2],
        "read-only": read_only,
        "swapped": lambda g: g.astype(g.dtype.newbyteorder()),
        "list": lambda g: g.tolist(),
    }[form]
    wanted = fitted(network("float32"), X, Y, loss=Custom())
    assert_same(fitted(network("float32"), X, Y, loss=Custom(made)), wanted, 0, form)


@pytest.mark.parametrize("wrt", ["input", "params"])
def test_out_must_be_the_memory_that_the_engine_writes(wrt):
    net = network("float64")
    wanted = net.jacobian(X, wrt)
    out = np.empty_like(wanted)
    assert net.jacobian(X, wrt, out=out) is out
    np.testing.assert_array_equal(out, wanted)
    refused = {name: form for name, form in memory_layouts(out) if name != "a subclass"}
    refused |= {"float32": out.astype("f4"), "misaligned": misaligned(out), "shape": out[:-1]}
    for name, form in refused.items():
        with pytest.raises((ValueError, TypeError), match="^out "):
            net.jacobian(X, wrt, out=form)
        assert name


@pytest.mark.parametrize("value", [1j, "a", None, object()])
def test_what_is_no_real_number_is_named(value):
    wrong = np.full((N, N_IN), value)
    with pytest.raises(TypeError, match="X has dtype"):
        network("float64").predict(wrong)


def test_pinball_takes_quantiles_in_every_form():
    two = np.array([0.25, 0.5])
    for form in (two, two.astype("f2"), two.astype("g"), spread(two), two.astype(">f8")):
        assert fn.Pinball(form) == fn.Pinball((0.25, 0.5))
    for one in (np.array(0.5), np.float16(0.5), np.longdouble(0.5)):
        assert repr(fn.Pinball(one)) == repr(fn.Pinball(0.5))


def test_missing_values_of_nullable_columns_are_named():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, None, 2], "b": [1, 2, 3]}).astype({"a": "Int64"})
    net = fn.Network([fn.Linear(2, 1)])
    with pytest.raises(ValueError, match="X, column 'a', has missing values"):
        net.predict(frame)
    with pytest.raises(ValueError, match="y.* is nan|y has missing values"):
        net.fit(np.ones((3, 2)), frame["a"], loss=HALF)


def test_numbers_beyond_float64_are_refused():
    if np.finfo(np.longdouble).max == np.finfo(float).max:
        pytest.skip("long double is float64 here")
    huge = np.full(26, np.longdouble("1e4000"))
    net = network("float64")
    with pytest.raises(ValueError, match="params\\[0\\] is"):
        net.params = huge


def test_float128_features_of_a_file_are_refused_beyond_float64(tmp_path):
    if np.finfo(np.longdouble).max == np.finfo(float).max:
        pytest.skip("long double is float64 here")
    from fastnn import datasets

    path = tmp_path / "data.npz"
    np.savez(path, X=np.full((3, 2), np.longdouble("1e4000")), y=np.arange(3))
    with pytest.raises(ValueError, match=r"X\[0, 0\] is 1e\+4000, too large for float64"):
        datasets._read_npz(path, "y")
