"""How a CSV file is written: its separator, its decimal sign and its gaps."""

import argparse
import sys
from collections.abc import Iterable, Sequence

from fastnn._checks.printing import printable
from fastnn.cli.decimal_sign import decimal_sign
from fastnn.files import csv_file

GAPS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")  # cells without a value
NAMES = {";": "semicolons", "\t": "tabs"}
TAB = ("tab", "\\t")  # names for the tab, which is hard to type in a shell


def recognised(args: argparse.Namespace) -> argparse.Namespace:
    """Return the arguments with `sep` and `decimal` of the CSV file `args.data`.

    Both are recognised from the file unless they are given. A line on standard error reports a
    separator or a decimal sign that is not the usual one. If the file is not CSV, the arguments are
    returned unchanged.

    Raises
    ------
    ValueError
        If `sep` is not one character or "tab", or is also the decimal sign; if `sep`, `decimal` or
        `na` are given for a file that is not CSV; or if the file cannot be read as CSV.
    OSError
        If the file cannot be opened.
    """
    path = args.data
    if not csv_file.is_csv(path):
        if args.sep or args.decimal or args.na:
            raise ValueError(f"{path}: --sep, --decimal and --na are for CSV files")
        return args
    separator = "\t" if args.sep in TAB else args.sep
    if separator is not None and (len(separator.encode()) != 1 or separator in '"\r\n'):
        raise ValueError(f"--sep is {args.sep!r}; one character or 'tab' is wanted")
    if separator is None:
        separator = csv_file.separator(path)
        if separator != ",":
            _note(args, f"{NAMES[separator]} separate the cells")
    decimal = args.decimal
    if decimal is None:
        decimal = decimal_sign(path, separator, {*GAPS, *gaps(args.na)})
        if decimal == ",":
            _note(args, "numbers have decimal commas")
    if decimal == separator:
        raise ValueError(f"{path}: {separator!r} cannot be both --sep and --decimal")
    return argparse.Namespace(**vars(args) | {"sep": separator, "decimal": decimal})


def gaps(given: Iterable[str] | None) -> list[str]:
    """Return the texts of `--na`. Commas separate texts."""
    return [gap for text in given or () for gap in text.split(",")]


def names(given: Iterable[str] | None, columns: Sequence[str]) -> list[str]:
    """Return the columns that an option names. Commas separate names, unless a name has a comma."""
    found: list[str] = []
    for text in given or ():
        found += [text] if text in columns else text.split(",")
    return list(dict.fromkeys(found))


def _note(args: argparse.Namespace, text: str) -> None:
    if not getattr(args, "quiet", False):
        print(f"fastnn: {printable(args.data)}: {text}", file=sys.stderr)
