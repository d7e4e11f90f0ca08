"""The playground's numbers: its C code beside fastnn, and its WebAssembly beside its C code."""

import base64
import ctypes
import importlib.util
import json
import re
import subprocess

import numpy as np
import pytest
from browser import program
from playground import ACTIVATIONS, FOLDER, PAGE, XOR, network

import fastnn as fn

HIDDEN = [(1,), (3,), (16,), (1, 16), (16, 1), (16, 16), (16, 1, 16), (16, 16, 16)]


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("playground_build", FOLDER / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def embedded():
    """Return the WebAssembly in the page, and its compiler."""
    page = PAGE.read_text(encoding="utf-8")
    wasm = re.search(r'const WASM = "([A-Za-z0-9+/=]+)"', page)[1]
    return base64.b64decode(wasm), re.search(r'name="compiler" content="(.*?)"', page)[1]


def test_the_page_is_made_of_its_sources(build):
    page = PAGE.read_text(encoding="utf-8")
    assert f'<meta name="sources" content="{build.sources_hash()}">' in page
    assert page == build.page_of(*embedded()), "run python docs/playground/build.py"


def test_the_page_has_the_compiled_code(build, tmp_path):
    program("clang")
    program("wasm-ld")
    wasm, made_by = embedded()
    if build.compiler() != made_by:
        pytest.skip(f"the page was made by {made_by}, which may write other bytes")
    build.compile_wasm(tmp_path / "made.wasm")
    assert (tmp_path / "made.wasm").read_bytes() == wasm


def test_the_page_is_small_and_stands_alone():
    page = PAGE.read_text(encoding="utf-8")
    assert len(page.encode()) < 60_000
    assert re.findall(r"https?://[^\"']*", page) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<link(?! rel=\"icon\" href=\"data:)|\bsrc=|@import|url\(|fetch\(", page)


# ---- the C code, compiled for this machine


class Native:
    """The functions and the memory of playground.c."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))
        for name in ("forward", "loss_and_gradient", "exp_of_negative", "log1p_of_unit", "sigmoid",
                     "hyperbolic_tangent"):  # fmt: skip
            getattr(self.library, name).restype = ctypes.c_float
        self.samples = self.place("samples", 512 * 3).reshape(512, 3)
        self.order = self.place("order", 512, ctypes.c_int)
        self.jacobians = self.place("jacobians", 4).reshape(2, 2)
        self.order[:] = np.arange(512)

    def place(self, name, size, kind=ctypes.c_float):
        function = getattr(self.library, f"{name}_place")
        function.restype = ctypes.POINTER(kind)
        return np.ctypeslib.as_array(function(), (size,))

    def set_network(self, hidden, kind, params):
        size = self.library.set_network(len(hidden), *(*hidden, 1, 1)[:3], kind)
        assert size == len(params)
        self.params, self.gradient = self.place("params", size), self.place("gradient", size)
        self.params[:] = params

    def set_samples(self, samples):
        self.samples[: len(samples)] = samples

    def __call__(self, name, *arguments):
        converted = [ctypes.c_float(a) if isinstance(a, float) else a for a in arguments]
        return getattr(self.library, name)(*converted)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    library = tmp_path_factory.mktemp("playground") / "playground.so"
    command = [program("cc", "gcc", "clang"), "-std=c99", "-O2", "-ffp-contract=off", "-Wall"]
    command += ["-Wextra", "-pedantic", "-Werror", "-shared", "-fPIC", "-o", library]
    done = subprocess.run([*command, FOLDER / "playground.c"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Native(library)


def problem(net, seed):
    """Return random parameters of a usual size, biases too, and samples, all in float32."""
    rng = np.random.default_rng(seed)
    params = (net.params + rng.normal(0, 0.3, net.params.shape)).astype(np.float32)
    targets = rng.integers(0, 2, 40)
    return params, np.column_stack([rng.normal(0, 1.5, (40, 2)), targets]).astype(np.float32)


@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
@pytest.mark.parametrize("kind", range(3), ids=["tanh", "relu", "sigmoid"])
def test_outputs_loss_gradient_and_jacobian_are_those_of_fastnn(native, kind, hidden):
    net, with_p = (network(hidden, ACTIVATIONS[kind], probability=p) for p in (False, True))
    params, samples = problem(net, seed=len(hidden) + kind)
    net.params = with_p.params = params
    native.set_network(hidden, kind, params)
    native.set_samples(samples)
    X = samples[:, :2].astype(float)

    outputs = [native("forward", *map(float, x)) for x in X]
    np.testing.assert_allclose(outputs, net(X)[:, 0], rtol=1e-5, atol=3e-6)

    native.order[:40] = np.random.default_rng(0).permutation(40)
    used = native.order[5:28]
    loss = native("loss_and_gradient", 5, 23)
    expected, gradient = net.loss_and_grad(X[used], samples[used, 2], fn.BinaryCrossEntropy())
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(native.gradient, gradient, rtol=1e-4, atol=2e-6)
    right = (net(X[used])[:, 0] > 0) == (samples[used, 2] == 1)
    assert native("correct") == right.sum()
    native.order[:] = np.arange(512)

    before = native.gradient.copy()
    for x in X[:10]:
        native("jacobian", *map(float, x))
        np.testing.assert_allclose(native.jacobians[:1], net.jacobian(x), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(native.jacobians[1:], with_p.jacobian(x), rtol=1e-4, atol=3e-6)
    assert np.array_equal(native.gradient, before)


@pytest.mark.parametrize("batch", [2, 3, 4])  # with 3, the last batch of an epoch has one point
@pytest.mark.parametrize("kind", range(3), ids=["tanh", "relu", "sigmoid"])
def test_training_on_xor_is_that_of_fit(native, kind, batch):
    net = network((4,), ACTIVATIONS[kind], "float32")
    native.set_network((4,), kind, net.params)
    native.set_samples(XOR)
    epochs = 2000 // -(-4 // batch)
    net.fit(
        XOR[:, :2], XOR[:, 2], loss=fn.BinaryCrossEntropy(), optimizer=fn.SGD(0.3), epochs=epochs,
        batch_size=batch, seed=1,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    for _ in range(epochs):
        native.order[:4] = rng.permutation(4)
        for first in range(0, 4, batch):
            native("loss_and_gradient", first, min(batch, 4 - first))
            native("step", 0.3)
    expected, _ = net.loss_and_grad(XOR[:, :2], XOR[:, 2], fn.BinaryCrossEntropy())
    native.order[:] = np.arange(512)
    np.testing.assert_allclose(native("loss_and_gradient", 0, 4), expected, rtol=1e-3)
    np.testing.assert_allclose(native.params, net.params, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "exact", "points", "error"),
    [
        ("exp_of_negative", np.exp, -np.geomspace(1e-8, 87, 4000), 3e-7),
        ("log1p_of_unit", np.log1p, np.geomspace(1e-8, 1, 4000), 3e-7),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), np.linspace(-87, 87, 4000), 5e-7),
        ("hyperbolic_tangent", np.tanh, np.geomspace(1e-8, 90, 4000), 5e-7),
        ("hyperbolic_tangent", np.tanh, -np.geomspace(1e-8, 90, 4000), 5e-7),
    ],
)
def test_the_elementary_functions_are_as_exact_as_stated(native, name, exact, points, error):
    points = points.astype(np.float32)
    found = [native(name, float(x)) for x in points]
    np.testing.assert_allclose(found, exact(points.astype(float)), rtol=error)
    comment = (FOLDER / "playground.c").read_text(encoding="utf-8").split(f"float {name}(")[0]
    stated = re.findall(r"with a relative error below ([\de-]+)", comment)[-1]
    assert float(stated) == error


def test_the_exponential_is_bounded_below_and_takes_nan(native):
    least = native("exp_of_negative", -87.0)
    assert 0 < least == native("exp_of_negative", -np.inf) == native("exp_of_negative", np.nan)


@pytest.mark.parametrize("z", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_no_number_stops_the_code(native, z):
    native.set_network((2,), 0, np.full(9, z))
    native.set_samples(XOR)
    native("loss_and_gradient", 0, 4)
    native("jacobian", 0.5, 0.5)


# ---- the WebAssembly

NODE = """
const [wasm, hidden, kind, params, samples] = JSON.parse(require("fs").readFileSync(0, "utf8"));
const module = new WebAssembly.Module(Buffer.from(wasm, "base64"));
const core = new WebAssembly.Instance(module).exports, memory = core.memory.buffer;
const size = core.set_network(hidden.length, ...[...hidden, 1, 1].slice(0, 3), kind);
const own = new Float32Array(memory, core.params_place(), size);
own.set(params);
new Float32Array(memory, core.samples_place(), 3 * samples.length).set(samples.flat());
const order = new Int32Array(memory, core.order_place(), samples.length);
samples.forEach((_, i) => { order[i] = i; });
let loss;
for (let i = 0; i < 200; ++i) { loss = core.loss_and_gradient(0, samples.length); core.step(0.1); }
console.log(JSON.stringify([loss, ...own]));
"""


@pytest.mark.parametrize("kind", range(3), ids=["tanh", "relu", "sigmoid"])
def test_the_webassembly_computes_the_same_bits(native, kind):
    node, hidden = program("node", "nodejs"), (5, 16, 3)
    params, samples = problem(network(hidden, ACTIVATIONS[kind]), seed=kind)
    wasm = base64.b64encode(embedded()[0]).decode()
    given = json.dumps([wasm, hidden, kind, params.tolist(), samples.tolist()])
    done = subprocess.run([node, "-e", NODE], input=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    native.set_network(hidden, kind, params)
    native.set_samples(samples)
    for _ in range(200):
        loss = native("loss_and_gradient", 0, len(samples))
        native("step", 0.1)
    assert json.loads(done.stdout) == [loss, *native.params.tolist()]
