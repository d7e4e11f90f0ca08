"""The progress bar in a notebook: shown by default, as a widget if there is one, else as text."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

import fastnn as fn
from fastnn.training import progress

FIT = (
    "import fastnn as fn\n"
    "net = fn.Network([fn.Linear(1, 1)])\n"
    "history = net.fit([[1], [2]], [1, 2], loss=fn.MeanSquaredError(), epochs=3)\n"
)


def shell(*config):
    """Stand in for the module IPython, whose running shell has a configuration."""
    return SimpleNamespace(get_ipython=lambda: SimpleNamespace(config=dict.fromkeys(config)))


@pytest.mark.parametrize(
    ("ipython", "watched"),
    [
        (shell("IPKernelApp"), True),
        (shell("TerminalIPythonApp"), False),
        (SimpleNamespace(get_ipython=lambda: None), False),  # imported, but not running
        (SimpleNamespace(), False),
        (None, False),
    ],
)
def test_the_default_in_a_notebook(monkeypatch, ipython, watched):
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setattr(sys, "stderr", None)
    assert progress.is_watched() is watched
    shown = []
    monkeypatch.setattr(
        "fastnn.training.loop.progress_bar", lambda *_: shown.append(1) or (lambda *_: None)
    )
    net = fn.Network([fn.Linear(1, 1)])
    net.fit([[1], [2]], [1, 2], loss=fn.MeanSquaredError(), epochs=2)
    assert shown == ([1] if watched else [])
    net.fit([[1], [2]], [1, 2], loss=fn.MeanSquaredError(), epochs=2, progress=False)
    assert len(shown) == watched  # False hides it


def test_no_bar_is_imported_before_it_is_shown():
    code = f"import sys\n{FIT}assert 'tqdm' not in sys.modules and 'IPython' not in sys.modules"
    done = subprocess.run([sys.executable, "-P", "-W", "error", "-c", code], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_notebook_without_widgets_shows_text():
    """In tqdm, a missing ipywidgets is a warning; here it is none."""
    code = (
        "import sys\n"
        "from types import SimpleNamespace\n"
        "shell = SimpleNamespace(config={'IPKernelApp': {}})\n"
        "sys.modules['IPython'] = SimpleNamespace(get_ipython=lambda: shell)\n"
        f"sys.modules['ipywidgets'] = sys.modules['IPython.html'] = None\n{FIT}"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "epoch 3/3" in done.stderr
    assert "arning" not in done.stderr
    assert "ipywidgets" not in done.stderr


def test_a_kernel_of_jupyter():
    """A real kernel runs the code, and the test reads the messages that a notebook shows."""
    pytest.importorskip("ipykernel")
    manager = pytest.importorskip("jupyter_client.manager")
    kernel, client = manager.start_new_kernel(extra_arguments=["--log-level=ERROR"])
    try:
        client.execute(f"{FIT}history")
        messages = []
        while (message := client.get_iopub_msg(timeout=60)) is not None:
            messages.append((message["msg_type"], message["content"]))
            if messages[-1][1].get("execution_state") == "idle":
                break
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    kinds = [kind for kind, _ in messages]
    shown = "".join(content["text"] for kind, content in messages if kind == "stream")
    assert "error" not in kinds
    assert "arning" not in shown
    assert "epoch 3/3" in shown or "comm_msg" in kinds  # text, or a widget
    (result,) = [content["data"] for kind, content in messages if kind == "execute_result"]
    assert result["text/plain"].startswith("History(3 epochs; last: loss=")
    assert "<svg" in result["text/html"]
