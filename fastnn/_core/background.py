"""Worker threads: how they are started, waited for and stopped.

Python handles Ctrl-C in the main thread only, and not during a long wait. So each wait here is a
series of short waits, and INTERRUPT tells the fits in other threads to stop.
"""

import contextlib
import queue
import threading
import warnings
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.1  # of one wait, between two checks for Ctrl-C

# When set, the fits in this context stop as on Ctrl-C.
INTERRUPT: ContextVar[threading.Event | None] = ContextVar("interrupt", default=None)


def stop_if_interrupted() -> None:
    """Raise KeyboardInterrupt if INTERRUPT is set."""
    interrupt = INTERRUPT.get()
    if interrupt is not None and interrupt.is_set():
        raise KeyboardInterrupt


def ending(end: Callable[[], None], work: Callable[[], T]) -> T:
    """Return what `work()` returns; call `end()` afterwards, also after an error.

    Ctrl-C may interrupt `end` itself, which is then called again.
    """
    try:
        try:
            return work()
        finally:
            end()
    finally:
        end()


def start(thread: threading.Thread) -> bool:
    """Start a thread; return False, with a warning, if the system cannot start it."""
    try:
        thread.start()
    except (RuntimeError, MemoryError):
        warnings.warn(
            "the system lets this process start no further thread; the work is done with fewer "
            "threads, more slowly. Common reasons are the limits on processes (ulimit -u) and on "
            "memory (ulimit -v)",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


def take(items: "queue.SimpleQueue[T]") -> T:
    """Return the next item of a queue; Ctrl-C ends the wait.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, or if INTERRUPT is set.
    """
    while True:
        stop_if_interrupted()
        try:
            return items.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue


class Crew:
    """Threads that all do the same work, until it is done or Ctrl-C is pressed.

    The threads are daemons: the interpreter can exit while they run.

    Parameters
    ----------
    work : callable
        Function that each thread calls. It must return soon after `stop` is set.
    n_threads : int
        At least 1. If none can be started, the calling thread does the work.
    """

    def __init__(self, work: Callable[[], Any], n_threads: int) -> None:
        self.work = work
        self.stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(n_threads)]
        # not `Thread.join`: after Ctrl-C in it, Python 3.11 reports a running thread as ended
        self._working: set[int] = set()
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(self) -> None:
        """Do the work, and return when all threads have ended."""
        ending(self._end, self._begin_and_wait)

    def _work(self) -> None:
        INTERRUPT.set(self.stop)
        self._working.add(threading.get_ident())
        try:
            if not self.stop.is_set():
                self.work()
        finally:
            self._working.discard(threading.get_ident())
            self._ended.put(None)

    def _begin_and_wait(self) -> None:
        started = 0
        while started < len(self._threads) and start(self._threads[started]):
            started += 1
        if not started and self._threads:
            return copy_context().run(self._work)
        for _ in range(started):
            take(self._ended)

    def _end(self) -> None:
        self.stop.set()
        while self._working:
            with contextlib.suppress(queue.Empty):
                self._ended.get(timeout=POLL_SECONDS)
