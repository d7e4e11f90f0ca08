"""The number of processors that are worth a thread each.

On Linux the two hardware threads of a core count once, since they share its multipliers, and the
processor time that a control group grants is the limit. On macOS the performance cores count: a
step that is split in equal parts would wait for the slower efficiency cores. On other systems all
processors count.
"""

import math
import os
import sys
from functools import cache
from pathlib import Path

SYSTEM = Path("/sys")
PROCESS = Path("/proc/self")


@cache
def all_processors() -> int:
    """Return the number of processors of the machine; the system is asked once, as it is slow."""
    return os.cpu_count() or 1


@cache
def useful_processors() -> int:
    """Return the number of physical cores for this process, or fewer if its group has less time."""
    return max(1, math.ceil(min(_physical_cores(), _group_limit())))


def _physical_cores() -> int:
    if sys.platform == "darwin":
        return _performance_cores()
    if not hasattr(os, "sched_getaffinity"):  # not Linux
        return all_processors()
    cores = set()
    for number in os.sched_getaffinity(0):
        topology = SYSTEM / f"devices/system/cpu/cpu{number}/topology"
        try:
            cores.add((topology / "thread_siblings_list").read_text())
        except OSError:
            cores.add(str(number))
    return len(cores)


def _performance_cores() -> int:
    import ctypes

    number, size = ctypes.c_int32(), ctypes.c_size_t(4)
    ask = ctypes.CDLL(None).sysctlbyname
    for name in (b"hw.perflevel0.physicalcpu", b"hw.physicalcpu"):  # ARM; Intel lacks the first
        if ask(name, ctypes.byref(number), ctypes.byref(size), None, 0) == 0:
            return number.value
    return all_processors()


def _group_limit() -> float:
    """Return the smallest quota, in processors, of the control groups of this process."""
    limit = math.inf
    try:
        memberships = (PROCESS / "cgroup").read_text().splitlines()
    except OSError:
        return limit
    for membership in memberships:  # as in "0::/a/b", or "4:cpu,cpuacct:/a/b" in version 1
        _, controllers, path = membership.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = SYSTEM / "fs/cgroup" / ("cpu" if controllers else "")
        # in a container the path may be that of the host, where only the root is mounted
        for group in [Path(path), *Path(path).parents]:
            limit = min(limit, _quota(folder / str(group).lstrip("/")))
    return limit


def _quota(group: Path) -> float:
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):  # no such group, or "max"
        return math.inf
