"""The text in C of the arithmetic in integers of 8 bits; `int8.py` has the same in NumPy."""

INTEGERS = """
/* Return the int8 of x; halves are rounded away from 0, and NaN is the least number. */
static signed char @to_int8(T x, T scale, int zero)
{
    T ratio = x / scale;
    int whole;
    ratio = ratio > R(-512) ? ratio : R(-512);
    ratio = ratio < R(512) ? ratio : R(512);
    whole = (int)(ratio + (ratio < R(0) ? R(-0.5) : R(0.5))) + zero;
    return (signed char)(whole < -128 ? -128 : (whole > 127 ? 127 : whole));
}

/* Return the bias plus the sum of x w. */
static int32_t @int8_sum(const signed char *x, const signed char *weight, int32_t bias, int n)
{
    int32_t sum = bias;
    for (int i = 0; i < n; ++i) {
        sum += (int32_t)x[i] * weight[i];
    }
    return sum;
}

/* Return the int8 of sum * multiplier / 2^shift; halves are rounded away from 0. */
static signed char @rescaled(int32_t sum, int32_t multiplier, int shift, int zero)
{
    const int64_t product = (int64_t)sum * multiplier;
    const uint64_t size = (uint64_t)(product < 0 ? -product : product);
    const int64_t rounded = (int64_t)((size + ((uint64_t)1 << (shift - 1))) >> shift);
    const int64_t whole = (product < 0 ? -rounded : rounded) + zero;
    return (signed char)(whole < -128 ? -128 : (whole > 127 ? 127 : whole));
}
"""
