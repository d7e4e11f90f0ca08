"""The text in C of the activations, their slopes and their second derivatives.

The formulas are those of the engine, in `_core/kernels/activations.pxd` and `curvature.pxd`. For an
activation of the kind `k` there are the functions `k`, `k_slope`, and `k_curvature` unless it is 0.
A constant of the layer follows x.
"""

ACTIVATIONS = """
static T @relu(T x)
{
    return x <= R(0) ? R(0) : x;
}

static T @relu_slope(T x)
{
    return x <= R(0) ? R(0) : R(1);
}

static T @leaky_relu(T x, T negative_slope)
{
    return x > R(0) ? x : negative_slope * x;
}

static T @leaky_relu_slope(T x, T negative_slope)
{
    return x > R(0) ? R(1) : negative_slope;
}

static T @elu(T x, T alpha)
{
    return x > R(0) ? x : alpha * @expm1_of_negative(x);
}

static T @elu_slope(T x, T alpha)
{
    return x > R(0) ? R(1) : alpha * @exp_of_negative(x);
}

static T @elu_curvature(T x, T alpha)
{
    return x > R(0) ? R(0) : alpha * @exp_of_negative(x);
}

static T @selu(T x)
{
    return x > R(0) ? R(1.0507009873554804934) * x
        : R(1.7580993408473768599) * @expm1_of_negative(x);
}

static T @selu_slope(T x)
{
    return x > R(0) ? R(1.0507009873554804934)
        : R(1.7580993408473768599) * @exp_of_negative(x);
}

static T @selu_curvature(T x)
{
    return x > R(0) ? R(0) : R(1.7580993408473768599) * @exp_of_negative(x);
}

static T @sigmoid(T x)
{
    T slope;
    return @sigmoid_and_slope(x, &slope);
}

static T @sigmoid_slope(T x)
{
    T slope;
    (void)@sigmoid_and_slope(x, &slope);
    return slope;
}

static T @sigmoid_curvature(T x)
{
    const T a = @within_exp(x);
    const T d = R(1) + @exp_of_bounded(a);
    const T q = @scaled_exp(@expm1_of_negative(-a), -a, R(-0.0)) / (d * d * d);
    return @by_sign(x, -q, q);
}

static T @tanh(T x)
{
    T slope;
    return @tanh_and_slope(x, &slope);
}

static T @tanh_slope(T x)
{
    T slope;
    (void)@tanh_and_slope(x, &slope);
    return slope;
}

static T @tanh_curvature(T x)
{
    return R(8) * @sigmoid_curvature(R(2) * x);
}

static T @softplus(T x)
{
    return (x <= R(0) ? R(0) : x) + @log1p_of_unit(@exp_of_negative(-@abs(x)));
}

static T @softplus_slope(T x)
{
    return @sigmoid(x);
}

static T @softplus_curvature(T x)
{
    return @sigmoid_slope(x);
}

static T @gelu(T x)
{
    const T a = @within_gaussian(x);
    return (x <= R(0) ? R(0) : x) - @scaled_gaussian(a * @upper_tail(a), a);
}

static T @gelu_slope(T x)
{
    const T a = @within_gaussian(x);
    const T g = @scaled_gaussian(@upper_tail(a) - R(0.39894228040143267794) * a, a);
    return @by_sign(x, g, R(1) - g);
}

static T @gelu_curvature(T x)
{
    const T a = @within_gaussian(x);
    const T root = R(1.4142135623730951);
    const T rest = R(2.4203234972626e-8 | -9.667293313452913e-17);
    return @scaled_gaussian(
        R(0.39894228040143267794) * (((root - a) + rest) * (root + a)), a);
}

static T @silu(T x)
{
    const T a = @within_exp(x);
    return @by_sign(x, @scaled_exp(-a, -a, R(-0.0)), x) / (R(1) + @exp_of_bounded(a));
}

static T @silu_slope(T x)
{
    const T a = @within_exp(x);
    const T e = @exp_of_bounded(a);
    return @by_sign(x, @scaled_exp((R(1) - a) + e, -a, R(-0.0)), R(1) + (e + a * e))
        / ((R(1) + e) * (R(1) + e));
}

static T @silu_curvature(T x)
{
    const T a = @within_exp(x);
    const T e = @exp_of_bounded(a);
    return @scaled_exp(R(2) - a * (R(1) - e) / (R(1) + e), -a, R(-0.0))
        / ((R(1) + e) * (R(1) + e));
}

/* Return half of D = n^2 + 2n + 2 with n = e^x for x < 0, else D e^-2x; e is e^-|x|. */
static T @mish_divisor(T x, T e)
{
    return @by_sign(x, R(1) + e * (R(1) + R(0.5) * e), R(1) + R(2) * e * (R(1) + e));
}

static T @mish(T x)
{
    const T a = @within_exp(x);
    const T e = @exp_of_bounded(a);
    return @by_sign(x, @scaled_exp(-a, -a, R(-0.0)) * (R(1) + R(0.5) * e), x * (R(1) + R(2) * e))
        / @mish_divisor(x, e);
}

static T @mish_slope(T x)
{
    const T a = @within_exp(x);
    const T e = @exp_of_bounded(a);
    const T d = @mish_divisor(x, e);
    const T near = (R(1) - a) + e * ((R(1.5) - a) + e * (R(1) + R(0.25) * e));
    return @by_sign(x, @scaled_exp(near, -a, R(-0.0)),
        (R(1) + R(2) * e) * (R(1) + R(2) * e * (R(1) + e)) + R(4) * a * e * e * (R(1) + e))
        / (d * d);
}

static T @mish_curvature(T x)
{
    const T a = @within_exp(x);
    const T half = a > R(87 | 708) ? R(87 | 708) : a;
    const T e = @exp_of_bounded(a);
    const T d = @mish_divisor(x, e);
    const T factor = @by_sign(x, R(2) - a, R(8) * (R(1) - a)) + e * (
        @by_sign(x, R(4) - a, R(24) - R(12) * a) + e * (
            @by_sign(x, R(3) + R(1.5) * a, R(32) + R(8) * a) + e * (
                @by_sign(x, R(1) + a, R(16) + R(8) * a))));
    return @scaled_exp(factor, @by_sign(x, -a, R(-2) * half), R(-0.0)) / (d * d * d);
}

static T @abs_slope(T x)
{
    return x > R(0) ? R(1) : (x < R(0) ? R(-1) : R(0));
}

static T @hard_tanh(T x)
{
    return x >= R(1) ? R(1) : (x <= R(-1) ? R(-1) : x);
}

static T @hard_tanh_slope(T x)
{
    return x >= R(1) || x <= R(-1) ? R(0) : R(1);
}

static T @cosine(T x)
{
    return @sine(x, 1u);
}

static T @cosine_slope(T x)
{
    return @sine(x, 2u);
}

static T @cosine_curvature(T x)
{
    return @sine(x, 3u);
}
"""
