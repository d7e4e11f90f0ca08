"""Jacobians as linear maps that keep their structure: what the total derivative is, not its table.

The Jacobian of f: R^n -> R^m at a point is the matrix (m, n) of its total derivative there, a row
per output and a column per input. `J.matvec(h)` applies the derivative to a direction h (a
Jacobian-vector product), `J.rmatvec(c)` its transpose to a cotangent c (a vector-Jacobian product),
and `J_f @ J_g` is the chain rule. No kind holds more numbers than its structure has; `to_dense()`
writes the matrix out. The vocabulary is that of SciPy's LinearOperator, and
`scipy.sparse.linalg.aslinearoperator` takes every kind.
"""

from fastnn.jacobians.base import Composed, Jacobian
from fastnn.jacobians.kinds import Block, Dense, Diagonal, DiagonalMinusOuter, Identity, Kronecker

__all__ = [
    "Block",
    "Composed",
    "Dense",
    "Diagonal",
    "DiagonalMinusOuter",
    "Identity",
    "Jacobian",
    "Kronecker",
]
