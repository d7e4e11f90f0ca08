"""Networks in CasADi: functions of its own operations, and externals in C.

This module needs casadi (`pip install 'fastnn[casadi]'`). Import it as `import fastnn.casadi`; the
library itself is still `import casadi`.
"""

from fastnn.casadi.external import export_external
from fastnn.casadi.functions import function

__all__ = ["export_external", "function"]
