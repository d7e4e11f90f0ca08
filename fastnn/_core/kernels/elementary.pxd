"""exp, expm1, log, log1p, tanh, sigmoid and the tail of the normal distribution, in both dtypes.

a) The functions are scalar and have no branches. So the compiler turns a loop over them into vector
   code. It cannot do this for a call of the C library.
b) exp(x) = 2ᵏ e^r with r = x - k ln 2 and |r| ≤ ln 2 / 2, and e^r = 1 + r + r² q(r). Adding
   1.5 · 2^(mantissa bits) to x / ln 2 rounds it to k. A bias is added too, so that the low bits of
   the sum are the exponent bits of 2ᵏ.
c) log x = k ln 2 + log m with m in [√½, √2). As in fdlibm, f = m - 1 is exact, s = f / (2 + f),
   z = s², and log m = 2 s + s z p(z), which is computed as f - s (f - z p(z)).
d) The lower tail of the normal distribution is e^(-x²/2) times a smooth factor. There x² is a sum
   of two parts, without a rounding error.
e) Constants have the dtype of x. Otherwise C would compute `1 + x` in double and convert twice.
f) The polynomials are minimax approximations (Remez). Their relative error is below half a unit in
   the last place.
g) The errors were measured against exact values on all builds. They are below 2 units in the last
   place for exp, expm1, log and log1p, and below 3 for tanh and sigmoid. Zeros, infinities, NaN and
   denormals are exact.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t

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


cdef inline real upper_ln2(real like) noexcept nogil:
    """ln 2 to a few bits, so that a whole number times it is exact."""
    return <real>0.693115234375 if real is float else <real>6.93147180369123816490e-01


cdef inline real lower_ln2(real like) noexcept nogil:
    """ln 2 - `upper_ln2`, which is positive in both dtypes."""
    return <real>3.1946184945309417232e-5 if real is float else <real>1.90821492927058770002e-10


cdef inline real exp_remainder(real r) noexcept nogil:
    """(e^r - 1 - r) / r² for |r| ≤ ln 2 / 2."""
    cdef real q
    if real is float:
        q = <real>1.3882510401098526e-3
        q = q * r + <real>8.3665803197948743e-3
        q = q * r + <real>4.1667201774559599e-2
        q = q * r + <real>1.6666543178209606e-1
        q = q * r + <real>4.9999998144088688e-1
    else:
        q = <real>2.5053776171514474793e-8
        q = q * r + <real>2.7626161384694697395e-7
        q = q * r + <real>2.7557407866338101082e-6
        q = q * r + <real>2.4801504979015627445e-5
        q = q * r + <real>1.9841269718340069682e-4
        q = q * r + <real>1.3888888931794836178e-3
        q = q * r + <real>8.3333333333899598162e-3
        q = q * r + <real>4.1666666666576109401e-2
        q = q * r + <real>1.6666666666666588579e-1
        q = q * r + <real>5.0000000000000052257e-1
    return q


cdef inline real scaled_exp(real factor, real x, real correction) noexcept nogil:
    """factor e^(x + correction) for x in [-174, 89] or, in float64, [-1416, 710] (or NaN).

    The correction is much smaller than ln 2. If e^x is a denormal, the product is still accurate.
    """
    cdef real shift = rounder(x) + <real>(254 if real is float else 2046)  # twice the bias
    cdef real t, k, r, y
    cdef uint32_t half32
    cdef uint64_t half64
    t = x * <real>1.4426950408889634074 + shift
    k = t - shift
    r = ((x - k * upper_ln2(x)) - k * lower_ln2(x)) + correction
    y = (<real>1 + r * (<real>1 + r * exp_remainder(r))) * factor
    # 2ᵏ may be no normal number, so it is a product of two powers with half the exponent
    if real is float:
        half32 = (bits_f32(t) << 22) & <uint32_t>0xff800000
        return y * f32_of(half32) * f32_of((bits_f32(t) << 23) - half32)
    else:
        half64 = (bits_f64(t) << 51) & <uint64_t>0xfff0000000000000
        return y * f64_of(half64) * f64_of((bits_f64(t) << 52) - half64)


cdef inline real lowest_exponent(real like) noexcept nogil:
    """The smallest x of `scaled_exp`; e^x is 0 there, and so is x e^x."""
    return <real>-174 if real is float else <real>-1416


cdef inline real exp_of_negative(real x) noexcept nogil:
    """e^x for x ≤ 0 (or NaN)."""
    cdef real bottom = <real>-104 if real is float else <real>-746  # e^x is 0 from there on
    # the correction is -0, since adding -0 changes nothing; adding +0 would turn -0 into +0
    return scaled_exp(<real>1, bottom if x < bottom else x, <real>-0.0)


cdef inline real exp_of_difference(real difference, real error) noexcept nogil:
    """e^(difference + error) for a difference ≤ 0 (or NaN) and the error of its rounding."""
    cdef real bottom = <real>-104 if real is float else <real>-746
    return scaled_exp(<real>1, bottom if difference < bottom else difference, error)


cdef inline real exp(real x) noexcept nogil:
    """e^x."""
    cdef real top = <real>89 if real is float else <real>710
    # the same formula holds above zero; a second limit of x would become a branch
    return <real>INFINITY if x > top else exp_of_negative(x)


cdef inline real bounded_expm1(real x) noexcept nogil:
    """e^x - 1 for x in [-80, 0] (or NaN)."""
    cdef real shift = rounder(x) + <real>(127 if real is float else 1023)
    cdef real t, k, r, power
    t = x * <real>1.4426950408889634074 + shift
    k = t - shift
    power = f32_of(bits_f32(t) << 23) if real is float else f64_of(bits_f64(t) << 52)
    # ln 2 in one part suffices: where the error of k ln 2 is large, 2ᵏ is small
    r = x - k * <real>0.69314718055994530942
    return (r + r * r * exp_remainder(r)) * power + (power - <real>1)


cdef inline real expm1_of_negative(real x) noexcept nogil:
    """e^x - 1 for x ≤ 0 (or NaN)."""
    cdef real bottom = <real>-20 if real is float else <real>-40  # the result is -1 from there on
    return bounded_expm1(bottom if x < bottom else x)


cdef inline real log_of_product(real m, real k) noexcept nogil:
    """ln(m 2ᵏ) for a normal m > 0."""
    cdef real f, s, z, p
    cdef uint32_t bits32
    cdef uint64_t bits64
    if real is float:
        bits32 = (bits_f32(m) - <uint32_t>0x3f3504f3) & <uint32_t>0xff800000
        m = f32_of(bits_f32(m) - bits32)
        k += <real>(<int32_t>bits32 >> 23)
    else:
        # a signed 64-bit shift is not a vector instruction everywhere: shift k + 2048, and let the
        # low bits of 1.5 · 2^52 turn it into a number
        bits64 = (bits_f64(m) - <uint64_t>0x3fe6a09e667f3bcd) & <uint64_t>0xfff0000000000000
        m = f64_of(bits_f64(m) - bits64)
        bits64 = (bits64 + <uint64_t>0x8000000000000000) >> 52
        k += f64_of(bits64 + bits_f64(rounder(k))) - (rounder(k) + <real>2048)
    f = m - <real>1
    s = f / (<real>2 + f)
    z = s * s
    if real is float:
        p = <real>0.29874420149223736127
        p = p * z + <real>0.3997744949074697608
        p = p * z + <real>0.66666777053494474844
    else:
        p = <real>0.14799067696063027198
        p = p * z + <real>0.15313755603284688411
        p = p * z + <real>0.18183575171501721597
        p = p * z + <real>0.22222198378363175814
        p = p * z + <real>0.28571428744142492738
        p = p * z + <real>0.39999999999407482877
        p = p * z + <real>0.66666666666667353826
    return k * upper_ln2(k) + (f - (s * (f - z * p) - k * lower_ln2(k)))


cdef inline real log(real x) noexcept nogil:
    """ln x; -∞ at 0, NaN below."""
    cdef real smallest_normal = <real>(1.17549435e-38 if real is float else 2.2250738585072014e-308)
    cdef real scale = <real>8388608.0 if real is float else <real>18014398509481984.0
    cdef real k = <real>NAN
    cdef real y
    # if k is -∞ or NaN, so is the result; selecting k takes fewer steps than selecting the result
    k = -<real>INFINITY if x == 0 else k
    k = (<real>-23 if real is float else <real>-54) if x > 0 else k
    k = 0 if x >= smallest_normal else k
    y = log_of_product(x if x >= smallest_normal else x * scale, k)
    return y if x < <real>INFINITY else x


cdef inline real log1p_of_unit(real x) noexcept nogil:
    """ln(1 + x) for x in [0, 1] (or NaN)."""
    cdef real y = <real>1 + x
    # the rounding error of 1 + x is known exactly; a first-order term corrects it
    return log_of_product(y, <real>0) + (x - (y - <real>1)) / y


cdef inline real tanh_and_slope(real x, real *slope) noexcept nogil:
    """tanh x; sets `slope` to its derivative 1 - tanh² x, computed without cancellation.

    With E = e^(-2|x|), |tanh x| is (1 - E) / (1 + E), and so 1 - tanh² x is E (1 + |tanh x|)².
    """
    cdef real shift = rounder(x) + <real>(191 if real is float else 1535)
    cdef real down = <real>(5.421010862427522e-20 if real is float else 7.458340731200207e-155)
    cdef real root = <real>(2.3283064365386963e-10 if real is float else 8.636168555094445e-78)
    cdef real bottom = <real>-120 if real is float else <real>-760  # E is 0 from there on
    cdef real a = <real>-2 * fabs(x)
    cdef real t, k, r, p, power, e, y
    a = bottom if a < bottom else a
    t = a * <real>1.4426950408889634074 + shift
    k = t - shift
    r = (a - k * upper_ln2(x)) - k * lower_ln2(x)
    p = r + r * r * exp_remainder(r)
    # 2ᵏ, scaled up by 2^64 or 2^512 to be a normal number
    power = f32_of(bits_f32(t) << 23) if real is float else f64_of(bits_f64(t) << 52)
    e = p * (power * down) + (power * down - <real>1)
    y = e / (<real>-2 - e)
    e = root + y * root
    slope[0] = (power + power * p) * (e * e)
    return copysign(y, x)


cdef inline real tanh(real x) noexcept nogil:
    cdef real slope
    return tanh_and_slope(x, &slope)


cdef inline real sigmoid_and_slope(real x, real *slope) noexcept nogil:
    """σ(x); sets `slope` to its derivative σ(x) σ(-x), which equals σ(x)² e^-x."""
    cdef real e = exp_of_negative(-fabs(x))
    cdef real y = by_sign(x, e, <real>1) / (<real>1 + e)
    slope[0] = y * by_sign(x, <real>1 - y, y * e)
    return y


cdef inline real sigmoid(real x) noexcept nogil:
    cdef real slope
    return sigmoid_and_slope(x, &slope)


cdef inline real within_gaussian(real x) noexcept nogil:
    """|x|, limited to the bound from which on e^(-x²/2) and x² e^(-x²/2) are 0."""
    cdef real top = <real>15 if real is float else <real>39
    cdef real a = fabs(x)
    return top if a > top else a


cdef inline real scaled_gaussian(real factor, real a) noexcept nogil:
    """factor e^(-a²/2) for a = `within_gaussian`.

    a² is the sum of the square of a's upper half, which is exact, and a small rest.
    """
    cdef real upper
    if real is float:
        upper = f32_of(bits_f32(a) & <uint32_t>0xfffff000)
    else:
        upper = f64_of(bits_f64(a) & <uint64_t>0xfffffffff8000000)
    return scaled_exp(factor, <real>-0.5 * upper * upper, <real>-0.5 * (a - upper) * (a + upper))


cdef inline real upper_tail(real x) noexcept nogil:
    """(1 - Φ(x)) e^(x²/2) for x ≥ 0, Φ being the normal distribution function.

    It is p / (x + 2). For small x, p is a polynomial in x / (x + 2), which is exact at 0. For large
    x, it is a polynomial in 1 / (x + 2), which is well-conditioned there.
    """
    cdef real side = x - <real>3  # negative near 0
    cdef real v = <real>1 / (x + <real>2)
    cdef real w = by_sign(side, x * v, v)
    cdef real p
    if real is float:
        p = by_sign(side, <real>-4.964998374e-2, <real>-25.61719621)
        p = p * w + by_sign(side, <real>-3.465605398e-3, <real>42.73036631)
        p = p * w + by_sign(side, <real>4.812338758e-2, <real>-20.56276187)
        p = p * w + by_sign(side, <real>0.1025201972, <real>0.1141727555)
        p = p * w + by_sign(side, <real>8.580278918e-2, <real>0.596909864)
        p = p * w + by_sign(side, <real>-0.1916129836, <real>1.208353754)
        p = p * w + by_sign(side, <real>-0.5957668645, <real>0.7975182124)
        p = p * w + by_sign(side, <real>1, <real>0.3989472348)
    else:
        p = by_sign(side, <real>3.3549935869259893e-2, <real>-1.0265975050974093e+7)
        p = p * w + by_sign(side, <real>-0.13996668947628407, <real>2.2741118170371373e+7)
        p = p * w + by_sign(side, <real>0.26588764327994951, <real>-2.2761337951648479e+7)
        p = p * w + by_sign(side, <real>-0.32004523582910494, <real>1.3422732097846624e+7)
        p = p * w + by_sign(side, <real>0.26590873433807799, <real>-5.0851615120731133e+6)
        p = p * w + by_sign(side, <real>-0.15750952210403302, <real>1.2696861356413169e+6)
        p = p * w + by_sign(side, <real>7.7415415135804891e-2, <real>-214466.7605378497)
        p = p * w + by_sign(side, <real>-2.0359930864821021e-2, <real>29582.662502921476)
        p = p * w + by_sign(side, <real>7.7724907707332035e-3, <real>-4396.664101398801)
        p = p * w + by_sign(side, <real>-8.7996570165666313e-3, <real>211.60070194557093)
        p = p * w + by_sign(side, <real>-1.8592764872524219e-2, <real>79.76975163820377)
        p = p * w + by_sign(side, <real>-2.4186998921543794e-2, <real>35.363769563354877)
        p = p * w + by_sign(side, <real>-8.0451051857287051e-3, <real>-4.4330080143361468)
        p = p * w + by_sign(side, <real>4.2078930835732422e-2, <real>-7.1794990439350063)
        p = p * w + by_sign(side, <real>0.10615486918426816, <real>-1.9947475902352318)
        p = p * w + by_sign(side, <real>8.5000472946777132e-2, <real>0.79788521335971989)
        p = p * w + by_sign(side, <real>-0.19153824321035556, <real>1.1968268331397583)
        p = p * w + by_sign(side, <real>-0.59576912160573525, <real>0.79788456086377002)
        p = p * w + by_sign(side, <real>1, <real>0.39894228040122126)
    return v * p
