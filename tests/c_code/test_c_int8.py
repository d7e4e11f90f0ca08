"""Networks in int8: the same integers in C and in NumPy, near to the network."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from c_programs import ACTIVATIONS, C99, Program
from custom_layers import PythonTanh

import fastnn as fn
from fastnn.c_code.int8 import Int8Layer


def network(seed, dtype):
    """Return a network of all layers that have a form in int8."""
    rng = np.random.default_rng(seed)

    def activation():
        return ACTIVATIONS[rng.integers(len(ACTIVATIONS))]()

    width = int(rng.integers(1, 20))
    layers = [fn.Standardize(rng.normal(size=width), rng.uniform(0.5, 2, width))]
    layers = layers if seed % 3 else [fn.Dropout()]
    for _ in range(rng.integers(1, 4)):
        inner = int(rng.integers(2, 40))
        layers.append(fn.Linear(width, inner, bias=bool(rng.integers(2))))
        normalization = fn.BatchNorm(inner)
        normalization.running_mean = rng.normal(size=inner)
        normalization.running_var = rng.uniform(0.5, 2, inner)
        scaling = fn.Unstandardize(rng.normal(size=inner), rng.uniform(0.5, 2, inner))
        around = [[normalization], [fn.Scale(inner, bias=True)], [scaling], []]
        layers += around[rng.integers(4)] + [activation(), fn.Dropout()] + around[3]
        if rng.integers(3) == 0:
            layers += [activation(), fn.Standardize(rng.normal(size=inner), np.full(inner, 1.5))]
        width = inner
    outputs = int(rng.integers(2, 6))
    layers.append(fn.Linear(width, outputs))
    tails = [[fn.Softmax()], [fn.LayerNorm(outputs), fn.Tanh()], [], [fn.Sigmoid()]]
    net = fn.Network([*layers, *tails[rng.integers(4)]], dtype, seed=seed)
    net.params += 0.05 * rng.normal(size=net.n_params)
    return net


@pytest.mark.parametrize("seed", range(15))
def test_the_same_integers_in_c(seed, dtype, tmp_path, rng, monkeypatch):
    """Also for inputs far outside of the calibration set."""
    net = network(seed, dtype)
    quantized = net.quantize(rng.normal(size=(200, net.in_features)))
    linears = [i for i, layer in enumerate(net.layers) if isinstance(layer, fn.Linear)]
    X = rng.normal(size=(1000, net.in_features)) * np.repeat([1, 5, 1e4, 1e-4], 250)[:, np.newaxis]
    X = X.astype(dtype)
    found, expected = Program(quantized, tmp_path)("predict", X), quantized.predict(X)
    if linears[-1] == len(net.layers) - 1:
        assert np.array_equal(found, expected)
    else:  # the layers after the last linear one round differently in the engine's builds
        np.testing.assert_allclose(found, expected, rtol=0, atol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("seed", range(15))
def test_outputs_are_near_to_those_of_the_network(seed, dtype, rng):
    net = network(seed, dtype)
    X = rng.normal(size=(500, net.in_features)).astype(dtype)
    quantized, expected = net.quantize(X), net.predict(X)
    errors = quantized.predict(X).astype(float) - expected
    assert quantized.max_error == pytest.approx(np.abs(errors).max(), rel=1e-5)
    assert quantized.rms_error == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-5)
    assert quantized.rms_error < 0.1 * expected.std()
    assert np.array_equal(quantized.predict(X[0]), quantized.predict(X[:1])[0])
    before = quantized.predict(X)
    net.params[:] = 0
    assert np.array_equal(quantized.predict(X), before)


def test_integers_are_rounded_exactly(rng):
    """Compared with fractions: the nearest integer, with halves away from 0."""
    n = 2000
    layer = Int8Layer(
        weight=np.ones((n, 1), np.int8),
        bias=rng.integers(-(2**31), 2**31, n, dtype=np.int64).astype(np.int32)
        >> rng.integers(0, 31),
        scale=np.ones(n),
        multiplier=rng.integers(2**30, 2**31, n, dtype=np.int64).astype(np.int32),
        shift=rng.integers(31, 62, n).astype(np.uint8),
        zero=-3,
    )
    layer.bias[:10], layer.multiplier[:10], layer.shift[:10] = np.arange(-5, 5), 2**30, 31
    found = layer.int8_output(np.zeros((1, 1), np.int8))[0]
    for i in range(n):
        exact = Fraction(int(layer.bias[i]) * int(layer.multiplier[i]), 2 ** int(layer.shift[i]))
        whole = int(abs(exact) + Fraction(1, 2)) * (1 if exact > 0 else -1)
        assert found[i] == min(max(whole - 3, -128), 127)


@pytest.mark.parametrize(
    ("compiler", "flags"),
    [
        ("clang", ["-O2", "-Wconversion", "-Wno-sign-conversion", *C99]),
        ("gcc", ["-O1", "-x", "c++", "-std=c++11"]),
        ("gcc", ["-O0", "-fsanitize=undefined", "-fno-sanitize-recover", *C99]),
    ],
    ids=["clang", "c++", "sanitizer"],
)
def test_compilers_of_int8(compiler, flags, tmp_path, rng):
    net = fn.Network([fn.Linear(3, 8), fn.Mish(), fn.Linear(8, 8), fn.ReLU(), fn.Linear(8, 2)])
    quantized = net.quantize(rng.normal(size=(100, 3)))
    X = (100 * rng.normal(size=(100, 3))).astype("float32")
    X[0], X[1] = 3e38, -3e38
    program = Program(quantized, tmp_path, compiler=compiler, flags=flags)
    assert np.array_equal(program("predict", X), quantized.predict(X))
    assert f"the root mean square is {quantized.rms_error:.3g}." in (tmp_path / "net.h").read_text(
        encoding="utf-8"
    )
    X[0, 0] = np.nan
    assert np.isfinite(program("predict", X)).all()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([fn.Standardize([0.0], [1.0]), fn.Tanh()], "at least one Linear is wanted for int8"),
        (
            [fn.Linear(2, 2), fn.LayerNorm(2), fn.Linear(2, 1)],
            r"layers\[1\] is LayerNorm.* no form in int8 there; between linear layers activations "
            "are possible, with BatchNorm, Scale, Standardize and Unstandardize before or after",
        ),
        ([fn.Tanh(), fn.Linear(2, 1)], r"layers\[0\] is Tanh\(\), before the first Linear"),
        (
            [fn.Linear(2, 2), fn.Parametric(2, fn.Tanh), fn.Linear(2, 1)],
            r"layers\[1\] is Parametri",
        ),
        (
            [fn.Linear(2, 2), fn.Residual([fn.Linear(2, 2)]), fn.Linear(2, 1)],
            r"layers\[1\] is Resid",
        ),
        ([fn.Linear(30_001, 1)], "a Linear of 30,001 inputs; at most 30,000"),
    ],
)
def test_layers_without_int8(layers, message):
    net = fn.Network(layers)
    with pytest.raises(ValueError, match=message):
        net.quantize(np.ones((3, net.in_features)))


def test_custom_layers_are_refused():
    """They have no form in C."""
    net = fn.Network([fn.Linear(2, 3), PythonTanh()])
    with pytest.raises(TypeError, match="the custom layer PythonTanh.*, whose code is Python"):
        net.quantize(np.ones((3, 2)))


@pytest.mark.parametrize("case", ["large", "small", "weights"])
def test_numbers_near_the_limits_of_the_dtype(case, dtype, rng):
    """They are refused with an error, and nothing warns."""
    limits = np.finfo(dtype)
    net = fn.Network([fn.Linear(2, 4), fn.ReLU(), fn.Linear(4, 1)], dtype, seed=0)
    X = rng.uniform(-1, 1, size=(20, 2)).astype(dtype)
    if case == "large":
        X *= limits.max
    elif case == "small":
        X *= limits.tiny
    else:
        net.layers[0].weight *= limits.tiny
        net.layers[0].bias[:] = 0
    beyond = pytest.raises(ValueError, match="numbers for X beyond the limits of")
    with warnings.catch_warnings(action="error"), beyond:
        net.quantize(X)


def test_large_errors_do_not_overflow(dtype, rng):
    net = fn.Network([fn.Linear(2, 4), fn.ReLU(), fn.Linear(4, 1)], dtype, seed=0)
    net.layers[2].weight *= np.finfo(dtype).max / 8
    X = rng.uniform(-1, 1, size=(20, 2)).astype(dtype)
    with warnings.catch_warnings(action="error"):
        quantized = net.quantize(X)
    errors = quantized.predict(X).astype(float) / 1e30 - net.predict(X).astype(float) / 1e30
    assert quantized.max_error / 1e30 == pytest.approx(np.abs(errors).max())
    assert 0.1 * quantized.max_error < quantized.rms_error < quantized.max_error


@pytest.mark.parametrize("factor", [1e-15, 1.0, 1e15])
def test_numbers_of_any_usual_size(factor, dtype, rng):
    net = fn.Network([fn.Linear(2, 4), fn.ReLU(), fn.Linear(4, 1)], dtype, seed=0)
    X = rng.uniform(-factor, factor, size=(200, 2)).astype(dtype)
    net.layers[0].bias[:] *= factor
    with warnings.catch_warnings(action="error"):
        quantized = net.quantize(X)
    assert quantized.rms_error < 0.05 * net.predict(X).std()


def test_bad_calibration_sets(tmp_path):
    net = fn.Network([fn.Linear(2, 1)])
    for X in (np.empty((0, 2)), np.ones((3, 3)), np.ones(2), [[1.0, np.nan]]):
        with pytest.raises(ValueError, match="X"):
            net.quantize(X)
    quantized = net.quantize(np.zeros((1, 2)))
    for X in (np.ones((3, 3)), [[1.0, np.inf]]):
        with pytest.raises(ValueError, match="X"):
            quantized.predict(X)
    with pytest.raises(ValueError, match="path is"):
        quantized.export_c(tmp_path / "net.cpp")
    net.params[0] = np.inf
    with pytest.raises(ValueError, match="params hold NaN or infinity"):
        net.quantize(np.ones((3, 2)))


def test_the_columns_of_a_data_frame(rng):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(rng.normal(size=(40, 3)), columns=["a", "b", "c"])
    net = fn.Network([fn.Linear(3, 4), fn.ReLU(), fn.Linear(4, 1)], seed=0)
    net.fit(X, np.zeros((40, 1)), loss=fn.MeanSquaredError(), epochs=1)
    quantized = net.quantize(X)
    assert np.array_equal(quantized.predict(X), quantized.predict(X.to_numpy()))
    with pytest.raises(ValueError, match="same order"):
        quantized.predict(X[["c", "b", "a"]])
