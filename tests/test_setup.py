"""Without a working C compiler, the installation fails early and names the packages to install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]


def build_with(compiler, folder):
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    return subprocess.run(
        [sys.executable, str(TOP / "setup.py"), "build_ext", "--build-lib", str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": str(folder), "CC": compiler},
        cwd=folder,
    )


def check_advice(ran, folder):
    assert ran.returncode != 0
    for advice in ("apt-get install gcc", "dnf install gcc", "xcode-select", "Clang", "CC="):
        assert advice in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not list(folder.iterdir())  # nothing was translated


@pytest.mark.parametrize("compiler", ["", "no-such-compiler -O1"])
def test_without_a_compiler(tmp_path, compiler):
    ran = build_with(compiler, tmp_path)
    check_advice(ran, tmp_path)
    assert "No such file" in ran.stderr


def test_with_a_compiler_that_fails(tmp_path):
    """A Mac without Apple's tools has a program `cc` that only fails."""
    ran = build_with(f"{sys.executable} -c 'raise SystemExit(f\"no tools\")'", tmp_path)
    check_advice(ran, tmp_path)
    assert "no tools" in ran.stderr
