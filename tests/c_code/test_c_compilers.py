"""Programs in C under several compilers, and what they need of the C library."""

import subprocess

import numpy as np
import pytest
from c_programs import ACTIVATIONS, C99, Program, demand

import fastnn as fn
from fastnn.c_code.text import FUNCTIONS

WARNINGS = ("-Wshadow", "-Wconversion", "-Wno-sign-conversion", "-Wdouble-promotion", "-Wvla")


def network_of_everything(dtype):
    """Return a network whose program has every function of the generator."""
    rng = np.random.default_rng(0)
    edges = [[-1.0, 0.0, 2.0]]
    branches = [[fn.Parametric(9, activation)] for activation in ACTIVATIONS]
    layers = [
        fn.CategoricalEmbedding(3, [4], 2),
        fn.PeriodicEmbedding(4, 1, frequencies=6),
        fn.PiecewiseLinearEmbedding(7, 1, bins=edges, size=3),
        fn.Parallel([*branches, []], combine="sum"),
        fn.LayerNorm(9),
        fn.BatchNorm(9),
        fn.Residual([fn.LogSoftmax(), fn.Softmax()]),
        fn.Unstandardize(rng.normal(size=9), rng.uniform(0.5, 2, 9)),
        fn.Linear(9, 5),
        fn.Linear(5, 1),
    ]
    return fn.Network(layers, dtype, seed=0)


compilers = pytest.mark.parametrize(
    ("compiler", "flags", "dtype"),
    [
        ("gcc", ["-O2", *WARNINGS, *C99], "float32"),
        ("gcc", ["-O1", "-x", "c++", "-std=c++98"], "float64"),
        ("gcc", ["-O0", "-fsanitize=undefined", "-fno-sanitize-recover", *C99], "float32"),
        ("clang", ["-O1", *WARNINGS, *C99], "float64"),
        ("clang", ["-O1", "-x", "c++", "-std=c++17"], "float32"),
    ],
    ids=["gcc", "gcc c++", "sanitizer", "clang", "clang c++"],
)


@compilers
def test_compilers(compiler, flags, dtype, tmp_path, rng):
    """Each compiles without a warning, and gives the results of gcc without optimization."""
    net = network_of_everything(dtype)
    (tmp_path / "plain").mkdir()
    wanted = ("jacobian", "jvp", "vjp", "hessian")
    plain = Program(net, tmp_path / "plain", *wanted)
    program = Program(net, tmp_path, *wanted, compiler=compiler, flags=flags)
    X = rng.normal(size=(50, 3)).astype(dtype)
    X[:, 2] = rng.integers(-1, 5, 50)
    tolerance = 100 * np.finfo(dtype).eps
    for function, inputs in (
        ("predict", (X,)),
        ("jacobian", (X,)),
        ("hessian", (X,)),
        ("jvp", (X, X)),
        ("vjp", (X, X[:, :1])),
    ):
        for found, expected in zip(
            program(function, *inputs), plain(function, *inputs), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@compilers
@pytest.mark.parametrize("last", [fn.Softmax, fn.LogSoftmax])
def test_compilers_of_classifiers(last, compiler, flags, dtype, tmp_path, rng):
    """Their Jacobians apply softmax to the weight before it."""
    layers = [fn.Linear(4, 5), fn.SiLU(), fn.Linear(5, 3), last()]
    net = fn.Network(layers, dtype, seed=0)
    X = (10 * rng.normal(size=(50, 4))).astype(dtype)
    _, found = Program(net, tmp_path, "jacobian", compiler=compiler, flags=flags)("jacobian", X)
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(found, net.jacobian(X), rtol=tolerance, atol=tolerance)


def test_the_generator_has_no_other_functions(tmp_path):
    """Only what a program calls is written; this one calls all."""
    net = network_of_everything("float32")
    net.export_c(tmp_path / "all.c", jacobian=True, hessian=True)
    text = (tmp_path / "all.c").read_text(encoding="utf-8")
    net = fn.Network([fn.Linear(2, 8), fn.Tanh(), fn.Linear(8, 1)])
    net.quantize(np.eye(2)).export_c(tmp_path / "all.c")
    text += (tmp_path / "all.c").read_text(encoding="utf-8")
    fn.Network([fn.Linear(2, 2), fn.Softmax()]).export_c(tmp_path / "all.c", jacobian=True)
    text += (tmp_path / "all.c").read_text(encoding="utf-8")
    assert {name for name in FUNCTIONS if f"all_{name}" in text} == set(FUNCTIONS)
    net = fn.Network([fn.Linear(2, 8), fn.ReLU(), fn.Linear(8, 8)], seed=0)
    net.export_c(tmp_path / "relu.c")
    text = (tmp_path / "relu.c").read_text(encoding="utf-8")
    assert {name for name in FUNCTIONS if f"relu_{name}(" in text} == {"relu", "add_product"}
    assert text.count("#include") == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_symbols(dtype, tmp_path):
    """There is no data but constants, and a square root is the only call of the library."""
    demand("gcc")
    demand("nm")
    net = network_of_everything(dtype)
    net.export_c(tmp_path / "net.c", jacobian=True, jvp=True, vjp=True, hessian=True)
    target = tmp_path / "net.o"
    command = ["gcc", "-O1", "-std=c99", "-c", "-o", target, tmp_path / "net.c"]
    subprocess.run(command, check=True)
    listed = subprocess.run(["nm", target], capture_output=True, text=True, check=True).stdout
    kinds = [line.split()[-2:] for line in listed.splitlines()]
    assert {name for kind, name in kinds if kind == "U"} <= {"sqrt", "sqrtf"}
    assert {kind for kind, _ in kinds} <= {"U", "T", "t", "r"}
    public = {name for kind, name in kinds if kind == "T"}
    assert public == {f"net_{name}" for name in ("predict", "jacobian", "jvp", "vjp", "hessian")}


def test_numbers_keep_their_bits(dtype, tmp_path):
    info = np.finfo(dtype)
    values = [0.0, -0.0, info.smallest_subnormal, -info.tiny, info.max, info.min, np.pi, 1e9, 0.1]
    values += list(np.random.default_rng(0).normal(size=200))
    layer = fn.Scale(len(values))
    layer.weight = values
    net = fn.Network([layer], dtype)
    found = Program(net, tmp_path)("predict", np.ones((1, len(values)), dtype))[0]
    assert found.tobytes() == net.layers[0].weight.tobytes()
