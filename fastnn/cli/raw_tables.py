"""Tables with texts, gaps and dates, as data frames of pandas: CSV and Parquet files."""

import argparse
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastnn.cli import csv_style
from fastnn.files import csv_file

PARQUET = (".parquet", ".pq")
NEEDED = "tables with texts or gaps need pandas and scikit-learn: pip install 'fastnn[tabular]'"


def is_parquet(path: str) -> bool:
    """Return whether a file is a Parquet file, by its name."""
    return Path(path).suffix.lower() in PARQUET


def read(args: argparse.Namespace, texts: Iterable[str] = ()) -> Any:
    """Return the table `args.data` as a data frame.

    In a CSV file, the columns `texts` stay texts, so that "01" and "1" differ. The arguments `sep`,
    `decimal` and `na` say how a CSV file is written; see `csv_style.recognised`.

    Raises
    ------
    ValueError
        If the file is neither CSV nor Parquet, is damaged, or has no rows.
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
    args = csv_style.recognised(args)
    if is_parquet(path):
        frame = _read_parquet(pd, path)
    elif csv_file.is_csv(path):
        frame = _read_csv(pd, args, texts)
    else:
        raise ValueError(f"{path}: expected a .csv, .tsv or .parquet file")
    if not len(frame):
        raise ValueError(f"{path}: no data after the line with the column names")
    return frame


def _read_parquet(pd: Any, path: str) -> Any:
    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow: pip install pyarrow") from error
    except OSError:
        raise
    except Exception as error:  # pyarrow's errors have no common base class
        raise ValueError(f"{path}: {error}") from error
    frame.columns = [str(name) for name in frame.columns]
    return frame


def _read_csv(pd: Any, args: argparse.Namespace, texts: Iterable[str]) -> Any:
    path = args.data
    names = csv_file.column_names(path, args.sep)
    # This checks the lengths of the rows. pandas would fill short ones with gaps, and does not name
    # the line of a long one.
    n_rows = sum(1 for _ in csv_file.rows(path, len(names), args.sep))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                sep=args.sep,
                decimal=args.decimal,
                names=names,
                header=0,
                dtype=dict.fromkeys(csv_style.names(texts, names), str),
                na_values=[*csv_style.GAPS, *csv_style.gaps(args.na)],
                keep_default_na=False,
                index_col=False,
                encoding="utf-8-sig",
                low_memory=False,
            )
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error.reason})") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise ValueError(f"{path}: {error}") from error
    if len(frame) != n_rows:
        raise ValueError(f"{path}: {n_rows} rows, but pandas reads {len(frame)}")
    frame.attrs["decimal"] = args.decimal
    return frame


def target(frame: Any, name: str, path: str) -> Any:
    """Remove a column from a data frame and return it: as numbers if all its texts are numbers.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    found = take(frame, name, path)
    cells = [cell for cell in found if isinstance(cell, str)]
    if not cells:
        return found  # all cells are gaps, or pandas has read the column as numbers or dates
    decimal = frame.attrs.get("decimal", ".")
    plain = [csv_file.with_point(cell.strip(), decimal) for cell in cells]
    if all(map(csv_file.is_canonical_integer, plain)) and len(cells) == len(found):
        return found.astype("int64")
    if all(map(csv_file.NUMBER.fullmatch, plain)):
        found = found.copy()
        found[found.notna()] = plain
        return found.astype("float64")
    return found


def take(frame: Any, name: str, path: str) -> Any:
    """Remove a column from a data frame and return it.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    demand(frame, [name], path)
    return frame.pop(name)


def demand(frame: Any, names: Iterable[str], path: str) -> None:
    """Raise ValueError if a data frame lacks one of the columns."""
    for name in names:
        if name not in frame:
            raise ValueError(csv_file.no_column(path, name, list(frame)))
