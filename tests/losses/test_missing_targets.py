"""Missing targets and weights of outputs: as in the reference, in PyTorch, and without them."""

import copy
import pickle

import cases
import numpy as np
import pytest
import reference
import reference_derivatives as derivatives
import reference_optimizers
import reference_training
from case_inputs import sample_params
from cases import LOSS_CASES, SMOOTH_LOSS_CASES

import fastnn as fn

REAL = [case for case in LOSS_CASES if case.target != "labels"]
all_losses = pytest.mark.parametrize("case", LOSS_CASES, ids=lambda case: case.name)
real_losses = pytest.mark.parametrize("case", REAL, ids=lambda case: case.name)
smooth_losses = pytest.mark.parametrize("case", SMOOTH_LOSS_CASES, ids=lambda case: case.name)
both_reductions = pytest.mark.parametrize("reduction", ["mean", "sum"])
weighted_or_not = pytest.mark.parametrize("weighted", [False, True])

V = (2.0, 0.0, 0.5, 1.0)  # weights of four outputs


def made(case, reduction="mean", output_weight=None, ignore_nan=True):
    """Return the loss; one of classes has no weights of outputs."""
    if case.target == "labels":
        output_weight = None
    return getattr(fn, case.cls)(
        **case.args, reduction=reduction, ignore_nan=ignore_nan, output_weight=output_weight
    )


def holed(rng, y, share=0.4):
    """Return targets of which some are missing: single elements, whole rows, labels."""
    y = y.astype(float if y.ndim == 1 else y.dtype)
    y[rng.random(y.shape) < share] = np.nan
    y[1] = np.nan
    return y


def as_labels(y):
    """Return targets for the reference: missing labels are -1."""
    return np.where(np.isnan(y), -1, y).astype(int) if y.ndim == 1 else y.astype(float)


def sample_weights(rng, n, dtype):
    """Return weights; a third of them are 0."""
    return np.where(np.arange(n) % 3 == 1, 0, rng.uniform(0.1, 3, n)).astype(dtype)


def tolerance(dtype, units=100):
    return units * float(np.finfo(dtype).eps)


def wide(w):
    return None if w is None else w.astype(float)


@pytest.fixture
def problem(rng, dtype, make_network):
    """Return a network of four outputs, samples, targets with holes, weights; all in float64."""

    def make(case, n, weighted):
        layers = [cases.linear(3, 5), {"kind": "tanh"}, cases.linear(5, 4)]
        layers += [{"kind": "softmax"}] * (case.kind == "negative_log_likelihood")
        network = cases.NetworkCase("net", layers)
        params = sample_params(network, rng, dtype)
        X = rng.standard_normal((n, 3)).astype(dtype)
        y = holed(rng, case.make_y(rng, n, 4, dtype))
        w = sample_weights(rng, n, dtype) if weighted else None
        v = V if weighted and case.target != "labels" else None
        exact = layers, params.astype(float), X.astype(float), as_labels(y), case.description
        return make_network(network, dtype, params), X, y, w, v, exact

    return make


# Value and gradient ----------------------------------------------------------------------------


@all_losses
@both_reductions
@weighted_or_not
def test_value_and_gradient(isa, case, dtype, rng, reduction, weighted):
    y_pred, y = case.make_y_pred(rng, 13, 4, dtype), holed(rng, case.make_y(rng, 13, 4, dtype))
    w = sample_weights(rng, 13, dtype) if weighted else None
    v = V if weighted and case.target != "labels" else None
    value, gradient = made(case, reduction, v).value_and_grad(y_pred, y, w)
    expected = reference_training.observed_value_and_grad(
        case.description, y_pred.astype(float), as_labels(y), reduction, wide(w), v
    )
    rtol = tolerance(dtype, 30)
    assert value == pytest.approx(expected[0], rel=rtol)
    np.testing.assert_allclose(gradient, expected[1], rtol=rtol, atol=rtol)
    assert not gradient[np.isnan(y)].any()


@all_losses
@both_reductions
@weighted_or_not
@pytest.mark.parametrize("copies", [1, 700])  # 4900 rows take more than one chunk
def test_the_gradient_of_a_network(isa, problem, case, dtype, reduction, weighted, copies):
    net, X, y, w, v, exact = problem(case, 7, weighted)
    loss = made(case, reduction, v)
    many = [None if a is None else np.concatenate([a] * copies) for a in (X, y, w)]
    value, gradient = net.loss_and_grad(*many[:2], loss, many[2])
    if reduction == "sum":
        value, gradient = value / copies, gradient / copies
    layers, params, exact_X, exact_y, description = exact
    expected = reference_training.observed_value_and_grad(
        description, reference.forward(layers, params, exact_X), exact_y, reduction, wide(w), v
    )[0]
    exact_gradient = derivatives.observed_gradient(*exact, reduction, wide(w), v)
    rtol = tolerance(dtype, 300)
    assert value == pytest.approx(expected, rel=rtol)
    size = np.abs(exact_gradient).max() + (1 if reduction == "mean" else 7)
    np.testing.assert_allclose(gradient, exact_gradient, rtol=rtol, atol=rtol * size)
    if copies == 1:
        rows = net.sample_grads(X, y, loss)
        summed = net.loss_and_grad(X, y, made(case, "sum", v))[1]
        np.testing.assert_allclose(rows.sum(axis=0), summed, rtol=rtol, atol=rtol * size)
        missing = np.isnan(y) if y.ndim == 1 else np.isnan(y).all(axis=1)
        assert not rows[missing].any()
        assert rows[~missing].any()


@all_losses
@both_reductions
def test_the_gradient_is_the_finite_difference(case, rng, reduction):
    layers = [fn.Linear(3, 4), fn.Tanh(), fn.Linear(4, 4)]
    layers += [fn.Softmax()] * (case.kind == "negative_log_likelihood")
    net = fn.Network(layers, "float64", seed=1)
    X, y = rng.standard_normal((9, 3)), holed(rng, case.make_y(rng, 9, 4, "float64"))
    loss = made(case, reduction, V)
    _, gradient = net.loss_and_grad(X, y, loss)
    for i in (0, 5, 17, net.n_params - 1):
        values = []
        for step in (1e-6, -1e-6):
            moved = copy.deepcopy(net)
            moved.params[i] += step
            values.append(moved.loss_and_grad(X, y, loss)[0])
        assert gradient[i] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-7)


@all_losses
@both_reductions
def test_values_are_pytorchs(case, rng, reduction):
    torch = pytest.importorskip("torch")
    from torch_counterparts import leaf, torch_loss

    y_pred = case.make_y_pred(rng, 12, 4, "float64")
    y = holed(rng, case.make_y(rng, 12, 4, "float64"))
    value, gradient = made(case, reduction).value_and_grad(y_pred, y)
    if case.target == "labels":
        rows, outputs = ~np.isnan(y), leaf(y_pred)
        total = torch_loss(case.description, outputs[rows], torch.tensor(y[rows]).long(), reduction)
    else:  # each observed element as a sample of one output
        seen, outputs = ~np.isnan(y), leaf(y_pred)
        total = torch_loss(
            case.description, outputs[seen][:, None], torch.tensor(y[seen])[:, None], "sum"
        )
        sums = case.kind in ("half_squared_error", "poisson")
        total = total if sums else total / 4
        if reduction == "mean":
            total = total / (seen.any(axis=1).sum() if sums else seen.mean(axis=1).sum())
    total.backward()
    assert value == pytest.approx(float(total.detach()), rel=1e-9)
    np.testing.assert_allclose(gradient, outputs.grad.numpy(), rtol=1e-8, atol=1e-12)


# What it equals --------------------------------------------------------------------------------


@all_losses
@both_reductions
@weighted_or_not
def test_without_missing_targets_and_with_weights_of_one_no_bit_changes(
    isa, problem, case, dtype, rng, reduction, weighted
):
    net, X, _, w, _, _ = problem(case, 50, weighted)
    y = case.make_y(rng, 50, 4, dtype)
    plain = made(case, reduction, ignore_nan=False)
    for loss in (made(case, reduction), made(case, reduction, np.ones(4), ignore_nan=False)):
        assert loss.value_and_grad(net(X), y, w)[0] == plain.value_and_grad(net(X), y, w)[0]
        for ours, theirs in zip(
            net.loss_and_grad(X, y, loss, w), net.loss_and_grad(X, y, plain, w), strict=True
        ):
            assert np.array_equal(ours, theirs)
        fits = []
        for given in (loss, plain):
            fitted = copy.deepcopy(net)
            history = fitted.fit(X, y, loss=given, epochs=3, batch_size=8, seed=0, sample_weight=w)
            fits.append((fitted.params, history["loss"]))
        assert np.array_equal(fits[0][0], fits[1][0])
        assert fits[0][1] == fits[1][1]
        if case.has_hessian:
            ours, theirs = (net.gram(X, y, given)[0] for given in (loss, plain))
            np.testing.assert_allclose(ours, theirs, rtol=tolerance(dtype), atol=tolerance(dtype))


@real_losses
def test_an_output_of_weight_0_is_a_missing_column(isa, case, dtype, rng):
    y_pred, y = case.make_y_pred(rng, 9, 3, dtype), case.make_y(rng, 9, 3, dtype)
    column = y.copy()
    column[:, 1] = np.nan
    unweighted = made(case, "mean", (1, 0, 1), ignore_nan=False).value_and_grad(y_pred, y)
    missing = made(case).value_and_grad(y_pred, column)
    assert missing[0] == pytest.approx(unweighted[0], rel=tolerance(dtype))
    np.testing.assert_allclose(*(found[1] for found in (missing, unweighted)), rtol=1e-5)
    rest = made(case, ignore_nan=False).value_and_grad(y_pred[:, [0, 2]], y[:, [0, 2]])
    assert missing[0] == pytest.approx(rest[0], rel=tolerance(dtype))  # nothing is diluted
    np.testing.assert_allclose(missing[1][:, [0, 2]], rest[1], rtol=1e-5, atol=1e-7)


@all_losses
def test_a_sample_without_targets_is_no_sample(isa, case, dtype, rng):
    y_pred, y = case.make_y_pred(rng, 9, 3, dtype), case.make_y(rng, 9, 3, dtype)
    gone = y.astype(float)
    gone[[2, 5]] = np.nan
    kept = ~np.isnan(gone.reshape(9, -1)).any(axis=1)
    ours = made(case).value_and_grad(y_pred, gone)
    theirs = made(case, ignore_nan=False).value_and_grad(y_pred[kept], y[kept])
    assert ours[0] == pytest.approx(theirs[0], rel=tolerance(dtype))
    np.testing.assert_allclose(ours[1][kept], theirs[1], rtol=1e-5, atol=1e-7)
    labels = np.where(np.isnan(gone), -1, gone)
    if case.target == "labels":
        assert made(case).value_and_grad(y_pred, labels.astype(np.int8))[0] == ours[0]


@pytest.mark.parametrize("quantiles", [(0.1, 0.5, 0.9)])
def test_each_output_has_its_quantile(isa, dtype, rng, quantiles):
    y_pred, y = rng.standard_normal((2, 11, 3)).astype(dtype)
    y = holed(rng, y)
    loss = fn.Pinball(quantiles, ignore_nan=True, output_weight=[1, 2, 3])
    described = {"kind": "pinball", "quantiles": quantiles}
    expected = reference_training.observed_value_and_grad(
        described, y_pred.astype(float), y.astype(float), output_weight=[1, 2, 3]
    )
    value, gradient = loss.value_and_grad(y_pred, y)
    assert value == pytest.approx(expected[0], rel=tolerance(dtype))
    np.testing.assert_allclose(gradient, expected[1], rtol=tolerance(dtype))
    covered = [np.mean((y <= y_pred)[~np.isnan(y[:, j]), j]) for j in range(3)]
    assert loss.metric(y_pred, y) == pytest.approx(
        np.average(np.abs(np.subtract(covered, quantiles)), weights=[1, 2, 3])
    )


@all_losses
@both_reductions
def test_a_batch_without_targets_has_the_loss_0(isa, problem, case, dtype, reduction):
    net, X, y, _, v, _ = problem(case, 6, weighted=True)
    y[...] = np.nan
    loss = made(case, reduction, v)
    value, gradient = net.loss_and_grad(X, y, loss)
    assert (value, gradient.any()) == (0, False)
    assert loss.value_and_grad(net(X), y)[0] == 0
    with pytest.raises(ValueError, match="y is missing for every sample"):
        net.fit(X, y, loss=loss)
    if case.has_hessian:
        assert not net.gram(X, y, loss)[0].any()


@all_losses
def test_negative_weights_divide_by_what_is_observed(isa, problem, case, dtype, rng):
    net, X, y, _, _, _ = problem(case, 12, weighted=False)
    w = rng.standard_normal(12).astype(dtype)
    arguments = {**case.args, "ignore_nan": True, "negative_weights": True}
    value, gradient = net.loss_and_grad(X, y, getattr(fn, case.cls)(**arguments), w)
    losses, _, shares = reference_training.observed_losses_and_grads(
        case.description, net(X).astype(float), as_labels(y)
    )
    rtol = tolerance(dtype, 1000)
    assert value == pytest.approx((w * losses).sum() / shares.sum(), rel=rtol, abs=rtol)
    rows = net.sample_grads(X, y, made(case)).astype(float)
    expected = w @ rows / shares.sum()
    np.testing.assert_allclose(gradient, expected, rtol=rtol, atol=rtol * np.abs(rows).max())


# Second derivatives ----------------------------------------------------------------------------


@smooth_losses
@both_reductions
@weighted_or_not
def test_gram_hvp_and_hessian(isa, problem, case, dtype, rng, reduction, weighted):
    net, X, y, w, v, exact = problem(case, 7, weighted)
    layers, params, exact_X, exact_y, description = exact
    loss, direction = made(case, reduction, v), rng.standard_normal(net.n_params).astype(dtype)
    J = reference.jacobian(layers, params, exact_X, "params")
    outputs = reference.forward(layers, params, exact_X)
    rest = reduction, wide(w), v
    moved = params + 1j * derivatives.STEP * direction.astype(float)
    product = derivatives.observed_gradient(layers, moved, exact_X, exact_y, description, *rest)
    product = product.imag / derivatives.STEP
    matrix, gradient = net.gram(X, y, loss, sample_weight=w)
    expected = [
        derivatives.observed_gauss_newton(J, outputs, exact_y, description, *rest),
        derivatives.observed_gradient(*exact, *rest),
        product,
        product,
    ]
    found = [
        matrix,
        gradient,
        net.hvp(X, y, loss, direction, sample_weight=w),
        net.hessian(X, y, loss, sample_weight=w).astype(float) @ direction,
    ]
    for ours, theirs in zip(found, expected, strict=True):
        atol = tolerance(dtype, 300) * max(1, np.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


def test_the_gram_needs_targets_that_may_be_missing(rng):
    net = fn.Network([fn.Linear(2, 2)], seed=0)
    X = rng.standard_normal((5, 2))
    with pytest.raises(ValueError, match="y is None; the Hessian of HalfSquaredError needs y"):
        net.gram(X, loss=fn.HalfSquaredError(ignore_nan=True))
    weighted, _ = net.gram(X, loss=fn.HalfSquaredError("sum", output_weight=[4, 0]))
    plain, _ = net.gram(X)
    rows = np.r_[0:2, 4]  # the parameters of output 0
    np.testing.assert_allclose(weighted[np.ix_(rows, rows)], 4 * plain[np.ix_(rows, rows)], 1e-6)
    assert weighted.sum() == pytest.approx(4 * plain[np.ix_(rows, rows)].sum())
    with pytest.raises(ValueError, match="output_weight has 3 numbers; 2, one for each output"):
        net.gram(X, loss=fn.HalfSquaredError(output_weight=[1, 1, 1]))


# Training --------------------------------------------------------------------------------------


@all_losses
@both_reductions
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("dtype", ["float64"])
def test_training_agrees_with_the_oracle(isa, problem, case, reduction, shuffle):
    net, X, y, w, v, (layers, params, _, exact_y, description) = problem(case, 23, weighted=True)
    exact_y[10:15], y[10:15] = (-1 if y.ndim == 1 else np.nan), np.nan  # without shuffling, a batch
    settings = {"epochs": 4, "batch_size": 5}
    history = net.fit(
        X,
        y,
        loss=made(case, reduction, v),
        optimizer=fn.SGD(0.01, momentum=0.9),
        seed=4,
        shuffle=shuffle,
        sample_weight=w,
        **settings,
    )
    expected, losses = reference_training.train(
        layers,
        params,
        X,
        exact_y,
        loss=description,
        optimizer=reference_optimizers.SGD(0.01, momentum=0.9),
        rng=np.random.default_rng(4) if shuffle else None,
        reduction=reduction,
        weights=w,
        output_weight=v,
        **settings,
    )
    np.testing.assert_allclose(net.params, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-10)


@pytest.mark.parametrize("case", [LOSS_CASES[1], LOSS_CASES[9]], ids=lambda case: case.name)
def test_files_iterables_and_threads_train_alike(isa, problem, case, dtype, tmp_path):
    net, X, y, _, _, _ = problem(case, 90, weighted=False)
    loss = made(case)
    path = tmp_path / "x.dat"
    mapped = np.memmap(path, "float16", "w+", shape=X.shape)
    mapped[...] = X
    X = np.asarray(mapped, dtype)

    def trained(*data, **settings):
        copied = copy.deepcopy(net)
        history = copied.fit(*data, loss=loss, epochs=3, batch_size=16, seed=0, **settings)
        return copied.params, history["loss"]

    batches = [(X[:37], y[:37]), (X[37:], y[37:])]
    plain = trained(X, y)
    for other in (trained(mapped, y), trained(X, y, n_threads=2)):
        assert np.array_equal(other[0], plain[0])
        assert other[1] == plain[1]
    in_order = trained(X, y, shuffle=False, optimizer=fn.Adam(0.01))
    streamed = trained(batches, optimizer=fn.Adam(0.01))
    assert np.array_equal(streamed[0], in_order[0])
    assert streamed[1] == in_order[1]


@pytest.mark.parametrize("optimizer", [fn.LBFGS(), fn.LevenbergMarquardt()], ids=["lbfgs", "lm"])
@pytest.mark.parametrize("loss", [fn.HalfSquaredError, fn.MeanSquaredError])
@both_reductions
def test_a_linear_network_has_the_solution_of_each_output(optimizer, loss, reduction, rng):
    X = rng.standard_normal((40, 3))
    y = holed(rng, X @ rng.standard_normal((3, 2)) + rng.standard_normal((40, 2)))
    w = rng.uniform(0.5, 2, 40)
    net = fn.Network([fn.Linear(3, 2)], "float64", seed=0)
    made = loss(reduction, ignore_nan=True, output_weight=[3, 0.5])
    net.fit(X, y, loss=made, optimizer=optimizer, sample_weight=w, epochs=200)
    for j in range(2):
        seen = ~np.isnan(y[:, j])
        root = np.sqrt(w[seen])[:, None]
        A = np.column_stack([X[seen], np.ones(seen.sum())])
        solution = np.linalg.lstsq(root * A, root[:, 0] * y[seen, j], rcond=None)[0]
        found = [*net.layers[0].weight[j], net.layers[0].bias[j]]
        np.testing.assert_allclose(found, solution, atol=1e-4)


def test_the_evidence_counts_what_is_observed(rng):
    X = rng.standard_normal((60, 2))
    y = np.column_stack([np.sin(X[:, 0]), X[:, 1]]) + 0.1 * rng.standard_normal((60, 2))
    layers = [fn.Linear(2, 4), fn.Tanh(), fn.Linear(4, 2)]
    optimizer = fn.LevenbergMarquardt(bayesian=True)
    histories = []
    gone = np.concatenate([y, np.full((20, 2), np.nan)])
    more = np.concatenate([X, rng.standard_normal((20, 2))])
    for given_X, given_y, loss in (
        (X, y, fn.MeanSquaredError()),
        (more, gone, fn.MeanSquaredError(ignore_nan=True)),
        (X, y, fn.MeanSquaredError(output_weight=[1, 1])),
    ):
        net = fn.Network(copy.deepcopy(layers), "float64", seed=3)
        histories.append(net.fit(given_X, given_y, loss=loss, optimizer=optimizer, epochs=5))
    for other in histories[1:]:
        for name in ("loss", "weight_precision", "noise_precision", "log_evidence"):
            np.testing.assert_allclose(other[name], histories[0][name], rtol=1e-6)


def test_validation_measures_what_is_observed(rng):
    X, y = rng.standard_normal((30, 3)), holed(rng, rng.standard_normal((30, 2)))
    seen, w = ~np.isnan(y), rng.uniform(0.1, 1, 30)
    net = fn.Network([fn.Linear(3, 2)], "float64", seed=0)
    loss = fn.Huber(ignore_nan=True)
    history = net.fit(X, y, loss=loss, epochs=2, validation_data=(X, y, w), metrics=("r2",))
    squares = (net(X) - y)[seen] ** 2
    flat = np.broadcast_to(w[:, None], y.shape)[seen]
    assert history["val_loss"][-1] == pytest.approx(loss.value_and_grad(net(X), y, w)[0])
    assert history["val_rmse"][-1] == pytest.approx(np.sqrt(np.average(squares, weights=flat)))
    total = np.average((y[seen] - np.average(y[seen], weights=flat)) ** 2, weights=flat)
    assert history["val_r2"][-1] == pytest.approx(1 - np.average(squares, weights=flat) / total)

    labels = np.where(rng.random(30) < 0.4, np.nan, rng.integers(3, size=30))
    net, seen = fn.Network([fn.Linear(3, 3)], "float64", seed=0), ~np.isnan(labels)
    loss = fn.SoftmaxCrossEntropy(ignore_nan=True)
    history = net.fit(X, labels, loss=loss, epochs=2, validation_data=(X, labels))
    right = net(X).argmax(axis=1)[seen] == labels[seen]
    assert history["val_accuracy"][-1] == right.mean()
    net.fit(X, labels, loss=loss, epochs=1, validation_data=0.3)


@pytest.mark.parametrize("binary", [False, True])
def test_class_weights_count_observed_labels(rng, binary):
    X, classes = rng.standard_normal((40, 2)), (rng.random(40) < 0.3).astype(float)
    y = np.where(rng.random(40) < 0.4, np.nan, classes)
    seen = ~np.isnan(y)
    kind = fn.BinaryCrossEntropy if binary else fn.SoftmaxCrossEntropy
    fits = []
    for data, loss in (((X, y), kind(ignore_nan=True)), ((X[seen], y[seen]), kind())):
        for class_weight in ("balanced", {1: 3.0}):
            net = fn.Network([fn.Linear(2, 1 if binary else 2)], "float64", seed=0)
            net.fit(*data, loss=loss, class_weight=class_weight, batch_size=40, shuffle=False)
            fits.append(net.params)
    np.testing.assert_allclose(fits[0], fits[2], rtol=1e-9)
    np.testing.assert_allclose(fits[1], fits[3], rtol=1e-9)


# Arguments -------------------------------------------------------------------------------------


def test_forms_of_targets(rng):
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    X = rng.standard_normal((4, 2)).astype("float32")
    y = np.array([[1.0, np.nan], [np.nan, np.nan], [0.5, 2.0], [3.0, 4.0]])
    net = fn.Network([fn.Linear(2, 2)], seed=0)
    loss = fn.MeanSquaredError(ignore_nan=True)
    expected = net.loss_and_grad(X, y, loss)
    nullable = pandas.DataFrame({"a": [1, None, 0.5, 3], "b": [None, None, 2, 4]}, dtype="Float64")
    frame = polars.DataFrame({"a": [1.0, None, 0.5, 3.0], "b": [None, None, 2.0, 4.0]})
    for form in (y.tolist(), np.asfortranarray(y), y.astype("float32"), nullable, frame, y[::1]):
        found = net.loss_and_grad(X, form, loss)
        assert found[0] == expected[0]
        assert np.array_equal(found[1], expected[1])
    net, loss = fn.Network([fn.Linear(2, 3)], seed=0), fn.SoftmaxCrossEntropy(ignore_nan=True)
    expected = net.loss_and_grad(X, [0, -1, 2, -1], loss)[0]
    for form in ([0, np.nan, 2, np.nan], pandas.Series([0, None, 2, None], dtype="Int64")):
        assert net.loss_and_grad(X, form, loss)[0] == expected


@pytest.mark.parametrize("ignore_nan", [False, True])
def test_nan_is_allowed_where_said_so_and_infinity_never(dtype, ignore_nan):
    net = fn.Network([fn.Linear(1, 1)], dtype, seed=0)
    for loss in (fn.Huber, fn.Pinball, fn.Poisson, fn.BinaryCrossEntropy):
        loss = loss(ignore_nan=ignore_nan)
        with pytest.raises(ValueError, match=r"y\[1, 0\] is inf.*wanted"):
            net.loss_and_grad([[1], [2]], [np.nan, np.inf] if ignore_nan else [1, np.inf], loss)
        if not ignore_nan:
            with pytest.raises(ValueError, match=r"y\[0, 0\] is nan; finite numbers are wanted"):
                net.loss_and_grad([[1], [2]], [np.nan, 1], loss)
    with pytest.raises(ValueError, match=r"X\[0, 0\] is nan; finite"):
        net.loss_and_grad([[np.nan]], [1], fn.Huber(ignore_nan=ignore_nan))
    loss = fn.SoftmaxCrossEntropy(ignore_nan=ignore_nan)
    with pytest.raises(ValueError, match=r"y\[0\] is (nan|-2)"):
        loss.value_and_grad([[1, 2]], [-2 if ignore_nan else np.nan])
    with pytest.raises(ValueError, match=r"y holds -1; Poisson|y\[0, 0\] is nan"):
        fn.Poisson(ignore_nan=ignore_nan).value_and_grad([[1], [2]], [np.nan, -1])
    loss = fn.BinaryCrossEntropy(ignore_nan=ignore_nan)
    with pytest.raises(ValueError, match=r"y lies in \[0.5, 2\]|y\[0, 0\] is nan"):
        loss.value_and_grad([[1], [2], [1]], [np.nan, 0.5, 2])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"ignore_nan": 1}, TypeError, "ignore_nan is 1; True or False"),
        ({"output_weight": []}, ValueError, r"output_weight is \[\]; numbers of at least 0"),
        ({"output_weight": [0, 0]}, ValueError, "not all 0"),
        ({"output_weight": [1, -1]}, ValueError, r"output_weight is \[1.0, -1.0\]"),
        ({"output_weight": [1, np.nan]}, ValueError, r"output_weight\[1\] is nan"),
        ({"output_weight": 2.0}, ValueError, r"output_weight has shape \(\)"),
        ({"output_weight": "a"}, TypeError, "output_weight has dtype"),
    ],
)
@pytest.mark.parametrize("loss", [fn.HalfSquaredError, fn.Pinball, fn.BinaryCrossEntropy])
def test_wrong_arguments(loss, arguments, error, message):
    with pytest.raises(error, match=message):
        loss(**arguments)


def test_losses_of_classes_refuse_weights_of_outputs():
    for loss in (fn.SoftmaxCrossEntropy, fn.NegativeLogLikelihood):
        with pytest.raises(TypeError, match=r"output_weight is given; .* takes class labels"):
            loss(output_weight=[1, 2])
    with pytest.raises(ValueError, match="output_weight has 2 numbers; 3, one for each output"):
        fn.Huber(output_weight=[1, 2]).value_and_grad([[1, 2, 3]], [[1, 2, 3]])
    with pytest.raises(ValueError, match="output_weight has 2 numbers; 1, one for each output"):
        fn.Pinball(0.5, output_weight=[1, 2]).value_and_grad([[1]], [1])


@all_losses
def test_repr_copy_pickle_and_equality(case):
    plain = getattr(fn, case.cls)(**case.args)
    assert "ignore_nan" not in repr(plain)  # checkpoints of earlier versions have this text
    assert "output_weight" not in repr(plain)
    loss = made(case, "sum", (1, 2))
    for other in (
        pickle.loads(pickle.dumps(loss)),
        copy.deepcopy(loss),
        eval(repr(loss), vars(fn)),
    ):
        assert other == loss
        assert hash(other) == hash(loss)
        assert other != plain
    older = pickle.loads(pickle.dumps(plain))
    del vars(older)["ignore_nan"], vars(older)["output_weight"]  # as in an older pickle
    assert older.value_and_grad([[0.25, 0.75]], [1] if case.target == "labels" else [[1, 0]])
    assert repr(older) == repr(plain)


def test_a_checkpoint_belongs_to_a_loss(rng, tmp_path):
    X, y = rng.standard_normal((20, 2)), holed(rng, rng.standard_normal((20, 2)))
    path, loss = tmp_path / "fit.ckpt", fn.Huber(ignore_nan=True, output_weight=[1, 3])

    def fit(loss, epochs, **settings):
        net = fn.Network([fn.Linear(2, 2)], seed=0)
        net.fit(X, y, loss=loss, optimizer=fn.Adam(0.01), epochs=epochs, seed=0, **settings)
        return net.params

    fit(loss, 2, checkpoint=path)
    with pytest.raises(ValueError, match="loss"):
        fit(fn.Huber(ignore_nan=True), 4, checkpoint=path, resume=True)
    assert np.array_equal(fit(loss, 4, checkpoint=path, resume=True), fit(loss, 4))
