"""A log of the metrics in a CSV file, written row by row."""

import os
from typing import Any

from fastnn import _checks
from fastnn.callbacks.callback import Callback


class CSVLog(Callback):
    """Write the metrics of each epoch to a CSV file, as soon as the epoch has ended.

    The first line has the names: "epoch", counted from 0, and the names of the metrics in the
    History. Each row is one write to the file, which is open only during this write. So other
    programs can read the file while the network trains, and after a crash it has all rows.

    If a fit is resumed from a checkpoint, the rows after the checkpoint are removed, and the log
    continues. It then equals the log of an uninterrupted fit, except for the column "seconds".

    Parameters
    ----------
    path : str or PathLike
        The file. Each fit needs its own, also in `fit_many`.
    append : bool
        Whether to keep the rows of earlier fits in the file. By default False: a fit replaces the
        file when it begins.

    Raises
    ------
    TypeError
        If an argument is invalid.
    OSError
        In `fit`, if the file cannot be written.
    ValueError
        In `fit`, if the names of the metrics are not those in the first line of the file.
    """

    def __init__(self, path: "str | os.PathLike[str]", append: bool = False) -> None:
        text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
        if not isinstance(text, str):
            raise TypeError(f"path is {path!r}; the path of a file is wanted")
        self.path = text
        self.append = _checks.boolean(append, "append")
        self._size: int | None = None  # of the file after the last row; None before a fit
        self._is_resumed = False

    def fit_begin(self, net: Any) -> None:
        """Create the file, or replace it unless `append` is True."""
        with open(self.path, "ab" if self.append else "wb") as file:
            self._size, self._is_resumed = file.tell(), False

    def epoch_end(self, net: Any, epoch: int, metrics: dict[str, float]) -> None:
        """Write the row of an epoch."""
        import csv  # here, so that `import fastnn` stays fast

        row = {"epoch": epoch, **metrics}
        with open(self.path, "a+b", buffering=0) as file:
            if self._is_resumed and self._size is not None:
                file.truncate(min(self._size, os.fstat(file.fileno()).st_size))
            self._is_resumed = False
            file.seek(0)
            first = file.readline()
            if first:
                names = next(csv.reader([first.decode()]))
                if names != list(row):
                    raise ValueError(
                        f"{self.path} has the columns {', '.join(names)}; this fit has "
                        f"{', '.join(row)}. Another file, or append=False, is wanted"
                    )
                file.seek(-1, os.SEEK_END)
                cut = file.read(1) != b"\n"
                file.write(b"\n" * cut + _line(row.values()))
            else:
                file.write(_line(row) + _line(row.values()))
            self._size = os.fstat(file.fileno()).st_size

    def state(self) -> dict[str, Any]:
        """Return the size of the file in bytes."""
        return {"size": self._size}

    def restore(self, state: dict[str, Any]) -> None:
        """Remember the size, to which the file is cut before the next row is written."""
        self._size, self._is_resumed = state["size"], True


def _line(cells: Any) -> bytes:
    """Return a line of CSV. Numbers are written such that reading them gives the same bits."""
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
