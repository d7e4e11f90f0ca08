"""What this installation is, and how many threads a call uses when it is not told."""

from typing import Any

from fastnn import _checks, _core
from fastnn._version import __version__


def set_num_threads(n_threads: int | None) -> None:
    """Set how many threads `fit`, `predict` and the rest use when not given `n_threads`.

    Parameters
    ----------
    n_threads : int or None
        At least 1; more than the processors, or eight, are never used. None is the initial state:
        one thread a physical core that the process may run on, but no more than its control group
        grants, and no more than OMP_NUM_THREADS or threadpoolctl allow.

    Raises
    ------
    ValueError, TypeError
        If it is no such number.

    Notes
    -----
    Results do not depend on it, bit for bit. Work too small to be worth waking a thread runs on
    one.
    """
    if n_threads is not None:
        n_threads = _checks.integer(n_threads, "n_threads", at_least=1)
    _core.default_threads = n_threads


def get_num_threads() -> int:
    """Return how many threads a call uses when it is not given `n_threads`."""
    return _core.thread_count(None)


def build_info() -> dict[str, Any]:
    """Return what this installation is: version, instruction sets, threads, compiler, flags."""
    return {
        "version": __version__,
        "isa": _core.isa,
        "available_isas": _core.available_isas(),
        "n_threads": _core.thread_count(None),
        "openmp": _core.engine.openmp,
        "compiler": _core.engine.compiler,
        "flags": _core.engine.flags,
    }
