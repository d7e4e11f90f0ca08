"""The two dtypes of the engine, and the C library's functions under one name for both."""

from libc cimport math
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

ctypedef fused real:
    float
    double


cdef inline real fabs(real x) noexcept nogil:
    if real is float:  # as an expression, a dead `fabsf` of a double would stay, with a warning
        return math.fabsf(x)
    else:
        return math.fabs(x)


cdef inline real copysign(real x, real y) noexcept nogil:
    return math.copysignf(x, y) if real is float else math.copysign(x, y)


cdef inline real sqrt(real x) noexcept nogil:
    return math.sqrtf(x) if real is float else math.sqrt(x)


cdef inline real shrink_of(const real *_x) noexcept nogil:
    """A power of two. Any numbers of x's dtype times it have squares that can be added up."""
    return <real>(math.ldexp(1, -80) if real is float else math.ldexp(1, -600))


cdef inline bint is_finite(const real *x, Py_ssize_t n) noexcept nogil:
    """Whether no element is NaN or infinite.

    The exponent's bits of such a number are all 1, so adding 1 to the exponent carries into the
    highest bit. The loop has integers of one width and no branch, so that it is vectorised.
    """
    cdef uint32_t bits32, carries32 = 0
    cdef uint64_t bits64, carries64 = 0
    cdef Py_ssize_t i
    if real is float:
        for i in range(n):
            memcpy(&bits32, x + i, sizeof(float))
            carries32 |= (bits32 & <uint32_t>0x7f800000) + <uint32_t>0x00800000
    else:
        for i in range(n):
            memcpy(&bits64, x + i, sizeof(double))
            carries64 |= (bits64 & <uint64_t>0x7ff0000000000000) + <uint64_t>0x0010000000000000
    return carries32 >> 31 == 0 and carries64 >> 63 == 0
