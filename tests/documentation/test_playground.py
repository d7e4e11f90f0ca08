"""The playground: its C code beside fastnn, its WebAssembly, and its page in a browser."""

import base64
import ctypes
import importlib.util
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from pages import ROOT, anchors

import fastnn as fn

FOLDER = ROOT / "docs" / "playground"
PAGE = FOLDER / "index.html"
ACTIVATIONS = [fn.Tanh, fn.ReLU, fn.Sigmoid]  # in the order of the enum in playground.c
HIDDEN = [(1,), (3,), (16,), (1, 16), (16, 1), (16, 16), (16, 1, 16), (16, 16, 16)]
XOR = np.array([[-1, -1, 0], [-1, 1, 1], [1, -1, 1], [1, 1, 0]], np.float32)


def program(*names):
    """Return the path of the first of some programs that is installed; skip the test without."""
    for name in names:
        if found := shutil.which(name):
            return found
    pytest.skip(f"{' or '.join(names)} is not installed")


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


def network(hidden, activation, dtype="float64", probability=False):
    layers, width = [], 2
    for units in hidden:
        layers += [fn.Linear(width, units), activation()]
        width = units
    return fn.Network([*layers, fn.Linear(width, 1), *[fn.Sigmoid()] * probability], dtype, seed=0)


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


# ---- the page in a browser


class Browser:
    """A headless Chromium, driven by its DevTools protocol through two pipes."""

    # Chromium reads commands from the descriptor 3 and writes to the descriptor 4.
    START = (
        "import os, sys; os.dup2(int(sys.argv[1]), 13); os.dup2(int(sys.argv[2]), 14);"
        "os.dup2(13, 3); os.dup2(14, 4); os.execv(sys.argv[3], sys.argv[3:])"
    )

    def __init__(self, path, folder):
        ours, self._write = os.pipe()
        self._read, theirs = os.pipe()
        command = [
            path, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
            "--no-first-run", "--disable-background-networking", f"--user-data-dir={folder}",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", self.START, str(ours), str(theirs), *command],
            pass_fds=(ours, theirs), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(ours)
        os.close(theirs)
        self._number, self._session, self._rest, self.events = 0, None, b"", []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def _message(self):
        end = time.monotonic() + 60
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0, end - time.monotonic()))
            part = os.read(self._read, 1 << 16) if ready else b""
            assert part, "the browser does not answer"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def __getitem__(self, expression):
        """Return the value of an expression in JavaScript."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def show_page(self, settings="", width=1280, scheme="light"):
        """Open the page with settings in its address; return the result of `steps`."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
            mobile=False,
        )  # fmt: skip
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=media)
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=f"{PAGE.as_uri()}#{settings}")
        self["new Promise(done => document.readyState === 'complete' ? done() : onload = done)"]
        return json.loads(self["document.body.dataset.result || 'null'"])

    def press(self, key, text=""):
        keys = {"key": key, "code": key, "text": text, "windowsVirtualKeyCode": KEYS[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown", **keys)
        self.call("Input.dispatchKeyEvent", type="keyUp", **keys)

    def close(self):
        self._session = None
        self.call("Browser.close")
        self._process.wait(30)
        os.close(self._read)
        os.close(self._write)


KEYS = {"Tab": 9, "Enter": 13, "ArrowRight": 39, "ArrowUp": 38}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    path = program("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
    running = Browser(path, tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()


@pytest.mark.parametrize("kind", range(3), ids=["tanh", "relu", "sigmoid"])
def test_the_page_trains_xor_as_fit_does(browser, kind):
    found = browser.show_page(f"data=xor&width1=4&activation={kind}&rate=0.3&batch=0&steps=2000")
    samples = np.reshape(found["samples"], (-1, 3))
    assert sorted(map(tuple, samples)) == sorted(map(tuple, XOR))
    net = network((4,), ACTIVATIONS[kind], "float32")
    net.params = found["start"]
    net.fit(
        samples[:, :2], samples[:, 2], loss=fn.BinaryCrossEntropy(), optimizer=fn.SGD(0.3),
        epochs=2000, batch_size=4, shuffle=False,
    )  # fmt: skip
    loss, gradient = net.loss_and_grad(samples[:, :2], samples[:, 2], fn.BinaryCrossEntropy())
    assert found["updates"] == 2000
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-3)
    np.testing.assert_allclose(found["params"], net.params, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found["gradient"], gradient, rtol=1e-2, atol=1e-5)
    jacobian = net.jacobian([0.5, 0.5])
    np.testing.assert_allclose(found["jacobian"][:2], jacobian[0], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_the_screen_and_asks_for_nothing(browser, width, scheme):
    settings = "data=spirals&layers=3&width1=16&width2=16&width3=16&steps=20"
    browser.show_page(settings, width, scheme)
    assert browser["document.documentElement.scrollWidth"] <= width
    background = browser["getComputedStyle(document.body).backgroundColor"]
    assert (sum(map(int, re.findall(r"\d+", background))) > 380) == (scheme == "light")
    browser["new Promise(done => setTimeout(done, 100))"]
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert asked
    assert all(url.startswith((PAGE.as_uri(), "data:")) for url in asked)
    assert not [event for event in browser.events if event["method"] == "Runtime.exceptionThrown"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("data", ["xor", "blobs"])
def test_the_map_and_the_points_have_the_colours_of_their_targets(browser, data, scheme):
    """Blue for 1, orange for 0, at a point and beside it. Flips of an axis would swap them."""
    found = browser.show_page(f"data={data}&width1=4&steps=2000", scheme=scheme)
    for x1, x2, target in np.reshape(found["samples"], (-1, 3))[:4].tolist():
        for beside in (0, 16) if data == "xor" else (0,):
            red, _, blue = browser[
                f"""(() => {{
                const plane = find("plane"), place = x => Math.round((x + 1.6) / 3.2 * plane.width);
                const x = place({x1}) + {beside}, y = place(-({x2})) + {beside};
                return [...plane.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
                }})()"""
            ]
            assert (blue > red) == (target == 1)


def test_the_keyboard_is_enough(browser):
    browser.show_page("data=xor&width1=3")
    assert browser["[...document.querySelectorAll('select')].every(s => s.labels.length === 1)"]
    focused = []
    for _ in range(16):
        browser.press("Tab")
        focused.append(browser["document.activeElement.id"])
    wanted = "data noise layers width1 activation rate batch run one reset plane lines values"
    assert [name for name in focused if name][:13] == wanted.split()

    browser["find('one').focus()"]
    browser.press("Enter", "\r")
    assert browser["updates"] == 1
    assert browser["find('status').textContent"].startswith("1 updates, loss 0.")
    browser["find('run').focus()"]
    browser.press("Enter", "\r")
    assert browser["find('run').textContent"] == "Pause"
    for _ in range(200):
        if browser["updates"] > 50:
            break
        time.sleep(0.05)
    browser.press("Enter", "\r")
    assert browser["find('run').textContent"] == "Start"
    stopped = browser["updates"]
    assert stopped > 50
    time.sleep(0.2)
    assert browser["updates"] == stopped

    browser["find('plane').focus()"]
    before = browser["find('values').textContent"]
    browser.press("ArrowRight")
    browser.press("ArrowUp")
    assert browser["cross.map(v => v.toFixed(1))"] == ["0.6", "0.6"]
    assert browser["find('values').textContent"] != before

    start = browser["[...start]"]
    browser["find('reset').focus()"]
    browser.press("Enter", "\r")
    assert browser["updates"] == 0
    assert browser["[...start]"] != start


def test_the_gradients_are_numbers_and_follow_the_pointer(browser):
    found = browser.show_page("data=xor&width1=2&steps=100")
    shown = browser["[...document.querySelectorAll('#gradients td')].map(c => c.textContent)"]
    # the table has a unit's bias beside its weights, params has it after all weights
    order = [0, 1, 4, 2, 3, 5, 6, 7, 8]
    assert len(shown) == 9
    np.testing.assert_allclose(
        [float(text.replace("\N{MINUS SIGN}", "-")) for text in shown],
        np.array(found["gradient"])[order], atol=5.1e-5, rtol=0.06,
    )  # fmt: skip
    x, y = browser["(b => [b.left + b.width * 0.25, b.top + b.height * 0.75])"
                   "(find('plane').getBoundingClientRect())"]  # fmt: skip
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    np.testing.assert_allclose(browser["cross"], [-0.8, -0.8], atol=0.02)
    net = network((2,), fn.Tanh)
    net.params = found["params"]
    row = re.search(r"dz/dx = \[(.*)\]", browser["find('values').textContent"])[1]
    numbers = [float(text.replace("\N{MINUS SIGN}", "-")) for text in row.split(",")]
    np.testing.assert_allclose(numbers, net.jacobian(browser["cross"])[0], atol=1e-3)


def test_a_loss_that_is_not_finite_stops_the_run(browser):
    browser.show_page("data=xor&width1=2")
    browser["params.fill(NaN); find('run').click()"]
    for _ in range(100):
        if browser["!running"]:
            break
        time.sleep(0.05)
    assert "learning rate is too large" in browser["find('status').textContent"]


README = (FOLDER / "README.md").read_text(encoding="utf-8")
EXPERIMENTS = re.findall(r"`#([^`]+)`[^`]*?the\s+loss\s+([\d.]+\d)", README)


def test_each_experiment_names_its_loss():
    assert len(EXPERIMENTS) == README.count("`#") - 1 == 12


@pytest.mark.parametrize(("settings", "loss"), EXPERIMENTS)
def test_the_experiments_end_as_the_page_says(browser, settings, loss):
    found = browser.show_page(settings)
    digits = len(loss.partition(".")[2])
    assert abs(found["loss"] - float(loss)) <= 0.51 * 10**-digits


def test_what_the_experiments_say_about_gradients(browser):
    browser.show_page("activation=1&width1=2&seed=3&steps=1000")
    browser["cross = [-1, -1]; show()"]
    assert browser["[...jacobians].every(v => v === 0)"]
    assert "h1 = (0.00, 0.00)" in browser["find('values').textContent"]
    found = browser.show_page("data=circles&activation=1&rate=30&steps=300")
    assert not any(found["gradient"][:12])  # 4 x 2 weights and 4 biases of the hidden layer
    assert found["gradient"][-1] != 0
    found = browser.show_page("data=circles&layers=2&rate=30&steps=300")
    assert not any(found["gradient"][:12])
    assert max(map(abs, found["gradient"][32:])) > 0.1  # of the output layer


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        name, _, anchor = target.partition("#")
        assert (FOLDER / name).exists(), target
        assert not anchor or anchor in anchors(FOLDER / name), target
