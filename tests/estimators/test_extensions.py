"""What fastnn.sklearn does beyond scikit-learn's multi-layer perceptrons."""

import copy
import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import accuracy_score, r2_score

import fastnn as fn
from fastnn import _core
from fastnn.sklearn import MLPClassifier, MLPRegressor
from fastnn.sklearn.splitting import stratified_split

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
rng = np.random.default_rng(0)
X = rng.standard_normal((60, 3))
SIGNAL = X @ rng.standard_normal((3, 3))
LABELS = np.array(["red", "green", "blue"])[SIGNAL.argmax(axis=1)]
Y = np.sin(SIGNAL)


@pytest.fixture(scope="module")
def classifier():
    return MLPClassifier((6, 4), "tanh", max_iter=20, random_state=0).fit(X, LABELS)


@pytest.fixture(scope="module")
def regressor():
    return MLPRegressor("squared_error", (6, 4), "tanh", max_iter=20, random_state=0).fit(X, Y)


# ---------------------------------------------------------------------- looking inside


def differences(predict, X):
    """Central differences of a prediction by each feature: (n, n_outputs, n_features)."""
    step = 1e-6
    columns = [
        (predict(X + step * e) - predict(X - step * e)) / (2 * step) for e in np.eye(X.shape[1])
    ]
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("y", [LABELS, LABELS == "red", SIGNAL > 0], ids=["three", "two", "labels"])
def test_a_classifiers_jacobian_is_that_of_its_probabilities(y):
    model = MLPClassifier((6,), "tanh", max_iter=10, random_state=0).fit(X, y.astype(y.dtype))
    found = model.jacobian(X)
    assert found.shape == (60, model.predict_proba(X).shape[1], 3)
    np.testing.assert_allclose(found, differences(model.predict_proba, X), atol=1e-8)


def test_a_regressors_jacobian_is_that_of_its_predictions(regressor):
    np.testing.assert_allclose(regressor.jacobian(X), differences(regressor.predict, X), atol=1e-8)
    one = clone(regressor).fit(X, Y[:, 0])
    assert one.jacobian(X).shape == (60, 3)
    np.testing.assert_allclose(one.jacobian(X), differences(one.predict, X), atol=1e-8)


def test_hidden_activations(classifier):
    first = np.tanh(X @ classifier.coefs_[0] + classifier.intercepts_[0])
    second = np.tanh(first @ classifier.coefs_[1] + classifier.intercepts_[1])
    np.testing.assert_allclose(classifier.hidden_activations(X), second, rtol=1e-12)
    np.testing.assert_allclose(classifier.hidden_activations(X, layer=1), first, rtol=1e-12)
    np.testing.assert_array_equal(classifier.hidden_activations(X, layer=0), X)
    np.testing.assert_array_equal(
        classifier.hidden_activations(X, layer=-1), classifier.predict_proba(X)
    )
    with pytest.raises(ValueError, match="layer is 4; one of 4 layers"):
        classifier.hidden_activations(X, layer=4)


@pytest.mark.parametrize("y", [LABELS, LABELS == "red", SIGNAL > 0], ids=["three", "two", "labels"])
def test_log_probabilities_stay_finite(y):
    model = MLPClassifier((), max_iter=20, random_state=0).fit(X, y)
    near = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict_log_proba(X), np.log(near))
    for scale in (1e3, 1e6):
        probabilities, logs = model.predict_proba(scale * X), model.predict_log_proba(scale * X)
        assert (probabilities == 0).any()
        assert np.isfinite(logs).all()
        assert (logs[probabilities == 0] < -30).all()
        logits = scale * X @ model.coefs_[0] + model.intercepts_[0]
        if logits.shape[1] == 1:
            logits = np.hstack([np.zeros_like(logits), logits])
        if y.ndim == 1:  # where all but one class has no chance, the log is a difference of logits
            expected = logits - logits.max(axis=1, keepdims=True)
            np.testing.assert_allclose(logs[expected < -800], expected[expected < -800], rtol=1e-9)


# ---------------------------------------------------------------------- uncertainty


def linear_data(n, seed=1):
    draw = np.random.default_rng(seed)
    X = draw.standard_normal((n, 4))
    return X, X @ [1.0, -2, 0.5, 0] + 3 + 0.7 * draw.standard_normal(n)


def test_deviations_of_a_linear_network_are_those_of_least_squares():
    X, y = linear_data(40)
    model = MLPRegressor(
        hidden_layer_sizes=(), solver="lm", alpha=0, tol=1e-12, store_covariance=True
    ).fit(X, y)
    new = np.random.default_rng(2).standard_normal((10, 4))
    predicted, deviation = model.predict(new, return_std=True)
    A, B = (np.column_stack([rows, np.ones(len(rows))]) for rows in (X, new))
    solution, (squares,), *_ = np.linalg.lstsq(A, y, rcond=None)
    variance = squares / (40 - 5)
    leverage = np.einsum("ni,ij,nj->n", B, np.linalg.inv(A.T @ A), B)
    np.testing.assert_allclose(predicted, B @ solution, rtol=1e-6)
    np.testing.assert_allclose(deviation, np.sqrt(variance * (1 + leverage)), rtol=1e-6)


def test_intervals_cover_new_targets():
    """Of the linear network, for which the assumptions hold, whose noise is known."""
    X, y = linear_data(200)
    new, targets = linear_data(20_000, seed=2)
    model = MLPRegressor(hidden_layer_sizes=(), solver="lm", alpha=0, store_covariance=True)
    predicted, deviation = model.fit(X, y).predict(new, return_std=True)
    assert deviation.mean() == pytest.approx(0.7, rel=0.1)
    covered = np.abs(targets - predicted) <= 1.645 * deviation
    assert covered.mean() == pytest.approx(0.9, abs=0.02)


def test_a_penalty_leaves_fewer_parameters_to_the_data():
    """Against ridge regression, worked out by hand."""
    X, y = linear_data(40)
    model = MLPRegressor(
        hidden_layer_sizes=(), solver="lm", alpha=15, tol=1e-12, store_covariance=True
    ).fit(X, y)
    A = np.column_stack([X, np.ones(40)])
    inverse = np.linalg.inv(A.T @ A + np.diag([15, 15, 15, 15, 0]))
    solution = inverse @ A.T @ y
    variance = ((A @ solution - y) ** 2).sum() / (40 - np.trace(inverse @ A.T @ A))
    leverage = np.einsum("ni,ij,nj->n", A, inverse, A)
    predicted, deviation = model.predict(X, return_std=True)
    np.testing.assert_allclose(predicted, A @ solution, rtol=1e-6)
    np.testing.assert_allclose(deviation, np.sqrt(variance * (1 + leverage)), rtol=1e-6)


def test_deviations_need_a_covariance(regressor):
    with pytest.raises(ValueError, match="store_covariance=True"):
        regressor.predict(X, return_std=True)
    kept = clone(regressor).set_params(store_covariance=True).fit(X, Y)
    predicted, deviation = pickle.loads(pickle.dumps(kept)).predict(X, return_std=True)
    np.testing.assert_array_equal(predicted, regressor.predict(X))
    assert deviation.shape == Y.shape
    assert (deviation > 0).all()


@pytest.mark.parametrize("loss", ["poisson", fn.Pinball((0.1, 0.9)), fn.BinaryCrossEntropy()])
def test_deviations_need_a_loss_of_means(loss):
    model = MLPRegressor(loss, (4,), max_iter=2, store_covariance=True)
    with pytest.raises(ValueError, match="store_covariance=True takes outputs for means"):
        model.fit(X, Y[:, 0] ** 2)


# ---------------------------------------------------------------------- losses and weights


def test_losses_of_fastnn():
    rng = np.random.default_rng(4)
    features, noise = rng.standard_normal((400, 2)), rng.exponential(size=400)
    y = features[:, 0] + noise
    parameters = {"hidden_layer_sizes": (), "max_iter": 300, "learning_rate_init": 0.02}
    quantiles = (0.1, 0.5, 0.9)
    model = MLPRegressor(fn.Pinball(quantiles), random_state=0, **parameters).fit(features, y)
    predicted = model.predict(features)
    assert predicted.shape == (400, 3)
    shares = (y[:, np.newaxis] <= predicted).mean(axis=0)
    np.testing.assert_allclose(shares, quantiles, atol=0.03)
    # an intercept that the losses' minima shift: the mean is 1, the median ln 2
    for loss, low, high in (
        ("squared_error", 0.9, 1.1), ("absolute_error", 0.55, 0.8), ("huber", 0.7, 0.95),
        (fn.Huber(0.01), 0.55, 0.8),
    ):  # fmt: skip
        model = MLPRegressor(loss, random_state=0, **parameters).fit(features, y)
        assert low < model.intercepts_[0][0] < high
    with pytest.raises(ValueError, match="at least 0"):
        MLPRegressor("poisson").fit(features, -y)


def test_losses_of_classes():
    smooth = MLPClassifier(
        (), loss=fn.SoftmaxCrossEntropy(label_smoothing=0.3), solver="lbfgs", max_iter=1000, alpha=0
    )
    surest = smooth.fit(X, LABELS).predict_proba(X).max()
    assert 0.7 < surest < 0.95
    two = smooth.fit(X, LABELS == "red")
    assert two.n_outputs_ == 2
    assert two.predict(X).dtype == bool
    assert two.score(X, LABELS == "red") > 0.9
    with pytest.raises(ValueError, match="loss is BinaryCrossEntropy"):
        MLPClassifier(loss=fn.BinaryCrossEntropy()).fit(X, LABELS)
    with pytest.raises(ValueError, match="loss is SoftmaxCrossEntropy"):
        MLPClassifier(loss=fn.SoftmaxCrossEntropy()).fit(X, SIGNAL > 0)


@pytest.mark.parametrize("solver", ["adam", "lm"])
def test_weights_of_classes_are_weights_of_their_samples(solver):
    model = MLPClassifier((4,), "tanh", solver=solver, max_iter=10, random_state=0)
    by_class = clone(model).set_params(class_weight={"red": 3, "green": 0.5}).fit(X, LABELS)
    weight = np.select([LABELS == "red", LABELS == "green"], [3, 0.5], 1)
    by_sample = clone(model).fit(X, LABELS, sample_weight=weight)
    np.testing.assert_array_equal(by_class.coefs_[0], by_sample.coefs_[0])
    both = clone(by_class).fit(X, LABELS, sample_weight=weight)
    twice = clone(model).fit(X, LABELS, sample_weight=weight**2)
    np.testing.assert_array_equal(both.coefs_[0], twice.coefs_[0])
    balanced = clone(model).set_params(class_weight="balanced").fit(X, LABELS)
    counts = {label: (label == LABELS).sum() for label in balanced.classes_}
    weight = [60 / (3 * counts[label]) for label in LABELS]
    expected = clone(model).fit(X, LABELS, sample_weight=weight)
    np.testing.assert_allclose(balanced.coefs_[0], expected.coefs_[0], rtol=1e-9)


def test_weights_that_are_none():
    for weight in (np.zeros(60), -np.ones(60)):
        with pytest.raises(ValueError, match=r"weight"):
            MLPRegressor().fit(X, Y, sample_weight=weight)
    with pytest.raises(ValueError, match="no weight may be negative"):
        MLPClassifier(class_weight={"red": -1, "green": 1, "blue": 1}).fit(X, LABELS)


def test_what_does_not_fit_the_network_so_far_is_refused():
    model = MLPRegressor(hidden_layer_sizes=(4,), warm_start=True, max_iter=2).fit(X, Y[:, 0])
    before = model.coefs_[1].copy()
    with pytest.raises(ValueError, match="ask for 3 outputs and 'identity' after them; the net"):
        model.fit(X, Y)
    with pytest.raises(ValueError, match="ask for 3 outputs"):
        model.partial_fit(X, Y)
    with pytest.raises(ValueError, match="ask for 1 outputs and 'exp'"):
        model.set_params(loss="poisson").fit(X, np.abs(Y[:, 0]))
    with pytest.raises(ValueError, match="X has 2 features"):
        model.partial_fit(X[:, :2], Y[:, 0])
    np.testing.assert_array_equal(model.coefs_[1], before)
    two = MLPClassifier((4,), warm_start=True, max_iter=2).fit(X, LABELS == "red")
    with pytest.raises(ValueError, match="ask for 2 outputs and 'softmax'"):
        two.set_params(loss=fn.SoftmaxCrossEntropy()).fit(X, LABELS == "red")
    with pytest.raises(ValueError, match="`y` has classes not in"):
        MLPClassifier((4,)).partial_fit(X, LABELS, classes=["red", "green"])
    three = MLPClassifier((4,), max_iter=2).fit(X, SIGNAL.argmax(axis=1))
    with pytest.raises(ValueError, match="several labels of a sample"):
        three.partial_fit(X, SIGNAL > 0)
    with pytest.raises(ValueError, match="several labels of a sample"):
        three.fit(X, SIGNAL.argmax(axis=1), X_val=X, y_val=SIGNAL > 0)


def test_held_out_samples_are_checked():
    model = MLPClassifier((4,), max_iter=3, random_state=0)
    for arguments, message in (
        ({"X_val": X}, "X_val and y_val go together"),
        ({"X_val": X[:, :2], "y_val": LABELS}, "X has 2 features"),
        ({"X_val": X, "y_val": LABELS[:5]}, "inconsistent numbers of samples"),
        ({"X_val": X, "y_val": np.full(60, "violet")}, "`y` has classes not in"),
        ({"X_val": X, "y_val": LABELS, "sample_weight_val": np.zeros(60)}, "(?i)weight"),
        ({"X_val": X, "y_val": LABELS, "sample_weight_val": np.ones(5)}, "sample_weight"),
        ({"sample_weight_val": np.ones(5)}, "without X_val and y_val"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X, LABELS, **arguments)
    weight = np.arange(60)
    model.fit(X, LABELS, X_val=X, y_val=LABELS, sample_weight_val=weight)
    assert model.validation_scores_[-1] == model.score(X, LABELS, weight)
    model.set_params(warm_start=True).fit(X, LABELS, X_val=X[:2], y_val=LABELS[:2])
    assert model.validation_scores_[-1] == model.score(X[:2], LABELS[:2])


def test_the_score_of_a_single_class_is_that_of_its_predictions():
    one = np.zeros(60, int)
    model = MLPClassifier((4,), max_iter=3, random_state=0).fit(X, one, X_val=X, y_val=one)
    assert model.validation_scores_ == [1.0, 1.0, 1.0]


def test_samples_held_out_need_a_weight():
    model = MLPClassifier((4,), early_stopping=True, random_state=0)
    with pytest.raises(ValueError, match="is 0 for all samples"):
        model.fit(X, LABELS == "red", sample_weight=np.arange(60) == 0)


# ---------------------------------------------------------------------- networks


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


def test_a_network_taken_over_is_trained_further(classifier):
    again = MLPClassifier.from_network(classifier.to_network(), max_iter=1, shuffle=False)
    before = again.coefs_[0].copy()
    again.fit(X, LABELS)  # begins with the layers' values
    change = np.abs(again.coefs_[0] - before).max()
    assert 0 < change < 0.01
    again.partial_fit(X, LABELS)


def test_a_network_that_ends_in_softmax_has_no_logits():
    network = fn.Network([fn.Linear(3, 3), fn.Softmax()])
    with pytest.raises(ValueError, match=r"ends in Softmax\(\); a network that gives logits"):
        MLPClassifier.from_network(network)
    with pytest.raises(ValueError, match=r"ends in Softmax\(\); a network that gives logits"):
        MLPClassifier(network=network.layers).fit(X, LABELS)
    with pytest.raises(ValueError, match="3 in increasing order are wanted"):
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
    with pytest.raises(ValueError, match="network takes 3 features and has 3 outputs; 3 and 1"):
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


def test_widths_are_whole_numbers():
    for sizes in ((2.5,), [3.0], (4, "5")):
        with pytest.raises(TypeError):
            MLPClassifier(sizes).fit(X, LABELS)
    assert MLPClassifier(np.array([2, 3]), max_iter=2).fit(X, LABELS).n_layers_ == 4


def test_an_activation_for_each_layer():
    model = MLPClassifier((4, 3), ("tanh", fn.LeakyReLU(0.3)), max_iter=2).fit(X, LABELS)
    kinds = [type(layer) for layer in model.to_network().layers]
    assert kinds == [fn.Linear, fn.Tanh, fn.Linear, fn.LeakyReLU, fn.Linear]
    with pytest.raises(ValueError, match="activation has 1 elements; 2, one for each hidden"):
        MLPClassifier((4, 3), ["tanh"]).fit(X, LABELS)
    with pytest.raises(ValueError, match="activation is 'softmax'; a layer of fastnn or one of"):
        MLPClassifier((4,), ["softmax"]).fit(X, LABELS)


# ---------------------------------------------------------------------- training


@pytest.mark.parametrize("target", ["classes", "numbers"])
def test_held_out_samples_of_ones_own(target):
    cls, y, score = {
        "classes": (MLPClassifier, LABELS, accuracy_score),
        "numbers": (MLPRegressor, Y, r2_score),
    }[target]
    model = cls(hidden_layer_sizes=(5,), max_iter=30, random_state=0)
    model.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert len(model.validation_scores_) == 30
    assert model.validation_scores_[-1] == pytest.approx(score(y[40:], model.predict(X[40:])))
    stopped = clone(model).set_params(early_stopping=True, n_iter_no_change=2, max_iter=300)
    stopped.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert stopped.best_validation_score_ == max(stopped.validation_scores_)
    best = score(y[40:], stopped.predict(X[40:]))
    assert stopped.best_validation_score_ == pytest.approx(best)


def test_early_stopping_holds_out_a_share_of_each_class():
    labels = np.repeat(["a", "b", "c", "d"], [60, 30, 9, 1])
    train, held_out = stratified_split(100, 0.34, labels, np.random.RandomState(0))
    assert sorted([*train, *held_out]) == list(range(100))
    counts = {c: int((labels[held_out] == c).sum()) for c in "abcd"}
    assert counts == {"a": 21, "b": 10, "c": 3, "d": 0}
    few, held_out = stratified_split(5, 0.4, np.array(["a", "b", "c", "a", "b"]), None)
    assert (len(few), len(held_out)) == (3, 2)
    with pytest.raises(ValueError, match="validation set is too small: 1 of 10"):
        stratified_split(10, 0.1, None, None)


def test_callbacks_see_every_epoch_and_stop():
    class Recorder(fn.Callback):
        def __init__(self):
            self.begun, self.seen = [], []

        def epoch_begin(self, net, epoch):
            self.begun.append(epoch)

        def epoch_end(self, net, epoch, metrics):
            self.seen.append((epoch, metrics["loss"], net.params.copy()))
            return epoch == 4

    recorder = Recorder()
    model = MLPRegressor(hidden_layer_sizes=(5,), callbacks=[recorder], random_state=0).fit(X, Y)
    assert recorder.begun == [0, 1, 2, 3, 4]
    assert [loss for _, loss, _ in recorder.seen] == model.loss_curve_
    np.testing.assert_array_equal(recorder.seen[-1][2], model.to_network().params)
    assert model.n_iter_ == 5


def test_an_exception_of_a_callback_arrives_and_ctrl_c_ends_training():
    class Failing(fn.Callback):
        def __init__(self, error):
            self.error = error

        def epoch_begin(self, net, epoch):
            pass

        def epoch_end(self, net, epoch, metrics):
            if epoch == 2:
                raise self.error

    with pytest.raises(ZeroDivisionError):
        MLPRegressor(callbacks=[Failing(ZeroDivisionError())]).fit(X, Y)
    model = MLPRegressor(hidden_layer_sizes=(5,), callbacks=[Failing(KeyboardInterrupt())])
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, Y)
    assert model.n_iter_ == len(model.loss_curve_) == 3
    assert np.isfinite(model.predict(X)).all()


def test_levenberg_marquardt_ends_in_a_minimum():
    parameters = {"hidden_layer_sizes": (4,), "activation": "tanh", "random_state": 0}
    for cls, y in ((MLPClassifier, LABELS), (MLPClassifier, SIGNAL > 0), (MLPRegressor, Y)):
        model = cls(solver="lm", tol=1e-8, alpha=5, **parameters).fit(X, y)
        assert model.loss_curve_ == sorted(model.loss_curve_, reverse=True)
        assert model.loss_ == model.loss_curve_[-1] < 0.9 * model.loss_curve_[0]
        lowest = model.loss_  # another solver finds nothing below
        model.set_params(solver="lbfgs", warm_start=True).fit(X, y)
        assert model.loss_ == pytest.approx(lowest, rel=1e-6)


def test_another_solver_goes_on():
    model = MLPRegressor(hidden_layer_sizes=(4,), solver="lm", max_iter=3, warm_start=True)
    before = model.fit(X, Y).loss_
    for solver in ("adam", "lbfgs", "sgd", "lm"):
        assert model.set_params(solver=solver).fit(X, Y).loss_ < 2 * before


def test_a_fit_that_has_not_converged_warns():
    for solver in ("lm", "lbfgs", "adam"):
        with pytest.warns(ConvergenceWarning):
            MLPRegressor(hidden_layer_sizes=(5,), solver=solver, max_iter=2).fit(X, Y)


def test_divergence_is_an_error_that_leaves_finite_parameters():
    model = MLPRegressor(solver="sgd", learning_rate_init=1e10, hidden_layer_sizes=(5,))
    with pytest.raises(ValueError, match="training diverged in iteration"):
        model.fit(1e3 * X, Y)
    assert all(np.isfinite(w).all() for w in model.coefs_)


def test_divergence_under_early_stopping_leaves_the_best():
    model = MLPRegressor(
        solver="sgd", learning_rate_init=0.7, hidden_layer_sizes=(5,), early_stopping=True,
        random_state=0, momentum=0.99, activation="identity", tol=0, max_iter=1000,
        n_iter_no_change=1000,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="diverged in iteration .* best validation score"):
        model.fit(X, Y)
    assert model.best_validation_score_ == np.nanmax(model.validation_scores_)
    with pytest.raises(ValueError, match="training diverged in iteration 1"):
        model.set_params(learning_rate_init=1e300).fit(1e200 * X, Y)
    assert all(np.isfinite(w).all() for w in model.coefs_)


def test_early_stopping_may_begin_and_end_between_fits():
    model = MLPClassifier((4,), max_iter=5, warm_start=True, random_state=0).fit(X, LABELS)
    model.set_params(early_stopping=True).fit(X, LABELS)
    assert len(model.validation_scores_) == model.n_iter_ == 5
    assert model.best_validation_score_ == max(model.validation_scores_)
    model.set_params(early_stopping=False).partial_fit(X, LABELS)
    fresh = MLPClassifier((4,), max_iter=5, early_stopping=True).fit(X, LABELS)
    fresh.set_params(early_stopping=False).partial_fit(X, LABELS)
    assert fresh.best_loss_ == fresh.loss_curve_[-1]


# ---------------------------------------------------------------------- fitted attributes


def test_coefs_and_intercepts_are_views_that_can_be_written(classifier):
    model = copy.deepcopy(classifier)
    before = model.predict_proba(X)
    model.coefs_[0][...] = 0
    assert not np.allclose(model.predict_proba(X), before)
    model.coefs_[0] = classifier.coefs_[0]
    np.testing.assert_array_equal(model.predict_proba(X), before)
    model.intercepts_ = [b + 1 for b in model.intercepts_]
    np.testing.assert_array_equal(model.intercepts_[0], classifier.intercepts_[0] + 1)
    with pytest.raises(ValueError):  # noqa: PT011  (NumPy's and Python's own)
        model.coefs_ = classifier.coefs_[:1]
    assert type(pickle.loads(pickle.dumps(model.coefs_))) is list


def test_before_fit_there_is_nothing():
    model = MLPClassifier()
    assert not hasattr(model, "coefs_")
    for method in ("predict", "predict_proba", "jacobian", "hidden_activations"):
        with pytest.raises(NotFittedError):
            getattr(model, method)(X)
    with pytest.raises(NotFittedError):
        model.to_network()
    with pytest.raises(AttributeError, match="partial_fit"):
        MLPClassifier(solver="lm").partial_fit  # noqa: B018


def test_pickles_and_copies_go_on_training(classifier):
    for again in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
        expected = copy.deepcopy(classifier).partial_fit(X, LABELS)
        again.partial_fit(X, LABELS)
        np.testing.assert_array_equal(again.coefs_[0], expected.coefs_[0])


def test_what_is_no_plain_array_goes_through_the_checks(classifier, isa):
    model = clone(classifier).set_params(max_iter=2).fit(X, LABELS)
    expected = model.predict_proba(X)
    for same in (X.tolist(), np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        np.testing.assert_allclose(model.predict_proba(same), expected, rtol=1e-12)
    for wrong, message in (
        (X[0], "Expected 2D array"),
        (X[:, :2], "X has 2 features"),
        (X[:0], "0 sample"),
        (np.where(X[3, 1] == X, np.nan, X), "contains NaN"),
        (X.astype(complex), "Complex data"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict(wrong)
    many = np.repeat(X, 5000, axis=0)
    np.testing.assert_array_equal(model.predict(many), np.repeat(model.predict(X), 5000))
    many[-1, -1] = np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        model.predict(many)


def test_threads_do_not_change_the_result(isa):
    wide = np.random.default_rng(3).standard_normal((600, 40))
    y = np.sin(wide[:, 0])
    models = [
        MLPRegressor(hidden_layer_sizes=(64,), max_iter=2, random_state=0, n_jobs=n).fit(wide, y)
        for n in (1, 2, -1, None)
    ]
    for model in models[1:]:
        np.testing.assert_array_equal(model.coefs_[0], models[0].coefs_[0])


def test_the_estimators_work_where_warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPClassifier(max_iter=3000, tol=0.01, learning_rate_init=0.01).fit(X, LABELS)
    assert _core.engine is not None
