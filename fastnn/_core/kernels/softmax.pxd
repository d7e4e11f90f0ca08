"""Softmax and log-softmax over each row, with their true vector-Jacobian products.

S_i = e^{x_i} / Σ e^{x_j} has the Jacobian diag(S) - S Sᵀ, so dx = S (dy - ⟨S, dy⟩). log S has the
Jacobian I - 1 Sᵀ, so dx = dy - S Σ dy. Neither Jacobian is formed. The row's maximum is subtracted
first, so that exp does not overflow. Mathematically this changes nothing.

If one S_t is near 1, the difference 1 - S_t would have a large relative error, so the sum of the
other S is used in its place. For this, a mean weighted by S is computed from the differences to the
t-th number.
"""

from fastnn._core.kernels.apart cimport call_apart
from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.elementary cimport exp_of_difference, log
from fastnn._core.kernels.sums cimport SIDE_BY_SIDE, sum_of


cdef enum:
    EXPONENTIALS = 512  # computed in one loop, since a row is often shorter than a vector


cdef inline real row_maximum(const real *x, Py_ssize_t n) noexcept nogil:
    cdef real top = x[0]
    cdef Py_ssize_t j
    for j in range(1, n):
        if x[j] > top:
            top = x[j]
    return top


cdef inline double row_sum(const real *x, Py_ssize_t n) noexcept nogil:
    """Σ x in double; `sum_of` is fast for long rows only."""
    cdef double total = 0
    cdef Py_ssize_t j
    if n >= 2 * SIDE_BY_SIDE:
        return sum_of(x, n)
    for j in range(n):
        total += x[j]
    return total


cdef inline Py_ssize_t dominant(const real *S, Py_ssize_t n) noexcept nogil:
    """Return the index of the S above 1/2; -1 if there is none."""
    cdef Py_ssize_t place = -1
    cdef Py_ssize_t j
    for j in range(n):
        place = j if S[j] > <real>0.5 else place
    return place


cdef inline double sum_beside(const real *S, Py_ssize_t t, Py_ssize_t n) noexcept nogil:
    """Σ S without the t-th."""
    return row_sum(S, t) + row_sum(S + t + 1, n - t - 1)


cdef inline void exp_of_shifted_rows(
    const real *x, real *y, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """y = e^{x - the row's maximum}, where the difference is exact: its rounding is corrected."""
    cdef real[EXPONENTIALS] errors
    cdef real top = 0
    cdef real difference, back, error
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t column = 0
    cdef Py_ssize_t count, i, j, stop
    while first < rows * n:
        count = min(<Py_ssize_t>EXPONENTIALS, rows * n - first)
        i = 0
        while i < count:
            if column == 0:
                top = row_maximum(x + i, n)
            stop = min(count, i + n - column)
            column = (column + stop - i) % n
            for j in range(i, stop):
                difference = x[j] - top
                back = difference - x[j]
                error = (x[j] - (difference - back)) - (top + back)  # Knuth's two-sum
                errors[j] = error if error > -1 else -1  # NaN of an infinite difference
                y[j] = difference
            i = stop
        for j in range(count):
            y[j] = exp_of_difference(y[j], errors[j])
        first += count
        x += count
        y += count


cdef inline double log_of_sum(real own, double rest) noexcept nogil:
    """ln(own + rest) ≥ 0; for own = 1 its relative error is small, however small the rest is."""
    cdef real total = <real>(own + rest)
    # the rounding of the sum has a first-order effect
    return log(total) + (rest - (<double>total - own)) / total


cdef inline void softmax_forward(
    const real *x, real *y, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """y = S(x) row by row; overwrites y."""
    cdef Py_ssize_t _row, j
    cdef real total
    call_apart(exp_of_shifted_rows[real], x, y, rows, n)
    for _row in range(rows):
        total = <real>row_sum(y, n)
        for j in range(n):
            y[j] /= total
        y += n


cdef inline void softmax_backward(
    const real *y, const real *dy, real *dx, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """dx = S (dy - ⟨S, dy⟩); overwrites dx, which may be dy or y."""
    cdef Py_ssize_t _row, t, j
    cdef real shift, mean
    cdef double inner
    for _row in range(rows):
        t = dominant(y, n)
        shift = dy[t] if t >= 0 else 0
        inner = 0
        for j in range(n):
            inner += y[j] * (dy[j] - shift)
        mean = <real>inner
        for j in range(n):
            dx[j] = y[j] * ((dy[j] - shift) - mean)
        y += n
        dy += n
        dx += n


cdef inline void log_softmax_forward(
    const real *x, real *y, real *kept, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """y = x - ln Σ e^x row by row; overwrites y, and `kept` with S, unless it is NULL."""
    cdef Py_ssize_t _row, t, j
    cdef real top, total, log_total
    cdef double rest
    call_apart(exp_of_shifted_rows[real], x, y, rows, n)
    for _row in range(rows):
        top = row_maximum(x, n)
        t = 0
        while t < n - 1 and y[t] != 1:
            t += 1
        rest = sum_beside(y, t, n)
        log_total = <real>log_of_sum(y[t], rest)
        if kept != NULL:
            total = <real>(y[t] + rest)
            for j in range(n):
                kept[j] = y[j] / total
            kept += n
        for j in range(n):
            y[j] = (x[j] - top) - log_total
        x += n
        y += n


cdef inline void log_softmax_backward(
    const real *S, const real *dy, real *dx, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """dx = dy - S Σ dy; overwrites dx, which may be dy."""
    cdef real total, dominated
    cdef double others
    cdef Py_ssize_t _row, t, j
    for _row in range(rows):
        t = dominant(S, n)
        dominated = 0
        if t < 0:
            total = <real>row_sum(dy, n)
        else:
            others = sum_beside(dy, t, n)
            total = <real>(others + dy[t])
            dominated = <real>(sum_beside(S, t, n) * total - others)
        for j in range(n):
            dx[j] = dy[j] - S[j] * total
        if t >= 0:
            dx[t] = dominated
        S += n
        dy += n
        dx += n


cdef inline void log_softmax_tangent(
    const real *S, const real *tangent, real *y_tangent, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """ẏ = (I - 1 Sᵀ) ẋ; overwrites ẏ, which may be ẋ.

    Softmax needs no such function: its Jacobian is symmetric, and `softmax_backward` serves
    tangents too.
    """
    cdef real shift, mean
    cdef double inner
    cdef Py_ssize_t _row, t, j
    for _row in range(rows):
        t = dominant(S, n)
        shift = tangent[t] if t >= 0 else 0
        inner = 0
        for j in range(n):
            inner += S[j] * (tangent[j] - shift)
        mean = <real>inner
        for j in range(n):
            y_tangent[j] = (tangent[j] - shift) - mean
        S += n
        tangent += n
        y_tangent += n
