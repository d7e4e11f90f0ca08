"""The saved results of a CPU: a JSON file, a plot, and tables on pages."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def saved(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(ROOT)
    return pytest.importorskip("bench.saved")


@pytest.fixture
def results(saved):
    """Records of two benches, as a run gives them."""
    from bench.common import Measured, Record

    return [
        ("step", Record("2-8-1, 4", "µs", {"fastnn": Measured(0.21234, 0.3), "jax": Measured(2)})),
        ("step", Record("9-9-9, 4", "µs", {"fastnn": Measured(12345.6)}, limit=7000.4)),
        ("step", Record("a detail", "µs", {"fastnn": Measured(1)}, detail=True)),
        ("gram", Record("8-50-1", "µs", {"fastnn": Measured(220), "J": Measured(261.7)})),
    ]


@pytest.fixture
def cpus(saved):
    from bench.machine import Cpu

    return Cpu("Intel", "Intel Xeon"), Cpu("AMD", "AMD EPYC", "Zen 5", family=26)


def test_files_keep_the_results_of_a_cpu(saved, results, cpus, tmp_path):
    for cpu in cpus:
        saved.save(cpu, saved.entries(results, "1.0", {"jax": "0.10"}), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{slug}.{kind}" for slug in ("intel-xeon", "amd-epyc-zen-5") for kind in ("json", "svg")
    }
    amd, intel = saved.load(tmp_path)
    assert (amd["cpu"]["family"], intel["cpu"]["family"]) == (26, None)
    step = amd["benches"]["step"]
    assert (step["fastnn"], step["versions"]) == ("1.0", {"jax": "0.10"})
    assert step["cases"] == {
        "2-8-1, 4": {"unit": "µs", "results": {"fastnn": 0.212, "jax": 2}},
        "9-9-9, 4": {"unit": "µs", "results": {"fastnn": 12300}, "limit": 7000},
    }
    assert list(amd["benches"]) == ["gram", "step"]
    assert '"results": {"fastnn": 0.212, "jax": 2}}' in (
        (tmp_path / "amd-epyc-zen-5.json").read_text(encoding="utf-8")
    )
    picture = (tmp_path / "amd-epyc-zen-5.svg").read_text(encoding="utf-8")
    assert "AMD EPYC (Zen 5)" in picture
    assert "step: 2-8-1, 4" in picture
    assert "9-9-9" not in picture  # no other library has a result


def test_a_run_replaces_its_benches_alone(saved, results, cpus, tmp_path):
    entries = saved.entries(results, "1.0", {})
    saved.save(cpus[0], entries, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    saved.save(cpus[0], {"gram": entries["gram"]}, tmp_path)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}
    newer = {**entries["gram"], "fastnn": "2.0"}
    saved.save(cpus[0], {"gram": newer}, tmp_path)
    (machine,) = saved.load(tmp_path)
    assert machine["benches"] == {"gram": newer, "step": entries["step"]}


def test_a_table_has_the_cpus_one_below_the_other(saved, results, cpus, tmp_path):
    intel, amd = cpus
    saved.save(intel, saved.entries(results, "1.0", {}), tmp_path)
    saved.save(amd, saved.entries(results[:1], "1.0", {}), tmp_path)
    machines = saved.load(tmp_path)
    wanted = """| µs | CPU | fastnn | JAX | limit |
|---|---|---|---|---|
| 2-8-1, 4 | AMD EPYC (Zen 5) | 0.212 | 2 | - |
| | Intel Xeon | 0.212 | 2 | - |
| 9-9-9, 4 | Intel Xeon | 12,300 | - | 7,000 |
""".replace(" - ", " \N{EN DASH} ")
    assert saved.table(machines, "step", ".*") == wanted
    assert "9-9-9" not in saved.table(machines, "step", "2-.*")
    with pytest.raises(SystemExit, match="no saved case of the bench step matches '3-'"):
        saved.table(machines, "step", "3-")
    page = "Text.\n\n<!-- bench step: .* -->\n\nMore text.\n"
    filled = page.replace("-->\n", f"-->\n\n{wanted}")
    assert saved.filled(page, machines) == filled
    assert saved.filled(filled.replace("12,300", "9"), machines) == filled


def test_the_files_of_the_repository(saved):
    """They are as `save` writes them, name the CPU that they hold, and give a source or a date."""
    from bench.machine import Cpu

    files = sorted(saved.FOLDER.glob("*.json"))
    assert files
    for file in files:
        machine = json.loads(file.read_text(encoding="utf-8"))
        assert file.read_text(encoding="utf-8") == saved.text_of(machine)
        assert file.stem == Cpu(**machine["cpu"]).slug
        assert file.with_suffix(".svg").exists()
        for entry in machine["benches"].values():
            assert entry["date"]
            assert entry["fastnn"]


def test_the_pages_show_the_saved_figures(saved):
    machines = saved.load()
    for page in saved.PAGES:
        text = page.read_text(encoding="utf-8")
        assert "<!-- bench step: " in text
        assert saved.filled(text, machines) == text, "run `python -m bench tables`"
