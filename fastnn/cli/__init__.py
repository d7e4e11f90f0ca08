"""The command line: `fastnn train` and `fastnn predict`."""

from fastnn.cli.commands import main

__all__ = ["main"]
