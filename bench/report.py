"""The output of a run: machine and versions, tables, and results as JSON."""

import dataclasses
import importlib.metadata
import json
import os
import platform
from pathlib import Path

import numpy as np

import fastnn as fn
from bench import limits, machine
from bench.common import threads

# the packages of a peer; the one whose version matters is first
PACKAGES = {
    "numpy": ["numpy"],
    "mkl": ["mkl"],
    "scipy": ["scipy"],
    "sklearn": ["scikit-learn"],
    "torch": ["torch"],
    "jax": ["jax"],
    "onnxruntime": ["onnxruntime", "onnx"],
    **{name: [name] for name in ("pytabkit", "lightgbm", "catboost", "xgboost")},
}
CASE_WIDTH, CELL_WIDTH = 30, 20


def versions(peer):
    """Return the versions of a peer's packages, or an empty list if one is not installed."""
    if peer == "openblas":  # the library in NumPy's wheel
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return [blas["version"]] if "openblas" in blas["name"] else []
    try:
        return [importlib.metadata.version(package) for package in PACKAGES[peer]]
    except importlib.metadata.PackageNotFoundError:
        return []


def header(here, missing):
    """Return a description of the machine, fastnn and its peers."""
    info, isa = fn.build_info(), os.environ.get("FASTNN_ISA")
    return {
        **machine.cpu().describe(),
        "processors": f"{machine.processors()}; {platform.system()}",
        "python": platform.python_version(),
        "fastnn": f"{info['version']} ({info['isa']}, OpenMP {info['openmp']}, {info['compiler']})",
        "instruction set": f"{isa}, but ONNX Runtime's and JAX's products choose for themselves"
        if isa
        else "each library's choice",
        "threads": f"{threads()} of each library",
        "peers": ", ".join(f"{peer} {versions(peer)[0]}" for peer in here),
        "not installed": ", ".join(missing) or "none",
        "limits": limits.describe(),
    }


def number(value):
    """Return a number as a text with three digits, without an exponent if that is short."""
    digits = f"{value:.3g}"
    return f"{value:,.0f}" if 1000 <= value < 1e7 else digits


class Table:
    """Prints records as rows of Markdown tables.

    A cell has the minimum, the median in parentheses, and the ratio to the subject's result. The
    cell of the limit has the least time and its share of the subject's time.
    """

    def __init__(self):
        self.heads = None

    def print(self, record):
        """Print a row. Print the head of the table first if it differs from the previous one."""
        if record.detail:
            return
        heads = [record.unit, *record.results, *(["limit"] if record.limit is not None else [])]
        if heads != self.heads:
            self.heads = heads
            print("\n" + self.row(heads))
            print(self.row(["---"] * len(heads)))
        ratios = record.ratios()
        cells = [record.case]
        for name, measured in record.results.items():
            median = "" if measured.median is None else f" ({number(measured.median)})"
            ratio = f" {ratios[name]:.2f}x" if name in ratios else ""
            cells.append(number(measured.minimum) + median + ratio)
        if "limit" in ratios:
            cells.append(f"{number(record.limit)} {ratios['limit']:.2f}")
        print(self.row(cells) + (f" {record.note}" if record.note else ""), flush=True)

    def row(self, cells):
        """Return cells as a row with columns of fixed width."""
        first, *others = cells
        padded = [first.ljust(CASE_WIDTH), *(cell.ljust(CELL_WIDTH) for cell in others)]
        return "| " + " | ".join(padded) + " |"


def write_json(file, header, results):
    """Write the header and all records, each with its bench and its ratios."""
    records = [
        {"bench": bench, **dataclasses.asdict(record), "ratios": record.ratios()}
        for bench, record in results
    ]
    Path(file).write_text(
        json.dumps({"header": header, "records": records}, indent=1) + "\n", encoding="utf-8"
    )
