"""The playground in a browser: its numbers, drawings, keys, and the experiments beside it."""

import json
import re
import time

import numpy as np
import pytest
from browser import start
from pages import anchors
from playground import ACTIVATIONS, FOLDER, PAGE, XOR, network

import fastnn as fn


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    running = start(tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()


def show(browser, settings="", **screen):
    """Open the page with settings in its address; return the result of `steps`."""
    browser.show_page(f"{PAGE.as_uri()}#{settings}", **screen)
    return json.loads(browser["document.body.dataset.result || 'null'"])


@pytest.mark.parametrize("kind", range(3), ids=["tanh", "relu", "sigmoid"])
def test_the_page_trains_xor_as_fit_does(browser, kind):
    found = show(browser, f"data=xor&width1=4&activation={kind}&rate=0.3&batch=0&steps=2000")
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
    show(browser, settings, width=width, scheme=scheme)
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
    found = show(browser, f"data={data}&width1=4&steps=2000", scheme=scheme)
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
    show(browser, "data=xor&width1=3")
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
    found = show(browser, "data=xor&width1=2&steps=100")
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
    show(browser, "data=xor&width1=2")
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
    found = show(browser, settings)
    digits = len(loss.partition(".")[2])
    assert abs(found["loss"] - float(loss)) <= 0.51 * 10**-digits


def test_what_the_experiments_say_about_gradients(browser):
    show(browser, "activation=1&width1=2&seed=3&steps=1000")
    browser["cross = [-1, -1]; show()"]
    assert browser["[...jacobians].every(v => v === 0)"]
    assert "h1 = (0.00, 0.00)" in browser["find('values').textContent"]
    found = show(browser, "data=circles&activation=1&rate=30&steps=300")
    assert not any(found["gradient"][:12])  # 4 x 2 weights and 4 biases of the hidden layer
    assert found["gradient"][-1] != 0
    found = show(browser, "data=circles&layers=2&rate=30&steps=300")
    assert not any(found["gradient"][:12])
    assert max(map(abs, found["gradient"][32:])) > 0.1  # of the output layer


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        name, _, anchor = target.partition("#")
        assert (FOLDER / name).exists(), target
        assert not anchor or anchor in anchors(FOLDER / name), target
