"""Which cases `python -m bench compare` calls slower, and how it runs a bench in turns."""

import subprocess
from pathlib import Path

import pytest

import fastnn

ROOT = Path(__file__).parents[1]


@pytest.fixture
def compare(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return pytest.importorskip("bench.compare")


def cases_of(compare, rng, slow=(), spread=0.005, number=20):
    """Return cases whose times differ at random, the named ones by a factor in the new build."""

    def process(name, slowed):
        base = slow[name] if slowed and name in slow else 1.0
        return base * (1 + spread * rng.random()), base * (1.02 + spread * rng.random())

    def processes(name, slowed):
        return process(name, slowed), process(name, slowed)

    names = [f"case {i}" for i in range(number)]
    return [compare.Case(n, "µs", processes(n, False), processes(n, True)) for n in names]


def test_only_slowed_cases_are_slower(compare, rng):
    for _ in range(50):
        cases = cases_of(compare, rng, {"case 3": 1.1, "case 7": 1.05, "case 9": 0.5})
        assert [case.name for case in compare.slower(cases)] == ["case 3", "case 7"]
        assert compare.slower(cases_of(compare, rng)) == []


def test_noise_hides_small_differences(compare, rng):
    """The bound grows with the usual noise of all cases, and with that of the case itself."""
    assert compare.slower(cases_of(compare, rng, {"case 3": 1.1}, spread=0.2)) == []
    noisy = compare.Case("noisy", "µs", ((1, 1), (1.3, 1.3)), ((1.2, 1.2), (1.2, 1.2)))
    steady = compare.Case("steady", "µs", ((1, 1), (1, 1)), ((1.2, 1.2), (1.2, 1.2)))
    assert noisy.noise() == pytest.approx(0.3)
    assert compare.slower([noisy, steady, steady]) == [steady, steady]


def test_both_the_minimum_and_the_median_must_be_slower(compare):
    for times in ((1.5, 1.0), (1.0, 1.5)):
        case = compare.Case("half", "µs", ((1, 1), (1, 1)), (times, times))
        assert max(case.ratios()) == 1.5
        assert compare.slower([case]) == []


def test_a_slow_bench_runs_again(compare, rng, capsys):
    """A case must be slower twice. A bench that fails is named and left out."""
    runs = {
        "once": [({"case 3": 2}, None), ({"case 5": 2}, None)],
        "twice": [({"case 4": 2}, None), ({"case 4": 2}, None)],
        "breaks": [({"case 6": 2}, None), ({}, "the present build: MemoryError")],
        "never": [({}, None)],
        "fails": [({}, "the revision: ImportError: nothing")],
    }

    def measure(bench):
        slow, problem = runs[bench].pop(0)
        return ([] if problem else cases_of(compare, rng, slow)), problem

    assert compare.compare(runs, measure) == ["case 4"]
    assert not any(runs.values())
    printed = capsys.readouterr().out
    assert "fails cannot be compared: the revision: ImportError: nothing" in printed
    assert printed.count("again, as 1 of its cases look slower") == 3


def test_a_bench_runs_in_turns_with_two_builds(compare, tmp_path, monkeypatch):
    """The revision's build is the one in the folder: if that one fails, the bench is left out."""
    old, new = tmp_path / "old", Path(fastnn.__file__).parents[1]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as `configure` does in a new process
    old.mkdir()
    (old / "fastnn").symlink_to(Path(fastnn.__file__).parent)
    cases, problem = compare.measured("calls", old, new, True)
    assert problem is None
    assert {"calls predict, 1 row", "calls predict, 1 row, forms of X: list"} <= {
        case.name for case in cases
    }
    assert all(min(case.ratios()) > 0 for case in cases)
    assert compare.measured("accuracy", old, new, True) == ([], "it times no calls that both have")
    (old / "fastnn").unlink()
    (old / "fastnn.py").write_text("raise ImportError('no such build')\n", encoding="utf-8")
    cases, problem = compare.measured("calls", old, new, True)
    assert cases == []
    assert problem == "the revision: ImportError: no such build"


def test_an_unknown_revision(compare):
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    with pytest.raises(SystemExit, match="git knows no revision 'nonsense'"):
        compare.build("nonsense")


def test_a_revision_is_built_once(compare, tmp_path, monkeypatch):
    """The build is in a folder named by the commit, and the sources of the commit are its input."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    monkeypatch.setattr(compare, "BUILDS", tmp_path)
    real, installed = subprocess.run, []

    def run(command, **options):
        if "pip" not in command:
            return real(command, **options)
        target, source = map(Path, command[-2:])
        installed.append((source / "fastnn" / "__init__.py").exists())
        target.mkdir()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(compare.subprocess, "run", run)
    first, second = compare.build("HEAD"), compare.build("HEAD")
    assert first == second
    assert installed == [True]
    assert first[1].is_dir()
    assert first[0] in first[1].name
    assert list(tmp_path.iterdir()) == [first[1]]
