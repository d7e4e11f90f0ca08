"""Validation: held-out shares of the data, and the metrics measured on them."""

import numpy as np
import pytest
from custom_loss import Python

import fastnn as fn


def held_out_rows(X, y, loss, share, seed, n_out):
    """Return the held-out targets, as a metric gets them, and the History."""
    seen = []

    def spy(outputs, target):
        seen.append(target.copy())
        return 0.5

    net = fn.Network([fn.Linear(X.shape[1], n_out)], "float64", seed=0)
    history = net.fit(
        X,
        y,
        loss=loss,
        optimizer=fn.SGD(1e-3),
        epochs=1,
        seed=seed,
        validation_data=share,
        metrics=[spy],
    )
    return seen[0], history, net


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_share_holds_each_class_in_proportion(rng, share):
    y = rng.permutation(np.repeat(np.arange(4), [40, 80, 20, 2]))
    X = rng.standard_normal((len(y), 3))
    target, history, _ = held_out_rows(X, y, fn.SoftmaxCrossEntropy(), share, 0, 4)
    expected = [round(share * 40), round(share * 80), round(share * 20), 1]
    assert np.bincount(target, minlength=4).tolist() == expected
    assert history["val_spy"] == [0.5]


def test_a_share_of_real_targets(rng):
    X, y = rng.standard_normal((50, 3)), np.arange(50.0)
    settings = (fn.MeanSquaredError(), 0.3)
    first, _, _ = held_out_rows(X, y, *settings, 0, 1)
    again, _, _ = held_out_rows(X, y, *settings, 0, 1)
    other, _, _ = held_out_rows(X, y, *settings, 1, 1)
    assert len(np.unique(first)) == 15
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_share_trains_as_its_rows_alone_would(isa, dtype, rng):
    """The orders of the epochs are those of a fit on the training rows with the same seed."""
    X, y = rng.standard_normal((50, 3)).astype(dtype), np.arange(50.0)
    loss, optimizer = fn.MeanSquaredError(), fn.SGD(1e-4)
    seen = []

    def spy(outputs, target):
        seen.append(target[:, 0].copy())
        return 0.0

    nets = [fn.Network([fn.Linear(3, 1)], dtype, seed=0) for _ in range(2)]
    settings = {"loss": loss, "optimizer": optimizer, "epochs": 3, "batch_size": 7, "seed": 5}
    history = nets[0].fit(X, y, validation_data=0.2, metrics=[spy], **settings)
    training = np.setdiff1d(np.arange(50), seen[0].astype(int))
    assert len(training) == 40
    same = nets[1].fit(
        X[training], y[training], validation_data=(X[seen[0].astype(int)], seen[0]), **settings
    )
    assert np.array_equal(nets[0].params, nets[1].params)
    assert history["val_loss"] == same["val_loss"]


def test_a_class_of_one_sample_trains_with_a_warning(rng):
    y = np.array([0] * 10 + [1] * 10 + [2])
    X = rng.standard_normal((21, 3))
    net = fn.Network([fn.Linear(3, 3)], seed=0)
    with pytest.warns(UserWarning, match="of class 2 there is a single sample") as caught:
        net.fit(X, y, epochs=1, validation_data=0.2)
    assert caught[0].filename == __file__


def test_nothing_to_hold_out(rng):
    net = fn.Network([fn.Linear(3, 3)], seed=0)
    with pytest.raises(ValueError, match="a single sample of each class"):
        net.fit(rng.standard_normal((3, 3)), [0, 1, 2], validation_data=0.5)
    with pytest.raises(ValueError, match="there is a single sample"):
        net.fit(np.ones((1, 3)), np.ones((1, 3)), loss=fn.MeanSquaredError(), validation_data=0.5)


def test_named_metrics_against_scikit_learn(rng):
    metrics = pytest.importorskip("sklearn.metrics")
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    net = fn.Network([fn.Linear(3, 1)], "float64", seed=0)

    def worst(outputs, target):
        outputs -= target  # a metric may write to its arguments
        return np.abs(outputs).max()

    history = net.fit(
        X,
        y,
        loss=fn.MeanSquaredError(),
        optimizer=fn.SGD(0.01),
        epochs=2,
        validation_data=(X[:15], y[:15]),
        metrics=("rmse", worst, "r2"),
    )
    assert list(history) == ["loss", "val_loss", "val_rmse", "val_worst", "val_r2", "seconds"]
    predicted = net.predict(X[:15])[:, 0]
    assert history["val_r2"][-1] == pytest.approx(metrics.r2_score(y[:15], predicted), rel=1e-9)
    mse = metrics.mean_squared_error(y[:15], predicted)
    assert history["val_rmse"][-1] == pytest.approx(mse**0.5, rel=1e-9)
    assert history["val_worst"][-1] == pytest.approx(np.abs(predicted - y[:15]).max(), rel=1e-9)


def test_accuracy_of_one_output(rng):
    X = rng.standard_normal((60, 2))
    y = (X[:, 0] > 0).astype(float)
    net = fn.Network([fn.Linear(2, 1)], seed=0)
    history = net.fit(
        X, y, loss=fn.BinaryCrossEntropy(), seed=0, validation_data=0.5, metrics=["accuracy"]
    )
    assert 0.8 < history["val_accuracy"][-1] <= 1


@pytest.mark.parametrize("flat", [False, True])
def test_named_metrics_beside_a_loss_of_ones_own(rng, flat):
    """Targets may have shape (n,) or (n, 1); the metrics equal those of the built-in loss."""

    class OfColumns(Python):
        def value_and_grad(self, y_pred, y):
            real = isinstance(self.loss, fn.MeanSquaredError)
            return super().value_and_grad(y_pred, y.reshape(-1, 1) if real else y.ravel())

    X = rng.standard_normal((40, 3))
    y, labels = rng.standard_normal(40), rng.integers(2, size=40)
    for loss, target, n_out, names in (
        (fn.MeanSquaredError(), y, 1, ["rmse", "r2"]),
        (fn.SoftmaxCrossEntropy(), labels, 2, ["accuracy"]),
    ):
        figures = []
        for own in (False, True):
            given = target if flat or not own else target[:, np.newaxis]
            net = fn.Network([fn.Linear(3, n_out)], "float64", seed=0)
            history = net.fit(
                X,
                given,
                loss=OfColumns(loss) if own else loss,
                optimizer=fn.SGD(1e-9),
                epochs=1,
                validation_data=(X, given),
                metrics=names,
            )
            figures.append([history[f"val_{name}"][-1] for name in names])
        np.testing.assert_allclose(figures[0], figures[1], rtol=1e-7)


def test_a_named_metric_of_targets_that_it_cannot_compare(rng):
    X, y = rng.standard_normal((12, 3)), np.eye(2)[np.arange(12) % 2]
    net = fn.Network([fn.Linear(3, 2)], seed=0)
    before = net.params.copy()
    with pytest.raises(
        ValueError, match=r"metrics has 'accuracy', which compares .* \(12,\), .* have \(12, 2\)"
    ):
        net.fit(
            X,
            y,
            loss=Python(fn.MeanSquaredError()),
            epochs=1,
            validation_data=(X, y),
            metrics=["accuracy"],
        )
    assert np.array_equal(net.params, before)


def test_a_metric_that_spoils_what_it_is_given(rng):
    X, y = rng.standard_normal((20, 3)), rng.standard_normal((20, 1))

    def spoiling(outputs, targets):
        outputs[...] = targets[...] = 0
        return 0.0

    def losses(metrics):
        net = fn.Network([fn.Linear(3, 1)], "float64", seed=0)
        return net.fit(
            X,
            y,
            loss=fn.MeanSquaredError(),
            epochs=3,
            seed=0,
            validation_data=(X, y),
            metrics=metrics,
        )["val_loss"]

    assert losses((spoiling, "r2")) == losses(())


def test_a_metric_with_the_name_of_the_loss_s_own(rng):
    def rmse(outputs, targets):
        return 0.0

    with pytest.raises(ValueError, match=r"metrics\[0\] is called 'rmse', as MeanSquaredError's"):
        fn.Network([fn.Linear(3, 1)]).fit(
            np.ones((4, 3)),
            np.ones(4),
            loss=fn.MeanSquaredError(),
            validation_data=0.5,
            metrics=(rmse,),
        )


def test_an_error_in_a_metric_arrives_unchanged(rng):
    def broken(outputs, y):
        raise LookupError("mine")

    def wordy(outputs, y):
        return "good"

    X, y = rng.standard_normal((10, 3)), np.zeros(10, int)
    for metric, error, message in (
        (broken, LookupError, "mine"),
        (wordy, TypeError, "metric wordy returned 'good'"),
    ):
        net = fn.Network([fn.Linear(3, 2)], seed=0)
        with pytest.raises(error, match=message):
            net.fit(X, y, validation_data=(X, y), metrics=[metric])
        net.fit(X, y, epochs=1)


def test_a_history_becomes_a_data_frame(rng):
    X, y = rng.standard_normal((10, 3)), np.zeros(10, int)
    history = fn.Network([fn.Linear(3, 2)], seed=0).fit(X, y, epochs=3, validation_data=0.2)
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(history)
    assert list(frame.columns) == list(history)
    assert len(frame) == 3


def test_a_history_is_a_dict_of_columns(rng):
    """pandas needs a dict whose lists have one length."""
    X, y = rng.standard_normal((10, 3)), np.zeros(10, int)
    history = fn.Network([fn.Linear(3, 2)], seed=0).fit(X, y, epochs=3, validation_data=0.2)
    assert isinstance(history, dict)
    assert {name: len(column) for name, column in history.items()} == dict.fromkeys(
        ("loss", "val_loss", "val_accuracy", "learning_rate", "seconds"), 3
    )
