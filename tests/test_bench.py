"""The benches run with `--quick`. The tests do not compare times."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn import _core

ROOT = Path(__file__).parents[1]
BENCHES = runpy.run_path(str(ROOT / "bench" / "names.py"))["BENCHES"]
# The other libraries take long to import or compile.
LIGHT_PEERS = "numpy,openblas,mkl,scipy,sklearn,onnxruntime"


def bench(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_list_names_every_bench():
    listed = bench()
    assert listed.returncode == 0, listed.stderr
    assert [line.split(":")[0] for line in listed.stdout.splitlines()] == BENCHES


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_runs(name, tmp_path, request):
    if name in ("uci", "mnist", "coverage", "tabular"):
        request.getfixturevalue("shared_data")  # skips where it is missing
    if name == "mpi":
        pytest.importorskip("mpi4py")
        if shutil.which("mpirun") is None:
            pytest.skip("there is no mpirun")
    ran = bench(name, "--quick", "--peers", LIGHT_PEERS, "--json", str(tmp_path / "results.json"))
    assert ran.returncode == 0, ran.stderr
    assert f"\n{name}: " in ran.stdout
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert written["header"]["fastnn"]
    assert {record["bench"] for record in written["records"]} == {name}
    for record in written["records"]:
        first = next(iter(record["results"].values()))
        assert first["minimum"] > 0
        assert record["detail"] or record["case"] in ran.stdout


def test_missing_data_is_reported(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTNN_BENCH_DATA", str(tmp_path))
    for name, file in (("uci", "uci/yacht.npz"), ("mnist", "mnist10k.npz")):
        ran = bench(name, "--quick")
        assert ran.returncode != 0
        assert f"{tmp_path}/{file} does not exist. FASTNN_BENCH_DATA may name" in ran.stderr


def test_every_bench_is_listed():
    """A module with a function `run` is a bench."""
    modules = [path for path in (ROOT / "bench").glob("*.py") if path.stem != "__main__"]
    found = {
        path.stem for path in modules if "\ndef run(settings):" in path.read_text(encoding="utf-8")
    }
    assert found == set(BENCHES)
    assert len(BENCHES) == len(found)


def test_the_header_names_the_machine():
    ran = bench("accuracy", "--quick", "--peers", "numpy")
    header = dict(line.split(": ", 1) for line in ran.stdout.split("\n\n")[0].splitlines())
    assert f"numpy {np.__version__}" in header["peers"]
    assert {"cpu", "caches", "processors", "threads", "fastnn"} <= header.keys()
    if not Path("/proc/cpuinfo").exists():
        return
    fields = dict(
        re.findall(r"^(.*?)\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    )
    if "cpu family" in fields:  # not on ARM
        assert f"family {fields['cpu family']}, model {fields['model']}, " in header["cpu"]


def test_several_benches_and_a_figure(tmp_path):
    figure = tmp_path / "ratios.png"
    ran = bench("step", "fit_many", "--quick", "--peers", "numpy", "--plot", str(figure))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.index("\nstep: ") < ran.stdout.index("\nfit_many: ")
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("isa", _core.available_isas())
def test_an_instruction_set_is_forced(isa):
    ran = bench("kernels", "--quick", "--peers", "openblas", "--isa", isa)
    assert ran.returncode == 0, ran.stderr
    assert f"({isa}, " in ran.stdout


def test_without_a_compiler_there_is_no_limit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    ran = bench("step", "kernels", "--quick", "--peers", "numpy,openblas")
    assert ran.returncode == 0, ran.stderr
    assert "there is no C compiler" in ran.stdout
    assert "| limit" not in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["speed"], "no bench is called 'speed'"),
        (["step", "--peers", "numpy,abacus"], "no peer is called 'abacus'"),
        (["step", "--isa", "mmx"], "invalid choice: 'mmx'"),
        (["step", "--threads", "0"], "invalid choice: 0"),
        (["step", "--save", "--quick"], "--save keeps whole benches of the best build"),
        (["step", "--save", "--isa", "baseline"], "--save keeps whole benches of the best build"),
        (["--save"], "--save keeps whole benches of the best build"),
        (["compare", "HEAD", "speed"], "no bench is called 'speed'"),
    ],
)
def test_wrong_arguments(arguments, message):
    refused = bench(*arguments)
    assert refused.returncode != 0
    assert message in refused.stderr
    assert refused.stdout == ""


def test_a_library_that_disagrees_ends_the_bench():
    call = "from bench.common import demand_agreement as d; d('abacus', [1, 2], [1, 2.001], {})"
    for tolerance, code in ((1e-2, 0), (1e-5, 1)):
        ran = subprocess.run(
            [sys.executable, "-c", call.format(tolerance)], cwd=ROOT, capture_output=True, text=True
        )
        assert ran.returncode == code
        assert ("abacus differs from fastnn by 4.5e-04" in ran.stderr) == bool(code)


def test_the_files_of_uci_sets(tmp_path, rng, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    uci_files = pytest.importorskip("bench.uci_files")
    for original in uci_files.SETS.values():
        source = tmp_path / "clone" / "UCI_Datasets" / original / "data"
        source.mkdir(parents=True)
        data = rng.standard_normal((11, 4))
        np.savetxt(source / "data.txt", data)
        np.savetxt(source / "index_features.txt", [0, 1, 2])
        np.savetxt(source / "index_target.txt", [3])
        for split in range(20):
            np.savetxt(source / f"index_test_{split}.txt", [split % 11, (split + 3) % 11])
    uci_files.convert(tmp_path / "clone", tmp_path / "data")
    with np.load(tmp_path / "data" / "uci" / "wine.npz") as arrays:
        assert np.allclose(np.c_[arrays["X"], arrays["y"]], data)
        test = np.unpackbits(arrays["test_mask"], axis=1)[:, : arrays["n"]]
    assert test.shape == (20, 11)
    assert [set(np.flatnonzero(row)) for row in test] == [{i % 11, (i + 3) % 11} for i in range(20)]
