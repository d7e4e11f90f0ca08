"""Many networks at once: the bits are those of each network's own calls."""

import copy
import signal
import threading

import numpy as np
import pytest
from cases import NETWORK_CASES, NetworkCase, batch_norm, kind, linear
from custom_layers import PythonTanh

import fastnn as fn
from fastnn import _core
from fastnn.layers.composition import leaves

MANY = 5
CASES = [
    *NETWORK_CASES,
    NetworkCase("no_params", [kind("standardize", mean=np.arange(3.0), scale=np.ones(3))]),
    NetworkCase("constants", [linear(4, 6), batch_norm(6), kind("relu"), linear(6, 2)]),
]


def group(case, make_network, dtype, rng, many=MANY):
    """Return networks that differ in all numbers: parameters, and means, scales and statistics."""
    networks = [make_network(case, dtype) for _ in range(many)]
    for net in networks:
        net.params = rng.standard_normal(net.n_params)
        for layer in leaves(net.layers):
            if layer.n_constants:
                half = layer.n_constants // 2
                layer._constants[:half] = rng.standard_normal(half)
                layer._constants[half:] = rng.uniform(0.5, 2, half)
    return networks


def inputs(rng, net, shape, dtype):
    return rng.standard_normal((*shape, net.in_features)).astype(dtype)


def same(found, expected):
    expected = np.stack(expected)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("rows", [None, 1, 2, 37])
def test_the_bits_are_those_of_each_network(isa, dtype, rng, make_network, case, rows):
    networks = group(case, make_network, dtype, rng)
    X = inputs(rng, networks[0], () if rows is None else (rows,), dtype)
    for n_threads in (None, 1, 2):
        same(
            fn.predict_many(networks, X, n_threads=n_threads), [net.predict(X) for net in networks]
        )
        for wrt in ("input", "params"):
            found = fn.jacobian_many(networks, X, wrt, n_threads=n_threads)
            same(found, [net.jacobian(X, wrt) for net in networks])


@pytest.mark.parametrize("rows", [1, 3])
def test_samples_for_each_network(isa, dtype, rng, make_network, rows):
    case = NETWORK_CASES[2]
    networks = group(case, make_network, dtype, rng)
    X = inputs(rng, networks[0], (MANY, rows), dtype)
    for given in (X, X.tolist(), np.asfortranarray(X)):
        same(
            fn.predict_many(networks, given),
            [net.predict(x) for net, x in zip(networks, X, strict=True)],
        )
        same(
            fn.jacobian_many(networks, given),
            [net.jacobian(x) for net, x in zip(networks, X, strict=True)],
        )


def test_rows_of_parameters(isa, dtype, rng, make_network):
    case = CASES[-1]
    networks = group(case, make_network, dtype, rng)
    one = networks[0]
    for net in networks:
        net._model.constants[...] = one._model.constants
    params = fn.stack_params(networks)
    assert params.shape == (MANY, one.n_params)
    assert params.dtype == dtype
    assert not np.shares_memory(params, one.params)
    before = one.params.copy()
    for shape in ((), (4,), (MANY, 2)):
        X = inputs(rng, one, shape, dtype)
        for given in (params, params.tolist(), np.asfortranarray(params), params[::-1][::-1]):
            for n_threads in (None, 2):
                settings = {"params": given, "n_threads": n_threads}
                same(fn.predict_many(one, X, **settings), fn.predict_many(networks, X))
                for wrt in ("input", "params"):
                    found = fn.jacobian_many(one, X, wrt, **settings)
                    same(found, fn.jacobian_many(networks, X, wrt))
    assert np.array_equal(one.params, before)


def test_forms_of_samples(dtype, rng, make_network):
    networks = group(NETWORK_CASES[0], make_network, dtype, rng)
    X = np.round(inputs(rng, networks[0], (6,), dtype) * 4)
    expected = fn.predict_many(networks, X)
    forms = [X.tolist(), X.astype("float16"), X.astype(int), X.astype(">f8"), X[::-1][::-1]]
    for form in [*forms, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]]:
        same(fn.predict_many(networks, form), expected)
    same(fn.predict_many(tuple(networks), X), expected)
    assert fn.predict_many(networks, X[:0]).shape == (MANY, 0, 1)
    assert fn.jacobian_many(networks, X[:0]).shape == (MANY, 0, 1, 2)
    X.flags.writeable = False
    same(fn.predict_many(networks, X), expected)


def test_data_frames(dtype, rng, make_network):
    pandas = pytest.importorskip("pandas")
    networks = group(NETWORK_CASES[0], make_network, dtype, rng)
    X = inputs(rng, networks[0], (6,), dtype)
    frame = pandas.DataFrame(X, columns=["a", "b"])
    same(fn.predict_many(networks, frame), fn.predict_many(networks, X))
    networks[3].feature_names = ["b", "a"]
    with pytest.raises(ValueError, match="feature"):
        fn.predict_many(networks, frame)


def test_many_rows_and_many_networks(dtype, rng, monkeypatch):
    """Long work is split among calls of the engine and among threads."""
    layers = lambda: [fn.Linear(40, 60), fn.Tanh(), fn.Linear(60, 3)]  # noqa: E731
    networks = [fn.Network(layers(), dtype, seed=i) for i in range(40)]
    X = inputs(rng, networks[0], (9_000,), dtype)
    for some in (networks[:1], networks[:3], networks):
        for n_threads in (1, 2):
            found = fn.predict_many(some, X, n_threads=n_threads)
            same(found, [net.predict(X) for net in some])
    found = fn.jacobian_many(networks[:3], X, n_threads=2)
    same(found, [net.jacobian(X) for net in networks[:3]])
    params = fn.stack_params(networks[:3])
    same(fn.predict_many(networks[0], X, params=params), [n.predict(X) for n in networks[:3]])
    own = np.stack([X, X + 1, X + 2])
    same(
        fn.predict_many(networks[:3], own),
        [net.predict(x) for net, x in zip(networks, own, strict=False)],
    )
    same(
        fn.jacobian_many(networks[0], own, params=params),
        [net.jacobian(x) for net, x in zip(networks, own, strict=False)],
    )


def test_dropout_and_subclasses(dtype, rng):
    class Own(fn.Network):
        pass

    def make(cls, p):
        return cls([fn.Linear(3, 4), fn.Dropout(p), fn.Linear(4, 2)], dtype, seed=0)

    networks = [make(fn.Network, 0.5), make(Own, 0.5)]
    X = rng.standard_normal((5, 3)).astype(dtype)
    same(fn.predict_many(networks, X), [net.predict(X) for net in networks])
    with pytest.raises(
        ValueError, match=r"networks\[1\] differs from networks\[0\] in layers\[1\]"
    ):
        fn.predict_many([make(fn.Network, 0.5), make(fn.Network, 0.4)], X)


def test_ensembles(dtype, rng, make_network):
    case = NetworkCase("classes", [linear(4, 6), kind("relu"), linear(6, 3), kind("softmax")])
    networks = group(case, make_network, dtype, rng)
    X = inputs(rng, networks[0], (8,), dtype)
    mean, deviation = fn.predict_ensemble(networks, X)
    outputs = np.stack([net.predict(X) for net in networks]).astype(float)
    np.testing.assert_allclose(mean, outputs.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(deviation, outputs.std(axis=0), rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(mean.sum(axis=1), 1, rtol=1e-6)
    assert mean.dtype == deviation.dtype == dtype
    assert fn.predict_ensemble(networks, X[0])[0].shape == (3,)
    again = fn.predict_ensemble(networks[0], X, params=fn.stack_params(networks))
    np.testing.assert_array_equal(again[0], mean)


def test_a_fitted_network_and_a_copy(dtype, rng):
    net = fn.Network([fn.Linear(3, 4), fn.BatchNorm(4), fn.Linear(4, 2)], dtype, seed=0)
    X = rng.standard_normal((40, 3))
    fn.predict_many([net, copy.deepcopy(net)], X[0])
    before = copy.deepcopy(net)
    net.fit(X, rng.integers(2, size=40), epochs=2, seed=0)
    x = X.astype(dtype)
    same(fn.predict_many([net, before], x), [net.predict(x), before.predict(x)])


NET = fn.Network([fn.Linear(3, 4), fn.ReLU(), fn.Linear(4, 2)], seed=0)


def net_of(*layers, dtype="float32"):
    return fn.Network(list(layers), dtype, seed=0)


X = np.ones((2, 3), np.float32)
WRONG = {
    "empty": (lambda: fn.predict_many([], X), ValueError, "networks is empty"),
    "one": (lambda: fn.predict_many(NET, X), TypeError, "networks is a Network"),
    "no network": (lambda: fn.predict_many([NET, 3], X), TypeError, r"networks\[1\] is a int"),
    "first": (lambda: fn.predict_many([None], X), TypeError, r"networks\[0\] is a NoneType"),
    "number": (lambda: fn.predict_many(3, X), TypeError, "networks is a int"),
    "layers": (
        lambda: fn.predict_many([NET, net_of(fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 2))], X),
        ValueError,
        r"networks\[1\] differs from networks\[0\] in layers\[1\]: Tanh\(\).*ReLU\(\)",
    ),
    "widths": (
        lambda: fn.predict_many([NET, net_of(fn.Linear(3, 5), fn.ReLU(), fn.Linear(5, 2))], X),
        ValueError,
        r"layers\[0\]: Linear\(3, 5\)",
    ),
    "more layers": (
        lambda: fn.stack_params([net_of(fn.Linear(3, 4), fn.ReLU()), NET]),
        ValueError,
        r"networks\[1\] has 3 layers and networks\[0\] has 2",
    ),
    "dtype": (
        lambda: fn.jacobian_many([NET, copy_of(NET, "float64")], X),
        ValueError,
        r"networks\[1\] is of float64 and networks\[0\] of float32",
    ),
    "params of many": (
        lambda: fn.predict_many([NET], X, params=[NET.params]),
        TypeError,
        "params is given, and networks is a list",
    ),
    "params": (
        lambda: fn.predict_many(NET, X, params=NET.params),
        ValueError,
        r"params has shape \(26,\); \(M, 26\) is wanted",
    ),
    "no params": (
        lambda: fn.predict_many(NET, X, params=np.empty((0, 26))),
        ValueError,
        "params has shape",
    ),
    "nan params": (
        lambda: fn.predict_many(NET, X, params=np.full((2, 26), np.nan, np.float32)),
        ValueError,
        r"params\[0, 0\] is nan",
    ),
    "nan": (
        lambda: fn.predict_many([NET] * 2, np.full((2, 3), np.nan, np.float32)),
        ValueError,
        r"X\[0, 0\] is nan",
    ),
    "nan in one": (
        lambda: fn.jacobian_many([NET] * 2, np.array([[1, np.inf, 0]], np.float32)),
        ValueError,
        r"X\[0, 1\] is inf",
    ),
    "nan in own": (
        lambda: fn.predict_many([NET] * 2, np.full((2, 1, 3), np.nan, np.float32)),
        ValueError,
        r"X\[0, 0, 0\] is nan",
    ),
    "width": (
        lambda: fn.predict_many([NET] * 2, np.ones((2, 4), np.float32)),
        ValueError,
        r"X has shape \(2, 4\)",
    ),
    "three axes": (
        lambda: fn.predict_many([NET] * 2, np.ones((3, 1, 3), np.float32)),
        ValueError,
        r"X has shape \(3, 1, 3\); \(2, n, 3\) is wanted",
    ),
    "four axes": (
        lambda: fn.predict_many([NET] * 2, np.ones((2, 1, 1, 3), np.float32)),
        ValueError,
        "X has shape",
    ),
    "text": (lambda: fn.predict_many([NET], "x"), TypeError, "X has dtype"),
    "wrt": (lambda: fn.jacobian_many([NET], X, "weights"), ValueError, "wrt is 'weights'"),
    "threads": (lambda: fn.predict_many([NET], X, n_threads=0), ValueError, "n_threads is 0"),
    "memory": (
        lambda: fn.predict_many([NET] * 2, np.broadcast_to(np.float32(1), (10**14, 3))),
        MemoryError,
        "X as float32|the result",
    ),
}


def copy_of(net, dtype):
    return fn.Network([copy.deepcopy(layer) for layer in net.layers], dtype)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input(name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call()


def test_custom_layers_are_refused():
    net = fn.Network([fn.Linear(3, 2), PythonTanh(), fn.Linear(2, 1)], seed=0)
    for call in (fn.predict_many, fn.jacobian_many):
        with pytest.raises(TypeError, match="written in Python"):
            call([net, net], np.ones((4, 3)))


def test_ctrl_c_stops_long_work():
    networks = [fn.Network([fn.Linear(500, 500), fn.Linear(500, 500)], seed=i) for i in range(4)]
    X = np.ones((100_000, 500), np.float32)
    timer = threading.Timer(0.3, signal.raise_signal, (signal.SIGINT,))
    timer.start()

    def repeat():
        for _ in range(100):
            fn.predict_many(networks, X, n_threads=1)

    try:
        with pytest.raises(KeyboardInterrupt):
            repeat()
    finally:
        timer.cancel()


def test_threads_may_call_at_once(rng):
    networks = [fn.Network([fn.Linear(8, 8), fn.Linear(8, 2)], seed=i) for i in range(6)]
    X = rng.standard_normal((50, 8)).astype(np.float32)
    expected = [net.predict(X) for net in networks]
    found = []

    def work():
        found.extend(fn.predict_many(networks, X) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for outputs in found:
        same(outputs, expected)


def test_the_builds_that_can_run_agree_on_the_interface():
    for isa in _core.available_isas():
        assert callable(_core.load_engine(isa).many_networks_ready)
