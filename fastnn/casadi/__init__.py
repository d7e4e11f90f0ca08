"""Networks in CasADi: as functions of its own operations, and as externals, compiled from C.

This module needs casadi (`pip install 'fastnn[casadi]'`). After `import fastnn`, it is available as
`fastnn.casadi`. The statement `import casadi` still imports the library itself.
"""

from fastnn.casadi.external import export_external
from fastnn.casadi.functions import function

__all__ = ["export_external", "function"]
