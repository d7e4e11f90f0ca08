"""Arithmetic on blocks of a Jacobian.

A block holds some rows or columns of a sample's Jacobian, as a row-major matrix (r, width).

If all samples share one block, the stride from sample to sample is 0. The shared block may be in
the memory of the first sample's result, so samples are processed from the last to the first.

The Jacobian of an elementwise layer is applied as a diagonal, and the Jacobian of softmax as
diag(S) - S Sᵀ. Neither is formed. From the right it acts on each row alone; from the left it mixes
the rows of a sample.
"""

from libc.string cimport memcpy, memset

from fastnn._core.kernels.dtypes cimport real
from fastnn._core.kernels.outer cimport outer
from fastnn._core.kernels.packing cimport pack
from fastnn._core.kernels.softmax cimport (
    dominant, log_softmax_backward, log_softmax_tangent, softmax_backward)


cdef inline void identity_block(real *block, Py_ssize_t n) noexcept nogil:
    """Overwrite one (n, n) block with the identity."""
    cdef Py_ssize_t i
    memset(block, 0, n * n * sizeof(real))
    for i in range(n):
        block[i * n + i] = 1


cdef inline void copy_blocks(
    const real *block, Py_ssize_t stride, real *out, Py_ssize_t samples, Py_ssize_t size,
) noexcept nogil:
    """Overwrite `out` with each sample's block of so many elements."""
    cdef Py_ssize_t s
    for s in range(samples):
        if out + s * size != block + s * stride:
            memcpy(out + s * size, block + s * stride, size * sizeof(real))


cdef inline void times_diagonal(
    const real *block, Py_ssize_t stride, const real *diagonal, real *out,
    Py_ssize_t samples, Py_ssize_t r, Py_ssize_t width,
) noexcept nogil:
    """block diag(d) for each sample's d (width,); overwrites `out`, which may be `block`."""
    cdef const real *row
    cdef const real *d
    cdef real *result
    cdef Py_ssize_t s, _row, j
    for s in range(samples - 1, -1, -1):
        row = block + s * stride
        d = diagonal + s * width
        result = out + s * r * width
        for _row in range(r):
            for j in range(width):
                result[j] = row[j] * d[j]
            row += width
            result += width


cdef inline void diagonal_times(
    const real *diagonal, real *block, Py_ssize_t samples, Py_ssize_t r, Py_ssize_t width,
) noexcept nogil:
    """diag(d) block for each sample's d (r,), in place."""
    cdef Py_ssize_t i, j
    for i in range(samples * r):
        for j in range(width):
            block[j] *= diagonal[i]
        block += width


cdef inline void softmax_times(
    const real *S, real *block, real *mean, Py_ssize_t samples, Py_ssize_t r, Py_ssize_t width,
) noexcept nogil:
    """(diag(S) - S Sᵀ) block for each sample's S (r,), in place; `mean` has room for one row."""
    log_softmax_times(S, block, mean, samples, r, width)
    diagonal_times(S, block, samples, r, width)


cdef inline void log_softmax_times(
    const real *S, real *block, real *mean, Py_ssize_t samples, Py_ssize_t r, Py_ssize_t width,
) noexcept nogil:
    """(I - 1 Sᵀ) block for each sample's S (r,), in place; `mean` has room for one row.

    The mean Sᵀ block is computed from differences to the row of an S above 1/2, as in
    `softmax_backward`.
    """
    cdef Py_ssize_t _sample, t, k, j
    for _sample in range(samples):
        t = dominant(S, r)
        if t >= 0:
            memcpy(mean, block + t * width, width * sizeof(real))
            for k in range(r):
                for j in range(width):
                    block[k * width + j] -= mean[j]
        memset(mean, 0, width * sizeof(real))
        for k in range(r):
            for j in range(width):
                mean[j] += S[k] * block[k * width + j]
        for k in range(r):
            for j in range(width):
                block[k * width + j] -= mean[j]
        S += r
        block += r * width


cdef inline void times_softmax(
    const real *block, Py_ssize_t stride, const real *S, bint logarithm, real *out,
    Py_ssize_t samples, Py_ssize_t r, Py_ssize_t width,
) noexcept nogil:
    """Each row times the Jacobian of softmax, or of its logarithm, at the sample's S.

    Overwrites `out`, which may be `block`.
    """
    cdef const real *row
    cdef real *result
    cdef Py_ssize_t s, _row
    for s in range(samples - 1, -1, -1):
        row = block + s * stride
        result = out + s * r * width
        for _row in range(r):
            if logarithm:
                log_softmax_backward(S + s * width, row, result, 1, width)
            else:
                softmax_backward(S + s * width, row, result, 1, width)
            row += width
            result += width


cdef inline void push_log_softmax(
    const real *block, Py_ssize_t stride, const real *S, real *out,
    Py_ssize_t samples, Py_ssize_t r, Py_ssize_t width,
) noexcept nogil:
    """(I - 1 Sᵀ) times each row as a tangent; overwrites `out`, which may be `block`."""
    cdef Py_ssize_t s, k
    for s in range(samples - 1, -1, -1):
        for k in range(r):
            log_softmax_tangent(S + s * width, block + s * stride + k * width,
                                out + (s * r + k) * width, 1, width)


cdef inline void transpose_blocks(
    const real *block, Py_ssize_t stride, real *out,
    Py_ssize_t samples, Py_ssize_t r, Py_ssize_t width,
) noexcept nogil:
    """Overwrite `out` with each sample's block transposed, (width, r)."""
    cdef Py_ssize_t s
    for s in range(samples):
        pack(width, r, r, block + s * stride, 1, width, out + s * r * width)


cdef inline void linear_params_rows(
    const real *block, Py_ssize_t stride, const real *x, bint bias, real *jacobian,
    Py_ssize_t samples, Py_ssize_t r, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t n_params,
) noexcept nogil:
    """Block times (I ⊗ xᵀ | I), the Jacobian of a linear layer with respect to its parameters.

    A row c of the block gives c_i x_j for the weight W_ij, and c_i for the bias b_i.

    Row k of sample s starts at (s * r + k) * n_params.
    """
    cdef Py_ssize_t s, k
    outer(samples, NULL, r, n_out, n_in, block, stride, n_out, x, n_in,
          jacobian, r * n_params, n_params)
    if bias:
        jacobian += n_out * n_in
        for s in range(samples):
            for k in range(r):
                memcpy(jacobian, block + s * stride + k * n_out, n_out * sizeof(real))
                jacobian += n_params
