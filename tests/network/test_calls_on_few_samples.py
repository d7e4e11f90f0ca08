"""Compiled calls on few samples do the same as the longer way through the checks in Python."""

import copy
import pickle
import threading

import numpy as np
import pytest
from array_forms import containers, forms, memory_layouts, other_dtypes, spread

import fastnn as fn
from fastnn import _core
from fastnn._core._calls import form_of

N_IN, N_OUT = 5, 3
LOSSES = {
    "half": fn.HalfSquaredError(),
    "mean": fn.MeanSquaredError("sum"),
    "absolute": fn.MeanAbsoluteError(),
    "huber": fn.Huber(0.3),
    "log_cosh": fn.LogCosh(),
    "pinball": fn.Pinball(0.3),
    "quantiles": fn.Pinball([0.1, 0.5, 0.9]),
    "poisson": fn.Poisson(),
    "binary": fn.BinaryCrossEntropy(label_smoothing=0.1),
    "cross": fn.SoftmaxCrossEntropy(label_smoothing=0.1),
    "likelihood": fn.NegativeLogLikelihood(),
}


class NothingRead:
    """In place of `Calls`: every call takes the longer way."""

    def __init__(self, calls):
        self.backward = calls.backward

    def __getattr__(self, name):
        return lambda *_, **__: None


class OwnLoss:
    def value_and_grad(self, y_pred, y):
        error = y_pred - np.asarray(y, y_pred.dtype)
        return float((error**2).sum()), 2 * error


def network(dtype, *ending):
    layers = [
        fn.Standardize(np.arange(N_IN), np.arange(N_IN) + 1.0),
        fn.Linear(N_IN, 7),
        fn.Tanh(),
        fn.LayerNorm(7),
        fn.Linear(7, N_OUT),
        *(layer() for layer in ending),
    ]
    return fn.Network(layers, dtype, seed=4)


def both(dtype, *ending):
    """Return the same network twice; the second one takes the longer way."""
    net, slow = network(dtype, *ending), network(dtype, *ending)
    slow._calls = NothingRead(slow._calls)
    vars(slow._model)["calls"] = slow._calls
    return net, slow


def outcome(call):
    """Return the bits of a result, or the error."""
    try:
        found = call()
    except Exception as error:
        return type(error), str(error)
    parts = found if isinstance(found, tuple) else (found,)
    return [(np.asarray(p).dtype, np.asarray(p).shape, np.asarray(p).tobytes()) for p in parts]


def back(net, X, dY):
    outputs = net.forward(X)
    return outputs, net.backward(dY), net.grads


# By name: what is computed from X and a value in the shape of the outputs.
METHODS = {
    "predict": lambda net, X, c: net.predict(X),
    "predict with a thread": lambda net, X, c: net.predict(X, n_threads=1),
    "forward and backward": back,
    "jacobian": lambda net, X, c: net.jacobian(X),
    "jacobian by params": lambda net, X, c: net.jacobian(X, "params"),
    "value_and_jacobian": lambda net, X, c: net.value_and_jacobian(X),
    "jvp": lambda net, X, c: net.jvp(X, X),
    "jvp by params": lambda net, X, c: net.jvp(X, net.params, "params"),
    "vjp": lambda net, X, c: net.vjp(X, c),
    "vjp by params": lambda net, X, c: net.vjp(X, c, "params"),
    "loss_and_grad": lambda net, X, c: net.loss_and_grad(X, c, LOSSES["half"]),
    "sample_grads": lambda net, X, c: net.sample_grads(X, c, LOSSES["huber"]),
    "hvp": lambda net, X, c: net.hvp(X, c, LOSSES["log_cosh"], net.params),
    "gram": lambda net, X, c: net.gram(X, c),
    "own loss": lambda net, X, c: net.loss_and_grad(X, c, OwnLoss()),
}
per_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def real_forms(array, tmp_path):
    """Yield arrays that are rounded, and exact ones, in every form."""
    for dtype in (np.float32, np.float64):
        yield from memory_layouts(array.astype(dtype))
        yield f"{np.dtype(dtype)}, read backwards", array.astype(dtype)[::-1]
    whole = np.round(array)
    yield from other_dtypes(whole)
    for name, form in other_dtypes(abs(whole)):
        yield f"{name}, spread", spread(form)
    for name, form in other_dtypes((whole > 0).astype(float)):
        yield f"{name} of 0 and 1", form
    yield from containers(array, tmp_path)
    yield (
        "list of float32",
        list(map(list, array.astype("f"))) if array.ndim == 2 else list(array.astype("f")),
    )
    yield "list of integers", whole.astype(int).tolist()
    yield "list of booleans", (whole > 0).tolist()
    yield "list of tuples", list(map(tuple, array.tolist())) if array.ndim == 2 else []
    yield "list of rows of float32", list(array.astype("f"))
    yield "list of rows of float16", list(whole.astype("f2"))
    yield "list of rows of integers", list(whole.astype("i8"))
    yield "large integers", (array * 1e15).astype("i8")
    yield "list of large integers", (array * 1e15).astype("i8").tolist()
    yield "booleans that are no 0 or 1", np.full(array.shape, 2, np.uint8).view(bool)


@per_method
@pytest.mark.parametrize("n", [None, 1, 4])
def test_forms_of_arrays(method, n, dtype, rng, tmp_path):
    net, slow = both(dtype)
    X = 100 * rng.standard_normal((n or 1, N_IN))
    c = rng.standard_normal((n or 1, N_OUT))
    X, c = (X[0], c[0]) if n is None else (X, c)
    for name, form in real_forms(X, tmp_path):
        assert outcome(lambda x=form: method(net, x, c)) == outcome(
            lambda x=form: method(slow, x, c)
        ), name
    for name, form in real_forms(c, tmp_path):
        assert outcome(lambda c=form: method(net, X, c)) == outcome(
            lambda c=form: method(slow, X, c)
        ), name


def test_ordinary_forms_are_read_in_compiled_code(dtype, rng, tmp_path):
    """Otherwise the tests here would compare the longer way with itself."""
    net = network(dtype)
    skipped = {"a subclass", "__array__", "memoryview", "bfloat16"}
    for X in (np.round(rng.random((4, N_IN)) * 3), np.ones(N_IN)):
        for name, form in forms(X, tmp_path):
            read = net._calls.predict(form) is not None
            assert read != (name in skipped or name.startswith(("pandas", "polars"))), name


WRONG = {
    "a NaN in the first place": lambda X: changed(X, 0, np.nan),
    "a NaN in the last place": lambda X: changed(X, -1, np.nan),
    "infinity": lambda X: changed(X, 2, -np.inf),
    "too large for float32": lambda X: changed(X, 1, 1e39),
    "the largest float": lambda X: changed(X, 1, np.finfo(float).max),
    "too large a long double": lambda X: X * np.longdouble("1e4000"),
    "a half NaN": lambda X: changed(X, 1, np.nan).astype("f2"),
    "a list with a NaN": lambda X: changed(X, -1, np.nan).tolist(),
    "a list with a large number": lambda X: changed(X, -1, 1e39).tolist(),
    "a list with a large integer": lambda X: replaced(X, 10**40),
    "a list with a huge integer": lambda X: replaced(X, 10**400),
    "a list with 2**24 + 1": lambda X: replaced(X, 2**24 + 1),
    "a list with 2**53 + 1": lambda X: replaced(X, -(2**53) - 1),
    "a list with a string": lambda X: replaced(X, "1"),
    "a list with None": lambda X: replaced(X, None),
    "a list with a boolean": lambda X: replaced(X, True),
    "a list with a complex number": lambda X: replaced(X, 1j),
    "a list with a list": lambda X: replaced(X, [1.0]),
    "a ragged list": lambda X: [*X.tolist(), [1.0]],
    "a list with a longer row": lambda X: [*X.tolist()[:-1], [0.0] * (X.shape[-1] + 1)],
    "an empty list": lambda X: [],
    "a list of an empty list": lambda X: [[]],
    "a list of a matrix": lambda X: [X],
    "no samples": lambda X: X[:0],
    "too wide": lambda X: np.hstack([X, X]),
    "too narrow": lambda X: X[..., :-1],
    "three dimensions": lambda X: X[None, None],
    "no dimension": lambda X: np.array(1.0),
    "a number": lambda X: 1.0,
    "a string": lambda X: "1",
    "None": lambda X: None,
    "a dict": lambda X: {0: X},
    "complex": lambda X: X + 1j,
    "objects": lambda X: X.astype(object),
    "dates": lambda X: np.zeros(X.shape, "M8[s]"),
    "durations": lambda X: np.zeros(X.shape, "m8[s]"),
    "text": lambda X: X.astype(str),
    "records": lambda X: np.zeros(X.shape, [("a", "f8")]),
    "masked": lambda X: np.ma.masked_array(X, X > 0),
    "a matrix class": lambda X: np.asmatrix(X),
}


def changed(X, place, value):
    X = X.copy()
    X.flat[place] = value
    return X


def replaced(X, value):
    rows = X.tolist()
    row = rows[-1] if X.ndim == 2 else rows
    row[1] = value
    return rows


@pytest.mark.filterwarnings("ignore:overflow", "ignore:the matrix subclass")
@per_method
@pytest.mark.parametrize("form", WRONG.values(), ids=WRONG)
def test_wrong_arrays(method, form, dtype, rng):
    net, slow = both(dtype)
    X, c = rng.standard_normal((4, N_IN)), rng.standard_normal((4, N_OUT))
    for x, y in ((form(X), c), (X, form(c)), (form(X[0]), c[0]), (X[0], form(c[0]))):
        found, expected = (
            outcome(lambda net=net, x=x, y=y: method(net, x, y)) for net in (net, slow)
        )
        assert found == expected
    assert outcome(lambda: method(net, X, c)) == outcome(lambda: method(slow, X, c))


OTHER = {
    "wrt": lambda net, X, value: (net.jvp(X, X, value), net.jacobian(X, value)),
    "n_threads": lambda net, X, value: net.vjp(X, np.ones((2, N_OUT)), n_threads=value),
    "n_threads of predict": lambda net, X, value: net.predict(X, n_threads=value),
    "tangent": lambda net, X, value: net.jvp(X, value, "params"),
    "v": lambda net, X, value: net.hvp(X, [0, 1], LOSSES["cross"], value),
    "loss": lambda net, X, value: net.loss_and_grad(X, [0, 1], value),
    "loss of sample_grads": lambda net, X, value: net.sample_grads(X, [0, 1], value),
    "training": lambda net, X, value: net.forward(X, training=value),
    "out": lambda net, X, value: net.jacobian(X, out=value),
}


@pytest.mark.parametrize("call", OTHER.values(), ids=OTHER)
def test_other_arguments(call, dtype, rng):
    net, slow = both(dtype)
    X = rng.standard_normal((2, N_IN))
    values = ["input", "params", "weights", b"input", 0, -1, True, 2**70, 1.0, np.int64(1), None]
    values += [1, 2, [1.0] * net.n_params, np.ones(net.n_params), net.params[:-1], LOSSES["half"]]
    values += [np.ones((2, N_OUT, N_IN)), np.ones((2, N_OUT, N_IN), dtype), X.astype(dtype)]
    values += [fn.HalfSquaredError, np.ones((2, N_OUT, N_IN), dtype)[::-1]]
    for value in values:
        found, expected = (
            outcome(lambda net=net, v=value: call(net, X, copy.copy(v))) for net in (net, slow)
        )
        assert found == expected, value


def test_out_may_not_share_memory(dtype, rng):
    net = network(dtype)
    memory = np.zeros(40 + N_OUT * N_IN, dtype)
    out = memory[20 : 20 + N_OUT * N_IN].reshape(N_OUT, N_IN)
    for start, step in ((19, 1), (16, 1), (34, -1), (34, 1), (0, 5), (20, -5)):
        x = memory[start:][: step * N_IN : step] if step > 0 else memory[start::step][:N_IN]
        with pytest.raises(ValueError, match="out shares memory with X"):
            net.jacobian(x, out=out)
    for x in (memory[15:20], memory[35:40], memory[19:14:-1], memory[35:][::-1][-N_IN:]):
        assert net.jacobian(x, out=out) is out
        assert np.array_equal(out, net.jacobian(x))
    with pytest.raises(ValueError, match="out shares memory with the parameters"):
        net.jacobian(np.ones(N_IN), out=net.params[: N_OUT * N_IN].reshape(N_OUT, N_IN))


def target_forms(loss, n, rng, tmp_path):
    if loss.takes_labels:
        labels = rng.integers(0, N_OUT, n)
        yield from forms(labels, tmp_path)
        wrong = [
            -1,
            N_OUT,
            0.5,
            np.nan,
            np.inf,
            1e30,
            2**53,
            np.longdouble(1) + np.longdouble(2e-19),
        ]
        for value in wrong:
            for place in (0, -1):
                given = labels.astype(np.longdouble if value != 0.5 else float)
                given[place] = value
                yield f"{value!r} at {place}", given
        yield "another number of labels", labels[:-1]
        yield "a column", labels[:, None]
    else:
        targets = rng.random((n, N_OUT))
        yield from real_forms(targets, tmp_path)
        for value in (-0.1, 1.1, np.nan):
            yield f"{value}", changed(targets, -1, value)
        yield "targets (n,)", targets[:, 0]


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_targets_of_losses(loss, dtype, rng, tmp_path):
    ending = [fn.Softmax] if loss.takes_probabilities else []
    net, slow = both(dtype, *ending)
    X = rng.standard_normal((4, N_IN))
    weights = [None, [1.0, 0, 2, 3], np.zeros(4), [1, 2, 3], [-1, 1, 1, 1], [np.nan, 1, 1, 1], "w"]
    for name, y in target_forms(loss, 4, rng, tmp_path):
        for sample_weight in weights if name in ("f4", "list", "0.5 at 0") else [None]:
            for call in (
                lambda net, y=y, w=sample_weight: net.loss_and_grad(X, y, loss, w),
                lambda net, y=y: net.sample_grads(X, y, loss),
                lambda net, y=y, w=sample_weight: net.hvp(X, y, loss, net.params, sample_weight=w),
            ):
                found, expected = (outcome(lambda n=n, call=call: call(n)) for n in (net, slow))
                assert found == expected, name


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_losses_of_outputs(loss, dtype, rng, tmp_path, monkeypatch):
    """Also of outputs that are no probabilities, for the loss that takes them."""
    outputs = np.abs(rng.standard_normal((4, N_OUT)))
    probabilities = outputs / outputs.sum(1, keepdims=True)
    cases = []
    for given in (outputs, probabilities, probabilities + 5e-4, outputs - 2, np.log(probabilities)):
        for _, form in real_forms(given.astype(dtype), tmp_path):
            cases.append((form, np.array([0, 2, 1, 0]) if loss.takes_labels else outputs))
    for name, y in target_forms(loss, 4, rng, tmp_path):
        if "pandas" not in name:
            cases.append((probabilities.astype(dtype), y))
    weights = [None, np.array([1, 0, 2, 3.0])]
    found = [outcome(lambda c=c, w=w: loss.value_and_grad(*c, w)) for c in cases for w in weights]
    monkeypatch.setattr("fastnn.losses.base.loss_and_grad", lambda *_: None)
    expected = [
        outcome(lambda c=c, w=w: loss.value_and_grad(*c, w)) for c in cases for w in weights
    ]
    assert found == expected


def test_a_loss_of_ones_own_keeps_its_methods(rng):
    class Scaled(fn.MeanSquaredError):
        def check_target(self, y, shape, dtype, name="y"):
            return super().check_target(np.multiply(y, 10), shape, dtype, name)

    outputs, y = rng.standard_normal((2, 4, N_OUT))
    expected = fn.MeanSquaredError().value_and_grad(outputs, 10 * y)[0]
    assert Scaled().value_and_grad(outputs, y)[0] == expected
    net = network("float64")
    value = net.loss_and_grad(np.zeros((4, N_IN)), y, Scaled())[0]
    assert (
        value == fn.MeanSquaredError().value_and_grad(net.predict(np.zeros((4, N_IN))), 10 * y)[0]
    )


def test_probabilities_that_are_not_finite_are_reported(dtype):
    net, slow = both(dtype, fn.Softmax)
    net.params[-1] = slow.params[-1] = np.nan
    X, loss = np.ones((2, N_IN)), LOSSES["likelihood"]
    for call in (
        lambda net: net.loss_and_grad(X, [0, 1], loss),
        lambda net: net.sample_grads(X, [0, 1], loss),
        lambda net: net.hvp(X, [0, 1], loss, np.ones(net.n_params)),
    ):
        assert outcome(lambda c=call: c(net)) == outcome(lambda c=call: c(slow))
        assert outcome(lambda c=call: c(net))[0] is ValueError


LAYERS = {
    "linear": lambda: fn.Linear(N_IN, 4),
    "tanh": fn.Tanh,
    "softmax": fn.Softmax,
    "standardize": lambda: fn.Standardize(np.arange(N_IN), np.arange(N_IN) + 0.3),
    "layer_norm": lambda: fn.LayerNorm(N_IN),
    "batch_norm": lambda: fn.BatchNorm(N_IN),
    "scale": lambda: fn.Scale(N_IN),
    "parametric": lambda: fn.Parametric(N_IN, fn.SELU),
}
LAYER_METHODS = {
    "call": lambda layer, x, c: layer(x),
    "vjp": lambda layer, x, c: layer.vjp(x, c),
    "dense_jacobian": lambda layer, x, c: layer.dense_jacobian(x),
    "jacobian": lambda layer, x, c: layer.jacobian(x).to_dense(),
    "jacobian by params": lambda layer, x, c: layer.jacobian(x, "params").to_dense(),
}


@pytest.mark.filterwarnings("ignore:overflow", "ignore:the matrix subclass")
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("in_network", [False, True])
def test_layers(make, in_network, dtype, rng, tmp_path):
    layer = make()
    if in_network:
        fn.Network([fn.Linear(2, N_IN), layer], dtype)
    X = rng.standard_normal((3, N_IN))
    cases = []
    for x in (X, X[0]):
        c = np.asarray(layer(x)) * 2
        kept = [form for name, form in real_forms(x, tmp_path) if name[:2] != "pa"]  # not pandas
        cases += [(method, form, c) for method in LAYER_METHODS for form in kept]
        cases += [("vjp", x, form) for name, form in real_forms(c, tmp_path) if name[:2] != "pa"]
        cases += [(method, form(x), c) for method in LAYER_METHODS for form in WRONG.values()]

    def outcomes():
        with np.errstate(all="ignore"):
            return [
                outcome(lambda m=m, x=x, c=c: LAYER_METHODS[m](layer, x, c)) for m, x, c in cases
            ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastnn.layers.base.form_of", lambda _: (0, False))
        expected = outcomes()
    assert outcomes() == expected


def test_layers_follow_their_arrays(dtype, rng):
    """A layer keeps its compiled calls; they see new values, and new arrays in a network."""
    x = rng.standard_normal(N_IN)
    layer = fn.Linear(N_IN, 4)
    before = layer(x)
    layer.weight = 2 * layer.weight
    layer.bias = 2 * layer.bias
    assert np.allclose(layer(x), 2 * before, rtol=1e-12)
    assert np.allclose(layer(x.astype("f")), 2 * before, rtol=1e-5, atol=1e-5)
    layer.weight[...] /= 2
    layer.bias[...] /= 2
    assert np.allclose(layer(x.astype("f")), before, rtol=1e-5, atol=1e-5)
    copied, pickled = copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))
    net = fn.Network([layer], dtype)
    assert layer(x).dtype == dtype
    assert np.array_equal(layer(x), net.predict(x))
    net.params[...] = 0
    assert not layer(x).any()
    for other in (copied, pickled):
        assert np.array_equal(other(x), before)
    assert np.array_equal(form_of(x), (N_IN, False))


def test_copies_of_a_network_have_calls_of_their_own(dtype, rng):
    net, x = network(dtype), rng.standard_normal(N_IN)
    expected = net.predict(x)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert np.array_equal(other.predict(x), expected)
        other.params[...] = 0
        assert not np.array_equal(other.predict(x), expected)
    assert np.array_equal(net.predict(x), expected)


@pytest.mark.parametrize("training", [False, True])
def test_forward_copies_its_input(training, dtype, rng):
    net = fn.Network([fn.Linear(N_IN, 4), fn.Dropout(0.5), fn.Linear(4, N_OUT)], dtype, seed=1)
    X = rng.standard_normal((4, N_IN)).astype(dtype)
    net.forward(X, training=training)
    X[...] = np.nan
    assert np.isfinite(net.backward(np.ones((4, N_OUT)))).all()


def test_many_samples_take_the_longer_way(dtype):
    net = network(dtype)
    X = np.zeros((100_000, N_IN), dtype)
    assert net._calls.predict(X) is None
    assert net._calls.forward(X, None, net._passes) is None
    assert net._calls.jacobian(X, "input", None, None, False) is None
    assert np.allclose(net.predict(X)[-1], net.predict(X[0]), rtol=1e-5)


def test_long_work_uses_the_threads(dtype, monkeypatch, rng):
    asked = []
    monkeypatch.setattr(_core, "thread_count", lambda n: asked.append(n) or 2)
    net = fn.Network([fn.Linear(300, 300), fn.Linear(300, 300)], dtype, seed=0)
    X = rng.standard_normal((60, 300))
    net.jvp(X[:2], X[:2])
    assert not asked
    found = net.jvp(X, X), net.jvp(X, X, n_threads=3)
    assert asked == [None, 3]
    monkeypatch.undo()
    for product in found:
        assert np.array_equal(product, net.jvp(X, X, n_threads=1))


def test_another_thread_may_write_into_the_arguments(dtype, rng):
    """Results may then be anything, but the process lives."""
    net = network(dtype)
    X = rng.standard_normal((4, N_IN))
    rows, labels, y = X.tolist(), [0, 1, 2, 0], np.zeros(4)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            X[0] = np.nan
            y[0] = 1e300
            rows[0].append(1.0)
            labels.append(7)
            rows.append([])
            X[0] = 1
            y[0] = 0
            del rows[0][N_IN:], labels[4:], rows[4:]

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            for x, t in ((X, y), (rows, labels), (X, labels), (rows, y)):
                outcome(lambda x=x: net.predict(x))
                outcome(lambda x=x: net.jacobian(x))
                outcome(lambda x=x, t=t: net.loss_and_grad(x, t, LOSSES["cross"]))
                outcome(lambda x=x: net.forward(x))
    finally:
        stop.set()
        writer.join()
