"""Elementwise activations: y = σ(x), and dx = σ'(x) dy, the product with a diagonal Jacobian.

Each activation has two scalar functions of x, σ and σ'. For Sigmoid, Tanh and Mish, computing the
slope σ' from y has a large relative error or is impossible, and computing it from x costs an
exponential. Together with y it costs little. So the forward pass computes both and keeps the slope
if a backward pass follows. The functions `activation_forward` and `activation_backward` choose the
kind once per batch. If x is NaN, the comparisons in σ lead to the branch that returns NaN. At a
kink the derivative is the one from the negative side; for Abs and HardTanh it is 0.
"""

from libc.string cimport memcpy

from fastnn._core.kernels.dtypes cimport fabs, real
from fastnn._core.kernels.elementary cimport (
    by_sign, exp_of_negative, expm1_of_negative, log1p_of_unit, lowest_exponent, scaled_exp,
    scaled_gaussian, sigmoid, sigmoid_and_slope, tanh, tanh_and_slope, upper_tail, within_gaussian)
from fastnn._core.kernels.packing cimport VECTOR_BYTES


cdef enum:
    AT_ONCE = 256  # elements of a buffer


cdef enum Activation:  # `activation_kind` has the name of each
    NOT_AN_ACTIVATION
    IDENTITY
    RELU
    LEAKY_RELU
    ELU
    SELU
    SIGMOID
    TANH
    SOFTPLUS
    GELU
    SILU
    MISH
    ABS
    HARD_TANH


cdef inline int activation_kind(str name) except -1:
    """Return the kind of the activation `name`, or NOT_AN_ACTIVATION."""
    return {
        "identity": IDENTITY, "relu": RELU, "leaky_relu": LEAKY_RELU, "elu": ELU, "selu": SELU,
        "sigmoid": SIGMOID, "tanh": TANH, "softplus": SOFTPLUS, "gelu": GELU, "silu": SILU,
        "mish": MISH, "abs": ABS, "hard_tanh": HARD_TANH,
    }.get(name, NOT_AN_ACTIVATION)


cdef inline real relu(real x) noexcept nogil:
    return 0 if x <= 0 else x


cdef inline real relu_slope(real x) noexcept nogil:
    return 0 if x <= 0 else 1


cdef inline real leaky_relu(real x, real negative_slope) noexcept nogil:
    return x if x > 0 else negative_slope * x


cdef inline real leaky_relu_slope(real x, real negative_slope) noexcept nogil:
    return 1 if x > 0 else negative_slope


cdef inline real elu(real x, real alpha) noexcept nogil:
    return x if x > 0 else alpha * expm1_of_negative(x)


cdef inline real elu_slope(real x, real alpha) noexcept nogil:
    return 1 if x > 0 else alpha * exp_of_negative(x)


# SELU is a scaled ELU whose constants keep mean 0 and variance 1 fixed (Klambauer et al. 2017):
# 1.05… times that of alpha 1.67…
cdef inline real selu(real x) noexcept nogil:
    return (<real>1.0507009873554804934 * x if x > 0
            else <real>1.7580993408473768599 * expm1_of_negative(x))


cdef inline real selu_slope(real x) noexcept nogil:
    return (<real>1.0507009873554804934 if x > 0
            else <real>1.7580993408473768599 * exp_of_negative(x))


cdef inline real softplus(real x) noexcept nogil:
    return (0 if x <= 0 else x) + log1p_of_unit(exp_of_negative(-fabs(x)))


cdef inline real gelu(real x) noexcept nogil:
    """x Φ(x), computed as max(x, 0) - |x| (1 - Φ(|x|))."""
    cdef real a = within_gaussian(x)
    return (0 if x <= 0 else x) - scaled_gaussian(a * upper_tail(a), a)


cdef inline real gelu_slope(real x) noexcept nogil:
    """Φ(x) + x φ(x), for x > 0 computed as 1 minus its value at -x."""
    cdef real a = within_gaussian(x)
    cdef real g = scaled_gaussian(upper_tail(a) - <real>0.39894228040143267794 * a, a)
    return by_sign(x, g, <real>1 - g)


cdef inline real silu(real x) noexcept nogil:
    cdef real a = within_exp(x)
    return by_sign(x, scaled_exp(-a, -a, <real>-0.0), x) / (<real>1 + exp_of_bounded(a))


cdef inline real silu_slope(real x) noexcept nogil:
    """σ(x) (1 + x σ(-x)), over the common denominator (1 + e)² with e = e^-|x|."""
    cdef real a = within_exp(x)
    cdef real e = exp_of_bounded(a)
    return by_sign(x, scaled_exp((<real>1 - a) + e, -a, <real>-0.0),
                   <real>1 + (e + a * e)) / ((<real>1 + e) * (<real>1 + e))


cdef inline real mish_and_slope(real x, real *slope) noexcept nogil:
    """x tanh(softplus(x)); sets `slope` to its derivative.

    With n = eˣ, tanh(softplus(x)) is (n² + 2n) / (n² + 2n + 2). Numerator and denominator are
    multiplied by a power of e = e^-|x|, so that both are bounded.
    """
    cdef real a = within_exp(x)
    cdef real e = exp_of_bounded(a)
    cdef real below = <real>1 + e * (<real>1 + <real>0.5 * e)        # (n² + 2n + 2) / 2, n = e
    cdef real above = <real>1 + <real>2 * e * (<real>1 + e)          # (n² + 2n + 2) e², n = 1 / e
    cdef real twice = <real>1 + <real>2 * e
    cdef real d = by_sign(x, below, above)
    cdef real near = (<real>1 - a) + e * (
        (<real>1.5 - a) + e * (<real>1 + <real>0.25 * e))
    slope[0] = by_sign(
        x, scaled_exp(near, -a, <real>-0.0),
        twice * above + <real>4 * a * e * e * (<real>1 + e)) / (d * d)
    return by_sign(x, scaled_exp(-a, -a, <real>-0.0) * (<real>1 + <real>0.5 * e), x * twice) / d


cdef inline void mish_forward(const real *x, real *y, real *kept, Py_ssize_t n) noexcept nogil:
    cdef real unused
    cdef Py_ssize_t i
    if kept == NULL:
        for i in range(n):
            y[i] = mish_and_slope(x[i], &unused)
    else:
        for i in range(n):
            y[i] = mish_and_slope(x[i], &kept[i])


cdef inline real within_exp(real x) noexcept nogil:
    """|x|, limited to the bound from which on e^-|x| and x² e^-|x| are 0."""
    cdef real top = -lowest_exponent(x)
    cdef real a = fabs(x)
    return top if a > top else a


cdef inline real exp_of_bounded(real a) noexcept nogil:
    """e^-a for a = `within_exp`."""
    return scaled_exp(<real>1, -a, <real>-0.0)


cdef inline real sign(real x) noexcept nogil:
    return 1 if x > 0 else (-1 if x < 0 else 0)


cdef inline real hard_tanh(real x) noexcept nogil:
    return 1 if x >= 1 else (-1 if x <= -1 else x)


cdef inline real hard_tanh_slope(real x) noexcept nogil:
    return 0 if x >= 1 or x <= -1 else 1


cdef inline bint keeps_slope(int kind) noexcept nogil:
    """Return whether `activation_forward` keeps the slopes for `activation_backward`."""
    return kind == SIGMOID or kind == TANH or kind == MISH


cdef inline bint is_curved(int kind) noexcept nogil:
    """Return whether an activation's formula has exponentials."""
    return (kind == ELU or kind == SELU or keeps_slope(kind) or kind == SOFTPLUS or kind == GELU
            or kind == SILU)


cdef inline Py_ssize_t lanes(real like) noexcept nogil:
    """The elements of a vector, a constant."""
    return VECTOR_BYTES // <Py_ssize_t>sizeof(real)


cdef inline Py_ssize_t vectors_of(Py_ssize_t n, real like) noexcept nogil:
    """The vectors that hold n elements."""
    return (n + lanes(like) - 1) // lanes(like)


cdef inline const real *whole_vectors(
    const real *x, Py_ssize_t n, Py_ssize_t vectors, real *padded,
) noexcept nogil:
    """Return x if it consists of whole vectors, else its copy in `padded`, with zeros after it.

    A loop that may end within a vector, or that may overwrite its input, is compiled three times.
    Losses and second derivatives, which are not as hot as activations, do without.
    """
    cdef Py_ssize_t i
    if vectors * lanes(padded[0]) == n:
        return x
    for i in range(vectors * lanes(padded[0])):
        padded[i] = 0
    memcpy(padded, x, n * sizeof(real))
    return padded


cdef inline void activation_forward(
    int kind, real alpha, const real *x, real *y, real *kept, Py_ssize_t n,
) noexcept nogil:
    """y = σ(x); overwrites y. `alpha` is the negative slope of LeakyReLU or the scale of ELU.

    If `keeps_slope`, overwrites `kept` with σ'(x) unless it is NULL.
    """
    cdef Py_ssize_t i
    if kind == IDENTITY:
        for i in range(n):
            y[i] = x[i]
    elif kind == RELU:
        for i in range(n):
            y[i] = relu(x[i])
    elif kind == LEAKY_RELU:
        for i in range(n):
            y[i] = leaky_relu(x[i], alpha)
    elif kind == ELU:
        for i in range(n):
            y[i] = elu(x[i], alpha)
    elif kind == SELU:
        for i in range(n):
            y[i] = selu(x[i])
    elif kind == SIGMOID and kept != NULL:
        for i in range(n):
            y[i] = sigmoid_and_slope(x[i], &kept[i])
    elif kind == SIGMOID:
        for i in range(n):
            y[i] = sigmoid(x[i])
    elif kind == TANH and kept != NULL:
        for i in range(n):
            y[i] = tanh_and_slope(x[i], &kept[i])
    elif kind == TANH:
        for i in range(n):
            y[i] = tanh(x[i])
    elif kind == SOFTPLUS:
        for i in range(n):
            y[i] = softplus(x[i])
    elif kind == GELU:
        for i in range(n):
            y[i] = gelu(x[i])
    elif kind == SILU:
        for i in range(n):
            y[i] = silu(x[i])
    elif kind == MISH:
        mish_forward(x, y, kept, n)
    elif kind == ABS:
        for i in range(n):
            y[i] = fabs(x[i])
    elif kind == HARD_TANH:
        for i in range(n):
            y[i] = hard_tanh(x[i])


cdef inline void activation_backward(
    int kind, real alpha, const real *x, const real *kept, const real *dy, real *dx, Py_ssize_t n,
) noexcept nogil:
    """dx = σ'(x) dy; overwrites dx, which may be dy. `kept` comes from `activation_forward`."""
    cdef Py_ssize_t i
    if kind == IDENTITY:
        for i in range(n):
            dx[i] = dy[i]
    elif kind == RELU:
        for i in range(n):
            dx[i] = relu_slope(x[i]) * dy[i]
    elif kind == LEAKY_RELU:
        for i in range(n):
            dx[i] = leaky_relu_slope(x[i], alpha) * dy[i]
    elif kind == ELU:
        for i in range(n):
            dx[i] = elu_slope(x[i], alpha) * dy[i]
    elif kind == SELU:
        for i in range(n):
            dx[i] = selu_slope(x[i]) * dy[i]
    elif keeps_slope(kind):
        for i in range(n):
            dx[i] = kept[i] * dy[i]
    elif kind == SOFTPLUS:
        for i in range(n):
            dx[i] = sigmoid(x[i]) * dy[i]
    elif kind == GELU:
        for i in range(n):
            dx[i] = gelu_slope(x[i]) * dy[i]
    elif kind == SILU:
        for i in range(n):
            dx[i] = silu_slope(x[i]) * dy[i]
    elif kind == ABS:
        for i in range(n):
            dx[i] = sign(x[i]) * dy[i]
    elif kind == HARD_TANH:
        for i in range(n):
            dx[i] = hard_tanh_slope(x[i]) * dy[i]
