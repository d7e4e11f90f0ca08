"""Softmax and log-softmax over each row, with their true vector-Jacobian products.

S_i = e^{x_i} / Σ e^{x_j} has the Jacobian diag(S) - S Sᵀ, so dx = S (dy - ⟨S, dy⟩): never formed.
log S has I - 1 Sᵀ, so dx = dy - S Σ dy. The row's maximum is subtracted first, which changes
nothing mathematically and keeps exp from overflowing.
"""

from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.elementary cimport exp, log


cdef inline real row_maximum(const real *x, Py_ssize_t n) noexcept nogil:
    cdef real top = x[0]
    cdef Py_ssize_t j
    for j in range(1, n):
        if x[j] > top:
            top = x[j]
    return top


cdef inline void exp_of_shifted_rows(
    const real *x, real *y, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """y = e^{x - the row's maximum}: one long loop, since a row is often shorter than a vector."""
    cdef Py_ssize_t i, j
    cdef real top
    for i in range(rows):
        top = row_maximum(x + i * n, n)
        for j in range(n):
            y[i * n + j] = x[i * n + j] - top
    for i in range(rows * n):
        y[i] = exp(y[i])


cdef inline void softmax_forward(
    const real *x, real *y, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """y = S(x) row by row; overwrites y."""
    cdef Py_ssize_t _row, j
    cdef real total
    exp_of_shifted_rows(x, y, rows, n)
    for _row in range(rows):
        total = 0
        for j in range(n):
            total += y[j]
        for j in range(n):
            y[j] /= total
        y += n


cdef inline void softmax_backward(
    const real *y, const real *dy, real *dx, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """dx = S (dy - ⟨S, dy⟩); overwrites dx, which may be dy."""
    cdef Py_ssize_t _row, j
    cdef real inner
    for _row in range(rows):
        inner = 0
        for j in range(n):
            inner += y[j] * dy[j]
        for j in range(n):
            dx[j] = y[j] * (dy[j] - inner)
        y += n
        dy += n
        dx += n


cdef inline void log_softmax_forward(
    const real *x, real *y, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """y = x - ln Σ e^x row by row; overwrites y."""
    cdef Py_ssize_t _row, j
    cdef real top, total
    exp_of_shifted_rows(x, y, rows, n)
    for _row in range(rows):
        top = row_maximum(x, n)
        total = 0
        for j in range(n):
            total += y[j]
        total = log(total)
        for j in range(n):
            y[j] = (x[j] - top) - total
        x += n
        y += n


cdef inline void log_softmax_backward(
    const real *y, const real *dy, real *dx, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """dx = dy - S Σ dy with S = e^y; overwrites dx, which may be dy."""
    cdef Py_ssize_t _row, j
    cdef real total
    for _row in range(rows):
        total = 0
        for j in range(n):
            total += dy[j]
        for j in range(n):
            dx[j] = dy[j] - exp(y[j]) * total
        y += n
        dy += n
        dx += n


cdef inline void log_softmax_tangent(
    const real *y, const real *tangent, real *y_tangent, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """ẏ = (I - 1 Sᵀ) ẋ with S = e^y; overwrites ẏ, which may be ẋ. Softmax's Jacobian is symmetric,
    so that its `softmax_backward` does for tangents too."""
    cdef real mean
    cdef Py_ssize_t _row, j
    for _row in range(rows):
        mean = 0
        for j in range(n):
            mean += exp(y[j]) * tangent[j]
        for j in range(n):
            y_tangent[j] = tangent[j] - mean
        y += n
        tangent += n
        y_tangent += n
