"""Output of the program. Control characters are escaped in messages."""

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
    """Raise if an output cannot be written, or would overwrite an input or another output.

    Raises
    ------
    ValueError
        If an output is also an input or another output.
    OSError
        If an output cannot be written.
    """
    taken = list(inputs)
    for path in filter(None, outputs):
        for other in taken:
            if os.path.realpath(path) == os.path.realpath(other):
                raise ValueError(f"{path} would overwrite {other}")
        check_destination(path)
        taken.append(path)


def write_utf_8() -> None:
    """Let pipes and redirected files get UTF-8, as other files do; a terminal keeps its own."""
    for stream in (sys.stdout, sys.stderr):
        is_chosen = "PYTHONIOENCODING" in os.environ
        if isinstance(stream, io.TextIOWrapper) and not (stream.isatty() or is_chosen):
            stream.reconfigure(encoding="utf-8", errors=stream.errors)


class EscapedOutput(io.TextIOBase):
    """Standard output for a terminal: characters that would control the terminal are escaped."""

    def write(self, text: str) -> int:
        """Write a text with its control characters escaped."""
        sys.stdout.write("\n".join(map(printable, text.split("\n"))))
        return len(text)


@contextlib.contextmanager
def output_stream(path: str | None) -> Iterator[Any]:
    """Yield a text file: the one at `path`, replaced in one step, or else standard output."""
    if path is None and sys.stdout.isatty():
        yield EscapedOutput()
    elif path is None:
        yield sys.stdout
    else:
        with atomic_file(path) as file:
            stream = io.TextIOWrapper(file, encoding="utf-8", newline="")
            yield stream
            stream.flush()
            stream.detach()  # otherwise it would close the file before `atomic_file` syncs it


def one_line(error: Exception | str) -> str:
    """Return the message of an error on one line, cut off if it is very long."""
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = " ".join(str(error).split()) or type(error).__name__
    shown = printable(text)
    return shown if len(shown) <= LONGEST_MESSAGE else f"{shown[:LONGEST_MESSAGE]} …"


def say(text: str) -> None:
    """Print a text with its control characters escaped."""
    print("\n".join(map(printable, text.split("\n"))))


def silent(*_: object) -> None:
    """Print nothing."""
