"""Training on data that is not in memory: rows of a file, or batches of an iterable.

The engine's trainer gets one block of rows after another. A block consists of whole minibatches,
so training gives the same bits as with the same rows in memory. While the engine trains on one
block, a thread reads, gathers and converts the next. The order of the rows is drawn at the start of
each epoch.
"""

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastnn import _checks
from fastnn._core import background
from fastnn._core.arrays import Array
from fastnn.losses import Loss
from fastnn.optimizers import Segments

if TYPE_CHECKING:
    from fastnn._core import engine

Order = NDArray[np.int64]
Blocks = Generator[tuple[Any, Any, bool], None, None]  # features, targets, whether it is the last

BLOCK_BYTES = 1 << 21


class Source(Protocol):
    """A source of rows.

    `n_samples` is None if the number of rows is unknown.
    """

    n_samples: int | None

    def blocks(self, order: Order | None, start: int, rows: int) -> Blocks:
        """Yield the blocks from row `start` on: features, targets, whether it is the last.

        Blocks end at multiples of `rows`, except the last.
        """
        ...


class MappedRows:
    """A source of all or some rows of a memory-mapped array, converted to the network's dtype."""

    def __init__(self, x: Array, target: Array, dtype: np.dtype[Any], rows: Order | None) -> None:
        self.x, self.target, self.dtype, self.rows = x, target, dtype, rows
        self.n_samples: int = len(x) if rows is None else len(rows)
        self.samples_per_epoch = self.n_samples

    def blocks(self, order: Order | None, start: int, rows: int) -> Blocks:
        """Gather and convert one block after another."""
        last = self.samples_per_epoch
        while start < last:
            end = min(start - start % rows + rows, last)
            place: Any = slice(start, end) if order is None else order[start:end]
            if self.rows is not None:
                place = self.rows[place]
            x = np.require(self.x[place], self.dtype, ["C", "A", "O"])
            yield x, np.require(self.target[place], requirements=["C", "A"]), end == last
            start = end


class Batches:
    """A source of the rows of an iterable, whose batches (X, y) are cut into other blocks."""

    n_samples = None

    def __init__(self, given: Iterable[Any], check: Callable[[Any, str], tuple[Any, Any]]) -> None:
        self.given, self.check = given, check

    def blocks(self, order: Order | None, start: int, rows: int) -> Blocks:
        """Cut the batches into blocks; raise ValueError if there is none."""
        is_empty = yield from self.blocks_if_any(start, rows)
        if is_empty:
            raise no_batches(start)

    def blocks_if_any(self, start: int, rows: int) -> Generator[tuple[Any, Any, bool], None, bool]:
        """Yield each block only when more rows have come, since the last block must be marked.

        Return whether there was none.
        """
        skip, room = start, rows - start % rows
        x: Any = None
        for i, batch in enumerate(self.given):
            more_x, more_target = self.check(batch, f"X, batch {i}")
            dropped = min(skip, len(more_x))
            skip -= dropped
            more_x, more_target = more_x[dropped:], more_target[dropped:]
            if not len(more_x):
                continue
            if x is None:  # copied, as the iterable may write its next batch into the same memory
                x, target = more_x.copy(), more_target.copy()
            else:
                x, target = np.concatenate([x, more_x]), np.concatenate([target, more_target])
            while len(x) > room:
                yield x[:room].copy(), target[:room].copy(), False
                x, target, room = x[room:], target[room:], rows
        if x is None:
            return True
        yield x.copy(), target.copy(), True
        return False


def no_batches(start: int) -> ValueError:
    """Return the error of an iterable without rows after row `start`."""
    return ValueError(f"X gave no {'further ' if start else ''}batches of (X, y) in this epoch")


class Ahead:
    """An iterator that prepares its next item in a thread.

    The thread starts with the first `take`. If it cannot start, `take` makes the items.
    """

    def __init__(self, items: Generator[Any, None, Any]) -> None:
        self._items = items
        self._wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = threading.Thread(target=self._work, daemon=True)
        self._begun = self._closed = False

    def _work(self) -> None:
        try:
            while self._wanted.get() and not self._closed:
                self._ready.put((next(self._items), None))
        except BaseException as error:  # `take` raises it
            self._ready.put((None, error))
        finally:
            self._items.close()  # and so the files that the user's iterable has opened

    def take(self) -> Any:
        """Return the next item, or raise the exception that was raised when it was made."""
        if not self._begun:
            self._begun = True
            self._wanted.put(True)
            if self._thread is not None and not background.start(self._thread):
                self._thread = None
        if self._thread is None:
            return next(self._items)
        item, error = background.take(self._ready)
        if error is not None:
            raise error
        self._wanted.put(True)
        return item

    def close(self) -> None:
        """Stop the thread, or let it stop when the user's iterable returns."""
        self._closed = True
        self._wanted.put(False)
        if self._thread is None:
            self._items.close()
        elif self._thread.is_alive():
            self._thread.join(background.POLL_SECONDS)


class StreamingTrainer:
    """The engine's trainer, fed from a source of rows one block at a time.

    Attributes that are not defined here come from the engine's trainer.
    """

    step: int
    epoch: int
    position: int
    diverged: bool
    converged: bool
    rates_left: int
    losses: NDArray[np.float64]
    seconds: NDArray[np.float64]
    columns: dict[str, list[float]]
    running_loss: float
    set_segments: Callable[[Segments], None]
    set_rates: Callable[[float | NDArray[np.float64]], None]
    publish: Callable[[], None]

    def __init__(
        self,
        trainer: "engine.Trainer",
        source: Source,
        loss: Loss,
        generator: "np.random.Generator | None",
        batch_size: int,
        row_bytes: int,
    ) -> None:
        self.trainer, self.source, self.loss, self.generator = trainer, source, loss, generator
        self.rows = batch_size * max(BLOCK_BYTES // max(batch_size * row_bytes, 1), 1)
        self.order: Order | None = None
        self.ahead: Ahead | None = None
        self.end = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trainer, name)

    def run(self, until_epoch: int, seconds: float, n_threads: int) -> bool:
        """Train until this many epochs are complete, or for about this many seconds."""
        trainer, deadline = self.trainer, time.monotonic() + seconds
        while trainer.epoch < until_epoch and trainer.rates_left:
            if trainer.position == self.end:
                self._feed()
            trainer.run(until_epoch, max(deadline - time.monotonic(), 0.0), n_threads)
            if trainer.position == 0:
                self.close()
            if trainer.diverged or time.monotonic() > deadline:
                break
        return bool(trainer.epoch >= until_epoch)

    def _feed(self) -> None:
        position = self.trainer.position
        if self.ahead is None:
            if position == 0 and self.generator is not None:
                assert self.source.n_samples is not None
                self.order = self.generator.permutation(self.source.n_samples)
            self.ahead = Ahead(self.source.blocks(self.order, position, self.rows))
        x, target, last = self.ahead.take()
        self.trainer.feed(x, *self.loss.engine_target(target), last)
        self.end = position + len(x)

    def close(self) -> None:
        """Stop the thread that prepares blocks; the next epoch starts another."""
        if self.ahead is not None:
            self.ahead.close()
        self.ahead, self.end = None, 0

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers and arrays from which `restore` continues bit for bit."""
        state: dict[str, Any] = self.trainer.snapshot()
        if self.trainer.position and self.order is not None:
            state["order"] = self.order
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a valid snapshot, after the parameters are restored."""
        self.order = state.get("order")
        self.end = state["position"]
        self.trainer.restore({name: v for name, v in state.items() if name != "order"})


def check_mapped(x: Any, name: str, dtype: np.dtype[Any], n_features: int) -> None:
    """Check a memory-mapped matrix of samples, one block of rows after the other."""
    rows = max(BLOCK_BYTES // (max(n_features, 1) * 8), 1)
    for start in range(0, max(len(x), 1), rows):
        try:
            _checks.samples(x[start : start + rows], name, dtype, n_features)
        except ValueError as error:
            if not start:
                raise
            raise ValueError(f"from row {start}: {error}") from None
