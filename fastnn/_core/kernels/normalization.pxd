"""Normalization of each row by its own statistics, and a scale and shift of each column.

x̂ = (x - μ) r with the row's mean μ, its variance v (divided by n) and r = 1 / √(v + eps) (Ba et
al. 2016). Its Jacobian, r (I - 1 1ᵀ/n - x̂ x̂ᵀ/n), is symmetric, and follows from x̂ and r, which
the forward pass keeps. Scale and shift, y = w x + b, have the Jacobian
diag(w).

A sum along a row has LANES partial sums, since the compiler must not reorder a sum. The mean of
x - μ, which is 0 up to rounding, corrects both μ and v. A row whose sums overflow is computed
again, multiplied by a power of two. Squares that underflow do not matter: eps is far larger.
"""

from libc.float cimport DBL_MIN, FLT_MIN

from fastnn._core.kernels.dtypes cimport real, shrink_of, sqrt


cdef enum:
    LANES = 16


cdef inline void row_sums(
    const real *a, const real *b, Py_ssize_t n, real *total, real *inner,
) noexcept nogil:
    """Σ a and Σ a b."""
    cdef real[LANES] sums
    cdef real[LANES] products
    cdef Py_ssize_t done = 0
    cdef Py_ssize_t k
    for k in range(LANES):
        sums[k] = products[k] = 0
    while done + LANES <= n:
        for k in range(LANES):
            sums[k] += a[done + k]
            products[k] += a[done + k] * b[done + k]
        done += LANES
    for k in range(n - done):
        sums[k] += a[done + k]
        products[k] += a[done + k] * b[done + k]
    for k in range(LANES // 2):
        sums[k] += sums[k + LANES // 2]
        products[k] += products[k + LANES // 2]
    for k in range(LANES // 4):
        sums[k] += sums[k + LANES // 4]
        products[k] += products[k + LANES // 4]
    total[0] = (sums[0] + sums[2]) + (sums[1] + sums[3])
    inner[0] = (products[0] + products[2]) + (products[1] + products[3])


cdef inline void normalize_forward(
    const real *x, real eps, real *y, real *inverse, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """Overwrites y with x̂, and inverse (rows,) with r."""
    cdef real shrink = shrink_of(x)
    cdef real least = FLT_MIN if real is float else DBL_MIN  # above 0, for a row that is constant
    cdef Py_ssize_t i, j
    for i in range(rows):
        if not normalize_row(x, eps, y, inverse + i, n):
            for j in range(n):
                y[j] = shrink * x[j]
            normalize_row(y, max(shrink * shrink * eps, least), y, inverse + i, n)
            inverse[i] *= shrink
        x += n
        y += n


cdef inline bint normalize_row(
    const real *x, real eps, real *y, real *inverse, Py_ssize_t n,
) noexcept nogil:
    """Compute x̂ and r of a row; return whether its sums are finite. y may be x."""
    cdef real mean, square
    cdef Py_ssize_t j
    row_sums(x, x, n, &mean, &square)
    mean /= n
    for j in range(n):
        y[j] = x[j] - mean
    row_sums(y, y, n, &mean, &square)
    mean /= n
    while mean * mean > <real>0.5 * square / n:  # the row varies less than its mean's rounding
        for j in range(n):
            y[j] -= mean
        row_sums(y, y, n, &mean, &square)
        mean /= n
    inverse[0] = 1 / sqrt(square / n - mean * mean + eps)
    for j in range(n):
        y[j] = (y[j] - mean) * inverse[0]
    return square - square == 0


cdef inline void normalize_times(
    const real *y, real inverse, const real *vector, real *out, Py_ssize_t n,
) noexcept nogil:
    """Overwrite out with a row's symmetric Jacobian times a vector; out may be `vector`."""
    cdef real mean, projection
    cdef real shrink = 1
    cdef Py_ssize_t j
    row_sums(vector, y, n, &mean, &projection)
    if mean - mean != 0 or projection - projection != 0:
        shrink = shrink_of(y)
        for j in range(n):
            out[j] = shrink * vector[j]
        vector = out
        row_sums(vector, y, n, &mean, &projection)
    mean /= n
    projection /= n
    for j in range(n):
        out[j] = inverse * (vector[j] - mean - projection * y[j])
    if shrink < 1:
        for j in range(n):
            out[j] /= shrink


cdef inline void add_normalize_curvature(
    const real *y, real inverse, const real *x_tangent, const real *y_tangent, const real *dy,
    real *dx_tangent, Py_ssize_t n,
) noexcept nogil:
    """dẋ += ((ṙ/r) J - r (x̂̇ x̂ᵀ + x̂ x̂̇ᵀ)/n) dy for a row, where ṙ/r = -r ⟨x̂, ẋ⟩/n."""
    cdef real mean, along, with_tangent, projection
    cdef Py_ssize_t j
    row_sums(x_tangent, y, n, &mean, &along)
    row_sums(dy, y_tangent, n, &mean, &with_tangent)
    row_sums(dy, y, n, &mean, &projection)
    along *= inverse / n
    with_tangent /= n
    projection /= n
    mean /= n
    for j in range(n):
        dx_tangent[j] -= inverse * (
            along * (dy[j] - mean - projection * y[j])
            + projection * y_tangent[j] + with_tangent * y[j])


cdef inline void scale_forward(
    const real *x, const real *weight, const real *bias, real *y, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """y = w x + b; overwrites y."""
    cdef Py_ssize_t _row, j
    for _row in range(rows):
        for j in range(n):
            y[j] = x[j] * weight[j] + bias[j]
        x += n
        y += n


cdef inline void scale_rows(
    const real *weight, const real *rows, bint accumulate, real *out, Py_ssize_t n_rows,
    Py_ssize_t n,
) noexcept nogil:
    """Overwrite, or add to, `out` with each row times diag(w); `out` may be `rows`."""
    cdef Py_ssize_t _row, j
    for _row in range(n_rows):
        if accumulate:
            for j in range(n):
                out[j] += rows[j] * weight[j]
        else:
            for j in range(n):
                out[j] = rows[j] * weight[j]
        rows += n
        out += n


cdef inline void add_products(
    const real *a, const real *b, real *sums, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """sums (n,) += Σ over the rows of a b."""
    cdef Py_ssize_t _row, j
    for _row in range(rows):
        for j in range(n):
            sums[j] += a[j] * b[j]
        a += n
        b += n


cdef inline void add_rows(
    const real *rows, real *sums, Py_ssize_t n_rows, Py_ssize_t n,
) noexcept nogil:
    """sums (n,) += Σ over the rows."""
    cdef Py_ssize_t _row, j
    for _row in range(n_rows):
        for j in range(n):
            sums[j] += rows[j]
        rows += n
