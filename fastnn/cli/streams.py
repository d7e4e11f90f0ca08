"""How the program `fastnn` writes, to a terminal (where text of files is escaped) and to files."""

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from fastnn._checks.printing import printable
from fastnn.files.atomic_file import atomic_file, check_destination

LONGEST_MESSAGE = 4_000  # characters


def check_destinations(inputs: Iterable[str], outputs: Iterable[str | None]) -> None:
    """Raise if a file cannot be written, or is one that is read or written already."""
    taken = list(inputs)
    for path in filter(None, outputs):
        for other in taken:
            if os.path.realpath(path) == os.path.realpath(other):
                raise ValueError(f"{path} would overwrite {other}")
        check_destination(path)
        taken.append(path)


class Shown(io.TextIOBase):
    """Standard output where it is a terminal, which obeys some characters; these are escaped."""

    def write(self, text: str) -> int:
        """Write a text, escaped."""
        sys.stdout.write("\n".join(map(printable, text.split("\n"))))
        return len(text)


@contextlib.contextmanager
def output_stream(path: str | None) -> Iterator[Any]:
    """Yield a file to write text to: standard output where there is no path."""
    if path is None and sys.stdout.isatty():
        yield Shown()
    elif path is None:
        yield sys.stdout
    else:
        with atomic_file(path) as file:
            stream = io.TextIOWrapper(file, encoding="utf-8", newline="")
            yield stream
            stream.flush()
            stream.detach()  # or it would close the file before it is safe on disk


def one_line(error: Exception) -> str:
    """Return an error's message on one line, cut where it is very long."""
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = " ".join(str(error).split()) or type(error).__name__
    shown = printable(text)
    return shown if len(shown) <= LONGEST_MESSAGE else f"{shown[:LONGEST_MESSAGE]} …"


def say(text: str) -> None:
    """Print a text."""
    print("\n".join(map(printable, text.split("\n"))))


def silent(*_: object) -> None:
    """Print nothing."""
