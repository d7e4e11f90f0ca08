"""Every loss of the table against the oracle; fused losses against separate steps."""

import numpy as np
import pytest
import reference
import reference_training
from cases import LOSS_CASES

import fastnn as fn

all_losses = pytest.mark.parametrize("case", LOSS_CASES, ids=lambda case: case.name)


def made(case, reduction="mean"):
    """Return the loss."""
    return getattr(fn, case.cls)(**case.args, reduction=reduction)


pytestmark = pytest.mark.usefixtures("isa")


@all_losses
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("shape", [(1, 2), (7, 3), (40, 10)], ids=str)
def test_value_and_gradient(case, dtype, rng, reduction, shape):
    y_pred = case.make_y_pred(rng, *shape, dtype)
    y = case.make_y(rng, *shape, dtype)
    value, gradient = made(case, reduction).value_and_grad(y_pred, y)
    expected = reference_training.loss_value_and_grad(
        case.description,
        y_pred.astype(float),
        y if case.target == "labels" else y.astype(float),
        reduction,
    )
    rtol = 20 * float(np.finfo(dtype).eps)
    assert isinstance(value, float)
    assert gradient.dtype == dtype
    assert value == pytest.approx(expected[0], rel=rtol)
    np.testing.assert_allclose(gradient, expected[1], rtol=rtol, atol=rtol)


@all_losses
def test_gradient_against_finite_differences(case, rng):
    y_pred = case.make_y_pred(rng, 5, 4, "float64")
    y = case.make_y(rng, 5, 4, "float64")
    loss = made(case)
    numerical = reference.numerical_vjp(lambda p: loss.value_and_grad(p, y)[0], y_pred, 1.0)
    np.testing.assert_allclose(loss.value_and_grad(y_pred, y)[1], numerical, rtol=1e-6, atol=1e-8)


def test_the_mean_is_the_default_and_averages_over_samples(rng):
    y_pred, y = rng.standard_normal((6, 3)), rng.standard_normal((6, 3))
    total, total_gradient = fn.HalfSquaredError(reduction="sum").value_and_grad(y_pred, y)
    mean, mean_gradient = fn.HalfSquaredError().value_and_grad(y_pred, y)
    assert total == pytest.approx(0.5 * ((y_pred - y) ** 2).sum())
    assert mean == pytest.approx(total / 6)
    np.testing.assert_allclose(mean_gradient, total_gradient / 6, rtol=1e-15)


def test_cross_entropy_is_softmax_then_likelihood(dtype, rng):
    z = (3 * rng.standard_normal((20, 5))).astype(dtype)
    labels = rng.integers(5, size=20)
    value, gradient = fn.SoftmaxCrossEntropy().value_and_grad(z, labels)
    softmax = fn.Softmax()
    longer, dS = fn.NegativeLogLikelihood().value_and_grad(softmax(z), labels)
    rtol = 50 * float(np.finfo(dtype).eps)
    assert value == pytest.approx(longer, rel=rtol)
    np.testing.assert_allclose(gradient, softmax.vjp(z, dS), rtol=rtol, atol=rtol)


def test_logits_of_any_size_are_stable(dtype):
    value, gradient = fn.SoftmaxCrossEntropy().value_and_grad(
        np.array([[1e4, 0, -1e4]], dtype), [2]
    )
    assert value == 2e4
    assert gradient.tolist() == [[1, 0, -1]]
    value, gradient = fn.BinaryCrossEntropy().value_and_grad(
        np.array([[1e4], [-1e4], [1e4], [-1e4]], dtype), [0, 1, 1, 0]
    )
    assert value == 5e3
    assert gradient.tolist() == [[0.25], [-0.25], [0], [0]]


def test_labels_of_any_whole_kind(rng):
    z = rng.standard_normal((3, 4))
    expected = fn.SoftmaxCrossEntropy().value_and_grad(z, [0, 3, 1])
    for kind in (np.int8, np.uint64, np.float32, ">i4"):
        value, gradient = fn.SoftmaxCrossEntropy().value_and_grad(z, np.array([0, 3, 1], kind))
        assert value == expected[0]
        assert np.array_equal(gradient, expected[1])


@pytest.mark.parametrize(
    ("layers", "kind"),
    [([fn.LogSoftmax], "log-probabilities"), ([], "logits"), ([fn.ReLU], "logits")],
)
def test_likelihood_says_when_it_is_not_given_probabilities(rng, layers, kind):
    net = fn.Network([fn.Linear(4, 3), *[layer() for layer in layers]], "float64", seed=3)
    X, labels = rng.standard_normal((30, 4)), rng.integers(3, size=30)
    for call in (
        lambda: net.fit(X, labels, loss=fn.NegativeLogLikelihood()),
        lambda: net.loss_and_grad(X, labels, fn.NegativeLogLikelihood()),
        lambda: fn.NegativeLogLikelihood().value_and_grad(net(X), labels),
    ):
        with pytest.raises(ValueError, match=f"takes probabilities.*look like {kind}"):
            call()


def test_a_quantile_for_each_output(dtype, rng):
    """Targets (n,) serve every quantile of a sequence, but not a single quantile."""
    quantiles, y_pred = (0.1, 0.5, 0.95), rng.standard_normal((20, 3)).astype(dtype)
    y = rng.standard_normal(20).astype(dtype)
    loss = fn.Pinball(list(quantiles))
    assert loss == fn.Pinball(quantiles) == fn.Pinball(np.array(quantiles))
    found, same = loss.value_and_grad(y_pred, y), np.repeat(y[:, None], 3, axis=1)
    expected = reference_training.loss_value_and_grad(
        {"kind": "pinball", "quantiles": np.array(quantiles)}, y_pred.astype(float), same
    )
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)
    assert loss.value_and_grad(y_pred, same)[0] == found[0]
    each = [fn.Pinball(q).value_and_grad(y_pred[:, [i]], y)[0] for i, q in enumerate(quantiles)]
    assert found[0] == pytest.approx(np.mean(each), rel=1e-6)
    with pytest.raises(ValueError, match=r"y has shape \(20,\)"):
        fn.Pinball(0.5).value_and_grad(y_pred, y)
    with pytest.raises(ValueError, match="quantiles has 2 numbers; 3, one for each output"):
        fn.Pinball((0.1, 0.9)).value_and_grad(y_pred, y)


def test_pinball_finds_the_quantiles(rng):
    y = rng.exponential(size=1001)
    net = fn.Network([fn.Linear(1, 3)], "float64", seed=0)
    quantiles, X = (0.1, 0.5, 0.9), np.zeros((1001, 1))
    history = net.fit(
        X,
        y,
        loss=fn.Pinball(quantiles),
        optimizer=fn.Adam(0.01),
        epochs=800,
        batch_size=1001,
        validation_data=(X, y),
    )
    np.testing.assert_allclose(net.predict(X[0]), np.quantile(y, quantiles), atol=0.05)
    shares = (y[:, None] <= net.predict(X)).mean(axis=0)
    assert history["val_coverage_error"][-1] == pytest.approx(np.abs(shares - quantiles).mean())
    assert history["val_coverage_error"][-1] < 0.01


def test_poisson_finds_the_rates(rng):
    X = rng.uniform(-1, 1, (2000, 2))
    y = rng.poisson(np.exp(1 + X @ [0.5, -1]))
    net = fn.Network([fn.Linear(2, 1)], "float64", seed=0)
    history = net.fit(
        X, y, loss=fn.Poisson(), optimizer=fn.Adam(0.02), epochs=40, seed=0, validation_data=(X, y)
    )
    np.testing.assert_allclose(net.params, [0.5, -1, 1], atol=0.1)
    error = np.exp(net.predict(X)).ravel() - y
    assert history["val_rmse"][-1] == pytest.approx(np.sqrt(np.mean(error**2)))


def test_the_slope_of_straight_pieces_at_their_kinks(dtype):
    y = np.zeros((3, 1), dtype)
    y_pred = np.array([[-2], [0], [2]], dtype)
    for loss, slopes in (
        (fn.MeanAbsoluteError("sum"), [-1, 0, 1]),
        (fn.Pinball(0.25, reduction="sum"), [-0.25, 0, 0.75]),
        (fn.Huber(2, reduction="sum"), [-2, 0, 2]),
    ):
        assert loss.value_and_grad(y_pred, y)[1].ravel().tolist() == slopes
    net = fn.Network([fn.Linear(1, 1, bias=False)], dtype, seed=0)
    net.params[...] = 1  # errors of 1, 2 and 3; at delta the loss is linear
    matrix, _ = net.gram([[1], [2], [3]], [0, 0, 0], fn.Huber(2.0, reduction="sum"))
    assert matrix.tolist() == [[1]]


def test_labels_smoothed_away_are_the_mean_of_all_classes(dtype, rng):
    """Label smoothing adds a share of the mean loss over all classes."""
    z, y = rng.standard_normal((6, 3)).astype(dtype), rng.integers(3, size=6)
    smooth = fn.SoftmaxCrossEntropy(label_smoothing=0.3).value_and_grad(z, y)
    labels = [y, *(np.full(6, k) for k in range(3))]
    hard = [fn.SoftmaxCrossEntropy().value_and_grad(z, given) for given in labels]
    for i in range(2):
        expected = 0.7 * hard[0][i] + 0.1 * sum(part[i] for part in hard[1:])
        np.testing.assert_allclose(smooth[i], expected, rtol=2e-6, atol=1e-6)


def test_losses_of_one_kind_in_turns(dtype, rng):
    """The engine remembers the last loss of a call; another one must replace it."""
    net = fn.Network([fn.Linear(3, 2)], dtype, seed=0)
    X, y = rng.standard_normal((5, 3)), 4 * rng.standard_normal((5, 2))
    losses = [fn.Huber(0.5), fn.Huber(2.0), fn.Pinball(0.1), fn.Pinball(0.8)]
    error = net.predict(X).astype(float) - y
    expected = [
        np.where(abs(error) < d, error**2 / 2, d * (abs(error) - d / 2)).mean() for d in (0.5, 2)
    ] + [np.maximum(-q * error, (1 - q) * error).mean() for q in (0.1, 0.8)]
    for i in (0, 1, 0, 2, 3, 2, 1, 3, 3, 0):
        assert net.loss_and_grad(X, y, losses[i])[0] == pytest.approx(expected[i], rel=1e-5)
