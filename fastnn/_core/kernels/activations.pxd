"""Elementwise activations: y = σ(x), and dx = σ'(x) dy, the product with a diagonal Jacobian.

Each is two scalar functions, σ and σ'; the latter takes x or y, whichever gives it most cheaply.
Below them stands one switch a batch, never one an element. The comparisons in σ are written so
that NaN takes the branch that hands it on. At a kink the derivative is the negative side's
(ReLU: 0, as a subderivative in [0, 1]); Abs takes 0.
"""

from fastnn._core.kernels.dtypes cimport fabs, real
from fastnn._core.kernels.elementary cimport (
    exp, exp_of_negative, expm1_of_negative, gaussian, log1p_of_unit, normal_cdf, sigmoid, tanh)


cdef enum Activation:
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
    ABS


cdef inline int activation_kind(str name) except -1:
    """The activation called `name` in a layer's description; NOT_AN_ACTIVATION for any other."""
    return {
        "identity": IDENTITY, "relu": RELU, "leaky_relu": LEAKY_RELU, "elu": ELU, "selu": SELU,
        "sigmoid": SIGMOID, "tanh": TANH, "softplus": SOFTPLUS, "gelu": GELU, "silu": SILU,
        "abs": ABS,
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


# SELU is a scaled ELU whose constants keep mean 0 and variance 1 fixed (Klambauer et al. 2017).
cdef inline real selu(real x) noexcept nogil:
    return <real>1.0507009873554804934 * elu(x, <real>1.6732632423543772848)


cdef inline real selu_slope(real x) noexcept nogil:
    return <real>1.0507009873554804934 * elu_slope(x, <real>1.6732632423543772848)


# From y these two lose relative accuracy where y nears ±1; from x they would cost an exponential,
# about ten times as much.
cdef inline real sigmoid_slope(real y) noexcept nogil:
    return y * (<real>1 - y)


cdef inline real tanh_slope(real y) noexcept nogil:
    return <real>1 - y * y


cdef inline real softplus(real x) noexcept nogil:
    return (0 if x <= 0 else x) + log1p_of_unit(exp_of_negative(-fabs(x)))


cdef inline real gelu(real x) noexcept nogil:
    return x * normal_cdf(x)


cdef inline real gelu_slope(real x) noexcept nogil:
    return normal_cdf(x) + x * gaussian(x) * <real>0.39894228040143267794


cdef inline real silu(real x) noexcept nogil:
    return x * sigmoid(x)


cdef inline real silu_slope(real x) noexcept nogil:
    cdef real s = sigmoid(x)
    return s * (<real>1 + x * (<real>1 - s))


cdef inline real sign(real x) noexcept nogil:
    return 1 if x > 0 else (-1 if x < 0 else 0)


cdef inline void activation_forward(
    int kind, real alpha, const real *x, real *y, Py_ssize_t n,
) noexcept nogil:
    """y = σ(x); overwrites y. `alpha` is LeakyReLU's negative slope or ELU's scale."""
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
    elif kind == SIGMOID:
        for i in range(n):
            y[i] = sigmoid(x[i])
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
    elif kind == ABS:
        for i in range(n):
            y[i] = fabs(x[i])


cdef inline void activation_backward(
    int kind, real alpha, const real *x, const real *y, const real *dy, real *dx, Py_ssize_t n,
) noexcept nogil:
    """dx = σ'(x) dy; overwrites dx, which may be dy."""
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
    elif kind == SIGMOID:
        for i in range(n):
            dx[i] = sigmoid_slope(y[i]) * dy[i]
    elif kind == TANH:
        for i in range(n):
            dx[i] = tanh_slope(y[i]) * dy[i]
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
