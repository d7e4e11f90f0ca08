"""What Windows and macOS are asked, and what they lack, as far as another system can imitate it."""

import ctypes
import subprocess
import sys
import types

import pytest

from fastnn._core import memory, processors


def test_without_fork():
    lacking = "for name in ('fork', 'register_at_fork'): vars(os).pop(name, None)"
    code = f"import os\n{lacking}\nimport fastnn; print('imported')"
    ran = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("imported\n", "")


def test_the_memory_that_windows_reports(monkeypatch):
    """The structure: its size and the load in 4 bytes each, then total and available bytes."""

    def fill(status):
        assert ctypes.sizeof(status) == status[0] == 64
        status[1], status[2] = 16 * 2**30, 5 * 2**30

    windll = types.SimpleNamespace(kernel32=types.SimpleNamespace(GlobalMemoryStatusEx=fill))
    monkeypatch.setattr(ctypes, "windll", windll, raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert memory.available_memory() == 5 * 2**30


@pytest.mark.parametrize("known", [b"hw.perflevel0.physicalcpu", b"hw.physicalcpu", b""])
def test_the_performance_cores_of_macos(monkeypatch, known):
    def sysctlbyname(name, number, size, *_):
        assert size._obj.value == 4
        number._obj.value = 6
        return 0 if name == known else -1

    library = types.SimpleNamespace(sysctlbyname=sysctlbyname)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(processors, "all_processors", lambda: 10)
    assert processors._physical_cores() == (6 if known else 10)
