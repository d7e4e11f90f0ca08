"""Column names of data frames: `fit` keeps them, and later frames must have the same names."""

import copy

import numpy as np
import pytest

import fastnn as fn

RNG = np.random.default_rng(2)
X = RNG.normal(size=(12, 3))
Y = RNG.normal(size=(12, 1))
NAMES = ["age", "height", "weight"]
HALF = fn.HalfSquaredError()
MSE = fn.MeanSquaredError()


def frames():
    found = []
    try:
        import pandas as pd

        found.append(pytest.param(lambda x, names: pd.DataFrame(x, columns=names), id="pandas"))
    except ImportError:
        pass
    try:
        import polars as pl

        found.append(pytest.param(lambda x, names: pl.DataFrame(x, schema=names), id="polars"))
    except ImportError:
        pass
    return found or [pytest.param(None, marks=pytest.mark.skip("neither pandas nor polars"))]


every_frame = pytest.mark.parametrize("frame", frames())


def network(*layers):
    return fn.Network([*layers, fn.Linear(3, 1)], "float64", seed=0)


def fitted(frame):
    net = network()
    net.fit(frame(X, NAMES), Y, loss=MSE, epochs=1)
    return net


CALLS = {
    "fit": lambda net, x: net.fit(x, Y, loss=MSE, epochs=1),
    "partial_fit": lambda net, x: net.partial_fit(x, Y, loss=MSE),
    "fit_many": lambda net, x: fn.fit_many([net], x, Y, loss=MSE, epochs=1),
    "fit_many of rows": lambda net, x: fn.fit_many([net], x, Y, rows=[[0, 1]], loss=MSE, epochs=1),
    "validation_data": lambda net, x: net.fit(X, Y, loss=MSE, epochs=1, validation_data=(x, Y)),
    "batches": lambda net, x: net.fit([(x, Y)], loss=MSE, epochs=1),
    "predict": lambda net, x: net.predict(x),
    "predict on a thread": lambda net, x: net.predict(x, n_threads=1),
    "call": lambda net, x: net(x),
    "forward": lambda net, x: net.forward(x, training=True),
    "loss_and_grad": lambda net, x: net.loss_and_grad(x, Y, HALF),
    "jacobian": lambda net, x: net.jacobian(x),
    "value_and_jacobian": lambda net, x: net.value_and_jacobian(x, "params"),
    "jvp": lambda net, x: net.jvp(x, X),
    "vjp": lambda net, x: net.vjp(x, Y),
    "sample_grads": lambda net, x: net.sample_grads(x, Y, HALF),
    "gram": lambda net, x: net.gram(x),
    "gram with y": lambda net, x: net.gram(x, Y),
    "hvp": lambda net, x: net.hvp(x, Y, HALF, np.ones(4)),
    "hessian": lambda net, x: net.hessian(x, Y, HALF),
    "check_gradient": lambda net, x: fn.check_gradient(net, x, Y, HALF),
}


@every_frame
@pytest.mark.parametrize("call", CALLS)
def test_swapped_columns_are_refused_everywhere(frame, call):
    net = fitted(frame)
    assert net.feature_names == NAMES
    swapped = ["height", "age", "weight"]
    with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
        CALLS[call](net, frame(X[:, [1, 0, 2]], swapped))
    with pytest.raises(ValueError, match="unseen at fit time:\n- size\n.*missing:\n- weight"):
        CALLS[call](net, frame(X, ["age", "height", "size"]))
    CALLS[call](net, frame(X, NAMES))
    CALLS[call](net, X)  # an array has no names


@every_frame
def test_a_frame_of_the_same_columns_gives_what_the_array_does(frame):
    net, plain = fitted(frame), network()
    plain.fit(X, Y, loss=MSE, epochs=1, seed=0)
    net.params = plain.params
    np.testing.assert_array_equal(net.predict(frame(X, NAMES)), plain.predict(X))
    assert plain.feature_names is None


@every_frame
def test_the_wording_is_scikit_learns(frame):
    linear = pytest.importorskip("sklearn.linear_model").LinearRegression().fit(frame(X, NAMES), Y)
    net = fitted(frame)
    for names in (NAMES[::-1], ["a", "b", "c"], ["age", "x", "y"]):
        with pytest.raises(ValueError, match="feature names") as theirs:
            linear.predict(frame(X, names))
        with pytest.raises(ValueError, match="feature names") as ours:
            net.predict(frame(X, names))
        assert str(ours.value) == str(theirs.value)


@every_frame
def test_names_are_kept_by_each_way_to_train(frame):
    for call in ("fit", "partial_fit", "fit_many", "fit_many of rows", "batches"):
        net = network()
        CALLS[call](net, frame(X, NAMES))
        assert net.feature_names == NAMES, call
    net = network()
    net.predict(frame(X, NAMES))
    assert net.feature_names is None


@every_frame
def test_names_that_are_set_or_forgotten_count(frame, tmp_path):
    net = network()
    net.feature_names = ["a", "b", "c"]
    for call in CALLS.values():
        with pytest.raises(ValueError, match="feature names should match"):
            call(net, frame(X, NAMES))
    assert net.feature_names == ["a", "b", "c"]
    net.feature_names = None
    net.fit(frame(X, NAMES), Y, loss=MSE, epochs=1)
    net.save(tmp_path / "model.safetensors")
    for other in (fn.load(tmp_path / "model.safetensors"), copy.deepcopy(net)):
        assert other.feature_names == NAMES
        with pytest.raises(ValueError, match="same order"):
            other.predict(frame(X, NAMES[::-1]))


@every_frame
def test_a_fit_that_is_refused_keeps_no_names(frame):
    net = network()
    with pytest.raises(ValueError, match="shape"):
        net.fit(frame(X, NAMES), Y[:5], loss=MSE)
    with pytest.raises(ValueError, match="shape"):
        net.fit(frame(X[:, :2], NAMES[:2]), Y, loss=MSE)
    assert net.feature_names is None


@every_frame
def test_standardize_keeps_names_for_its_network(frame):
    layer = fn.Standardize.from_data(frame(X, NAMES))
    assert layer.feature_names == NAMES
    with pytest.raises(ValueError, match="same order"):
        layer(frame(X, NAMES[::-1]))
    np.testing.assert_array_equal(layer(frame(X, NAMES)), layer(X))
    net = network(layer)
    assert net.feature_names == NAMES
    with pytest.raises(ValueError, match="same order"):
        net.fit(frame(X, NAMES[::-1]), Y, loss=MSE)
    assert network(fn.Standardize.from_data(X)).feature_names is None


def test_a_row_of_a_frame_has_names_too():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=NAMES)
    net = fitted(lambda x, names: frame)
    np.testing.assert_array_equal(net.predict(frame.iloc[0]), net.predict(X[0]))
    row = frame[NAMES[::-1]].iloc[0]
    for call in (net.predict, net.jacobian, net.jacobian_operator):
        with pytest.raises(ValueError, match="same order"):
            call(row)


def test_names_that_are_numbers_are_none_and_mixed_ones_are_refused():
    pd = pytest.importorskip("pandas")
    net = network()
    net.fit(pd.DataFrame(X), Y, loss=MSE, epochs=1)
    assert net.feature_names is None
    net.feature_names = NAMES
    net.predict(pd.DataFrame(X))
    with pytest.raises(TypeError, match="only supported if all input features have string names"):
        net.predict(pd.DataFrame(X, columns=["age", 1, 2]))


def test_estimators_and_networks_hand_names_on():
    pd = pytest.importorskip("pandas")
    sklearn = pytest.importorskip("fastnn.sklearn")
    frame = pd.DataFrame(X, columns=NAMES)
    net = sklearn.MLPRegressor(max_iter=300, tol=1, random_state=0).fit(frame, Y[:, 0]).to_network()
    with pytest.raises(ValueError, match="same order"):
        net.predict(frame[NAMES[::-1]])
    model = sklearn.MLPRegressor.from_network(net)
    with pytest.raises(ValueError, match="same order"):
        model.predict(frame[NAMES[::-1]])
