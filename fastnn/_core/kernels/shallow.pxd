"""The dense product of few steps of k, on one thread. See shallow.h."""

from libc.stddef cimport ptrdiff_t

from fastnn._core.kernels.dtypes cimport real


cdef extern from "kernels.h" nogil:
    ctypedef void (*f32_shallow)(
        ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t,
        const float *, float *, int, const float *) noexcept
    ctypedef void (*f64_shallow)(
        ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t, ptrdiff_t, const double *, ptrdiff_t,
        const double *, double *, int, const double *) noexcept
    f32_shallow f32_shallows[9]
    f64_shallow f64_shallows[9]


cdef inline bint is_shallow(Py_ssize_t k) noexcept nogil:
    """Whether there is a kernel for so many steps."""
    return k <= 4 or k == 8


cdef inline void product_of_steps(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
    const real *a, Py_ssize_t a_row, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, const real *start, real *c,
    bint relu, const real *gate,
) noexcept nogil:
    """`start` is one row, or NULL; rows of C and of `gate` lie in memory without gaps."""
    if real is float:
        f32_shallows[k](m, n, a, a_row, a_col, b, b_row, start, c, relu, gate)
    else:
        f64_shallows[k](m, n, a, a_row, a_col, b, b_row, start, c, relu, gate)
