"""Benchmarks: `python -m bench` lists them."""

import sys
from pathlib import Path

# In a clone, Python would import fastnn's sources. If they are not built, the benches measure the
# installed fastnn.
ROOT = Path(__file__).parents[1]
if not list(ROOT.glob("fastnn/_core/_engine_*.so")):
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
