"""The entry point of the program: it runs a command and reports errors."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

import fastnn as fn
from fastnn.cli import arguments, export, predict, streams, train

COMMANDS = {
    "train": train.train,
    "predict": predict.predict,
    "evaluate": predict.evaluate,
    "export": export.export,
    "info": predict.info,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit status: 0 for success, 2 for an error (one line on standard error explains it), 130
        after Ctrl-C, 1 if the program that reads the output has closed the pipe.
    """
    streams.write_utf_8()
    try:
        args = arguments.parser().parse_args(argv)
        # Checks of the results report overflow, so NumPy need not warn.
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            COMMANDS[args.command](args)
        print(end="", flush=True)
    except BrokenPipeError:
        # The interpreter flushes stdout again at exit, which must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        lost = "; no model was written" if "train" in (argv or sys.argv) else ""
        print(f"fastnn: interrupted{lost}", file=sys.stderr)
        return 130
    except fn.DivergenceError as error:
        print(
            f"fastnn: error: training diverged in epoch {error.epoch + 1}, and no model was "
            f"written. {error.advice}; the option is --learning-rate",
            file=sys.stderr,
        )
        return 2
    # An ArithmeticError reports a number that is too large for the machine.
    except (ValueError, TypeError, ArithmeticError, OSError, ImportError, MemoryError) as error:
        print(f"fastnn: error: {streams.one_line(error)}", file=sys.stderr)
        return 2
    return 0


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning on one line, without the place in the source."""
    print(f"fastnn: warning: {streams.one_line(message)}", file=sys.stderr)
