"""Very large and very small numbers, wherever squares of them could overflow or underflow."""

import re

import numpy as np
import pytest
import reference_optimizers
from whole_segment import whole

import fastnn as fn
from fastnn import _core, metrics
from fastnn.cli import main

LARGE = {"float32": [1e10, 1e19, 1e20, 1e30, 1e37], "float64": [1e150, 1e155, 1e160, 1e300]}
MAGNITUDES = [(dtype, magnitude) for dtype, some in LARGE.items() for magnitude in some]


def layer_norm(x, eps=1e-5):
    """x̂, and the Jacobian of each row, in higher precision."""
    x = x.astype(np.longdouble)
    n = x.shape[1]
    centred = x - x.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + eps)
    y = centred / deviation
    matrices = np.eye(n) - 1 / n - y[:, :, None] * y[:, None, :] / n
    return y, matrices / deviation[:, :, None]


def assert_near(actual, expected, dtype):
    expected = np.asarray(expected)
    error = np.abs(actual - expected).max() / np.abs(expected).max()
    assert error < 200 * np.finfo(dtype).eps


@pytest.mark.parametrize("n", [3, 16, 100])
@pytest.mark.parametrize(("dtype", "magnitude"), MAGNITUDES)
def test_large_rows_are_normalised(isa, rng, dtype, magnitude, n):
    x = (rng.uniform(-3, 3, (4, n)) * magnitude).astype(dtype)
    dy = rng.standard_normal((4, n)).astype(dtype)
    net = fn.Network([fn.LayerNorm(n)], dtype, seed=0)
    y, jacobian = layer_norm(x)
    assert_near(net(x), y, dtype)
    assert_near(net.predict(x), y, dtype)
    assert_near(net.backward(dy), np.einsum("bij,bi->bj", jacobian, dy), dtype)
    assert_near(net.jvp(x, dy), np.einsum("bij,bj->bi", jacobian, dy), dtype)
    assert_near(net.jacobian(x), jacobian, dtype)
    assert_near(net.layers[0].jacobian(x[0]).to_dense(), jacobian[0], dtype)


@pytest.mark.parametrize(("dtype", "magnitude"), MAGNITUDES)
def test_large_cotangents_go_back(isa, rng, dtype, magnitude):
    net = fn.Network([fn.LayerNorm(50)], dtype, seed=0)
    x = rng.standard_normal((4, 50)).astype(dtype)
    dy = (rng.uniform(3, 4, (4, 50)) * magnitude).astype(dtype)
    if magnitude == max(LARGE[dtype]):
        dy *= 8 if dtype == "float32" else 1e7  # the sum overflows
    net(x)
    expected = np.einsum("bij,bi->bj", layer_norm(x)[1], dy.astype(np.longdouble))
    error = np.abs(net.vjp(x, dy) - expected).max() / np.abs(dy).max()
    assert error < 200 * np.finfo(dtype).eps


@pytest.mark.parametrize("n", [3, 10, 64, 100])
def test_constant_rows_are_finite_at_any_size(isa, dtype, n):
    top = np.log10(float(np.finfo(dtype).max)) - 0.1
    x = np.repeat(np.power(10.0, np.linspace(-5, top, 200))[:, None], n, axis=1).astype(dtype)
    for rows in (x, -x):
        y = fn.Network([fn.LayerNorm(n)], dtype, seed=0)(rows)
        assert np.abs(y).max() < 1e-2


@pytest.mark.parametrize("magnitude", [1e-200, 1.0, 1e150, 1e155, 1e160, 1e300])
def test_large_columns_are_normalised(isa, rng, magnitude):
    """The variance of values near 1e160 overflows float64, and then a fit raises an error."""
    x = rng.standard_normal((20, 3))
    x[:, 1] *= magnitude
    net = fn.Network([fn.BatchNorm(3), fn.Linear(3, 1)], "float64", seed=0)
    expected = x.astype(np.longdouble) - x.mean(axis=0)
    expected /= np.sqrt((expected**2).mean(axis=0) + 1e-5)
    y = net.forward(x, training=True)
    weight, bias = net.layers[1].weight, net.layers[1].bias
    np.testing.assert_allclose(y, (expected @ weight.T + bias).astype(float), rtol=1e-12)
    if magnitude < 1e155:
        np.testing.assert_allclose(net.layers[0].running_var, 0.9 + 0.1 * x.var(axis=0, ddof=1))
    else:
        with pytest.raises(fn.DivergenceError):
            net.fit(x, x[:, 0], loss=fn.MeanSquaredError(), optimizer=fn.SGD(1e-3), epochs=1)


# Optimizers -------------------------------------------------------------------------------------

OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adam", {}),
    ("Adam", {"eps": 1e-37}),
    ("Adam", {"eps": 1e-20, "betas": (0.99, 0.9999)}),
    ("AdamW", {"eps": 1e-37, "weight_decay": 0.1}),
    ("RMSprop", {}),
    ("RMSprop", {"eps": 1e-37}),
    ("RMSprop", {"eps": 1e-30, "momentum": 0.9}),
    ("RMSprop", {"eps": 1e-30, "centered": True}),
    ("RMSprop", {"eps": 1e-30, "centered": True, "momentum": 0.9}),
]
SIZES = {
    "float32": [1e-30, 1e-26, 1e-24, 1e-20, 1e-18, 1e-16, 1e-10, 1.0, 1e10, 1e17, 1e20, 1e30],
    "float64": [1e-200, 1e-160, 1e-150, 1e-30, 1.0, 1e30, 1e150, 1e160, 1e200],
}


def steps(optimizer, start, gradients):
    """The parameters after a step with each of the gradients."""
    params = start.copy()
    state = np.zeros((len(optimizer.state_names), params.size), params.dtype)
    place = whole(params.size)
    rule, rate = optimizer.update_rule(), optimizer.learning_rate
    for step, gradient in enumerate(gradients, start=1):
        _core.engine.optimizer_step(rule, rate, params, gradient, state, place, step)
    return params


@pytest.mark.parametrize(("kind", "settings"), OPTIMIZERS, ids=str)
@pytest.mark.parametrize("start", [0, 1])
def test_gradients_of_any_size_agree_with_pytorch(isa, dtype, rng, kind, settings, start):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    noise = rng.uniform(0.2, 1, (60, 9)) * rng.choice([-1, 1], 9)
    for size in SIZES[dtype]:
        gradients = (noise * size).astype(dtype)
        theirs = torch.full((9,), start, dtype=getattr(torch, dtype), requires_grad=True)
        update = getattr(torch.optim, kind)([theirs], lr=0.01, **settings)
        for gradient in gradients:
            theirs.grad = torch.tensor(gradient)
            update.step()
        expected = theirs.detach().numpy()
        if not np.isfinite(expected).all():  # its centered variance is below 0 by rounding
            continue
        ours = steps(getattr(fn, kind)(0.01, **settings), np.full(9, start, dtype), gradients)
        tolerance = 1e-3 if dtype == "float32" else 1e-9
        np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=1e-37)


@pytest.mark.parametrize("size", [1e-30, 1e-27, 1e-24, 1e-22, 1e-18, 1e-16, 1.0, 1e15])
def test_adam_moves_however_small_the_gradients(isa, rng, size):
    """If g² underflows in float32, only eps is in the denominator, and the reference agrees."""
    gradients = (rng.uniform(0.2, 1, (150, 9)) * size).astype("float32")
    eps = 1e-37 if size >= 1e-16 else 1e-12
    expected = reference_optimizers.Adam(0.01, eps=eps)
    exact = np.zeros(9)
    for gradient in gradients:
        exact = expected.step(exact, gradient.astype(float))
    ours = steps(fn.Adam(0.01, eps=eps), np.zeros(9, "float32"), gradients)
    np.testing.assert_allclose(ours, exact, rtol=1e-4)


@pytest.mark.parametrize("decay", [0.1, 1e-4])
def test_a_feature_that_is_always_0_ends_with_weights_of_0(isa, decay):
    """Products with subnormal weights would be slow."""
    gradients = np.zeros((30000, 9), "float32")
    optimizer = fn.Adam(1e-3, weight_decay=decay)
    assert not steps(optimizer, np.full(9, 1e-3, "float32"), gradients).any()
    alone = fn.Adam(1e-3)  # without a penalty nothing moves
    assert (steps(alone, np.full(9, 1e-30, "float32"), gradients[:9]) == np.float32(1e-30)).all()


@pytest.mark.parametrize(
    ("dtype", "size", "clip_norm"),
    [
        ("float32", 1e-30, 1.0),
        ("float32", 1e20, 1e-3),
        ("float32", 1e30, 1.0),
        ("float32", 1e30, 1e-20),
        ("float32", 3e37, 1e-4),
        ("float64", 1e-200, 1.0),
        ("float64", 1e155, 1.0),
        ("float64", 1e200, 1e-3),
        ("float64", 1e200, 1e-200),
        ("float64", 1e300, 1e10),
        ("float64", 1e200, 1e250),
    ],
)
def test_clipping_gradients_of_any_size(isa, rng, dtype, size, clip_norm):
    gradient = (rng.standard_normal(1000) * size).astype(dtype)
    exact = gradient.astype(np.longdouble)
    exact *= min(1, clip_norm / (np.sqrt((exact**2).sum()) + np.longdouble(1e-6)))
    moved = steps(fn.SGD(1.0, clip_norm=clip_norm), np.zeros(1000, dtype), [gradient])
    np.testing.assert_allclose(-moved, exact.astype(float), rtol=1e-5, atol=0)


# Figures and scales -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e-163, 1.0, 1e155, 1e200, 1e307])
@pytest.mark.parametrize("weighted", [False, True])
def test_figures_of_any_size(rng, size, weighted):
    targets, outputs = rng.uniform(-1, 1, (2, 200, 2)) * size
    weights = rng.uniform(0.5, 2, 200) if weighted else None
    exact, errors = targets.astype(np.longdouble), outputs.astype(np.longdouble) - targets
    shares = np.ones(200) if weights is None else weights
    shares = (shares / (2 * shares.sum()))[:, np.newaxis]
    squares = (shares * errors**2).sum()
    variance = (shares * (exact - (shares * exact).sum()) ** 2).sum()
    found = metrics.rmse(outputs, targets, weights), metrics.r2(outputs, targets, weights)
    np.testing.assert_allclose(found[0], float(np.sqrt(squares)), rtol=1e-12)
    np.testing.assert_allclose(found[1], float(1 - squares / variance), rtol=1e-12)


def test_figures_of_float32_are_taken_in_float64():
    outputs, targets = np.full((4, 1), 3e38, "float32"), np.full((4, 1), -3e38, "float32")
    assert metrics.rmse(outputs, targets) == pytest.approx(6e38)
    assert np.isnan(metrics.rmse(np.array([np.nan, 1]), np.zeros(2)))
    assert metrics.rmse(targets, targets) == 0


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e-163, 1.0, 1e155, 1e200, 1e307])
def test_columns_of_any_size_are_standardised(rng, size):
    x = np.stack([rng.standard_normal(500) * size, rng.uniform(1, 2, 500)], axis=1)
    layer = fn.Standardize.from_data(x)
    exact = x.astype(np.longdouble)
    np.testing.assert_allclose(layer.scale, exact.std(axis=0).astype(float), rtol=1e-12)
    np.testing.assert_allclose(
        layer.mean, exact.mean(axis=0).astype(float), rtol=1e-10, atol=size * 1e-15
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("size", "mean", "refused"),
    [
        (1e155, 0, {"float32": "reaches .*, too large for float32"}),
        (1.3e38, 0, {"float32": "reaches .*, too large for float32; --dtype float64"}),
        (1e307, 0, dict.fromkeys(["float32", "float64"], "too large for")),
        (1e-163, 0, {"float32": "varies by .*, too little for float32; --dtype float64"}),
        (1e-200, 0, {"float32": "too little for float32"}),
        (1e-310, 0, dict.fromkeys(["float32", "float64"], "too little for")),
        (1e30, 0, {}),
        (1e-28, 0, {}),
        (1e20, 1e21, {}),
    ],
)
def test_the_command_line_trains_on_targets_of_any_size(
    tmp_path, capsys, rng, dtype, size, mean, refused
):
    X = rng.standard_normal((100, 3))
    np.savez(tmp_path / "data.npz", X=X, y=X @ [1, -2, 0.5] * size + mean)
    model = tmp_path / "model.safetensors"
    command = [
        "train",
        str(tmp_path / "data.npz"),
        "--output",
        str(model),
        "--dtype",
        dtype,
        "--task",
        "regression",
        "--hidden",
        "--learning-rate",
        "0.05",
    ]
    status = main(command)
    said = capsys.readouterr()
    if dtype in refused:
        assert status == 2
        assert re.search(refused[dtype], said.err)
        assert not model.exists()
        return
    assert status == 0
    assert float(re.search(r"training: .*R2 (\S+)", said.out)[1]) > 0.99
    assert np.isfinite(fn.load(model).predict(X)).all()
