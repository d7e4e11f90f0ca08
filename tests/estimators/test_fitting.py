"""Held-out samples, callbacks, divergence, solvers in turn, and threads."""

import copy
import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
from problems import LABELS, SIGNAL, X, Y
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score

import fastnn as fn
from fastnn import _core
from fastnn.sklearn import MLPClassifier, MLPRegressor
from fastnn.sklearn.full_batch import PenalisedLoss
from fastnn.sklearn.splitting import split

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_the_score_of_a_single_class_is_that_of_its_predictions():
    one = np.zeros(60, int)
    model = MLPClassifier((4,), max_iter=3, random_state=0).fit(X, one, X_val=X, y_val=one)
    assert model.validation_scores_ == [1.0, 1.0, 1.0]


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


def test_early_stopping_holds_out_a_share_of_each_of_two_classes():
    labels = np.repeat([False, True], [90, 10])[:, np.newaxis]
    train, held_out = split(100, 0.2, labels, np.random.RandomState(0))
    assert sorted([*train, *held_out]) == list(range(100))
    assert labels[held_out].sum() == 2
    assert len(held_out) == 20
    with pytest.raises(ValueError, match="validation set is too small: 1 of 10"):
        split(10, 0.1, None, None)


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["lbfgs", "lm", "adam", "sgd"])
def test_data_that_overflow_are_an_error_that_leaves_finite_parameters(solver, dtype):
    model = MLPRegressor(hidden_layer_sizes=(5,), solver=solver, max_iter=5, random_state=0)
    with np.errstate(all="raise"):
        huge = X.astype(dtype) * dtype(np.finfo(dtype).max / 10)
    with pytest.raises(ValueError, match="training diverged in iteration 1: the loss or a"):
        model.fit(huge, Y)
    assert all(np.isfinite(w).all() for w in model.coefs_ + model.intercepts_)
    # parameters from before stay
    model.set_params(warm_start=True).fit(X.astype(dtype), Y)
    before = model.to_network().params
    with pytest.raises(ValueError, match="training diverged in iteration 1"):
        model.fit(huge, Y)
    np.testing.assert_array_equal(model.to_network().params, before)
    if dtype is np.float64:  # losses are summed in double precision
        with pytest.raises(ValueError, match="training diverged in iteration 1"):
            model.fit(X, huge)
        np.testing.assert_array_equal(model.to_network().params, before)


def test_curvature_that_overflows_is_an_error():
    layer = fn.Linear(3, 1)
    layer.weight = np.zeros((1, 3))
    model = MLPRegressor(network=[layer], solver="lm")
    with pytest.raises(ValueError, match="training diverged in iteration 1"):
        model.fit(1e160 * X, Y[:, 0])  # loss and gradient are finite


@pytest.mark.parametrize("nothing", [np.nan, np.inf])
def test_lbfgs_that_meets_no_number_midway_keeps_its_last_iterate(nothing, monkeypatch):
    """A loss that is finite for the evaluations of three iterations, and then nowhere."""
    evaluations, most = [], np.inf
    value_and_grad = PenalisedLoss.value_and_grad

    def limited(self, params):
        evaluations.append(params)
        value, gradient = value_and_grad(self, params)
        return (value if len(evaluations) <= most else nothing), gradient

    monkeypatch.setattr(PenalisedLoss, "value_and_grad", limited)
    model = MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", random_state=0)
    expected = clone(model).set_params(max_iter=3).fit(X, Y)
    most = len(evaluations)
    evaluations.clear()
    with pytest.raises(ValueError, match="training diverged in iteration 4: the loss or a deriv"):
        model.fit(X, Y)
    np.testing.assert_array_equal(model.to_network().params, expected.to_network().params)


def test_divergence_under_early_stopping_leaves_the_best():
    model = MLPRegressor(
        solver="sgd",
        learning_rate_init=0.7,
        hidden_layer_sizes=(5,),
        early_stopping=True,
        random_state=0,
        momentum=0.99,
        activation="identity",
        tol=0,
        max_iter=1000,
        n_iter_no_change=1000,
    )
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


def test_pickles_and_copies_go_on_training(classifier):
    for again in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
        expected = copy.deepcopy(classifier).partial_fit(X, LABELS)
        again.partial_fit(X, LABELS)
        np.testing.assert_array_equal(again.coefs_[0], expected.coefs_[0])


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
