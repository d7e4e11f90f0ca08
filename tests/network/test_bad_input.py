"""Bad input to every public method raises an error that names the argument; nothing is lost."""

import re

import numpy as np
import pytest
from bad_input import BAD_ARRAYS, BAD_LABELS, BAD_TARGETS, REAL_Y, X, Y, network, refused, with_nan
from test_names import name_of

import fastnn as fn


@pytest.mark.parametrize(("bad", "error", "message"), BAD_ARRAYS, ids=range(len(BAD_ARRAYS)))
def test_bad_features(bad, error, message):
    net = network()
    loss = fn.SoftmaxCrossEntropy()
    before = net.params.copy()
    refused(error, f"X … {message}", net.predict, bad)
    refused(error, f"X … {message}", net.forward, bad)
    refused(error, f"X … {message}", net, bad)
    refused(error, f"X … {message}", net.fit, bad, Y, epochs=1)
    refused(error, f"X … {message}", net.loss_and_grad, bad, Y, loss)
    refused(error, f"validation_data[0] … {message}", net.fit, X, Y, validation_data=(bad, Y))
    assert np.array_equal(net.params, before)


@pytest.mark.parametrize("method", ["fit", "loss_and_grad"])
def test_no_samples(method):
    loss = fn.SoftmaxCrossEntropy()
    refused(ValueError, "X is empty", getattr(network(), method), X[:0], Y[:0], loss=loss)


@pytest.mark.parametrize(
    "view",
    [
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: a[::-1][::-1],
        lambda a: a.astype(">f8"),
        lambda a: a.astype("f2"),
        lambda a: a.astype(np.longdouble),
        lambda a: a.tolist(),
        lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(float).reshape(a.shape),
        lambda a: np.broadcast_to(a, a.shape),  # read-only
        lambda a: np.matrix(a),
    ],
    ids=[
        "Fortran order",
        "strided",
        "reversed",
        "byte-swapped",
        "half",
        "long double",
        "list",
        "misaligned",
        "read-only",
        "matrix",
    ],
)
@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_unusual_arrays_are_taken(isa, dtype, view):
    whole = np.round(X * 8) / 8  # the same number in every format
    net, same = network(dtype), network(dtype)
    odd = view(whole)
    assert np.array_equal(net.predict(odd), same.predict(whole))
    assert np.array_equal(net.forward(odd), same.forward(whole))
    net.fit(odd, Y, epochs=2, seed=0, validation_data=(odd, Y))
    same.fit(whole, Y, epochs=2, seed=0)
    assert np.array_equal(net.params, same.params)


@pytest.mark.parametrize("kind", ["bool", "int8", "uint64", "int64"])
def test_integers_are_converted(kind):
    whole = (X * 10).astype(kind)
    assert np.array_equal(network().predict(whole), network().predict(whole.astype(float)))


@pytest.mark.parametrize(("bad", "error", "message"), BAD_LABELS, ids=range(len(BAD_LABELS)))
def test_bad_labels(bad, error, message):
    net, loss = network(), fn.SoftmaxCrossEntropy()
    refused(error, f"y … {message}", net.fit, X, bad)
    refused(error, f"y … {message}", net.loss_and_grad, X, bad, loss)
    refused(error, f"y … {message}", loss.value_and_grad, net(X), bad)
    refused(error, f"validation_data[1] … {message}", net.fit, X, Y, validation_data=(X, bad))


@pytest.mark.parametrize(("bad", "error", "message"), BAD_TARGETS, ids=range(len(BAD_TARGETS)))
@pytest.mark.parametrize(
    "loss",
    [
        fn.MeanSquaredError(),
        fn.HalfSquaredError(),
        fn.BinaryCrossEntropy(),
        fn.MeanAbsoluteError(),
        fn.Huber(),
        fn.Pinball(),
        fn.Poisson(),
    ],
    ids=repr,
)
def test_bad_targets(bad, error, message, loss):
    net = network()
    refused(error, f"y … {message}", net.fit, X, bad, loss=loss)
    refused(error, f"y … {message}", net.loss_and_grad, X, bad, loss)
    refused(error, f"y … {message}", loss.value_and_grad, net(X), bad)


def test_bad_arguments_of_losses():
    refused(
        ValueError,
        "y lies in [0, 7] … [0, 1]",
        network().fit,
        X,
        REAL_Y,
        loss=fn.BinaryCrossEntropy(),
    )
    one = fn.Network([fn.Linear(3, 1)])
    refused(ValueError, "at least 2 outputs … has 1", one.fit, X, Y)
    refused(ValueError, "reduction is 'max' … 'mean' or 'sum'", fn.MeanSquaredError, "max")
    refused(
        ValueError,
        "y holds -1 … at least 0",
        network().fit,
        X,
        -REAL_Y.clip(0, 1),
        loss=fn.Poisson(),
    )
    refused(ValueError, "delta is 0 … above 0", fn.Huber, 0)
    refused(TypeError, "delta is 'wide'", fn.Huber, "wide")
    refused(ValueError, "quantiles is 1 … above 0 and below 1", fn.Pinball, 1)
    refused(ValueError, "quantiles[1] is 0", fn.Pinball, (0.5, 0.0))
    refused(ValueError, "quantiles is empty", fn.Pinball, ())
    refused(TypeError, "quantiles is 'all'", fn.Pinball, "all")
    refused(TypeError, "quantiles[0] is (0.5,)", fn.Pinball, ((0.5,),))
    for loss in (fn.SoftmaxCrossEntropy, fn.BinaryCrossEntropy):
        refused(ValueError, "label_smoothing is 1 … at least 0 and below 1", loss, "mean", 1)
        refused(TypeError, "label_smoothing is True", loss, "mean", True)
    refused(ValueError, "y_pred has shape (3,)", fn.MeanSquaredError().value_and_grad, [1, 2, 3], 1)
    for loss in ("mse", None, fn.MeanSquaredError):
        refused(TypeError, "loss is", network().fit, X, REAL_Y, loss=loss)
        refused(TypeError, "loss is", network().loss_and_grad, X, REAL_Y, loss)


class Shapeless:
    def value_and_grad(self, y_pred, y):
        return y_pred, y_pred[0]


def test_bad_python_losses():
    refused(
        ValueError,
        "value_and_grad returned a value of shape (4, 2) … (2,)",
        network().fit,
        X,
        REAL_Y,
        loss=Shapeless(),
    )
    refused(ValueError, "y has shape (3, 2)", network().fit, X, REAL_Y[:3], loss=Shapeless())


# Settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size is 0 … at least 1"),
        ({"batch_size": -3}, ValueError, "batch_size is -3"),
        ({"batch_size": 2.0}, TypeError, "batch_size is 2.0 … an integer"),
        ({"batch_size": None}, TypeError, "batch_size is None"),
        ({"batch_size": True}, TypeError, "batch_size is True"),
        ({"epochs": -1}, ValueError, "epochs is -1 … at least 0"),
        ({"epochs": "many"}, TypeError, "epochs is 'many'"),
        ({"n_threads": 0}, ValueError, "n_threads is 0"),
        ({"n_threads": 1.5}, TypeError, "n_threads is 1.5"),
        ({"optimizer": "adam"}, TypeError, "optimizer is 'adam'"),
        ({"optimizer": fn.SGD}, TypeError, "optimizer is <class"),
        ({"validation_data": X}, TypeError, "validation_data … a pair … or a share"),
        ({"validation_data": (X, Y, Y, Y)}, TypeError, "validation_data … a pair"),
        ({"validation_data": (X[:0], Y[:0])}, ValueError, "validation_data[0] is empty"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"seed": "one"}, TypeError, "seed is 'one'"),
        ({"seed": np.random.default_rng(0)}, TypeError, "seed is Generator"),
        ({"validation_data": 1.5}, ValueError, "validation_data is 1.5 … above 0 and below 1"),
        ({"validation_data": 0}, ValueError, "validation_data is 0 … above 0"),
        ({"validation_data": True}, TypeError, "validation_data is a bool"),
        ({"metrics": "rmse"}, TypeError, "metrics is 'rmse' … a tuple"),
        ({"metrics": ("accuracy",)}, ValueError, "held-out … validation_data"),
        ({"metrics": ("auc",), "validation_data": 0.5}, ValueError, "metrics[0] is 'auc' … 'r2'"),
        ({"metrics": (3,), "validation_data": 0.5}, TypeError, "metrics[0] is 3"),
        ({"metrics": ("r2",), "validation_data": 0.5}, ValueError, "'r2' … are classes"),
        ({"metrics": ["accuracy"] * 2, "validation_data": 0.5}, ValueError, "metrics[1] … another"),
        ({"callbacks": fn.EarlyStopping()}, TypeError, "callbacks is <"),
        ({"callbacks": [print]}, TypeError, "callbacks[0] is <built-in function print> … Callback"),
        ({"callbacks": [fn.EarlyStopping]}, TypeError, "callbacks[0] is <class"),
        ({"shuffle": "yes"}, TypeError, "shuffle is 'yes'"),
    ],
    ids=name_of,
)
def test_bad_settings_of_fit(settings, error, message):
    net = network()
    before = net.params.copy()
    refused(error, message, net.fit, X, Y, **settings)
    assert np.array_equal(net.params, before)
    net.fit(X, Y, epochs=1)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "seed", "n_threads", "checkpoint_every"])
def test_integers_beyond_the_engines(name):
    fit = network().fit
    for huge in (2**62, 2**100):
        refused(ValueError, f"{name} is {huge} … below 2**62 is wanted", fit, X, Y, **{name: huge})
    for sign in ("", "-"):  # Python refuses to print it
        refused(
            ValueError,
            f"{name} is about {sign}2**16610 … is wanted",
            fit,
            X,
            Y,
            **{name: int(f"{sign}1") * 10**5000},
        )


@pytest.mark.parametrize("epochs", [10**15, 2**62 - 1])
def test_more_epochs_than_a_history_holds(epochs):
    refused(
        ValueError,
        f"epochs is {epochs}; fewer are wanted … memory",
        network().fit,
        X,
        Y,
        epochs=epochs,
    )


def test_a_large_batch_is_the_whole_set():
    many, all_of_them = network(), network()
    many.fit(X, Y, batch_size=10**18, epochs=2, seed=0)
    all_of_them.fit(X, Y, batch_size=4, epochs=2, seed=0)
    assert np.array_equal(many.params, all_of_them.params)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: fn.EarlyStopping(3), TypeError, "monitor is 3"),
        (lambda: fn.EarlyStopping(patience=0), ValueError, "patience is 0 … at least 1"),
        (lambda: fn.EarlyStopping(patience="no"), TypeError, "patience is 'no'"),
        (lambda: fn.EarlyStopping(ties="all"), ValueError, "ties is 'all' … 'first' or 'last'"),
        (lambda: fn.EarlyStopping(min_delta=-1), ValueError, "min_delta is -1"),
        (lambda: fn.EarlyStopping(mode="low"), ValueError, "mode is 'low' … 'min' or 'max'"),
        (lambda: fn.EarlyStopping(restore_best=1), TypeError, "restore_best is 1"),
        (lambda: fn.SGD(-0.1), ValueError, "learning_rate is -0.1 … above 0"),
        (lambda: fn.SGD(0), ValueError, "learning_rate is 0"),
        (lambda: fn.SGD(np.nan), ValueError, "learning_rate is nan"),
        (lambda: fn.SGD(np.inf), ValueError, "learning_rate is inf"),
        (lambda: fn.SGD("fast"), TypeError, "learning_rate is 'fast'"),
        (lambda: fn.SGD(0.1, momentum=1), ValueError, "momentum is 1 … at least 0 and below 1"),
        (lambda: fn.SGD(0.1, nesterov=True), ValueError, "needs momentum"),
        (lambda: fn.SGD(0.1, weight_decay=-1), ValueError, "weight_decay is -1"),
        (lambda: fn.Adam(betas=(0.9, 1.0)), ValueError, "betas[1] is 1"),
        (lambda: fn.Adam(betas=0.9), TypeError, "betas is 0.9 … a pair"),
        (lambda: fn.Adam(eps=0), ValueError, "eps is 0"),
        (lambda: fn.SGD(0.1, 0.9, nesterov="no"), TypeError, "nesterov is 'no'"),
        (lambda: fn.SGD(10**400), ValueError, "learning_rate is inf"),
        (lambda: fn.Linear(2**63, 1), ValueError, "in_features is 9223372036854775808"),
        (lambda: fn.Linear(0, 3), ValueError, "in_features is 0"),
        (lambda: fn.Linear(3, -1), ValueError, "out_features is -1"),
        (lambda: fn.Linear(3.0, 1), TypeError, "in_features is 3.0"),
        (lambda: fn.Linear(3, 1, bias=7), TypeError, "bias is 7"),
        (lambda: fn.Linear(3, 1, weight_init="he"), TypeError, "weight_init is 'he'"),
        (lambda: fn.LeakyReLU(-1), ValueError, "negative_slope is -1"),
        (lambda: fn.ELU(np.nan), ValueError, "alpha is nan"),
        (lambda: fn.Standardize([1, 2], [1]), ValueError, "scale has shape (1,) … (2,)"),
        (lambda: fn.Standardize([1, 2], [1, 0]), ValueError, "scale[1] is 0"),
        (lambda: fn.Standardize([], []), ValueError, "mean has shape (0,)"),
        (lambda: fn.Standardize.from_data([1, 2]), ValueError, "X has shape (2,)"),
        (lambda: fn.Standardize.from_data(with_nan), ValueError, "X[2, 1] is nan"),
    ],
    ids=range(33),
)
def test_bad_descriptions(make, error, message):
    refused(error, message, make)


def test_bad_networks():
    refused(ValueError, "layers is [] … at least one layer", fn.Network, [])
    refused(ValueError, "at least one layer that fixes its width", fn.Network, [fn.ReLU()])
    refused(
        ValueError,
        "layers[2] is Linear(5, 2), which takes 5 features … returns 4",
        fn.Network,
        [fn.Linear(3, 4), fn.ReLU(), fn.Linear(5, 2)],
    )
    refused(TypeError, "layers[1] is <class", fn.Network, [fn.Linear(3, 4), fn.ReLU])
    shared = fn.ReLU()
    refused(
        ValueError,
        "layers[2]: this ReLU() already belongs",
        fn.Network,
        [fn.Linear(3, 4), shared, shared],
    )
    layers = [fn.Linear(3, 4), shared]
    net = fn.Network(layers, seed=0)
    refused(ValueError, "layers[0]: this Linear(3, 4) already belongs", fn.Network, layers)
    assert np.shares_memory(net.layers[0].weight, net.params)
    for bad in ("float16", "int32", complex, ">f4", None, "nothing", "f4,,"):
        refused(ValueError, "dtype is", fn.Network, [fn.Linear(1, 1)], bad)
    refused(ValueError, "seed is -1", fn.Network, [fn.Linear(1, 1)], seed=-1)
    refused(TypeError, "seed is 0.5", fn.Network, [fn.Linear(1, 1)], seed=0.5)
    huge = fn.Linear(1, 1)
    huge.weight = [[1e200]]
    refused(ValueError, "out of the range of float32", fn.Network, [huge])
    refused(
        ValueError,
        "out of the range of float32",
        fn.Network,
        [fn.Standardize([0], [1e-60]), fn.Linear(1, 1)],
    )
    refused(
        ValueError,
        "weight_init(rng, (2, 3)) has shape (3, 2)",
        fn.Network,
        [fn.Linear(3, 2, weight_init=lambda rng, shape: np.zeros(shape[::-1]))],
    )


def test_bad_arguments_of_layers_and_passes():
    layer = fn.Linear(3, 2)
    refused(ValueError, "x has shape (4, 2) … (n, 3)", layer, X[:, :2])
    refused(ValueError, "x has shape ()", fn.ReLU(), 3)
    refused(ValueError, "x is not a rectangular", fn.ReLU(), [[1], [1, 2]])
    refused(ValueError, "x has shape (1, 1, 1) … (n, 1)", fn.ReLU(), [[[1]]])
    refused(
        AttributeError,
        "in_features of Linear(3, 2) cannot be changed",
        setattr,
        layer,
        "in_features",
        9,
    )
    elu = fn.ELU()
    refused(AttributeError, "alpha of ELU(alpha=1.0) cannot be changed", setattr, elu, "alpha", 2)
    refused(ValueError, "at least one feature", fn.ReLU(), [])
    refused(ValueError, "x[0] is nan", fn.ReLU(), [np.nan])
    refused(ValueError, "cotangent has shape (3,) … (4, 2)", layer.vjp, X, [1, 2, 3])
    refused(
        ValueError, "weight has shape (3, 2) … (2, 3)", setattr, layer, "weight", np.ones((3, 2))
    )
    refused(ValueError, "weight[0, 0] is nan", setattr, layer, "weight", np.full((2, 3), np.nan))
    refused(ValueError, "bias has shape (3,)", setattr, layer, "bias", [1, 2, 3])
    refused(ValueError, "this layer has no bias", setattr, fn.Linear(2, 1, bias=False), "bias", [1])
    net = network()
    net(X)
    refused(ValueError, "dY has shape (4, 3) … (4, 2)", net.backward, X)
    refused(ValueError, "dY[0, 0] is nan", net.backward, np.full((4, 2), np.nan))
    refused(ValueError, "n_threads is 0", net.predict, X, n_threads=0)


def test_bad_names():
    net = network()
    refused(ValueError, "class_labels is ['a'] … a list of 2", setattr, net, "class_labels", ["a"])
    refused(ValueError, "feature_names is 'abc'", setattr, net, "feature_names", "abc")
    refused(
        ValueError,
        "feature_names … a list of 3 names of type str",
        setattr,
        net,
        "feature_names",
        [1, 2, 3],
    )
    refused(ValueError, "class_labels", setattr, net, "class_labels", [(), ()])
    net.class_labels = np.array([3, 5])
    assert net.class_labels == [3, 5]
    net.class_labels = None
    assert net.class_labels is None


def test_every_message_names_what_came_and_what_was_wanted():
    """The form of the messages, for some errors."""
    net = network()
    for call in (
        lambda: net.predict(X[:, :2]),
        lambda: net.fit(X, Y, batch_size=0),
        lambda: net.fit(X, [0, 1, 2, 0]),
        lambda: fn.SGD(-1),
    ):
        with pytest.raises(ValueError, match=re.compile(r"is -?\d|has shape")) as info:
            call()
        assert "is wanted" in str(info.value)
