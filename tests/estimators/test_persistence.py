"""Networks and estimators through files: skops, pickle, joblib, cloudpickle, dill, and copies."""

import copy
import io
import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
from problems import LABELS, SIGNAL, X, Y
from sklearn.base import clone

import fastnn as fn
from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning"),
]
DATA = Path(__file__).parents[1] / "data"
CLASSES = np.searchsorted(["blue", "green", "red"], LABELS)


def through_skops(value):
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(value)
    types = skops.get_untrusted_types(data=data)
    for name in set(types) - {"numpy.dtype"}:  # that a Jacobian keeps
        assert name.startswith("fastnn.")
        assert "_core" not in name
    return skops.loads(data, trusted=types)


def through_joblib(value):
    file = io.BytesIO()
    joblib.dump(value, file)
    file.seek(0)
    return joblib.load(file)


def through(module):
    def duplicate(value):
        library = pytest.importorskip(module)
        return library.loads(library.dumps(value))

    return duplicate


def through_protocol(protocol):
    return lambda value: pickle.loads(pickle.dumps(value, protocol))


DUPLICATES = {
    "skops": through_skops,
    "joblib": through_joblib,
    "cloudpickle": through("cloudpickle"),
    "dill": through("dill"),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": through_protocol(n) for n in range(pickle.HIGHEST_PROTOCOL + 1)},
}
every_way = pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
every_deep_way = pytest.mark.parametrize(
    "duplicate",
    [way for name, way in DUPLICATES.items() if name != "copy"],
    ids=[name for name in DUPLICATES if name != "copy"],
)


def network(dtype):
    frozen = fn.Linear(5, 4)
    frozen.trainable = False
    layers = [
        fn.Standardize.from_data(X),
        fn.Linear(3, 5),
        fn.BatchNorm(5),
        fn.ReLU(),
        fn.Dropout(0.2),
        frozen,
        fn.LayerNorm(4),
        fn.Scale(4),
        fn.Parametric(4, fn.ELU(0.5)),
        fn.Linear(4, 3, bias=False),
    ]
    net = fn.Network(layers, dtype, seed=0)
    net.class_labels, net.feature_names = ["blue", "green", "red"], ["a", "b", "c"]
    net.target_name = "colour"
    net.fit(X, CLASSES, epochs=3, optimizer=fn.Adam(0.01), seed=0)
    return net


@every_way
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_is_the_same_and_goes_on_alike(duplicate, dtype):
    net = network(dtype)
    again = duplicate(net)
    assert repr(again) == repr(net)
    assert again.summary() == net.summary()  # says what is frozen
    for name in ("class_labels", "feature_names", "target_name"):
        assert getattr(again, name) == getattr(net, name)
    np.testing.assert_array_equal(again.grads, net.grads)
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
    for layer in (again.layers[1], again.layers[-1]):
        assert np.shares_memory(layer.weight, again.params)
        assert np.shares_memory(layer.weight_grad, again.grads)
    assert not np.shares_memory(again.params, net.params)
    masked = [n.forward(X, training=True) for n in (net, again)]
    np.testing.assert_array_equal(*masked)
    before = net.params.copy()
    again.fit(X, CLASSES, epochs=2, optimizer=fn.Adam(0.01), seed=1)
    np.testing.assert_array_equal(net.params, before)
    net.fit(X, CLASSES, epochs=2, optimizer=fn.Adam(0.01), seed=1)
    np.testing.assert_array_equal(again.params, net.params)
    assert again.optimizer_state.step == net.optimizer_state.step


class Tagged(fn.Network):
    """A user's network with attributes of its own."""

    def __init__(self):
        super().__init__([fn.Linear(2, 1)], seed=0)
        self.tag, self._private = "a", [1, 2]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, *map(through_protocol, (0, 5))])
def test_a_subclass_keeps_its_attributes(duplicate):
    again = duplicate(Tagged())
    assert type(again) is Tagged
    assert (again.tag, again._private) == ("a", [1, 2])


ESTIMATORS = {
    "adam": (MLPClassifier((5, 4), "tanh"), LABELS),
    "two classes": (MLPClassifier((5,), alpha=0.1), CLASSES > 0),
    "labels": (MLPClassifier((5,), early_stopping=False), SIGNAL > 0),
    "sgd": (MLPRegressor("squared_error", (5,), solver="sgd", learning_rate="adaptive"), Y),
    "parts": (
        MLPRegressor(
            fn.Huber(0.5),
            network=[fn.Linear(3, 4), fn.BatchNorm(4), fn.GELU(), fn.Linear(4, 1)],
            callbacks=[fn.EarlyStopping("loss")],
        ),
        Y[:, 0],
    ),
    "covariance": (MLPRegressor("squared_error", (3,), store_covariance=True), Y[:, 0]),
}


@every_deep_way
@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_is_the_same_and_goes_on_alike(duplicate, name):
    template, y = ESTIMATORS[name]
    model = clone(template).set_params(max_iter=4, random_state=0, warm_start=True).fit(X, y)
    again = duplicate(model)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    if hasattr(model, "classes_"):
        np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
        np.testing.assert_array_equal(again.classes_, model.classes_)
    if name == "covariance":
        found, expected = (m.predict(X, return_std=True)[1] for m in (again, model))
        np.testing.assert_array_equal(found, expected)
    assert again.loss_curve_ == model.loss_curve_
    for one in (model, again):
        one.partial_fit(X, y)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    for one in (model, again):
        one.fit(X, y)  # a warm start
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    again.coefs_[0][...] = 0
    assert not again.coefs_[0].any()
    assert model.coefs_[0].any()
    assert not hasattr(clone(again), "classes_")


@every_deep_way
def test_feature_names_stay(duplicate):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abc"))
    again = duplicate(MLPClassifier((4,), max_iter=2, random_state=0).fit(frame, LABELS))
    assert again.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="The feature names should match"):
        again.predict(frame[["b", "a", "c"]])


SCHEDULES = [
    fn.schedules.Constant(0.1),
    fn.schedules.StepDecay(0.1, 3),
    fn.schedules.OneCycle(0.1),
    fn.schedules.CosineDecay(0.1),
    fn.schedules.ReduceOnPlateau(0.1),
]
PARTS = [
    fn.SGD(0.1, momentum=0.9),
    fn.Adam(),
    fn.AdamW(),
    fn.RMSprop(),
    fn.LBFGS(),
    fn.LevenbergMarquardt(),
    *SCHEDULES,
    fn.SGD(SCHEDULES[-1]),
    fn.Huber(0.3),
    fn.Pinball((0.1, 0.9)),
    fn.SoftmaxCrossEntropy(label_smoothing=0.1),
    fn.BinaryCrossEntropy(),
    fn.Poisson("sum"),
    fn.ReLU(),
    fn.ELU(0.3),
    fn.Dropout(0.2),
    fn.Softmax(),
]


@every_way
@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_the_parts_of_a_fit_are_the_same(duplicate, part):
    assert repr(duplicate(part)) == repr(part)


@every_way
def test_layers_histories_and_jacobians_are_the_same(duplicate):
    net = network("float64")
    for layer in net.layers:
        x = np.ones(layer.in_features or 3)
        np.testing.assert_array_equal(duplicate(layer)(x), layer(x))
    history = net.fit(X, CLASSES, epochs=2)
    again = duplicate(history)
    assert type(again) is fn.History
    assert again == history
    small = fn.Network([fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 3), fn.Softmax()], "float64")
    for wrt in ("input", "params"):
        operator = small.jacobian_operator(X[0], wrt)
        np.testing.assert_array_equal(duplicate(operator).to_dense(), operator.to_dense())


@pytest.mark.parametrize("name", ["network", "classifier", "regressor"])
def test_a_pickle_of_an_earlier_version_loads(name):
    """They were written by `pickle.dump({"model": …, "predicted": …})` after a short fit."""
    with (DATA / f"{name}.pickle").open("rb") as file:
        kept = pickle.load(file)
    model, few = kept["model"], X[:5]
    if name == "classifier":
        pandas = pytest.importorskip("pandas")
        few = pandas.DataFrame(few, columns=model.feature_names_in_)
    predict = model.predict_proba if name == "classifier" else model.predict
    tolerance = 1e-12 if name == "classifier" else 1e-5
    np.testing.assert_allclose(predict(few), kept["predicted"], rtol=tolerance, atol=tolerance)
    if name == "network":
        assert model.class_labels == ["blue", "green", "red"]
        assert model.feature_names == ["a", "b", "c"]
        assert not model.layers[5].trainable
        step = model.optimizer_state.step
        model.fit(X, CLASSES, epochs=1, optimizer=fn.Adam(0.01))
        assert model.optimizer_state.step == step + 2
    else:
        seen, y = model.t_, LABELS if name == "classifier" else Y[:, 0]
        frame = X if name == "regressor" else pandas.DataFrame(X, columns=few.columns)
        assert model.partial_fit(frame, y).t_ == seen + len(X)
