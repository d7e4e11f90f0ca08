"""Normalization of each column, by the statistics of a batch or by running statistics.

x̂ = (x - μ) r with r = 1 / √(v + eps) (Ioffe and Szegedy 2015). In evaluation μ, v are constants,
and the Jacobian is diag(r). In training they are the batch's own mean and variance (divided by the
number of rows), and each cotangent affects all rows: dx = r (dy - mean dy - x̂ mean(x̂ dy)), with
means over the rows. The running statistics move towards those of the batch by the fraction
`momentum`; the running variance uses the unbiased variance of the batch, as in PyTorch.

BLOCK columns are processed at a time, so that their sums, in double precision, stay in registers or
in the first-level cache. A column whose sums overflow is summed again, times a power of two.

If other processes have further rows of a batch, `Others` adds their sums to those of BLOCK columns.
"""

from fastnn._core.kernels.dtypes cimport real, shrink_of, sqrt


cdef enum:
    BLOCK = 64


cdef struct Others:         # the other rows of a batch
    void (*add)(void *owner, double *sums, Py_ssize_t n) noexcept nogil  # their sums
    void *owner
    Py_ssize_t rows         # of the whole batch


cdef inline void running_normalize(
    const real *x, const real *mean, const real *variance, double eps, real *y, real *inverse,
    Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """Overwrites y with x̂, and inverse (n,) with r."""
    cdef Py_ssize_t _row, j
    for j in range(n):
        inverse[j] = 1 / sqrt(variance[j] + <real>eps)
    for _row in range(rows):
        for j in range(n):
            y[j] = (x[j] - mean[j]) * inverse[j]
        x += n
        y += n


cdef inline void batch_normalize(
    const real *x, double eps, double momentum, real *running_mean, real *running_variance,
    real *y, real *inverse, Py_ssize_t rows, Py_ssize_t n, const Others *others,
) noexcept nogil:
    """Overwrites y with x̂, and inverse (n,) with r; updates the running statistics.

    `others` is NULL if these are all rows of the batch, which has more than one.
    """
    cdef double[BLOCK] mean
    cdef double[BLOCK] square
    cdef double d, shrink
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t total = rows if others == NULL else others.rows
    cdef Py_ssize_t i, j, width
    cdef const real *row
    while first < n:
        width = min(<Py_ssize_t>BLOCK, n - first)
        for j in range(width):
            mean[j] = square[j] = 0
        for i in range(rows):
            row = x + i * n + first
            for j in range(width):
                mean[j] += row[j]
        if others != NULL:
            others.add(others.owner, mean, width)
        for j in range(width):
            mean[j] /= total
        for i in range(rows):
            row = x + i * n + first
            for j in range(width):
                d = row[j] - mean[j]
                square[j] += d * d
        if others != NULL:
            others.add(others.owner, square, width)
        for j in range(width):
            shrink = 1
            if others == NULL and square[j] - square[j] != 0:
                shrink = shrink_of(&d)
                shrunken_sums(shrink, x + first + j, rows, n, &mean[j], &square[j])
            inverse[first + j] = <real>(shrink / sqrt(square[j] / total + shrink * eps * shrink))
            running_mean[first + j] += <real>(momentum * (mean[j] - running_mean[first + j]))
            running_variance[first + j] += <real>(
                momentum * (square[j] / (total - 1) / shrink / shrink
                            - running_variance[first + j]))
        for i in range(rows):
            row = x + i * n + first
            for j in range(width):
                y[i * n + first + j] = (row[j] - <real>mean[j]) * inverse[first + j]
        first += width


cdef inline void shrunken_sums(
    double shrink, const real *column, Py_ssize_t rows, Py_ssize_t n, double *mean, double *square,
) noexcept nogil:
    """The mean of a column of (rows, n), and its sum of squared deviations times shrink²."""
    cdef double total = 0
    cdef double d
    cdef Py_ssize_t i
    for i in range(rows):
        total += shrink * column[i * n]
    total /= rows
    square[0] = 0
    for i in range(rows):
        d = shrink * column[i * n] - total
        square[0] += d * d
    mean[0] = total / shrink


cdef inline void batch_normalize_backward(
    const real *y, const real *inverse, const real *dy, real *dx, Py_ssize_t rows, Py_ssize_t n,
    const Others *others,
) noexcept nogil:
    """Overwrites dx, which may be dy, from y = x̂ and inverse = r."""
    cdef double[BLOCK] mean
    cdef double[BLOCK] projection
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t total = rows if others == NULL else others.rows
    cdef Py_ssize_t i, j, k, width
    while first < n:
        width = min(<Py_ssize_t>BLOCK, n - first)
        for j in range(width):
            mean[j] = projection[j] = 0
        for i in range(rows):
            k = i * n + first
            for j in range(width):
                mean[j] += dy[k + j]
                projection[j] += <double>dy[k + j] * y[k + j]
        if others != NULL:
            others.add(others.owner, mean, width)
            others.add(others.owner, projection, width)
        for j in range(width):
            mean[j] /= total
            projection[j] /= total
        for i in range(rows):
            k = i * n + first
            for j in range(width):
                dx[k + j] = inverse[first + j] * (
                    dy[k + j] - <real>mean[j] - <real>projection[j] * y[k + j])
        first += width
