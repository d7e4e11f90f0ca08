"""The programs of the how-to pages run, and print what their comments say."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from pages import HOWTO, PAGES, blocks_of

import fastnn as fn

# The packages that the program of a page needs, besides those of fastnn
NEEDS = {
    "control.md": ["scipy"],
    "deploy.md": ["onnx", "onnxruntime"],
    "search.md": ["optuna"],
    "serve.md": ["fastapi", "httpx"],
}
BLOCKS = [block for page in HOWTO for block in blocks_of(page) if block.language == "python"]


def comments(code):
    """The comments behind `print` calls, up to a colon that begins a remark."""
    return [
        re.sub(r": .*", "", text) if text.startswith(("True", "False")) else text
        for text in re.findall(r"^ *print\(.*\)  # (.*)$", code, re.M)
    ]


@pytest.mark.parametrize("block", BLOCKS, ids=[block.page for block in BLOCKS])
@pytest.mark.filterwarnings("ignore:Using `httpx`")  # Starlette's wish for another package
def test_the_programs_print_what_they_say(block, tmp_path, monkeypatch, capsys):
    for package in NEEDS.get(block.page.split("/")[-1], ()):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    try:
        exec(compile(block.code, "example", "exec"), {"__name__": "page"})
    finally:
        signal.signal(signal.SIGTERM, before)
    assert comments(block.code), "a program prints something that a test can compare"
    assert capsys.readouterr().out.splitlines() == comments(block.code)


@pytest.mark.parametrize("page", HOWTO)
def test_a_page_is_short_and_has_one_program(page):
    lines = PAGES[page].read_text(encoding="utf-8").splitlines()
    assert 30 <= len(lines) <= 100
    assert max(len(line) for line in lines if not line.startswith("|")) <= 105
    assert len([block for block in BLOCKS if block.page == page]) == 1
    assert "(../" in "".join(lines[lines.index("## See also") :])


def test_the_index_lists_every_page():
    index = PAGES["docs/howto/README.md"].read_text(encoding="utf-8")
    listed = re.findall(r"^\|.*\| \[(.*)\]\((\w+\.md)\) \|$", index, re.M)
    assert sorted(f"docs/howto/{name}" for _, name in listed) == HOWTO
    for title, name in listed:
        assert PAGES[f"docs/howto/{name}"].read_text(encoding="utf-8").startswith(f"# {title}\n")


def program(name):
    (found,) = [block for block in BLOCKS if block.page == f"docs/howto/{name}"]
    return found.code


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a program can handle")
def test_a_fit_that_sigterm_stopped_ends_with_the_same_bits(tmp_path):
    """The program is stopped, runs again, and is compared with a run that nobody stopped."""
    longer = program("resume.md").replace("300", "1500")  # it still trains when SIGTERM arrives
    (tmp_path / "train.py").write_text(longer, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(fn.__file__).parents[1])}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    command = [sys.executable, "-P", str(tmp_path / "train.py")]
    for folder in (whole, parts):
        folder.mkdir()
    with subprocess.Popen(command, cwd=parts, env=environment) as stopped:
        while not (parts / "digits.checkpoint").exists():
            assert stopped.poll() is None
            time.sleep(0.001)
        stopped.terminate()
    assert stopped.returncode == 143
    assert not (parts / "digits.safetensors").exists()
    for folder in (parts, whole):
        subprocess.run(command, cwd=folder, env=environment, check=True)
    results = [(folder / "digits.safetensors").read_bytes() for folder in (whole, parts)]
    assert results[0] == results[1]


def test_the_deployed_sources_compile(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    if shutil.which("gcc") is None:
        pytest.skip("the compiler gcc is not installed")
    monkeypatch.chdir(tmp_path)
    exec(compile(program("deploy.md"), "example", "exec"), {"__name__": "page"})
    flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-c"]
    subprocess.run(["gcc", *flags, "net.c", "net8.c"], check=True)
    sizes = [(tmp_path / name).stat().st_size for name in ("net8.o", "net.o")]
    assert sizes[0] < sizes[1]


def test_the_import_loads_no_large_package():
    """As the page about deployment says: NumPy, and no other."""
    code = "import sys, fastnn; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(fn.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert {"fastnn", "numpy"} <= loaded
    assert not loaded & {"scipy", "sklearn", "pandas", "torch", "jax", "onnx", "matplotlib"}


def test_the_server_answers_wrong_requests(tmp_path, monkeypatch):
    """No row, a wrong width and a text are errors of the client, and never of the server."""
    pytest.importorskip("httpx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        testclient = pytest.importorskip("fastapi.testclient")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    exec(compile(program("serve.md"), "example", "exec"), names)
    client = testclient.TestClient(names["app"], raise_server_exceptions=False)
    for rows in ([], [[1.0]], [["a"] * 64], [[1.0] * 64, [1.0]], None):
        assert client.post("/predict", json={"rows": rows}).status_code in (200, 422), rows
    wrong = '{"rows": [[' + ", ".join(["NaN"] * 64) + "]]}"
    assert client.post("/predict", content=wrong).status_code == 422
    rows = names["X"][:3]
    answer = client.post("/predict", json={"rows": rows.tolist()}).json()
    assert answer["probabilities"] == names["net"].predict_proba(rows).tolist()
