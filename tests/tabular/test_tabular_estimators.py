"""The estimators on tables of every kind: fits, predictions, metrics, weights and errors."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
pytest.importorskip("pandas")
import pandas as pd
from sklearn.base import clone
from small_tables import polars_frame
from tabular_fits import (
    EPOCHS,
    FRAME,
    LABELS,
    NEW,
    NEW_NUMBERS,
    NEW_TABLE,
    NUMBERS,
    TABLE,
    classifier,
    regressor,
)

import fastnn as fn


@pytest.mark.parametrize("preset", ["default", "fast", "best"])
def test_the_signal_is_found(preset):
    model = regressor(preset).fit(FRAME, NUMBERS)
    assert model.score(NEW, NEW_NUMBERS) > 0.75
    labels = NUMBERS > 1
    model = classifier(preset).fit(FRAME, labels)
    assert model.score(NEW, NEW_NUMBERS > 1) > 0.85
    assert model.classes_.tolist() == [False, True]
    assert len(model.networks_) == (5 if preset == "best" else 1)


def test_kinds_of_tables_give_the_same_results(fitted):
    expected = fitted["regressor"].predict(NEW)
    polars = pytest.importorskip("polars")
    assert isinstance(polars_frame(TABLE), polars.DataFrame)
    model = regressor().fit(polars_frame(TABLE), NUMBERS)
    np.testing.assert_array_equal(model.predict(polars_frame(NEW_TABLE)), expected)
    np.testing.assert_array_equal(model.predict(NEW), expected)
    model = regressor().fit(FRAME.to_numpy(), pd.Series(NUMBERS, index=range(7, 7 + len(NUMBERS))))
    np.testing.assert_array_equal(model.predict(NEW.to_numpy()), expected)
    reordered = NEW[NEW.columns[::-1]]
    np.testing.assert_array_equal(fitted["regressor"].predict(reordered), expected)


def test_one_row_of_each_kind(fitted):
    model = fitted["classifier"]
    all_rows = model.predict_proba(NEW)
    assert all_rows.dtype == np.float64
    np.testing.assert_allclose(all_rows.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(NEW[:1]), all_rows[:1], rtol=1e-4)
    assert model.predict(NEW[:1])[0] == model.classes_[all_rows[0].argmax()]
    gaps = NEW[:1].astype(object)
    gaps.iloc[0] = None
    gaps["town"] = "a new town"
    assert np.isfinite(model.predict_proba(gaps)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.float16])
def test_arrays_of_numbers(dtype):
    rng = np.random.default_rng(0)
    X = (10 * rng.standard_normal((120, 3))).astype(dtype)
    y = X[:, 0].astype(float) - X[:, 1]
    model = regressor("fast").fit(X, y)
    assert model.predict(X).dtype == np.float64
    assert model.score(X, y) > 0.8
    assert not hasattr(model, "feature_names_in_")
    np.testing.assert_array_equal(model.predict(X.tolist()), model.predict(X))
    for form in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        np.testing.assert_array_equal(model.predict(form), model.predict(X))


@pytest.mark.parametrize("make", [classifier, regressor])
def test_the_random_state_decides(make):
    y = LABELS if make is classifier else NUMBERS
    score = "predict_proba" if make is classifier else "predict"
    first, again, other, threads = (
        getattr(make(epochs=4, **given).fit(FRAME, y), score)(NEW)
        for given in ({}, {}, {"random_state": 1}, {"n_jobs": 1})
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, threads)
    assert not np.array_equal(first, other)
    assert not np.array_equal(
        *(getattr(make(epochs=2, random_state=None).fit(FRAME, y), score)(NEW) for _ in "ab")
    )


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "log_loss", "auc"])
@pytest.mark.parametrize("k", [2, 3])
def test_metrics_of_classes(metric, k):
    labels = LABELS if k == 3 else LABELS == "low"
    model = classifier("fast", metric=metric).fit(FRAME, labels)
    curve = model.report_.curves[0][metric]
    best = min(curve) if metric == "log_loss" else max(curve)
    assert len(curve) == EPOCHS
    assert model.report_.scores == [best]
    assert model.report_.metric == metric


@pytest.mark.parametrize(
    ("metric", "loss"),
    [
        ("rmse", "auto"),
        ("mae", "auto"),
        ("r2", "squared"),
        ("auto", "absolute"),
        ("auto", "quantile"),
        ("pinball", "absolute"),
        ("auto", "poisson"),
    ],
)
def test_metrics_and_losses_of_numbers(metric, loss):
    y = np.exp(NUMBERS / 2) if loss == "poisson" else NUMBERS
    model = regressor("fast", metric=metric, loss=loss).fit(FRAME, y)
    assert model.score(FRAME, y) > 0.6
    curve = model.report_.curves[0][model.report_.metric]
    assert model.report_.scores == [max(curve) if metric == "r2" else min(curve)]


def test_metrics_equal_scikit_learns():
    from sklearn import metrics

    from fastnn.tabular.objective import OF_CLASSES, OF_NUMBERS, regression

    rng = np.random.default_rng(0)
    logits = rng.standard_normal((50, 3))
    labels, weights = rng.integers(0, 3, 50), rng.random(50)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for w in (None, weights):
        found = {name: score(logits, labels, w) for name, (score, *_) in OF_CLASSES.items()}
        areas = [metrics.roc_auc_score(labels == c, p[:, c], sample_weight=w) for c in range(3)]
        predicted = logits.argmax(axis=1)
        expected = {
            "accuracy": metrics.accuracy_score(labels, predicted, sample_weight=w),
            "balanced_accuracy": metrics.balanced_accuracy_score(
                labels, predicted, sample_weight=w
            ),
            "log_loss": metrics.log_loss(labels, p, sample_weight=w),
            "auc": np.mean(areas),
        }
        assert found == pytest.approx(expected)
        y, y_pred = rng.poisson(3, 50).astype(float), rng.random(50) * 5 + 0.1
        found = {name: score(y_pred, y, w) for name, (score, _) in OF_NUMBERS.items()}
        found["pinball"] = regression("quantile", "auto", 0.3).score(y_pred, y, w)
        expected = {
            "rmse": metrics.root_mean_squared_error(y, y_pred, sample_weight=w),
            "mae": metrics.mean_absolute_error(y, y_pred, sample_weight=w),
            "r2": metrics.r2_score(y, y_pred, sample_weight=w),
            "poisson_deviance": metrics.mean_poisson_deviance(y, y_pred, sample_weight=w),
            "pinball": metrics.mean_pinball_loss(y, y_pred, sample_weight=w, alpha=0.3),
        }
        assert found == pytest.approx(expected)


def test_a_quantile_is_exceeded_by_its_share():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (1500, 2))
    y = X[:, 0] + rng.exponential(1, 1500)
    model = regressor("fast", loss="quantile", quantile=0.8).fit(X[:1000], y[:1000])
    assert 0.72 < np.mean(y[1000:] <= model.predict(X[1000:])) < 0.88


def test_counts():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (1000, 2))
    y = rng.poisson(1000 * np.exp(X[:, 0]))
    model = regressor("fast", loss="poisson").fit(X, y)
    np.testing.assert_allclose(model.predict(X), 1000 * np.exp(X[:, 0]), rtol=0.2)
    with pytest.raises(ValueError, match=r"y, row 3 is -1; the loss 'poisson' takes targets of at"):
        model.fit(X, np.where(np.arange(1000) == 3, -1, y))


def test_predictions_stay_in_the_range_of_the_targets(fitted):
    far = NEW.assign(size=1e6)
    predicted = fitted["regressor"].predict(far)
    assert NUMBERS.min() <= predicted.min()
    assert predicted.max() <= NUMBERS.max()


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_targets_of_any_scale(scale):
    model = regressor("fast").fit(FRAME, scale * NUMBERS)
    assert model.score(NEW, scale * NEW_NUMBERS) > 0.7


def test_rows_of_weight_zero_do_not_count():
    weight = (np.arange(240) % 3 > 0).astype(float)
    wrong = np.where(weight > 0, NUMBERS, -100.0)
    model = regressor("fast").fit(FRAME, wrong, sample_weight=weight)
    assert model.score(NEW, NEW_NUMBERS) > 0.6
    assert model.limits_[0] > -100


def test_weights_shift_the_prediction():
    X = np.repeat([[0.0], [1.0]], 100, axis=0)
    y = np.tile([0.0, 1.0], 100)
    weight = np.where(y == 1, 3.0, 1.0)
    model = regressor("fast").fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.predict([[0.0], [1.0]]), 0.75, atol=0.1)


@pytest.mark.parametrize("weight", ["balanced", {1: 9.0}])
def test_class_weights_find_the_rare_class(weight):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 2))
    y = (X[:, 0] + rng.standard_normal(600) > 1.9).astype(int)  # a tenth
    plain = classifier("fast").fit(X, y)
    weighted = classifier("fast", class_weight=weight).fit(X, y)
    assert weighted.predict(X).sum() > 1.5 * max(plain.predict(X).sum(), 1)


def test_parameters_and_clones():
    model = classifier("fast", metric="auc", class_weight="balanced")
    again = clone(model)
    assert again.get_params() == model.get_params()
    assert repr(again) == repr(model)


def test_a_fit_can_be_repeated_with_another_table(fitted):
    model = regressor(epochs=2).fit(FRAME, NUMBERS)
    model.fit(FRAME[["size"]].to_numpy(), NUMBERS)
    assert model.n_features_in_ == 1
    assert not hasattr(model, "feature_names_in_")
    assert isinstance(model.network_, fn.Network)


def test_ctrl_c_ends_training_with_the_best_epoch(monkeypatch):
    from fastnn.tabular import members

    class Interrupted(members.BestEpoch):
        def epoch_end(self, net, epoch, metrics):
            super().epoch_end(net, epoch, metrics)
            if epoch == 3:
                raise KeyboardInterrupt
            return False

    monkeypatch.setattr(members, "BestEpoch", Interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = regressor().fit(FRAME, NUMBERS)
    assert len(model.report_.curves[0]["rmse"]) == 4
    assert np.isfinite(model.predict(NEW)).all()


def test_progress_is_shown(capsys):
    regressor("fast", epochs=2, verbose=True).fit(FRAME, NUMBERS)
    assert "epoch 2/2" in capsys.readouterr().err
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor("fast", epochs=2).fit(FRAME, NUMBERS)
    assert capsys.readouterr().err == ""
