"""The builds that a CPU can run, compared with what the system says of the CPU."""

import platform
from pathlib import Path

import pytest

from fastnn._core import _cpuid

NEEDS = {
    "avx2": {"avx2", "fma"},
    "avx512": {"avx2", "fma", "avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw"},
}


def test_supported_builds():
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not cpuinfo.exists():  # an emulator shows the host's file
        pytest.skip("the system does not say what the CPU can")
    line = next(
        line
        for line in cpuinfo.read_text(encoding="utf-8").splitlines()
        if line.startswith("flags")
    )
    flags = set(line.split())
    expected = [isa for isa, needs in NEEDS.items() if needs <= flags]
    assert _cpuid.supported() == ["baseline", *expected]
