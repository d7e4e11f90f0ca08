"""The commands that the documentation names exist."""

import re
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest
from pages import PAGES, ROOT, blocks_of


def test_the_commands_of_the_program(tmp_path, monkeypatch, rng, capsys):
    """Each line of the page runs as it stands, one after the other."""
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(tmp_path)
    from fastnn.cli import main

    rows = rng.normal(size=(120, 3)).round(3)
    for name in ("wine", "new", "test"):
        np.savetxt(f"{name}.csv", rows, delimiter=",", header="acid,sugar,quality", comments="")
    np.savez("data.npz", X=rows, y=np.arange(120) % 2)
    (block,) = blocks_of("docs/command_line.md")
    for line in block.code.splitlines():
        program, *arguments = line.split("#")[0].split()
        assert program == "fastnn"
        assert main(arguments) == 0, capsys.readouterr().err
    assert Path("curves.png").stat().st_size > 0
    assert "prediction\n" in capsys.readouterr().out


def test_the_other_commands_name_what_exists():
    """Extras, benches and files; `.ci/run` executes the two commands of the README."""
    from test_bench import BENCHES

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [
        line
        for page in PAGES
        for block in blocks_of(page)
        if block.language == "sh"
        for line in block.code.splitlines()
        if not line.startswith("fastnn ")
    ]
    assert len(lines) > 10
    for line in lines:
        command = line.split(" #")[0]
        for extra in re.findall(r"\.\[(\w+)\]", command):
            assert extra in project["optional-dependencies"], line
        if command.startswith("python -m bench "):
            names, *_ = command.removeprefix("python -m bench ").split(" --")
            names = re.sub(r"^compare \S+", "", names)  # a revision of git
            assert set(names.split()) <= {*BENCHES, "tables"}, line
        for path in re.findall(r"(?:tests|bench|\.ci)/[\w/.]+", command):
            assert (ROOT / path).exists(), line


@pytest.mark.parametrize(
    "script", ["run", "sanitize", "nightly", "exchange", "aarch64", "free_threading", "lowest"]
)
def test_the_scripts_name_tests_that_exist(script):
    path = ROOT / ".ci" / script
    for word in re.findall(r"tests/\S+", path.read_text(encoding="utf-8")):
        expand = ["bash", "-c", f"shopt -s failglob; ls -d {word}"]
        found = subprocess.run(expand, cwd=ROOT, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
