"""exp, expm1, log, log1p, tanh and sigmoid of our own, in both dtypes.

a) They are branch-free scalar functions: the compiler turns a loop over them into vector code of
   the build's width, which it cannot do for a call of the C library.
b) exp(x) = 2ᵏ e^r with r = x - k ln 2 in two steps, |r| ≤ ln 2 / 2, and e^r - 1 = r + r² q(r). k is
   rounded by adding and subtracting 1.5 · 2^(mantissa bits), whose low bits then hold it.
c) log x = k ln 2 + log m with m in [√½, √2), and log m from s = (m - 1) / (m + 1) as in fdlibm:
   log m = 2 s + s z p(z), z = s², summed so that m - 1, which is exact, goes in last.
d) Constants are of the dtype: C would compute `1 + x` in double, and convert twice.
e) The polynomials are minimax (Remez), of a relative error below a thirtieth of the last place.
f) Errors against exact values, over all builds: exp, expm1, log and log1p below 2 units in the last
   place, tanh and sigmoid below 3. Zeros, infinities, NaN and denormals are exact.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from fastnn._core.kernels.dtypes cimport copysign, fabs, real


cdef extern from *:
    """
    #include <math.h>
    #include <stdint.h>
    #include <string.h>
    static inline uint32_t bits_f32(float x) { uint32_t b; memcpy(&b, &x, 4); return b; }
    static inline uint64_t bits_f64(double x) { uint64_t b; memcpy(&b, &x, 8); return b; }
    static inline float f32_of(uint32_t b) { float x; memcpy(&x, &b, 4); return x; }
    static inline double f64_of(uint64_t b) { double x; memcpy(&x, &b, 8); return x; }
    """
    uint32_t bits_f32(float x) noexcept nogil
    uint64_t bits_f64(double x) noexcept nogil
    float f32_of(uint32_t bits) noexcept nogil
    double f64_of(uint64_t bits) noexcept nogil
    const float INFINITY
    const float NAN


cdef inline real rounder(real like) noexcept nogil:
    """1.5 · 2^(mantissa bits): adding it rounds to a whole number, in the low bits of the sum."""
    return <real>12582912.0 if real is float else <real>6755399441055744.0


cdef inline real by_sign(real x, real negative, real positive) noexcept nogil:
    """`negative` if x has its sign bit set, else `positive`; a comparison would become a branch."""
    cdef uint32_t mask32
    cdef uint64_t mask64
    if real is float:
        mask32 = 0 - (bits_f32(x) >> 31)
        return f32_of((bits_f32(negative) & mask32) | (bits_f32(positive) & ~mask32))
    else:
        mask64 = 0 - (bits_f64(x) >> 63)
        return f64_of((bits_f64(negative) & mask64) | (bits_f64(positive) & ~mask64))


cdef inline real power_of_two(real k) noexcept nogil:
    """2ᵏ for a whole k among the exponents of normal numbers."""
    if real is float:
        return f32_of((bits_f32(k + rounder(k)) + 127) << 23)
    else:
        return f64_of((bits_f64(k + rounder(k)) + 1023) << 52)


cdef inline real nearest_power(real x) noexcept nogil:
    """The whole number nearest to x / ln 2."""
    return (x * <real>1.4426950408889634074 + rounder(x)) - rounder(x)


cdef inline real reduced_expm1(real x, real k) noexcept nogil:
    """e^r - 1 for r = x - k ln 2; the first part of ln 2 is short, so that k times it is exact."""
    cdef real r, q
    if real is float:
        r = (x - k * <real>0.693359375) + k * <real>2.1219444005469058e-4
        q = <real>1.9845885403427867e-4
        q = q * r + <real>1.3940719990281974e-3
        q = q * r + <real>8.3333895714375890e-3
        q = q * r + <real>4.1666359820514720e-2
        q = q * r + <real>1.6666666368864344e-1
        q = q * r + <real>5.0000000443994721e-1
    else:
        r = (x - k * <real>6.93147180369123816490e-01) - k * <real>1.90821492927058770002e-10
        q = <real>2.0875328642370337715e-9
        q = q * r + <real>2.5109081373048314668e-8
        q = q * r + <real>2.7557402939324559869e-7
        q = q * r + <real>2.7557244104281233358e-6
        q = q * r + <real>2.4801587171845102745e-5
        q = q * r + <real>1.9841269886206826921e-4
        q = q * r + <real>1.3888888888962899161e-3
        q = q * r + <real>8.3333333333216074792e-3
        q = q * r + <real>4.1666666666666507359e-2
        q = q * r + <real>1.6666666666666676596e-1
        q = q * r + <real>5.0000000000000000086e-1
    return r + r * r * q


cdef inline real exp(real x) noexcept nogil:
    """e^x; denormal results are rounded twice, which stays within the stated error."""
    # beyond these the result is infinity or zero; NaN passes both comparisons
    cdef real top = <real>89 if real is float else <real>710
    cdef real bottom = <real>-104 if real is float else <real>-746
    cdef real k, half
    x = top if x > top else x
    x = bottom if x < bottom else x
    k = nearest_power(x)
    half = (k * <real>0.5 + rounder(k)) - rounder(k)  # 2ᵏ alone may not be a normal number
    return ((<real>1 + reduced_expm1(x, k)) * power_of_two(half)) * power_of_two(k - half)


cdef inline real expm1_of_negative(real x) noexcept nogil:
    """e^x - 1 for x ≤ 0 (or NaN)."""
    cdef real bottom = <real>-20 if real is float else <real>-40  # there it is -1 already
    cdef real k, power
    x = bottom if x < bottom else x
    k = nearest_power(x)
    power = power_of_two(k)
    return reduced_expm1(x, k) * power + (power - <real>1)


cdef inline real log(real x) noexcept nogil:
    """ln x; -∞ at 0, NaN below."""
    cdef real smallest_normal = <real>(1.17549435e-38 if real is float else 2.2250738585072014e-308)
    cdef real scale = <real>8388608.0 if real is float else <real>18014398509481984.0
    cdef real k = 0 if x >= smallest_normal else (<real>-23 if real is float else <real>-54)
    cdef real m = x if x >= smallest_normal else x * scale
    cdef real f, s, z, p, half_square
    cdef uint32_t bits32
    cdef uint64_t bits64
    if real is float:
        bits32 = (bits_f32(m) - <uint32_t>0x3f3504f3) & <uint32_t>0xff800000
        m = f32_of(bits_f32(m) - bits32)
        k += <real>(<int32_t>bits32 >> 23)
    else:
        # a signed shift of 64 bits would not vectorise everywhere: shift k + 2048, and let the low
        # bits of 1.5 · 2^52 turn it into a number
        bits64 = (bits_f64(m) - <uint64_t>0x3fe6a09e667f3bcd) & <uint64_t>0xfff0000000000000
        m = f64_of(bits_f64(m) - bits64)
        bits64 = (bits64 + <uint64_t>0x8000000000000000) >> 52
        k += (f64_of(bits64 + bits_f64(rounder(x))) - rounder(x)) - <real>2048
    f = m - <real>1
    s = f / (<real>2 + f)
    z = s * s
    if real is float:
        p = <real>0.23584987746495363933
        p = p * z + <real>0.28537167972822229435
        p = p * z + <real>0.40000337250601445769
        p = p * z + <real>0.66666665637113695310
    else:
        p = <real>0.13254351702088061948
        p = p * z + <real>0.13249787135259307496
        p = p * z + <real>0.15387105374340584223
        p = p * z + <real>0.18181775332658236774
        p = p * z + <real>0.22222222650938252119
        p = p * z + <real>0.28571428569058508826
        p = p * z + <real>0.40000000000006332008
        p = p * z + <real>0.66666666666666660886
    half_square = <real>0.5 * f * f
    if real is float:
        p = k * <real>0.693359375 - (
            (half_square - (s * (half_square + z * p) - k * <real>2.1219444005469058e-4)) - f)
    else:
        p = k * <real>6.93147180369123816490e-01 - (
            (half_square - (s * (half_square + z * p) + k * <real>1.90821492927058770002e-10)) - f)
    p = x if x == <real>INFINITY else p
    p = -<real>INFINITY if x == 0 else p
    return p if x >= 0 else <real>NAN


cdef inline real log1p_of_unit(real x) noexcept nogil:
    """ln(1 + x) for x in [0, 1] (or NaN)."""
    cdef real y = <real>1 + x
    # the rounding of 1 + x is known exactly, and its effect is a first-order term
    return log(y) + (x - (y - <real>1)) / y


cdef inline real tanh(real x) noexcept nogil:
    cdef real e = expm1_of_negative(<real>-2 * fabs(x))  # never overflows
    return copysign(e / (<real>2 + e), x)


cdef inline real sigmoid(real x) noexcept nogil:
    cdef real e = exp(-fabs(x))  # never overflows
    return by_sign(x, e, <real>1) / (<real>1 + e)
