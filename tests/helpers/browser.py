"""A headless Chromium, in which a test opens pages, presses keys and runs JavaScript."""

import json
import os
import select
import shutil
import subprocess
import sys
import time

import pytest

KEYS = {"Tab": 9, "Enter": 13, "ArrowRight": 39, "ArrowUp": 38}


def program(*names):
    """Return the path of the first of some programs that is installed; skip the test without."""
    for name in names:
        if found := shutil.which(name):
            return found
    pytest.skip(f"{' or '.join(names)} is not installed")


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
        """Send a command; return its result. Events that come before it stand in `events`."""
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

    def show_page(self, address, width=1280, scheme="light"):
        """Open a page on a screen of this width, in light or dark colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
            mobile=False,
        )  # fmt: skip
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=media)
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=address)
        self["new Promise(done => document.readyState === 'complete' ? done() : onload = done)"]

    def press(self, key, text=""):
        """Press a key and let it go."""
        keys = {"key": key, "code": key, "text": text, "windowsVirtualKeyCode": KEYS[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown", **keys)
        self.call("Input.dispatchKeyEvent", type="keyUp", **keys)

    def close(self):
        """End the browser."""
        self._session = None
        self.call("Browser.close")
        self._process.wait(30)
        os.close(self._read)
        os.close(self._write)


def start(folder):
    """Start the browser that is installed; skip the test without one."""
    names = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
    return Browser(program(*names), folder)
