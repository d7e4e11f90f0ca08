"""scikit-learn's own tests of its networks, as installed, with the estimators of fastnn."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn

sklearn = pytest.importorskip("sklearn", minversion="1.7")

# What cannot pass, with the private name that it touches.
TOUCHES = {"test_gradient": "_loss_grad_lbfgs"}
IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor"


def test_what_touches_no_private_name_passes(tmp_path):
    path = Path(sklearn.__file__).parent / "neural_network/tests/test_mlp.py"
    if not path.exists():
        pytest.skip("this scikit-learn came without its tests")
    source = path.read_text(encoding="utf-8")
    assert source.count(IMPORT) == 1
    for name, touched in TOUCHES.items():
        test = source.split(f"def {name}(")[1].split("\ndef ")[0]
        assert touched in test
    (tmp_path / "test_mlp.py").write_text(
        source.replace("sklearn.neural_network", "fastnn.sklearn"), encoding="utf-8"
    )
    root = str(Path(fastnn.__file__).parents[1])
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "-q",
        "-rfE",
        "--tb=line",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "-p",
        "sklearn.conftest",
        "--rootdir",
        ".",
        "test_mlp.py",
    ]
    environment = {**os.environ, "PYTHONPATH": root, "PYTEST_ADDOPTS": ""}
    environment.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    failed = set(re.findall(r"^(?:FAILED|ERROR) test_mlp\.py::(\w+)", done.stdout, re.MULTILINE))
    assert failed <= set(TOUCHES), done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout + done.stderr
    assert int(passed[1]) >= 30
