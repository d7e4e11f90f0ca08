"""Every program in `examples` runs, and its printed numbers are what it claims."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn as fn

EXAMPLES = Path(__file__).parents[1] / "examples"
PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py"))
SECONDS = 120  # a program needs a few; the machine may be busy

# What each program must reach: a condition on the numbers that it prints as "name: number".
CLAIMS = {
    "control_engineer.py": lambda n: (
        n["largest error of A"] < 0.02
        and n["spectral radius without control"] > 1 > n["spectral radius with control"]
        and n["angle after 3 s"] < 0.01
    ),
    "data_scientist.py": lambda n: (
        n["R2 of the test"] > 0.97
        and n["mean error of the test in euros"] < 0.06 * n["mean price in euros"]
    ),
    "evolution_strategies.py": lambda n: n["error at the end"] < 0.1 * n["error at the start"],
    "federated_averaging.py": lambda n: (
        n["accuracy of the average"] > 0.9
        and n["accuracy of the average"] > 0.1 + n["accuracy of the best client alone"]
    ),
    "gradient_accumulation.py": lambda n: (
        n["largest difference of the parameters"] < 1e-12 and n["accuracy"] > 0.9
    ),
    "ml_engineer.py": lambda n: (
        n["different parameters after resuming"] == 0 and n["accuracy"] > 0.94
    ),
    "policy_gradient.py": lambda n: (
        n["mean steps before training"] < 60 and n["mean steps after training"] > 150
    ),
    "rl_researcher.py": lambda n: (
        n["mean return before"] < -20
        and n["mean return after"] > -2
        and n["force at the position 1"] < 0
    ),
    "scientist.py": lambda n: (
        n["effective parameters"] < 0.5 * n["parameters"]
        and abs(n["estimated noise"] - 0.3) < 0.05
        and n["largest error"] < 0.5
        and n["share within two deviations"] > 0.9
        and n["rms error of the slope"] < 0.15 * n["rms slope"]
    ),
    "teacher.py": lambda n: (
        n["largest error by hand"] == 0
        and n["product minus the network's Jacobian"] < 1e-12
        and n["differences minus the network's Jacobian"] < 1e-6
        and n["gradient at the solution"] == 0
        and n["loss at the end"] < 0.01
        and n["learned correctly"] == 4
    ),
}


def missing_packages(source):
    """Return the packages that a program imports, also inside functions, and that are absent."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    return sorted(name for name in names if importlib.util.find_spec(name) is None)


def numbers_in(text):
    """Return the numbers of the lines "name: number", by their names."""
    found = re.findall(r"^(.+): ([-+.\deE]+)$", text, re.MULTILINE)
    return {name: float(number) for name, number in found}


def test_every_program_has_a_claim():
    assert sorted(CLAIMS) == PROGRAMS


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_reaches_what_it_claims(name, tmp_path):
    source = (EXAMPLES / name).read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source)), "a docstring that says what the program shows"
    if missing := missing_packages(source):
        pytest.skip(f"{name} needs {', '.join(missing)}")
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(fn.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    numbers = numbers_in(done.stdout)
    assert CLAIMS[name](numbers), done.stdout
