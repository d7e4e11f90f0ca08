"""Sine and cosine, in both dtypes, written as in `elementary`: scalar and without branches.

With k = x · 2/π rounded to a whole number, sin x is ±sin r or ±cos r for r = x - k π/2, which is at
most π/4 in size. π/2 is subtracted in three parts. The products of k with the first two are exact,
up to |x| of about 1e4 in float32 and 1e6 in float64: up to there the errors are below 2 units in
the last place of numbers near 1. They grow beyond. From 4e6 or 1e15 on, the spacing of numbers is
near the period, and the functions are constant: x counts as 0. The polynomials are those of Cephes
and of fdlibm.
"""

from libc.stdint cimport uint32_t, uint64_t

from fastnn._core.kernels.dtypes cimport fabs, real
from fastnn._core.kernels.elementary cimport bits_f32, bits_f64, f32_of, f64_of, rounder


cdef inline real sine(real x, int quarters) noexcept nogil:
    """sin(x + quarters π/2): sin, cos, -sin and -cos for 0, 1, 2 and 3 quarters; NaN for NaN."""
    cdef real top = <real>4e6 if real is float else <real>1e15
    cdef real bounded = 0 if fabs(x) > top else x
    cdef real t = bounded * <real>0.63661977236758134308 + rounder(x)
    cdef real k = t - rounder(x)
    cdef real r, z, s, c
    cdef uint32_t n32, odd32
    cdef uint64_t n64, odd64
    if real is float:
        r = bounded - k * <real>1.5703125
        r -= k * <real>4.837512969970703125e-4
        r -= k * <real>7.54978995489188216e-8
        z = r * r
        s = <real>-1.9515295891e-4
        s = s * z + <real>8.3321608736e-3
        s = s * z - <real>1.6666654611e-1
        c = <real>2.443315711809948e-5
        c = c * z - <real>1.388731625493765e-3
        c = c * z + <real>4.166664568298827e-2
    else:
        r = bounded - k * <real>1.57079632673412561417
        r -= k * <real>6.07710050630396597660e-11
        r -= k * <real>2.02226624879595063154e-21
        z = r * r
        s = <real>1.58969099521155010221e-10
        s = s * z - <real>2.50507602534068634195e-8
        s = s * z + <real>2.75573137070700676789e-6
        s = s * z - <real>1.98412698298579493134e-4
        s = s * z + <real>8.33333333332248946124e-3
        s = s * z - <real>1.66666666666666324348e-1
        c = <real>-1.13596475577881948265e-11
        c = c * z + <real>2.08757232129817482790e-9
        c = c * z - <real>2.75573143513906633035e-7
        c = c * z + <real>2.48015872894767294178e-5
        c = c * z - <real>1.38888888888741095749e-3
        c = c * z + <real>4.16666666666666019037e-2
    s = r + r * z * s
    c = <real>1 - (<real>0.5 * z - z * z * c)
    if real is float:
        n32 = bits_f32(t) + <uint32_t>quarters
        odd32 = 0 - (n32 & 1)
        return f32_of(((bits_f32(c) & odd32) | (bits_f32(s) & ~odd32)) ^ ((n32 & 2) << 30))
    else:
        n64 = bits_f64(t) + <uint64_t>quarters
        odd64 = 0 - (n64 & 1)
        return f64_of(((bits_f64(c) & odd64) | (bits_f64(s) & ~odd64)) ^ ((n64 & 2) << 62))
