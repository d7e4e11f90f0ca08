"""Networks as programs in C: compiled, loaded, and called for each row of a matrix."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

import fastnn as fn

CLEAN = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-ffp-contract=off"]
C99 = ["-std=c99"]

# For each function, its arguments: "x" for an input, and the shape of each result.
INPUTS = {"predict": "x", "jacobian": "x", "jvp": "xx", "vjp": "xy", "hessian": "x"}
RESULTS = {
    "predict": ["y"],
    "jacobian": ["y", "yx"],
    "jvp": ["y", "y"],
    "vjp": ["y", "x"],
    "hessian": ["y", "x", "xx"],
}


def demand(compiler):
    """Skip the test if there is no such compiler."""
    if shutil.which(compiler) is None:
        pytest.skip(f"the compiler {compiler} is not installed")


class Program:
    """The functions that `net.export_c` writes, for matrices with a sample in each row."""

    def __init__(
        self, net, folder, *wanted, compiler="gcc", flags=("-O0", *C99), name="net", **options
    ):
        demand(compiler)
        self._sizes = {"x": net.in_features, "y": net.out_features}
        self._dtype = net.dtype
        net.export_c(folder / f"{name}.c", **dict.fromkeys(wanted, True), **options)
        scalar = {"float32": "float", "float64": "double"}[str(net.dtype)]
        (folder / "driver.c").write_text(
            self._driver(name, scalar, ["predict", *wanted]), encoding="utf-8"
        )
        library = folder / f"{name}.so"
        made = ["-shared", "-fPIC", "-o", library, folder / "driver.c", "-lm"]
        command = [compiler, *flags, *CLEAN, *made]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self._library = ctypes.CDLL(str(library))

    def _driver(self, name, scalar, wanted):
        # one unit takes a compiler less time than two
        lines = [f'#include "{name}.c"', "#ifdef __cplusplus", 'extern "C" {', "#endif"]
        for function in wanted:
            inputs = [(size, "const ") for size in INPUTS[function]]
            arguments = inputs + [(shape, "") for shape in RESULTS[function]]
            places = [f"p{i}" for i in range(len(arguments))]
            head = ", ".join(
                f"{const}{scalar} *{place}"
                for place, (_, const) in zip(places, arguments, strict=True)
            )
            steps = "; ".join(
                f"{place} += {self._size(shape)}"
                for place, (shape, _) in zip(places, arguments, strict=True)
            )
            lines += [
                f"void each_{function}(int n, {head});",
                f"void each_{function}(int n, {head}) {{",
                f"for (; n > 0; --n) {{ {name}_{function}({', '.join(places)}); {steps}; }} }}",
            ]
        return "\n".join([*lines, "#ifdef __cplusplus", "}", "#endif", ""])

    def _size(self, shape):
        return int(np.prod([self._sizes[letter] for letter in shape]))

    def __call__(self, function, *inputs):
        """Return the results for each row of the inputs."""
        n = len(inputs[0])
        arrays = [np.ascontiguousarray(own, self._dtype) for own in inputs]
        for shape in RESULTS[function]:
            arrays.append(np.full((n, *(self._sizes[s] for s in shape)), np.nan, self._dtype))
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]
        getattr(self._library, f"each_{function}")(n, *pointers)
        results = arrays[len(inputs) :]
        return results[0] if len(results) == 1 else tuple(results)


def units_apart(found, expected):
    """Return the largest difference in units in the last place of the largest entry."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.spacing(np.abs(expected).max())


ACTIVATIONS = [
    fn.ReLU, fn.LeakyReLU, fn.ELU, fn.SELU, fn.Sigmoid, fn.Tanh, fn.Softplus, fn.GELU, fn.SiLU,
    fn.Mish, fn.Abs, fn.HardTanh, fn.Identity,
]  # fmt: skip


def random_layers(rng):
    """Return the layers of a network of random depth and widths, with values of all kinds."""

    def activation():
        return ACTIVATIONS[rng.integers(len(ACTIVATIONS))]()

    width = int(rng.integers(1, 20))
    layers = [fn.Standardize(rng.normal(size=width), rng.uniform(0.5, 2, width))]
    columns = int(rng.integers(1, width + 1))
    embedding = rng.integers(4)
    if embedding == 0:
        frequencies, joined = int(rng.integers(1, 9)), bool(rng.integers(2))
        layers.append(fn.PeriodicEmbedding(width, columns, frequencies=frequencies, joined=joined))
    elif embedding == 1:
        data = rng.normal(size=(50, width))
        layers.append(fn.PiecewiseLinearEmbedding.from_data(data, columns, bins=5, size=4))
    width = layers[-1].out_features
    for _ in range(rng.integers(1, 4)):
        inner = int(rng.integers(1, 64))
        layers.append(fn.Linear(width, inner, bias=bool(rng.integers(2))))
        width = inner
        choice = rng.integers(7)
        if choice == 0:
            layers.append(fn.LayerNorm(width))
        elif choice == 1:
            normalization = fn.BatchNorm(width)
            normalization.running_mean = rng.normal(size=width)
            normalization.running_var = rng.uniform(0.5, 2, width)
            layers += [normalization, fn.Dropout()]
        elif choice == 2:
            layers.append(fn.Residual([fn.Linear(width, width), activation()]))
        elif choice == 3:
            branches = [[fn.Linear(width, 3), activation()], [], [fn.Tanh()]]
            layers.append(fn.Parallel(branches, combine="concat"))
            width = 2 * width + 3
        elif choice == 4:
            layers.append(fn.Parametric(width, activation()))
        elif choice == 5:
            layers.append(fn.Scale(width, bias=True))
        layers.append(activation())
    outputs = int(rng.integers(1, 8))
    layers.append(fn.Linear(width, outputs))
    last = rng.integers(4)
    if last == 0:
        layers.append(fn.Softmax())
    elif last == 1:
        layers.append(fn.LogSoftmax())
    elif last == 2:
        layers.append(fn.Unstandardize(rng.normal(size=outputs), rng.uniform(0.5, 2, outputs)))
    return layers


def random_network(seed, dtype):
    """Return a network of random layers whose parameters are all unlike their first values."""
    rng = np.random.default_rng(seed)
    net = fn.Network(random_layers(rng), dtype, seed=seed)
    net.params += 0.05 * rng.normal(size=net.n_params)
    return net
