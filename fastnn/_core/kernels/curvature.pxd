"""Second derivatives, for the product of a loss's Hessian and a vector, forward over reverse.

A tangent ẋ is the derivative of x along a direction. For y = f(x) with dx = J(x)ᵀ dy, the tangent
of the cotangent is J(x)ᵀ dẏ plus the curvature term: the derivative of J(x)ᵀ along ẋ, times dy. A
piecewise linear function has none. The Hessian H_L of a sample's loss by the outputs is applied,
never formed: the softmax's is diag(S) - S Sᵀ.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from fastnn._core.kernels.activations cimport ELU, GELU, SELU, SIGMOID, SILU, SOFTPLUS, TANH
from fastnn._core.kernels.dtypes cimport fabs, real, sqrt
from fastnn._core.kernels.elementary cimport exp, exp_of_negative, gaussian, sigmoid
from fastnn._core.kernels.losses cimport (
    BINARY_CROSS_ENTROPY, HALF_SQUARED_ERROR, HUBER, MEAN_SQUARED_ERROR, NEGATIVE_LOG_LIKELIHOOD,
    POISSON, SOFTMAX_CROSS_ENTROPY, Loss)
from fastnn._core.kernels.softmax cimport softmax_forward


cdef inline void add_activation_curvature(
    int kind, real alpha, const real *x, const real *y, const real *tangent, const real *dy,
    real *dx_tangent, Py_ssize_t n,
) noexcept nogil:
    """dẋ += σ''(x) ẋ dy."""
    cdef real curvature, s
    cdef Py_ssize_t i
    if kind == ELU or kind == SELU:
        # SELU is 1.05… ELU with alpha 1.67…
        curvature = <real>1.7580993408473768599 if kind == SELU else alpha
        for i in range(n):
            dx_tangent[i] += (
                0 if x[i] > 0 else curvature * exp_of_negative(x[i])) * tangent[i] * dy[i]
    elif kind == SIGMOID:
        for i in range(n):
            dx_tangent[i] += y[i] * (1 - y[i]) * (1 - 2 * y[i]) * tangent[i] * dy[i]
    elif kind == TANH:
        for i in range(n):
            dx_tangent[i] -= 2 * y[i] * (1 - y[i] * y[i]) * tangent[i] * dy[i]
    elif kind == SOFTPLUS:
        for i in range(n):
            s = sigmoid(x[i])
            dx_tangent[i] += s * (1 - s) * tangent[i] * dy[i]
    elif kind == GELU:
        for i in range(n):
            s = fabs(x[i])
            s = 40 if s > 40 else s  # where e^(-x²/2) is 0, and x² finite
            dx_tangent[i] += (
                gaussian(x[i]) * <real>0.39894228040143267794 * (2 - s * s) * tangent[i] * dy[i])
    elif kind == SILU:
        for i in range(n):
            s = sigmoid(x[i])
            dx_tangent[i] += s * (1 - s) * (2 + x[i] * (1 - 2 * s)) * tangent[i] * dy[i]


cdef inline void add_softmax_curvature(
    const real *y, const real *y_tangent, const real *dy, real *dx_tangent,
    Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """dẋ += Ṡ (dy - ⟨S, dy⟩) - S ⟨Ṡ, dy⟩, the derivative of S (dy - ⟨S, dy⟩) along Ṡ."""
    cdef real inner, inner_tangent
    cdef Py_ssize_t _row, j
    for _row in range(rows):
        inner = inner_tangent = 0
        for j in range(n):
            inner += y[j] * dy[j]
            inner_tangent += y_tangent[j] * dy[j]
        for j in range(n):
            dx_tangent[j] += y_tangent[j] * (dy[j] - inner) - y[j] * inner_tangent
        y += n
        y_tangent += n
        dy += n
        dx_tangent += n


cdef inline void add_log_softmax_curvature(
    const real *y, const real *y_tangent, const real *dy, real *dx_tangent,
    Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """dẋ -= S ẏ Σ dy with S = e^y, the derivative of dy - S Σ dy along ẏ."""
    cdef real total
    cdef Py_ssize_t _row, j
    for _row in range(rows):
        total = 0
        for j in range(n):
            total += dy[j]
        for j in range(n):
            dx_tangent[j] -= exp(y[j]) * y_tangent[j] * total
        y += n
        y_tangent += n
        dy += n
        dx_tangent += n


cdef inline real diagonal_hessian(
    const Loss *loss, real y_pred, const real *targets, Py_ssize_t place, Py_ssize_t n,
) noexcept nogil:
    """H_L's entry at an output, whose target stands at `place`, where outputs do not mix.

    The Hessian of `HUBER` alone looks at it; for the others `targets` may be NULL.
    """
    cdef real p
    if loss.kind == HALF_SQUARED_ERROR:
        return 1
    if loss.kind == MEAN_SQUARED_ERROR:
        return <real>2 / n
    if loss.kind == HUBER:
        return <real>1 / n if fabs(y_pred - targets[place]) < <real>loss.delta else 0
    if loss.kind == POISSON:
        return exp(y_pred)
    p = sigmoid(y_pred)
    return p * (1 - p) / n


cdef inline void loss_curvature(
    const Loss *loss, const real *y_pred, const real *targets, const int64_t *labels,
    const real *weights, const real *tangent, double scale, real *dy_tangent,
    Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """dẏ = scale w H_L ẏ; overwrites dẏ (rows, n).

    NULL may be the `weights`, which are then 1, and what the loss takes none of.
    """
    cdef real factor = <real>scale
    cdef Py_ssize_t i, j
    for i in range(rows):
        if weights != NULL:
            factor = <real>(scale * weights[i])
        if factor == 0:
            memset(dy_tangent, 0, n * sizeof(real))
        elif loss.kind == NEGATIVE_LOG_LIKELIHOOD:
            memset(dy_tangent, 0, n * sizeof(real))
            j = labels[i]
            dy_tangent[j] = factor * tangent[j] / y_pred[j] / y_pred[j]  # p² might underflow
        elif loss.kind == SOFTMAX_CROSS_ENTROPY:
            softmax_forward(y_pred, dy_tangent, 1, n)
            softmax_of_tangent(tangent, factor, dy_tangent, n)
        else:
            for j in range(n):
                dy_tangent[j] = factor * tangent[j] * diagonal_hessian(
                    loss, y_pred[j], targets, i * n + j, n)
        y_pred += n
        tangent += n
        dy_tangent += n


cdef inline void softmax_of_tangent(
    const real *tangent, real scale, real *y, Py_ssize_t n,
) noexcept nogil:
    """Replace S in y by scale (diag(S) - S Sᵀ) ẏ."""
    cdef real inner = 0
    cdef Py_ssize_t j
    for j in range(n):
        inner += y[j] * tangent[j]
    for j in range(n):
        y[j] *= scale * (tangent[j] - inner)


cdef inline Py_ssize_t loss_rank(const Loss *loss, Py_ssize_t n) noexcept nogil:
    """Rows of the root of H_L that `loss_root` gives."""
    return 1 if loss.kind == NEGATIVE_LOG_LIKELIHOOD else n


cdef inline bint root_is_shared(const Loss *loss, const real *weights) noexcept nogil:
    """Whether w H_L does not depend on the sample."""
    return weights == NULL and (loss.kind == HALF_SQUARED_ERROR or loss.kind == MEAN_SQUARED_ERROR)


cdef inline void loss_root(
    const Loss *loss, const real *y_pred, const real *targets, const int64_t *labels,
    const real *weights, double scale, real *root, Py_ssize_t samples, Py_ssize_t n,
) noexcept nogil:
    """A root Q of scale w H_L for each sample, QᵀQ = scale w H_L; overwrites (samples, rank, n).

    A shared root is written once. That of softmax cross-entropy is (I - e eᵀ) diag(e) with
    e = √S, since e has the length 1 and I - e eᵀ is a projection.
    """
    cdef Py_ssize_t rank = loss_rank(loss, n)
    cdef real factor = <real>scale
    cdef real p
    cdef Py_ssize_t s, k, j
    if root_is_shared(loss, weights):
        samples = 1
    memset(root, 0, samples * rank * n * sizeof(real))
    for s in range(samples):
        if weights != NULL:
            factor = <real>(scale * weights[s])
        if factor == 0:
            pass
        elif loss.kind == NEGATIVE_LOG_LIKELIHOOD:
            root[labels[s]] = sqrt(factor) / y_pred[labels[s]]
        elif loss.kind == SOFTMAX_CROSS_ENTROPY:
            softmax_forward(y_pred, root, 1, n)
            for j in range(n):
                root[j] = sqrt(root[j])
            for k in range(n - 1, -1, -1):  # the first row, which holds e, last
                p = root[k]
                for j in range(n):
                    root[k * n + j] = -p * root[j] * root[j] * sqrt(factor)
                root[k * n + k] += p * sqrt(factor)
        else:
            for j in range(n):
                root[j * n + j] = sqrt(factor * diagonal_hessian(
                    loss, y_pred[j], targets, s * n + j, n))
        y_pred += n
        root += rank * n
