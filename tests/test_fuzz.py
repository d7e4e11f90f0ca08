"""Read 20,000 damaged files; `python -m tests.fuzz --seconds 3600 --seed 1` reads more."""

import subprocess
import sys
from pathlib import Path


def test_damaged_files_raise_named_errors(tmp_path):
    command = ["-m", "fuzz", "--inputs", "20000", "--seed", "0", "--keep", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=3_600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-5_000:]
    assert "20,000 inputs" in done.stdout
