"""Information about the installation, and the default number of threads."""

from typing import Any

from fastnn import _checks, _core
from fastnn._version import __version__


def set_num_threads(n_threads: int | None) -> None:
    """Set the number of threads of all calls that do not get `n_threads`.

    Parameters
    ----------
    n_threads : int or None
        At least 1. A call uses at most as many threads as there are processors, or eight if there
        are fewer processors than that. None restores the initial state: one thread for each
        physical core that the process may run on, but no more than its control group,
        OMP_NUM_THREADS and threadpoolctl allow.

    Raises
    ------
    ValueError, TypeError
        If `n_threads` is not such a number.

    Notes
    -----
    Results do not depend on the number of threads, bit for bit. Small work runs on one thread.
    """
    if n_threads is not None:
        n_threads = _checks.integer(n_threads, "n_threads", at_least=1)
    _core.default_threads = n_threads


def get_num_threads() -> int:
    """Return the number of threads of a call that does not get `n_threads`."""
    return _core.thread_count(None)


def build_info() -> dict[str, Any]:
    """Return version, instruction sets, number of threads, blocks, compiler and compiler flags.

    `k_block` and `a_block` are the steps of the sum, and the bytes of the left matrix, in a block
    of a long matrix product. They are chosen by the CPU.
    """
    k_block, a_block = _core.engine.blocks()
    return {
        "version": __version__,
        "isa": _core.isa,
        "available_isas": _core.available_isas(),
        "n_threads": _core.thread_count(None),
        "k_block": k_block,
        "a_block": a_block,
        "openmp": _core.engine.openmp,
        "compiler": _core.engine.compiler,
        "flags": _core.engine.flags,
    }
