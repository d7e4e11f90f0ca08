"""scikit-learn's fitted estimators become fastnn's, and back."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
from problems import LABELS, SIGNAL, X, Y, numbered
from sklearn import neural_network
from sklearn.exceptions import NotFittedError

import fastnn as fn
from fastnn.sklearn import MLPClassifier, MLPRegressor, from_sklearn, to_sklearn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TARGETS = {
    "classes": LABELS,
    "two classes": SIGNAL[:, 0] > 0,
    "labels": SIGNAL > 0,
    "numbers": Y,
    "one number": Y[:, 0],
}
SETTINGS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.1},
    "lbfgs": {"solver": "lbfgs"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "nesterovs_momentum": False},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 1, "n_iter_no_change": 2},
    "no momentum": {"solver": "sgd", "momentum": 0},
    "early stopping": {"early_stopping": True, "activation": "tanh"},
    "no hidden layer": {"hidden_layer_sizes": (), "activation": "identity"},
    "two hidden layers": {"hidden_layer_sizes": (5, 3), "activation": "logistic", "alpha": 0.1},
}
ATTRIBUTES = (
    "n_iter_",
    "t_",
    "loss_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "n_layers_",
    "best_validation_score_",
    "n_outputs_",
    "n_features_in_",
    "out_activation_",
)


def fitted(module, target, setting, **more):
    kind = "MLPRegressor" if "number" in target else "MLPClassifier"
    parameters = {"hidden_layer_sizes": (4,), "max_iter": 8, "random_state": 0, "batch_size": 16}
    parameters |= {**SETTINGS[setting], **more}
    dtype = parameters.pop("dtype", "float64")
    y = numbered(TARGETS[target]) if setting == "early stopping" else TARGETS[target]
    return getattr(module, kind)(**parameters).fit(X.astype(dtype), y)


def demand_alike(one, other, x, rtol, atol):
    name = "predict_proba" if hasattr(one, "predict_proba") else "predict"
    found, expected = getattr(one, name)(x), getattr(other, name)(x)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)
    if name == "predict_proba":
        np.testing.assert_array_equal(one.predict(x), other.predict(x))
        np.testing.assert_array_equal(one.classes_, other.classes_)


def demand_same_attributes(one, other):
    for name in ATTRIBUTES:
        assert hasattr(one, name) == hasattr(other, name), name
        assert getattr(one, name, None) == getattr(other, name, None), name


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_model_predicts_alike_and_goes_on_alike(target, setting, dtype):
    peer = fitted(neural_network, target, setting, dtype=dtype)
    model = from_sklearn(peer)
    x, y = X.astype(dtype), TARGETS[target]
    tolerance = {"float64": 1e-12, "float32": 2e-6}[dtype]
    demand_alike(model, peer, x, tolerance, tolerance)
    demand_same_attributes(model, peer)
    for name, value in peer.get_params().items():
        assert getattr(model, name) == value
    back = to_sklearn(model)
    assert back.get_params() == peer.get_params()
    demand_same_attributes(back, peer)
    demand_alike(back, peer, x, 0, 0)
    if setting != "lbfgs" and setting != "early stopping":
        for one in (model, back, peer):
            one.partial_fit(x, y)
        tolerance *= 100
        demand_alike(model, peer, x, tolerance, tolerance)
        demand_alike(back, peer, x, tolerance, tolerance)
        assert model.t_ == peer.t_ == back.t_
    # Left out: scikit-learn's L-BFGS turns float32 into float64, and steps by the gradient of
    # another loss than it compares for several outputs; after early stopping its best weights are
    # the very arrays that a warm start trains.
    several = setting == "lbfgs" and target == "numbers"
    if dtype == "float64" and setting != "early stopping" and not several:
        for one in (model, back, peer):
            one.set_params(warm_start=True, max_iter=2).fit(x, y)
        demand_alike(model, peer, x, 1e-7, 1e-9)
        demand_alike(back, peer, x, 1e-7, 1e-9)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_round_trip_of_fastnns_own_is_exact(target, setting):
    import fastnn.sklearn

    model = fitted(fastnn.sklearn, target, setting)
    again = from_sklearn(to_sklearn(model))
    demand_alike(again, model, X, 0, 0)
    np.testing.assert_array_equal(again._fitted.network.params, model._fitted.network.params)
    demand_same_attributes(again, model)
    ours = {name: value for name, value in model.get_params().items()}
    assert again.get_params() == ours
    if setting not in ("lbfgs", "early stopping"):
        for one in (again, model):
            one.partial_fit(X, TARGETS[target])
        # scikit-learn's velocity contains the rate, and its running means the sum over labels
        exact = setting in ("adam", "no momentum") and target != "labels"
        demand_alike(again, model, X, 0 if exact else 1e-12, 0 if exact else 1e-12)


def test_names_of_features_stay():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abc"))
    peer = neural_network.MLPClassifier((4,), max_iter=2, random_state=0).fit(frame, LABELS)
    for model in (from_sklearn(peer), to_sklearn(from_sklearn(peer))):
        assert model.feature_names_in_.tolist() == ["a", "b", "c"]
        np.testing.assert_allclose(model.predict_proba(frame), peer.predict_proba(frame))


def test_the_copy_is_independent():
    peer = fitted(neural_network, "classes", "adam", random_state=np.random.RandomState(0))
    before = [coef.copy() for coef in peer.coefs_]
    model = from_sklearn(peer).partial_fit(X, LABELS)
    assert model.random_state is not peer.random_state
    for coef, kept in zip(peer.coefs_, before, strict=True):
        np.testing.assert_array_equal(coef, kept)
    back, kept = to_sklearn(model), model.coefs_[0].copy()
    back.coefs_[0][...] = 0
    np.testing.assert_array_equal(model.coefs_[0], kept)


@pytest.mark.parametrize(
    ("cls", "parameters", "name"),
    [
        (MLPClassifier, {"loss": fn.SoftmaxCrossEntropy(label_smoothing=0.1)}, "loss"),
        (MLPClassifier, {"class_weight": "balanced"}, "class_weight"),
        (MLPClassifier, {"class_weight": {"red": 2}}, "class_weight"),
        (MLPClassifier, {"dropout": 0.1}, "dropout"),
        (MLPClassifier, {"activation": "gelu"}, "activation"),
        (MLPClassifier, {"activation": fn.ReLU()}, "activation"),
        (MLPClassifier, {"network": [fn.Linear(3, 3)]}, "network"),
        (MLPClassifier, {"network": lambda n, m: [fn.Linear(n, m)]}, "network"),
        (MLPClassifier, {"callbacks": [fn.EarlyStopping("loss")]}, "callbacks"),
        (MLPClassifier, {"solver": "lm"}, "solver"),
        (MLPRegressor, {"loss": "huber"}, "loss"),
        (MLPRegressor, {"loss": fn.Poisson()}, "loss"),
        (MLPRegressor, {"store_covariance": True}, "store_covariance"),
    ],
)
def test_what_scikit_learn_lacks_is_refused_by_name(cls, parameters, name):
    y = LABELS if cls is MLPClassifier else abs(Y[:, 0])
    model = cls(**{"hidden_layer_sizes": (4,), "max_iter": 2, **parameters}).fit(X, y)
    with pytest.raises(ValueError, match=f"^{name} is "):
        to_sklearn(model)


def test_other_objects_are_refused():
    class Derived(neural_network.MLPClassifier):
        pass

    for wrong in (None, MLPClassifier(), Derived()):
        with pytest.raises(
            TypeError, match="^estimator is a .*; expected an instance of .*MLPRegressor"
        ):
            from_sklearn(wrong)
    for wrong in (None, neural_network.MLPClassifier()):
        with pytest.raises(
            TypeError, match="^estimator is a .*; expected an instance of .*MLPRegressor"
        ):
            to_sklearn(wrong)
    with pytest.raises(NotFittedError):
        from_sklearn(neural_network.MLPClassifier())
    with pytest.raises(NotFittedError):
        to_sklearn(MLPClassifier())
    model = MLPClassifier((4,), max_iter=2).fit(X, LABELS).set_params(activation="tanh")
    with pytest.raises(ValueError, match="activation is tanh; it was relu"):
        to_sklearn(model)


def test_poisson_is_carried_where_scikit_learn_has_it():
    if "loss" not in neural_network.MLPRegressor().get_params():
        pytest.skip("this scikit-learn has no Poisson loss")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = neural_network.MLPRegressor("poisson", (4,), max_iter=4).fit(X, abs(Y))
    np.testing.assert_allclose(from_sklearn(peer).predict(X), peer.predict(X), rtol=1e-12)
