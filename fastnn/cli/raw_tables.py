"""Tables with texts, gaps and dates, as data frames of pandas: CSV and Parquet files."""

import argparse
import itertools
import re
import sys
import warnings
from pathlib import Path
from typing import Any

from fastnn._checks.printing import printable
from fastnn.files import csv_file

GAPS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL")  # cells without a value
PARQUET = (".parquet", ".pq")
SAMPLED_LINES = 1000  # lines that are looked at for decimal commas
WITH_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
NEEDED = "tables with texts or gaps need pandas and scikit-learn: pip install 'fastnn[tabular]'"


def is_parquet(path: str) -> bool:
    """Return whether a file is a Parquet file, by its name."""
    return Path(path).suffix.lower() in PARQUET


def read(args: argparse.Namespace) -> Any:
    """Return the table `args.data` as a data frame.

    The arguments `sep`, `decimal` and `na` say how a CSV file is written. Semicolons, tabs and
    decimal commas are recognised, and a line on standard error says so.

    Raises
    ------
    ValueError
        If the file is no such table, or has no rows.
    ImportError
        If pandas is missing, or pyarrow for a Parquet file.
    OSError
        If the file cannot be opened.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(NEEDED) from error
    path = args.data
    if is_parquet(path):
        if args.sep or args.decimal or args.na:
            raise ValueError(f"{path}: --sep, --decimal and --na are for CSV files")
        try:
            frame = pd.read_parquet(path)
        except ImportError as error:
            raise ImportError("Parquet files need pyarrow: pip install pyarrow") from error
        except OSError:
            raise
        except Exception as error:  # pyarrow's errors have no common base class
            raise ValueError(f"{path}: {error}") from error
        frame.columns = [str(name) for name in frame.columns]
    elif Path(path).suffix.lower() == ".csv":
        frame = _read_csv(pd, args)
    else:
        raise ValueError(f"{path}: expected a .csv or .parquet file")
    if not len(frame):
        raise ValueError(f"{path}: no data after the line with the column names")
    return frame


def _read_csv(pd: Any, args: argparse.Namespace) -> Any:
    path = args.data
    if args.sep is not None and len(args.sep) != 1:
        raise ValueError(f"--sep is {args.sep!r}; one character is wanted")
    separator = args.sep or csv_file.separator(path)
    if separator != "," and args.sep is None:
        _note(args, {";": "semicolons", "\t": "tabs"}[separator] + " separate the cells")
    csv_file.column_names(path, separator)
    decimal = args.decimal or "."
    if args.decimal is None and separator != "," and _has_decimal_commas(path, separator):
        decimal = ","
        _note(args, "numbers have decimal commas")
    if decimal == separator:
        raise ValueError(f"{path}: {separator!r} cannot be both --sep and --decimal")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells without a column
            return pd.read_csv(
                path,
                sep=separator,
                decimal=decimal,
                na_values=[*GAPS, *args.na],
                keep_default_na=False,
                index_col=False,
                encoding="utf-8-sig",
                low_memory=False,
            ).rename(columns=str.strip)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error.reason})") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise ValueError(f"{path}: {error}") from error


def _has_decimal_commas(path: str, separator: str) -> bool:
    """Return whether some column has numbers with a comma, and nothing else but whole numbers."""
    lines = itertools.islice(csv_file.lines(path, separator), 1, SAMPLED_LINES)
    columns = itertools.zip_longest(*(cells for _, cells in lines), fillvalue="")
    for column in columns:
        cells = [text for cell in column if (text := cell.strip()) not in GAPS]
        if any(map(WITH_COMMA.fullmatch, cells)) and all(
            WITH_COMMA.fullmatch(cell) or csv_file.CANONICAL_INTEGER.fullmatch(cell)
            for cell in cells
        ):
            return True
    return False


def _note(args: argparse.Namespace, text: str) -> None:
    if not getattr(args, "quiet", False):
        print(f"fastnn: {printable(args.data)}: {text}", file=sys.stderr)


def take(frame: Any, name: str, path: str) -> Any:
    """Remove a column from a data frame and return it.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    if name not in frame:
        shown = csv_file.shown(list(frame))
        raise ValueError(f"{path}: no column {name!r}; the columns are {shown}")
    return frame.pop(name)
