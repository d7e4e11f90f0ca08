"""Outer products of vectors, and sums of a block's rows, for many samples. See outer.h."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

from fastnn._core.kernels.dtypes cimport real


cdef extern from "kernels.h" nogil:
    void f32_outer(
        ptrdiff_t, const int32_t *, ptrdiff_t, ptrdiff_t, ptrdiff_t,
        const float *, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t,
        float *, ptrdiff_t, ptrdiff_t) noexcept
    void f32_weighted_sums(
        ptrdiff_t, const int32_t *, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, ptrdiff_t,
        const float *, ptrdiff_t, float *) noexcept
    void f64_outer(
        ptrdiff_t, const int32_t *, ptrdiff_t, ptrdiff_t, ptrdiff_t,
        const double *, ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t,
        double *, ptrdiff_t, ptrdiff_t) noexcept
    void f64_weighted_sums(
        ptrdiff_t, const int32_t *, ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t, ptrdiff_t,
        const double *, ptrdiff_t, double *) noexcept


cdef inline void outer(
    Py_ssize_t samples, const int32_t *index, Py_ssize_t r, Py_ssize_t rows, Py_ssize_t n,
    const real *c, Py_ssize_t c_sample, Py_ssize_t c_row, const real *a, Py_ssize_t a_sample,
    real *out, Py_ssize_t out_sample, Py_ssize_t out_row,
) noexcept nogil:
    """out[s, k] (rows, n) = c[s, k] (rows,) ⊗ a[s] (n,) for so many samples, or those of `index`.

    See outer.h.
    """
    if real is float:
        f32_outer(samples, index, r, rows, n, c, c_sample, c_row, a, a_sample,
                  out, out_sample, out_row)
    else:
        f64_outer(samples, index, r, rows, n, c, c_sample, c_row, a, a_sample,
                  out, out_sample, out_row)


cdef inline void weighted_sums(
    Py_ssize_t samples, const int32_t *index, Py_ssize_t r, Py_ssize_t n,
    const real *column, Py_ssize_t column_sample, Py_ssize_t column_row,
    const real *block, Py_ssize_t block_sample, real *sums,
) noexcept nogil:
    """sums[s] (n,) = Σ over k of column[s, k] block[s, k] (n,) for the samples of `index`."""
    if real is float:
        f32_weighted_sums(samples, index, r, n, column, column_sample, column_row,
                          block, block_sample, sums)
    else:
        f64_weighted_sums(samples, index, r, n, column, column_sample, column_row,
                          block, block_sample, sums)
