"""The compiled engine, and the choice among its builds.

`engine` is the fastest build that this CPU and operating system can run, or the one that the
environment variable FASTNN_ISA names. Other modules look `_core.engine` up at each call, so that a
test can replace it by another build.
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
    from fastnn._core.machine import product_blocks
    from fastnn._core.memory import demand_memory as demand_memory
    from fastnn._core.processors import all_processors, useful_processors
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
    engine = importlib.import_module(f"{__name__}._engine_{isa}")
    engine.set_blocks(*product_blocks(_cpuid.vendor()))
    return engine


def thread_count(n_threads: int | None) -> int:
    """Return how many threads to use.

    None means `default_threads`, or if that is None too, one thread per physical core; fewer if
    the control group, OMP_NUM_THREADS or `omp_set_num_threads` allows fewer. The result is at most
    the number of processors, or eight if there are fewer: OpenMP ends the process when the system
    cannot start a thread. It is 1 in a forked child, where OpenMP would wait forever for the
    threads of the parent process.
    """
    wanted = default_threads if n_threads is None else n_threads
    if wanted is None:
        wanted = min(engine.max_threads(), useful_processors())
    return 1 if _forked else min(wanted, max(8, all_processors()))


def aligned_zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return zeros that start on a cache line, so that no vector load crosses two lines."""
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
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_after_fork)
