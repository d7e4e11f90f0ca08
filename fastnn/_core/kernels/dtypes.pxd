"""The two dtypes of the engine, and the C library's functions under one name for both."""

from libc cimport math

ctypedef fused real:
    float
    double


cdef inline real fabs(real x) noexcept nogil:
    return math.fabsf(x) if real is float else math.fabs(x)


cdef inline real copysign(real x, real y) noexcept nogil:
    return math.copysignf(x, y) if real is float else math.copysign(x, y)


cdef inline real sqrt(real x) noexcept nogil:
    return math.sqrtf(x) if real is float else math.sqrt(x)


cdef inline real shrink_of(const real *_x) noexcept nogil:
    """A power of two. Any numbers of x's dtype times it have squares that can be added up."""
    return <real>(math.ldexp(1, -80) if real is float else math.ldexp(1, -600))


cdef inline bint is_finite(const real *x, Py_ssize_t n) noexcept nogil:
    """Whether no element is NaN or infinite."""
    cdef bint finite = True
    cdef Py_ssize_t i
    for i in range(n):  # without a branch, so that it is vectorised
        finite &= x[i] - x[i] == 0
    return finite
