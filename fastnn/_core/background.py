"""Threads beside the caller's: how they are started, waited for and stopped.

Only the main thread hears Ctrl-C, and only while it runs Python or waits for a short time. So every
wait here is made of short ones, and INTERRUPT passes Ctrl-C on to the fits of other threads.
"""

import contextlib
import queue
import threading
import warnings
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.1  # how long a wait for another thread goes without looking for Ctrl-C

# When set, the fits in this context stop as on Ctrl-C.
INTERRUPT: ContextVar[threading.Event | None] = ContextVar("interrupt", default=None)


def stop_if_interrupted() -> None:
    """Raise KeyboardInterrupt if another thread has said so."""
    interrupt = INTERRUPT.get()
    if interrupt is not None and interrupt.is_set():
        raise KeyboardInterrupt


def ending(end: Callable[[], None], work: Callable[[], T]) -> T:
    """Return what `work()` returns; call `end()` afterwards, whatever happens.

    Ctrl-C may fall into `end` itself, which then is called again.
    """
    try:
        try:
            return work()
        finally:
            end()
    finally:
        end()


def start(thread: threading.Thread) -> bool:
    """Start a thread; return False, with a warning, if the system lets no further one start."""
    try:
        thread.start()
    except (RuntimeError, MemoryError):
        warnings.warn(
            "the system lets this process start no further thread; the work is done without it, "
            "more slowly. The limits on processes (ulimit -u) and on memory (ulimit -v) are "
            "common reasons",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


def take(items: "queue.SimpleQueue[T]") -> T:
    """Wait for an item, and meanwhile listen for Ctrl-C.

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
    """Threads that all do the same work, until it is done or Ctrl-C comes.

    The threads are daemons, so that they never hold up the interpreter's exit.

    Parameters
    ----------
    work : callable
        What each thread calls. It returns soon after `stop` is set.
    n_threads : int
        At least 1. If none can be started, the caller's thread does the work.
    """

    def __init__(self, work: Callable[[], Any], n_threads: int) -> None:
        self.work = work
        self.stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(n_threads)]
        # not `Thread.join`: after Ctrl-C in it, Python 3.11 takes a running thread for an ended one
        self._working: set[int] = set()
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(self) -> None:
        """Do the work, and return when no thread is at it any more."""
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
