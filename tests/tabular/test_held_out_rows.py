"""Results from held-out rows: temperature, intervals, out-of-fold predictions, importance."""

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")
pytest.importorskip("pandas")
from tabular_fits import EPOCHS, FRAME, LABELS, NEW, NEW_NUMBERS, NUMBERS, classifier, regressor


def test_probabilities_are_calibrated():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 2))
    y = rng.random(2000) < 1 / (1 + np.exp(-2 * X[:, 0]))
    losses = {}
    for calibrate in (True, False):
        model = classifier("fast", calibrate=calibrate).fit(X[:1500], y[:1500])
        p = model.predict_proba(X[1500:])[:, 1]
        losses[calibrate] = -np.log(np.where(y[1500:], p, 1 - p)).mean()
    assert model.temperature_ == 1
    assert losses[True] < losses[False] + 0.005
    tiny = classifier("fast", epochs=2).fit(X[:20], y[:20])  # 4 rows are held out
    assert tiny.temperature_ == 1


@pytest.mark.parametrize("weights", [None, [1, 2]])
def test_without_held_out_rows_nothing_is_calibrated(weights):
    model = classifier("fast", calibrate=True, epochs=1)
    model.fit([[1.0], [2.0]], [0, 1], sample_weight=weights)
    assert model.report_.n_held_out == 0
    assert model.temperature_ == 1


def test_the_last_epoch_counts_if_the_metric_is_never_defined():
    model = regressor("fast", metric="r2", epochs=3).fit(np.arange(40.0)[:, None], np.ones(40))
    assert np.isnan(model.report_.scores).all()
    assert model.report_.best_epochs == [3]


def test_a_temperature_is_the_minimiser():
    from fastnn.tabular import calibration

    rng = np.random.default_rng(0)
    logits = 3 * rng.standard_normal((5000, 3))
    p = calibration.probabilities([logits], 1.0)
    labels = np.array([rng.choice(3, p=row) for row in p])
    assert calibration.temperature(2.5 * logits, labels, None) == pytest.approx(2.5, rel=0.1)
    certain = calibration.temperature(logits, logits.argmax(axis=1), None)
    assert 0.05 < certain < 1


def test_intervals_cover_their_share():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 2))
    y = X[:, 0] + rng.exponential(1, 3000)
    model = regressor("fast", epochs=20).fit(X[:2000], y[:2000])
    for coverage in (0.5, 0.9):
        ends = model.predict_interval(X[2000:], coverage)
        assert ends.shape == (1000, 2)
        inside = (ends[:, 0] <= y[2000:]) & (y[2000:] <= ends[:, 1])
        assert abs(inside.mean() - coverage) < 0.05
        assert abs(np.mean(y[2000:] < ends[:, 0]) - np.mean(y[2000:] > ends[:, 1])) < 0.1
    default = regressor("fast", epochs=2).fit(X[:50], y[:50])  # 10 rows are held out
    with pytest.raises(ValueError, match="coverage is 0.9, and 10 rows were held out; 19 or more"):
        default.predict_interval(X)
    with pytest.raises(ValueError, match="coverage is 1"):
        default.predict_interval(X, 1.0)


def test_offsets_of_intervals_follow_the_definition():
    from fastnn.tabular.intervals import offsets

    errors = np.arange(1.0, 20.0)
    assert offsets(errors, 0.9) == (1.0, 19.0)
    assert offsets(np.arange(1.0, 100.0), 0.9) == (5.0, 95.0)
    assert offsets(np.arange(1.0, 4.0), 0.5) == (1.0, 3.0)


def test_out_of_fold_predictions():
    weight = np.ones(240)
    weight[::10] = 0
    model = regressor("best").fit(FRAME, NUMBERS, sample_weight=weight)
    assert np.isnan(model.oof_prediction_[::10]).all()
    seen = weight > 0
    assert np.corrcoef(model.oof_prediction_[seen], NUMBERS[seen])[0, 1] > 0.7
    assert model.report_.n_held_out == seen.sum()
    mean = np.mean([model._finish(z) for z in model._outputs(NEW)], axis=0)
    np.testing.assert_array_equal(model.predict(NEW), mean)
    model = classifier("best").fit(FRAME, LABELS)
    assert model.oof_prediction_.shape == (240, 3)
    right = model.classes_[model.oof_prediction_.argmax(axis=1)] == LABELS
    assert right.mean() > 0.6
    model.set_params(preset="fast").fit(FRAME, LABELS)
    assert not hasattr(model, "oof_prediction_")


def test_out_of_fold_rows_were_not_trained_on():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 5)), rng.standard_normal(200)  # y does not depend on X
    model = regressor("best").fit(X, y)
    assert np.corrcoef(model.oof_prediction_, y)[0, 1] < 0.3
    own = np.array([z[:, 0] for z in model._outputs(X)])
    differences = np.abs(own - model.oof_prediction_)
    assert differences.min(axis=0).max() < 1e-5
    assert np.bincount(differences.argmin(axis=0)).tolist() == [40] * 5


def test_importance_names_the_columns_that_count(fitted):
    for model in fitted.values():
        importances = model.feature_importances_
        assert importances.shape == (6,)
        assert importances.sum() == pytest.approx(1)
        by_name = dict(zip(FRAME.columns, importances, strict=True))
        assert min(by_name["size"], by_name["town"]) > max(by_name["age"], by_name["day"])
        np.testing.assert_allclose(model.gradient_importance(NEW), importances, atol=0.15)


def test_importance_is_the_derivative_of_the_network():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 3))
    model = regressor("fast", epochs=5).fit(X, X[:, 0])
    z = model.encoder_.transform(X)
    slopes = np.abs(
        [
            (model.network_.predict(z + 1e-2 * e) - model.network_.predict(z - 1e-2 * e))[:, 0]
            for e in np.eye(3, dtype=np.float32)
        ]
    ).mean(axis=1)
    expected = slopes * z.std(axis=0)
    np.testing.assert_allclose(model.gradient_importance(X), expected / expected.sum(), rtol=0.02)


def test_scikit_learns_tools_take_the_raw_frame(fitted):
    from sklearn.inspection import partial_dependence, permutation_importance
    from sklearn.model_selection import cross_val_score

    model = fitted["regressor"]
    found = permutation_importance(model, NEW, NEW_NUMBERS, n_repeats=2, random_state=0)
    assert found.importances_mean[0] > found.importances_mean[1]
    curve = partial_dependence(model, NEW, ["size"], grid_resolution=5)["average"][0]
    assert curve[-1] > curve[0]
    assert len(cross_val_score(regressor("fast", epochs=2), FRAME, NUMBERS, cv=2)) == 2


def test_the_report_tells_what_was_read(fitted):
    report = fitted["classifier"].report_
    text = repr(report)
    assert "240 rows, 48 held out; 1 network of" in text
    for column in FRAME.columns:
        assert column in text
    page = report._repr_html_()
    assert page.startswith("<table>")
    assert "<svg" in page
    assert report.seconds > 0
    assert report.best_epochs[0] <= EPOCHS
