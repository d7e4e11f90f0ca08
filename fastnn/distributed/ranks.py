"""The processes that train one network together: how they share values, and each other's errors.

Before the first update, ranks communicate by `exchange` only. So a rank that raises an error can
send it to whatever exchange the others wait in, and all of them raise. During training, a rank that
fails cannot reach the others, which wait in a sum; it ends all processes instead.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import numpy as np

from fastnn import _core
from fastnn._core.arrays import Array

T = TypeVar("T")


class Ranks:
    """The processes of a communicator of mpi4py.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm

    Attributes
    ----------
    comm : Intracomm
        A duplicate, so that no message of the user is mistaken for one of fastnn.
    rank, size : int

    Raises
    ------
    ImportError
        If mpi4py is not installed.
    TypeError
        If `comm` is not a communicator.
    """

    def __init__(self, comm: Any) -> None:
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise ImportError(
                "comm is given, and mpi4py is not installed; pip install fastnn[mpi], and an MPI "
                "such as Open MPI or MPICH, are wanted"
            ) from error
        if not isinstance(comm, MPI.Intracomm) or comm == MPI.COMM_NULL:
            raise TypeError(
                f"comm is {comm!r}; a communicator of mpi4py is wanted, such as MPI.COMM_WORLD"
            )
        self.mpi = MPI
        self.comm = comm.Dup()
        self.rank, self.size = self.comm.rank, self.comm.size
        self.is_first = self.rank == 0
        self.starting = True  # until the first update
        self._agreed: BaseException | None = None

    @contextlib.contextmanager
    def together(self) -> Iterator["Ranks"]:
        """Make sure that an error on one rank ends the work on all of them."""
        try:
            yield self
        except BaseException as error:
            if error is self._agreed or self.size == 1:
                raise
            if not (self.starting and isinstance(error, Exception)):
                traceback.print_exc()
                print(f"rank {self.rank} ends all {self.size} ranks", file=sys.stderr, flush=True)
                self.comm.Abort(1)
            self.exchange("an error", None, error)
            raise
        finally:
            self.comm.Free()

    def exchange(self, what: str, value: T, error: BaseException | None = None) -> list[T]:
        """Return the value of each rank; `what` names it, so that ranks notice if they differ.

        A rank that passes its error sends it in place of a value. It gets what the others sent.

        Raises
        ------
        RuntimeError
            If another rank has passed an error.
        ValueError
            If the ranks exchange different things, because their arguments differ.
        """
        text = None if error is None else f"{type(error).__name__}: {error}"
        found = self.comm.allgather((what, text, value))
        if error is None:
            for rank, (_, other, _) in enumerate(found):
                if other is not None:
                    self.agree(RuntimeError(f"rank {rank} of {self.size} raised {other}"))
            for rank, (other, _, _) in enumerate(found):
                if other != found[0][0]:
                    self.agree(
                        ValueError(
                            f"fit has other arguments on rank {rank} than on rank 0: one sends "
                            f"{other}, the other {found[0][0]}"
                        )
                    )
        return [value for _, _, value in found]

    def rows_of_all(self, what: str, own: Array) -> Array:
        """Return the rows of an array of each rank, one rank after the other.

        Raises
        ------
        ValueError
            If the ranks differ in the dtype or in the shape of a row.
        """
        kinds = self.exchange(what, (own.shape[1:], str(own.dtype)))
        for rank, kind in enumerate(kinds):
            if kind != kinds[0]:
                self.agree(
                    ValueError(
                        f"the ranks differ in {what}: {kinds[0]} on rank 0, {kind} on rank {rank} "
                        f"of {self.size}; the same on all is wanted"
                    )
                )
        counts = self.comm.allgather(len(own))
        found: Array = np.empty((sum(counts), *own.shape[1:]), own.dtype)
        sizes = [count * int(np.prod(own.shape[1:])) for count in counts]
        self.comm.Allgatherv(np.ascontiguousarray(own), (found, sizes))
        return found

    def agree(self, error: BaseException) -> NoReturn:
        """Raise an error that each rank raises, or knows of, at this moment."""
        self._agreed = error
        raise error

    def each(self, what: str, work: Callable[[], T]) -> list[T]:
        """Return what `work()` returns on each rank.

        Raises
        ------
        Exception
            The exception that `work` raised on this rank.
        RuntimeError
            On the other ranks, with the text of that exception.
        """
        value: Any = None
        error: Exception | None = None
        try:
            value = work()
        except Exception as raised:
            error = raised
        found: list[T] = self.exchange(what, value, error)
        if error is not None:
            self.agree(error)
        return found

    def first(self, what: str, work: Callable[[], T]) -> T:
        """Return what `work()` returns on rank 0; the other ranks do not call it.

        Errors are raised as by `each`.
        """
        nothing: Any = None
        own: Callable[[], T] = work if self.is_first else lambda: nothing
        return self.each(what, own)[0]

    def share(self, *arrays: Array) -> None:
        """Overwrite the arrays by those of rank 0."""
        for array in arrays:
            self.comm.Bcast(array)

    def thread_count(self, n_threads: int | None) -> int:
        """Return the number of threads; by default the ranks of a machine share its processors."""
        if n_threads is not None:
            return _core.thread_count(n_threads)
        own = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        found = self.exchange("the processors", (self.mpi.Get_processor_name(), own))
        return max(1, _core.thread_count(None) // found.count(found[self.rank]))
