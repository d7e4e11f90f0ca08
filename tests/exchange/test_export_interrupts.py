"""Exports from two threads at a time, and exports that Ctrl-C interrupts."""

import signal
import threading

import numpy as np
import pytest

import fastnn as fn

X = np.random.default_rng(0).normal(size=(50, 3))


def network(seed):
    return fn.Network([fn.Linear(3, 20), fn.Tanh(), fn.Linear(20, 2)], seed=seed)


EXPORTS = {
    "c": lambda net, path: net.export_c(path / "net.c", jacobian=True),
    "int8": lambda net, path: net.quantize(X).export_c(path / "net.c"),
    "onnx": lambda net, path: net.export_onnx(path / "net.onnx"),
    "casadi": lambda net, path: fn.casadi.export_external(net, path / "net.c"),
}


@pytest.fixture(params=EXPORTS)
def export(request):
    if request.param in ("onnx", "casadi"):
        pytest.importorskip(request.param, reason="the export needs it")
    return EXPORTS[request.param]


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def exported(export, seed, path):
    path.mkdir()
    export(network(seed), path)
    return contents(path)


def test_two_threads(export, tmp_path):
    """Each writes what it writes alone, into one folder and into two."""
    wanted = [exported(export, seed, tmp_path / f"alone{seed}") for seed in (0, 1)]
    folders = [tmp_path / name for name in ("0", "1", "both")]
    for folder in folders:
        folder.mkdir()
    errors = []

    def work(seed):
        try:
            for _ in range(10):
                export(network(seed), folders[seed])
                export(network(seed), folders[2])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [contents(folder) for folder in folders[:2]] == wanted
    for name, content in contents(folders[2]).items():
        assert content in (wanted[0][name], wanted[1][name])


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # garbage collection closes it
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
def test_an_interrupt_leaves_whole_files(export, tmp_path):
    old, new = (exported(export, seed, tmp_path / f"alone{seed}") for seed in (0, 1))
    folder = tmp_path / "both"
    folder.mkdir()
    interrupted, exporting = 0, threading.Event()

    def interrupt(*_):  # as Ctrl-C does, but not after the export
        if exporting.is_set():
            raise KeyboardInterrupt

    for trial in range(40):
        for name, content in old.items():
            (folder / name).write_bytes(content)
        signal.signal(signal.SIGALRM, interrupt)
        exporting.set()
        try:
            signal.setitimer(signal.ITIMER_REAL, 2e-4 * (trial + 1))
            export(network(1), folder)
            exporting.clear()
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        found = contents(folder)
        assert found.keys() == old.keys()
        assert all(content in (old[name], new[name]) for name, content in found.items())
    assert interrupted
