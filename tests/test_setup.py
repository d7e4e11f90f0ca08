"""Without a C compiler, the installation fails early and names the package to install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]


@pytest.mark.parametrize("compiler", [None, "no-such-compiler -O1"])
def test_without_a_compiler(tmp_path, compiler):
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    environment = {**os.environ, "PATH": str(tmp_path), "CC": compiler or ""}
    ran = subprocess.run(
        [sys.executable, str(TOP / "setup.py"), "build_ext", "--build-lib", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert ran.returncode != 0
    assert "apt-get install gcc" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not list(tmp_path.iterdir())
