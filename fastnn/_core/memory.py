"""The memory that is available, and the error when a result needs more."""

import os
import sys
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
SMALL = 10**8  # bytes; smaller results are not checked


def available_memory() -> int:
    """Return the bytes available without swapping; the size of all memory where that is unknown."""
    if sys.platform == "win32":
        return _windows_memory()
    try:
        for line in MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):  # not Linux
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _windows_memory() -> int:
    import ctypes

    status = (ctypes.c_uint64 * 8)(64)  # a MEMORYSTATUSEX, which begins with its size in bytes
    ctypes.windll.kernel32.GlobalMemoryStatusEx(status)  # type: ignore[attr-defined, unused-ignore]
    return status[2]


def demand_memory(n_bytes: int, what: str) -> None:
    """Raise MemoryError, naming both sizes, unless `n_bytes` are available."""
    if n_bytes <= SMALL:
        return
    available = available_memory()
    if n_bytes > available:
        raise MemoryError(
            f"{what} takes {n_bytes / 1e9:,.1f} GB, and {available / 1e9:,.1f} GB are available"
        )
