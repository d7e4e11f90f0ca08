"""Jacobians as linear maps that keep their structure, such as a diagonal or a product.

The Jacobian of f: R^n -> R^m at a point is the matrix (m, n) of the total derivative at this point,
with a row for each output and a column for each input. `J.matvec(h)` applies the derivative to a
direction h (Jacobian-vector product). `J.rmatvec(c)` applies the transpose to a cotangent c
(vector-Jacobian product). `J_f @ J_g` is the chain rule. Each class stores only the numbers that
define its structure; `to_dense()` returns the full matrix. The methods have the names of SciPy's
LinearOperator, and `scipy.sparse.linalg.aslinearoperator` accepts every Jacobian.
"""

from fastnn.jacobians.base import Composed, Jacobian
from fastnn.jacobians.kinds import Block, Dense, Diagonal, DiagonalMinusOuter, Identity, Kronecker
from fastnn.jacobians.sums import BlockDiagonal, Stack, Sum

__all__ = [
    "Block",
    "BlockDiagonal",
    "Composed",
    "Dense",
    "Diagonal",
    "DiagonalMinusOuter",
    "Identity",
    "Jacobian",
    "Kronecker",
    "Stack",
    "Sum",
]
