"""The text in C of exp, log, tanh and the other functions that activations need.

The formulas are those of the engine, in `_core/kernels/elementary.pxd` and `trigonometric.pxd`,
which explain them. `text.py` explains the signs that are no C.
"""

ELEMENTARY = """
/* A number and its bits. */
typedef union { T value; U bits; } @word;

static U @bits(T x)
{
    @word word;
    word.value = x;
    return word.bits;
}

static T @from_bits(U bits)
{
    @word word;
    word.bits = bits;
    return word.value;
}

static T @abs(T x)
{
    return @from_bits(@bits(x) & N(0x7fffffffu | 0x7fffffffffffffffu));
}

/* Return `negative` if the sign bit of x is set, else `positive`. */
static T @by_sign(T x, T negative, T positive)
{
    const U mask = (U)0 - (@bits(x) >> N(31 | 63));
    return @from_bits((@bits(negative) & mask) | (@bits(positive) & ~mask));
}

/* Return (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2. */
static T @exp_remainder(T r)
{
    return H(r; 1.3882510401098526e-3, 8.3665803197948743e-3, 4.1667201774559599e-2,
        1.6666543178209606e-1, 4.9999998144088688e-1 |
        2.5053776171514474793e-8, 2.7626161384694697395e-7, 2.7557407866338101082e-6,
        2.4801504979015627445e-5, 1.9841269718340069682e-4, 1.3888888931794836178e-3,
        8.3333333333899598162e-3, 4.1666666666576109401e-2, 1.6666666666666588579e-1,
        5.0000000000000052257e-1);
}

/* Return factor e^(x + correction); e^x is 0 at the lower limit of x. */
static T @scaled_exp(T factor, T x, T correction)
{
    const T shift = R(12583166 | 6755399441057790);
    const T t = x * R(1.4426950408889634074) + shift;
    const T k = t - shift;
    const T r = ((x - k * R(0.693115234375 | 6.93147180369123816490e-01))
        - k * R(3.1946184945309417232e-5 | 1.90821492927058770002e-10)) + correction;
    const T y = (R(1) + r * (R(1) + r * @exp_remainder(r))) * factor;
    const U half = (@bits(t) << N(22 | 51)) & N(0xff800000u | 0xfff0000000000000u);
    return y * @from_bits(half) * @from_bits((@bits(t) << N(23 | 52)) - half);
}

static T @exp_of_negative(T x)
{
    return @scaled_exp(R(1), x < R(-104 | -746) ? R(-104 | -746) : x, R(-0.0));
}

/* Return e^(difference + error) for a difference <= 0. */
static T @exp_of_difference(T difference, T error)
{
    return @scaled_exp(R(1), difference < R(-104 | -746) ? R(-104 | -746) : difference, error);
}

/* Return e^x - 1 for x <= 0. */
static T @expm1_of_negative(T x)
{
    const T shift = R(12583039 | 6755399441056767);
    const T bounded = x < R(-20 | -40) ? R(-20 | -40) : x;
    const T t = bounded * R(1.4426950408889634074) + shift;
    const T r = bounded - (t - shift) * R(0.69314718055994530942);
    const T power = @from_bits(@bits(t) << N(23 | 52));
    return (r + r * r * @exp_remainder(r)) * power + (power - R(1));
}

/* Return ln m for a normal m > 0. */
static T @log(T m)
{
    const T shift = R(12582912 | 6755399441055744);
    const U top = (@bits(m) - N(0x3f3504f3u | 0x3fe6a09e667f3bcdu))
        & N(0xff800000u | 0xfff0000000000000u);
    const T f = @from_bits(@bits(m) - top) - R(1);
    const T k = @from_bits(((top + N(0x40000000u | 0x8000000000000000u)) >> N(23 | 52))
        + @bits(shift)) - (shift + R(128 | 2048));
    const T s = f / (R(2) + f);
    const T z = s * s;
    const T p = H(z; 0.29874420149223736127, 0.3997744949074697608, 0.66666777053494474844 |
        0.14799067696063027198, 0.15313755603284688411, 0.18183575171501721597,
        0.22222198378363175814, 0.28571428744142492738, 0.39999999999407482877,
        0.66666666666667353826);
    return k * R(0.693115234375 | 6.93147180369123816490e-01)
        + (f - (s * (f - z * p) - k * R(3.1946184945309417232e-5 | 1.90821492927058770002e-10)));
}

/* Return ln(1 + x) for x in [0, 1]. */
static T @log1p_of_unit(T x)
{
    const T y = R(1) + x;
    return @log(y) + (x - (y - R(1))) / y;
}

/* Return tanh x, and its derivative. */
static T @tanh_and_slope(T x, T *slope)
{
    const T shift = R(12583103 | 6755399441057279);
    const T down = R(5.421010862427522e-20 | 7.458340731200207e-155);
    const T root = R(2.3283064365386963e-10 | 8.636168555094445e-78);
    const T twice = R(-2) * @abs(x);
    const T a = twice < R(-120 | -760) ? R(-120 | -760) : twice;
    const T t = a * R(1.4426950408889634074) + shift;
    const T k = t - shift;
    const T r = (a - k * R(0.693115234375 | 6.93147180369123816490e-01))
        - k * R(3.1946184945309417232e-5 | 1.90821492927058770002e-10);
    const T p = r + r * r * @exp_remainder(r);
    const T power = @from_bits(@bits(t) << N(23 | 52));
    const T below = p * (power * down) + (power * down - R(1));
    const T y = @abs(below / (R(-2) - below));
    const T sum = root + y * root;
    *slope = (power + power * p) * (sum * sum);
    return @by_sign(x, -y, y);
}

/* Return 1 / (1 + e^-x), and its derivative. */
static T @sigmoid_and_slope(T x, T *slope)
{
    const T e = @exp_of_negative(-@abs(x));
    const T y = @by_sign(x, e, R(1)) / (R(1) + e);
    *slope = y * @by_sign(x, R(1) - y, y * e);
    return y;
}

/* Return |x|, limited to where e^(-x^2/2) is 0. */
static T @within_gaussian(T x)
{
    return @abs(x) > R(15 | 39) ? R(15 | 39) : @abs(x);
}

/* Return factor e^(-a^2/2). */
static T @scaled_gaussian(T factor, T a)
{
    const T upper = @from_bits(@bits(a) & N(0xfffff000u | 0xfffffffff8000000u));
    return @scaled_exp(factor, R(-0.5) * upper * upper, R(-0.5) * (a - upper) * (a + upper));
}

/* Return (1 - P(x)) e^(x^2/2) for x >= 0 and the normal distribution function P. */
static T @upper_tail(T x)
{
    const T side = x - R(3);
    const T v = R(1) / (x + R(2));
    const T w = @by_sign(side, x * v, v);
    T p;
    G(side, w, p; -4.964998374e-2, -3.465605398e-3, 4.812338758e-2, 0.1025201972, 8.580278918e-2,
        -0.1916129836, -0.5957668645, 1;
        -25.61719621, 42.73036631, -20.56276187, 0.1141727555, 0.596909864, 1.208353754,
        0.7975182124, 0.3989472348 |
        3.3549935869259893e-2, -0.13996668947628407, 0.26588764327994951, -0.32004523582910494,
        0.26590873433807799, -0.15750952210403302, 7.7415415135804891e-2, -2.0359930864821021e-2,
        7.7724907707332035e-3, -8.7996570165666313e-3, -1.8592764872524219e-2,
        -2.4186998921543794e-2, -8.0451051857287051e-3, 4.2078930835732422e-2,
        0.10615486918426816, 8.5000472946777132e-2, -0.19153824321035556, -0.59576912160573525, 1;
        -1.0265975050974093e+7, 2.2741118170371373e+7, -2.2761337951648479e+7,
        1.3422732097846624e+7, -5.0851615120731133e+6, 1.2696861356413169e+6, -214466.7605378497,
        29582.662502921476, -4396.664101398801, 211.60070194557093, 79.76975163820377,
        35.363769563354877, -4.4330080143361468, -7.1794990439350063, -1.9947475902352318,
        0.79788521335971989, 1.1968268331397583, 0.79788456086377002, 0.39894228040122126);
    return v * p;
}

/* Return |x|, limited to where x^2 e^-|x| is 0. */
static T @within_exp(T x)
{
    return @abs(x) > R(174 | 1416) ? R(174 | 1416) : @abs(x);
}

/* Return e^-a for a of `within_exp`. */
static T @exp_of_bounded(T a)
{
    return @scaled_exp(R(1), -a, R(-0.0));
}

/* Return sin(x + quarters pi/2). */
static T @sine(T x, U quarters)
{
    const T shift = R(12582912 | 6755399441055744);
    const T bounded = @abs(x) > R(4e6 | 1e15) ? R(0) : x;
    const T t = bounded * R(0.63661977236758134308) + shift;
    const T k = t - shift;
    const T r = ((bounded - k * R(1.5703125 | 1.57079632673412561417))
        - k * R(4.837512969970703125e-4 | 6.07710050630396597660e-11))
        - k * R(7.54978995489188216e-8 | 2.02226624879595063154e-21);
    const T z = r * r;
    const T s = r + r * z * (H(z; -1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1 |
        1.58969099521155010221e-10, -2.50507602534068634195e-8, 2.75573137070700676789e-6,
        -1.98412698298579493134e-4, 8.33333333332248946124e-3, -1.66666666666666324348e-1));
    const T q = H(z; 2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2 |
        -1.13596475577881948265e-11, 2.08757232129817482790e-9, -2.75573143513906633035e-7,
        2.48015872894767294178e-5, -1.38888888888741095749e-3, 4.16666666666666019037e-2);
    const T c = R(1) - (R(0.5) * z - z * z * q);
    const U n = @bits(t) + quarters;
    const U odd = (U)0 - (n & 1u);
    return @from_bits(((@bits(c) & odd) | (@bits(s) & ~odd)) ^ ((n & 2u) << N(30 | 62)));
}
"""
