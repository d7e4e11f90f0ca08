"""Benchmarks that anyone can run: `python -m bench` lists them."""

import sys
from pathlib import Path

# Run from a clone, Python finds fastnn's sources first. Without a build among them, measure the
# fastnn that is installed.
ROOT = Path(__file__).parents[1]
if not list(ROOT.glob("fastnn/_core/_engine_*.so")):
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
