"""Networks that come and go, layers of one's own, activations and dropout."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
from problems import LABELS, SIGNAL, X, Y
from sklearn.base import clone

import fastnn as fn
from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_a_network_goes_out_and_comes_back(classifier, regressor):
    network = classifier.to_network()
    assert network.class_labels == ["blue", "green", "red"]
    np.testing.assert_array_equal(
        network.predict(X).argmax(axis=1), classifier.predict_proba(X).argmax(axis=1)
    )
    again = MLPClassifier.from_network(network)
    np.testing.assert_array_equal(again.predict(X), classifier.predict(X))
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    network.params[...] = 0  # a copy
    np.testing.assert_array_equal(again.predict(X), classifier.predict(X))
    back = MLPRegressor.from_network(regressor.to_network(), alpha=0.5)
    np.testing.assert_array_equal(back.predict(X), regressor.predict(X))
    assert back.get_params()["alpha"] == 0.5


def test_a_network_comes_back_with_its_loss():
    counts = MLPRegressor("poisson", (4,), max_iter=5, random_state=0).fit(X, Y**2)
    back = MLPRegressor.from_network(counts.to_network(), loss="poisson")
    np.testing.assert_array_equal(back.predict(X), counts.predict(X))
    back.partial_fit(X, Y**2)
    labels = MLPClassifier((4,), max_iter=5, random_state=0).fit(X, SIGNAL > 0)
    again = MLPClassifier.from_network(labels.to_network(), loss=fn.BinaryCrossEntropy())
    np.testing.assert_array_equal(again.predict_proba(X), labels.predict_proba(X))
    np.testing.assert_array_equal(again.predict(X), labels.predict(X))
    again.partial_fit(X, SIGNAL > 0)


def test_classes_that_a_network_cannot_name_stay_behind():
    labels = MLPClassifier((4,), max_iter=2).fit(X, SIGNAL > 0).to_network()
    assert labels.class_labels is None  # the largest output is not the one that is right
    days = np.array(["2020-01-01", "2021-01-01"], "M8[D]")[(SIGNAL[:, 0] > 0).astype(int)]
    assert MLPClassifier((4,), max_iter=2).fit(X, days).to_network().class_labels is None


def test_a_network_taken_over_is_trained_further(classifier):
    again = MLPClassifier.from_network(classifier.to_network(), max_iter=1, shuffle=False)
    before = again.coefs_[0].copy()
    again.fit(X, LABELS)  # begins with the layers' values
    change = np.abs(again.coefs_[0] - before).max()
    assert 0 < change < 0.01
    again.partial_fit(X, LABELS)


def test_a_network_that_ends_in_softmax_has_no_logits():
    network = fn.Network([fn.Linear(3, 3), fn.Softmax()])
    with pytest.raises(
        ValueError, match=r"ends in Softmax\(\); expected a network that gives logits"
    ):
        MLPClassifier.from_network(network)
    with pytest.raises(
        ValueError, match=r"ends in Softmax\(\); expected a network that gives logits"
    ):
        MLPClassifier(network=network.layers).fit(X, LABELS)
    with pytest.raises(ValueError, match="expected 3 in increasing order"):
        MLPClassifier.from_network(fn.Network([fn.Linear(3, 3)]), classes=["b", "a", "c"])


def test_layers_of_ones_own(classifier):
    layers = [fn.Linear(3, 5), fn.GELU(), fn.Linear(5, 4, bias=False), fn.Abs(), fn.Linear(4, 3)]
    model = MLPClassifier(network=layers, max_iter=5, random_state=0)
    first = clone(model).fit(X, LABELS)
    assert not any(layer.in_network for layer in layers)
    np.testing.assert_array_equal(model.fit(X, LABELS).coefs_[0], first.coefs_[0])
    assert [w.shape for w in model.coefs_] == [(3, 5), (5, 4), (4, 3)]
    assert len(model.intercepts_) == 2
    made = MLPRegressor(network=lambda n, m: [fn.Linear(n, 2), fn.SiLU(), fn.Linear(2, m)])
    assert made.fit(X, Y).predict(X).shape == Y.shape
    with pytest.raises(
        ValueError, match="network takes 3 features and has 3 outputs; the data need 3 and 1"
    ):
        MLPRegressor(network=layers).fit(X, Y[:, 0])


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs", "lm"])
def test_a_frozen_layer_stays(solver):
    def layers(n_features, n_outputs):
        built = [fn.Linear(n_features, 4), fn.Tanh(), fn.Linear(4, n_outputs)]
        built[0].weight = np.ones((4, n_features))
        built[0].trainable = False
        return built

    model = MLPRegressor(network=layers, solver=solver, max_iter=5, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[0], np.ones((3, 4)))
    again = clone(model).set_params(max_iter=1).fit(X, Y)
    assert np.abs(model.coefs_[1] - again.coefs_[1]).max() > 0


def test_dropout():
    model = MLPRegressor(hidden_layer_sizes=(20, 20), dropout=0.5, max_iter=5, random_state=0)
    kinds = [type(layer) for layer in model.fit(X, Y).to_network().layers]
    assert kinds == [fn.Linear, fn.ReLU, fn.Dropout] * 2 + [fn.Linear]
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    np.testing.assert_array_equal(clone(model).fit(X, Y).predict(X), model.predict(X))
    without = clone(model).set_params(dropout=0).fit(X, Y)
    assert np.abs(without.coefs_[0] - model.coefs_[0]).max() > 1e-3
    # another pass has other masks, though the seed is the same
    first, second = (clone(model).set_params(shuffle=False) for _ in range(2))
    for _ in range(2):
        first.partial_fit(X, Y)
    second.set_params(max_iter=2).fit(X, Y)
    assert np.abs(first.coefs_[0] - second.coefs_[0]).max() > 1e-6


def test_early_stopping_restores_running_statistics():
    def layers(n_features, n_outputs):
        return [fn.Linear(n_features, 4), fn.BatchNorm(4), fn.ReLU(), fn.Linear(4, n_outputs)]

    model = MLPClassifier(
        network=layers, early_stopping=True, n_iter_no_change=3, random_state=0, batch_size=10
    ).fit(X[:40], LABELS[:40], X_val=X[40:], y_val=LABELS[40:])
    assert model.score(X[40:], LABELS[40:]) == model.best_validation_score_
    with pytest.raises(ValueError, match="BatchNorm needs two or more"):
        MLPClassifier(network=layers, batch_size=59).fit(X, LABELS)


def test_an_activation_for_each_layer():
    model = MLPClassifier((4, 3), ("tanh", fn.LeakyReLU(0.3)), max_iter=2).fit(X, LABELS)
    kinds = [type(layer) for layer in model.to_network().layers]
    assert kinds == [fn.Linear, fn.Tanh, fn.Linear, fn.LeakyReLU, fn.Linear]
    with pytest.raises(
        ValueError, match="activation has 1 elements; expected 2, one for each hidden"
    ):
        MLPClassifier((4, 3), ["tanh"]).fit(X, LABELS)
    with pytest.raises(
        ValueError, match="activation is 'softmax'; expected a layer of fastnn or one of"
    ):
        MLPClassifier((4,), ["softmax"]).fit(X, LABELS)
