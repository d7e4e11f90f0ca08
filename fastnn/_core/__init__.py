"""The compiled engine, and the only place that chooses among its builds.

`engine` is the fastest build that this CPU and operating system can run, or the one that the
environment variable FASTNN_ISA names. Code above this room says `_core.engine.…` at the time of
the call, so that a test can put another build in its place.
"""

import importlib.util
import math
import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

try:
    from fastnn._core import _cpuid
    from fastnn._core.memory import demand_memory as demand_memory
    from fastnn._core.processors import useful_processors
except ImportError as error:
    raise ImportError(
        "fastnn's compiled core is missing: this is a source folder that was not built. Run Python "
        "elsewhere to use an installed fastnn, or build here with `pip install -e .`"
    ) from error

default_threads: int | None = None
_forked = False


def available_isas() -> list[str]:
    """Return the names of the builds that exist and can run here, slowest first."""
    return [
        isa for isa in _cpuid.supported() if importlib.util.find_spec(f"{__name__}._engine_{isa}")
    ]


def load_engine(isa: str) -> ModuleType:
    """Import one build of the engine.

    Raises
    ------
    ImportError
        If it does not exist or cannot run on this machine.
    """
    if isa not in available_isas():
        raise ImportError(
            f"the build {isa!r} (FASTNN_ISA) cannot run here: this CPU, its operating system and "
            f"this installation of fastnn have {', '.join(available_isas())}"
        )
    return importlib.import_module(f"{__name__}._engine_{isa}")


def thread_count(n_threads: int | None) -> int:
    """Return how many threads to use; by default `default_threads`, or all that are useful.

    These are the physical cores, or fewer if the control group, OMP_NUM_THREADS or a caller of
    `omp_set_num_threads` allows fewer. More than the processors, or eight, are never used: past
    what the system can start, OpenMP would end the process. A forked child uses one: its parent's
    threads are gone, and OpenMP would wait for them forever.
    """
    wanted = default_threads if n_threads is None else n_threads
    if wanted is None:
        wanted = min(engine.max_threads(), useful_processors())
    return 1 if _forked else min(wanted, max(8, os.cpu_count() or 1))


def aligned_zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros that begin on a cache line's boundary: the engine's vectors then cross none."""
    n_bytes = math.prod(shape) * dtype.itemsize
    memory = np.zeros(n_bytes + 64, np.uint8)
    first = -memory.ctypes.data % 64
    return memory[first : first + n_bytes].view(dtype).reshape(shape)


def _after_fork() -> None:
    global _forked
    _forked = True


isa = os.environ.get("FASTNN_ISA") or available_isas()[-1]
if TYPE_CHECKING:
    from fastnn._core import _engine_baseline as engine
else:
    engine = load_engine(isa)
os.register_at_fork(after_in_child=_after_fork)
