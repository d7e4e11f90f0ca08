"""The number of threads: the user's setting, and the limits of the machine and control groups."""

import sys

import numpy as np
import pytest

import fastnn as fn
from fastnn import _core
from fastnn._core import processors


@pytest.fixture(autouse=True)
def _restored():
    yield
    fn.set_num_threads(None)
    processors.useful_processors.cache_clear()


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a fake /sys and /proc/self for four processors."""
    if sys.platform != "linux":
        pytest.skip("the files are Linux's")
    monkeypatch.setattr(processors, "SYSTEM", tmp_path / "sys")
    monkeypatch.setattr(processors, "PROCESS", tmp_path / "proc")
    monkeypatch.setattr(processors.os, "sched_getaffinity", lambda _: {0, 1, 2, 3})

    def write(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        processors.useful_processors.cache_clear()
        return processors.useful_processors()

    return write


def topology(*siblings):
    folder = "sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    return {folder.format(i): text for i, text in enumerate(siblings)}


def test_set_and_get():
    fn.set_num_threads(3)
    assert fn.get_num_threads() == 3 == fn.build_info()["n_threads"]
    fn.set_num_threads(10**6)
    assert fn.get_num_threads() == max(8, processors.os.cpu_count())
    fn.set_num_threads(None)
    assert fn.get_num_threads() == min(_core.engine.max_threads(), processors.useful_processors())


@pytest.mark.parametrize(("wrong", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_wrong_numbers(wrong, error):
    with pytest.raises(error, match="n_threads is "):
        fn.set_num_threads(wrong)


def test_results_do_not_depend_on_it(isa, dtype, rng):
    net = fn.Network([fn.Linear(300, 300), fn.ReLU(), fn.Linear(300, 70)], dtype, seed=0)
    X = rng.standard_normal((500, 300)).astype(dtype)
    y = rng.integers(70, size=500)
    start, results = net.params.copy(), []
    for n_threads in (1, 2, 3):
        fn.set_num_threads(n_threads)
        net.params = start
        for optimizer in (fn.SGD(0.1), fn.SGD(0.1, momentum=0.9), fn.Adam()):
            net.fit(X, y, epochs=2, batch_size=500, seed=0, optimizer=optimizer)
        results.append((net.params.copy(), net.predict(X)))
    for params, outputs in results[1:]:
        assert np.array_equal(params, results[0][0])
        assert np.array_equal(outputs, results[0][1])


def test_hardware_threads_of_one_core_count_once(machine):
    assert machine(topology("0,2", "1,3", "0,2", "1,3")) == 2
    assert machine(topology("0", "1", "2", "3")) == 4


def test_without_a_topology_every_processor_counts(machine):
    assert machine({}) == 4


def test_a_control_group_limits(machine):
    group = {"proc/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}
    assert machine(group) == 4
    assert machine({**group, "sys/fs/cgroup/a/cpu.max": "150000 100000\n"}) == 2  # rounded up
    assert machine({**group, "sys/fs/cgroup/cpu.max": "1000 100000\n"}) == 1  # never none


def test_a_control_group_of_version_1_limits(machine):
    files = {
        "proc/cgroup": "5:memory:/m\n4:cpu,cpuacct:/c\n0::/\n",
        "sys/fs/cgroup/cpu/c/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/c/cpu.cfs_period_us": "100000\n",
    }
    assert machine(files) == 4
    assert machine({**files, "sys/fs/cgroup/cpu/c/cpu.cfs_quota_us": "300000\n"}) == 3


def test_threadpoolctl_sees_and_limits_them():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    if not _core.engine.openmp:
        pytest.skip("built without OpenMP")
    with threadpoolctl.threadpool_limits(1, user_api="openmp"):
        assert fn.get_num_threads() == 1
