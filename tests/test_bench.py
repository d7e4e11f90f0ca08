"""The benches run, small, so that they never rot. No timing is asserted."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def bench(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_the_list_names_every_bench():
    listed = bench()
    assert listed.returncode == 0, listed.stderr
    names = {line.split(":")[0] for line in listed.stdout.splitlines()}
    helpers = {"__init__", "__main__", "common", "limits", "peers"}
    assert names == {path.stem for path in ROOT.glob("bench/*.py")} - helpers


def test_every_bench_runs():
    names = [line.split(":")[0] for line in bench().stdout.splitlines()]
    ran = bench("--quick", *names)
    assert ran.returncode == 0, ran.stderr
    for name in names:
        assert f"\n{name}: " in ran.stdout


def test_an_unknown_bench():
    assert "no bench is called 'speed'" in bench("speed").stderr
