"""Second derivatives, for the product of a loss's Hessian and a vector, forward over reverse.

A tangent ẋ is the derivative of x along a direction. For y = f(x) with dx = J(x)ᵀ dy, the tangent
of the cotangent is J(x)ᵀ dẏ plus the curvature term: the derivative of J(x)ᵀ along ẋ, times dy. It
is 0 for a piecewise linear function. H_L is the Hessian of a sample's loss with respect to the
outputs, for example diag(S) - S Sᵀ through softmax. It is applied but never formed.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from fastnn._core.kernels.activations cimport (
    AT_ONCE, ELU, GELU, SELU, SIGMOID, SILU, SOFTPLUS, TANH, exp_of_bounded, is_curved, lanes,
    vectors_of, whole_vectors, within_exp)
from fastnn._core.kernels.dtypes cimport fabs, real, sqrt
from fastnn._core.kernels.elementary cimport (
    by_sign, exp, exp_of_negative, expm1_of_negative, lowest_exponent, scaled_exp, scaled_gaussian,
    within_gaussian)
from fastnn._core.kernels.loss_arguments cimport (
    HALF_SQUARED_ERROR, HUBER, LOG_COSH, MEAN_SQUARED_ERROR, NEGATIVE_LOG_LIKELIHOOD, POISSON,
    SOFTMAX_CROSS_ENTROPY, Loss, Targets, element_weight)
from fastnn._core.kernels.softmax cimport (
    dominant, softmax_backward, softmax_forward, sum_beside)


cdef inline real logistic_density(real x) noexcept nogil:
    """σ'(x) = e / (1 + e)² with e = e^-|x|, σ being the sigmoid."""
    cdef real e = exp_of_bounded(within_exp(x))
    return e / ((<real>1 + e) * (<real>1 + e))


cdef inline real sigmoid_curvature(real factor, real x) noexcept nogil:
    """factor times σ''(x), which is odd and -e (1 - e) / (1 + e)³ for x > 0."""
    cdef real a = within_exp(x)
    cdef real d = <real>1 + exp_of_bounded(a)
    cdef real q = scaled_exp(factor * expm1_of_negative(-a), -a, <real>-0.0) / (d * d * d)
    return by_sign(x, -q, q)


cdef inline real gelu_curvature(real x) noexcept nogil:
    """φ(x) (2 - x²), where 2 - x² is (√2 - |x|) (√2 + |x|) with an accurate difference."""
    cdef real a = within_gaussian(x)
    cdef real root = <real>1.4142135623730951
    cdef real rest = <real>(2.4203234972626e-8 if real is float else -9.667293313452913e-17)
    return scaled_gaussian(
        <real>0.39894228040143267794 * (((root - a) + rest) * (root + a)), a)


cdef inline real silu_curvature(real x) noexcept nogil:
    """e / (1 + e)² (2 - |x| (1 - e) / (1 + e))."""
    cdef real a = within_exp(x)
    cdef real e = exp_of_bounded(a)
    return (scaled_exp(<real>2 - a * (<real>1 - e) / (<real>1 + e), -a, <real>-0.0)
            / ((<real>1 + e) * (<real>1 + e)))


cdef inline real mish_curvature(real x) noexcept nogil:
    """4n (2 (n + 1) D + x (2 + 2n - 3n² - 2n³)) / D³ with n = eˣ and D = n² + 2n + 2.

    Numerator and denominator are multiplied by a power of e = e^-|x|, as in `mish_and_slope`.
    """
    cdef real top = <real>-0.5 * lowest_exponent(x)  # e^(-2 top) is 0
    cdef real a = within_exp(x)
    cdef real half = top if a > top else a
    cdef real e = exp_of_bounded(a)
    cdef real d = by_sign(x, <real>1 + e * (<real>1 + <real>0.5 * e),
                          <real>1 + <real>2 * e * (<real>1 + e))
    cdef real factor = by_sign(x, <real>2 - a, <real>8 * (<real>1 - a)) + e * (
        by_sign(x, <real>4 - a, <real>24 - <real>12 * a) + e * (
            by_sign(x, <real>3 + <real>1.5 * a, <real>32 + <real>8 * a) + e * (
                by_sign(x, <real>1 + a, <real>16 + <real>8 * a))))
    return scaled_exp(factor, by_sign(x, -a, <real>-2 * half), <real>-0.0) / (d * d * d)


cdef inline void activation_curvatures(
    int kind, real alpha, const real *x, real *curvatures, Py_ssize_t vectors,
) noexcept nogil:
    """Overwrite the curvatures of a curved activation; whole vectors."""
    cdef Py_ssize_t i
    cdef Py_ssize_t n = vectors * lanes(alpha)
    if kind == ELU:
        for i in range(n):
            curvatures[i] = 0 if x[i] > 0 else alpha * exp_of_negative(x[i])
    elif kind == SIGMOID:
        for i in range(n):
            curvatures[i] = sigmoid_curvature(<real>1, x[i])
    elif kind == TANH:  # tanh x = 2 σ(2x) - 1
        for i in range(n):
            curvatures[i] = sigmoid_curvature(<real>8, 2 * x[i])
    elif kind == SOFTPLUS:
        for i in range(n):
            curvatures[i] = logistic_density(x[i])
    elif kind == GELU:
        for i in range(n):
            curvatures[i] = gelu_curvature(x[i])
    elif kind == SILU:
        for i in range(n):
            curvatures[i] = silu_curvature(x[i])
    else:
        for i in range(n):
            curvatures[i] = mish_curvature(x[i])


cdef inline void add_activation_curvature(
    int kind, real alpha, const real *x, const real *tangent, const real *dy, real *dx_tangent,
    Py_ssize_t n,
) noexcept nogil:
    """dẋ += σ''(x) ẋ dy."""
    cdef real[AT_ONCE] padded, curvatures
    cdef Py_ssize_t i, count, vectors
    cdef Py_ssize_t first = 0
    if not is_curved(kind):
        return
    if kind == SELU:  # 1.05… ELU with alpha 1.67…
        kind = ELU
        alpha = <real>1.7580993408473768599
    while first < n:
        count = min(<Py_ssize_t>AT_ONCE, n - first)
        vectors = vectors_of(count, alpha)
        activation_curvatures(
            kind, alpha, whole_vectors(x + first, count, vectors, padded), curvatures, vectors)
        for i in range(count):
            dx_tangent[first + i] += curvatures[i] * tangent[first + i] * dy[first + i]
        first += count


cdef inline void add_softmax_curvature(
    const real *y, const real *y_tangent, const real *dy, real *dx_tangent,
    Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """dẋ += Ṡ (dy - ⟨S, dy⟩) - S ⟨Ṡ, dy⟩, the derivative of S (dy - ⟨S, dy⟩) along Ṡ.

    A constant added to dy changes nothing, as in `softmax_backward`.
    """
    cdef real shift, inner, inner_tangent
    cdef Py_ssize_t _row, t, j
    for _row in range(rows):
        t = dominant(y, n)
        shift = dy[t] if t >= 0 else 0
        inner = inner_tangent = 0
        for j in range(n):
            inner += y[j] * (dy[j] - shift)
            inner_tangent += y_tangent[j] * (dy[j] - shift)
        for j in range(n):
            dx_tangent[j] += y_tangent[j] * ((dy[j] - shift) - inner) - y[j] * inner_tangent
        y += n
        y_tangent += n
        dy += n
        dx_tangent += n


cdef inline void add_log_softmax_curvature(
    const real *S, const real *y_tangent, const real *dy, real *dx_tangent,
    Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """dẋ -= S ẏ Σ dy, the derivative of dy - S Σ dy along ẏ."""
    cdef real total
    cdef Py_ssize_t _row, j
    for _row in range(rows):
        total = 0
        for j in range(n):
            total += dy[j]
        for j in range(n):
            dx_tangent[j] -= S[j] * y_tangent[j] * total
        S += n
        y_tangent += n
        dy += n
        dx_tangent += n


cdef inline real diagonal_hessian(
    const Loss *loss, real y_pred, const real *targets, Py_ssize_t place, Py_ssize_t n,
) noexcept nogil:
    """Return the element of a diagonal H_L at an output, whose target is targets[place].

    Only `HUBER` and `LOG_COSH` need the target; for the other losses `targets` may be NULL.
    """
    if loss.kind == HALF_SQUARED_ERROR:
        return 1
    if loss.kind == MEAN_SQUARED_ERROR:
        return <real>2 / n
    if loss.kind == HUBER:
        return <real>1 / n if fabs(y_pred - targets[place]) < <real>loss.delta else 0
    if loss.kind == LOG_COSH:  # 1 - tanh² e = 4 σ'(2 e), in double as the rounding of e matters
        return <real>(
            4 * logistic_density(2 * (<double>y_pred - <double>targets[place])) / n)
    if loss.kind == POISSON:
        return exp(y_pred)
    return logistic_density(y_pred) / n


cdef inline void loss_curvature(
    const Loss *loss, const real *y_pred, Targets given, const real *tangent, double scale,
    real *dy_tangent, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """dẏ = scale w H_L ẏ; overwrites dẏ (rows, n)."""
    cdef const real *targets = <const real *>given.values
    cdef const int64_t *labels = given.labels
    cdef const real *weights = <const real *>given.weights
    cdef bint by_element = labels == NULL and (loss.ignore_nan or loss.output_weight != NULL)
    cdef real factor = <real>scale
    cdef real weight = 1
    cdef Py_ssize_t i, j
    for i in range(rows):
        if weights != NULL:
            factor = <real>(scale * weights[i])
        if factor == 0 or label_is_missing(loss, labels, i):
            memset(dy_tangent, 0, n * sizeof(real))
        elif loss.kind == SOFTMAX_CROSS_ENTROPY or loss.through_softmax:
            softmax_forward(y_pred, dy_tangent, 1, n)
            softmax_backward(dy_tangent, tangent, dy_tangent, 1, n)
            for j in range(n):
                dy_tangent[j] *= factor
        elif loss.kind == NEGATIVE_LOG_LIKELIHOOD:
            memset(dy_tangent, 0, n * sizeof(real))
            j = labels[i]
            dy_tangent[j] = factor * tangent[j] / y_pred[j] / y_pred[j]  # p² might underflow
        else:
            for j in range(n):
                if by_element:
                    weight = <real>element_weight(loss, targets, i * n + j, j)
                dy_tangent[j] = 0 if weight == 0 else factor * tangent[j] * (
                    weight * diagonal_hessian(loss, y_pred[j], targets, i * n + j, n))
        y_pred += n
        tangent += n
        dy_tangent += n


cdef inline bint label_is_missing(
    const Loss *loss, const int64_t *labels, Py_ssize_t row,
) noexcept nogil:
    """Whether a sample has no label; `labels` may be NULL unless labels may be missing."""
    return loss.ignore_nan and labels != NULL and labels[row] < 0


cdef inline Py_ssize_t loss_rank(const Loss *loss, Py_ssize_t n) noexcept nogil:
    """Return the number of rows of a root in `loss_root`."""
    return 1 if loss.kind == NEGATIVE_LOG_LIKELIHOOD else n


cdef inline bint root_is_shared(const Loss *loss, Targets given) noexcept nogil:
    """Whether w H_L is the same for all samples."""
    return given.weights == NULL and not loss.ignore_nan and (
        loss.kind == HALF_SQUARED_ERROR or loss.kind == MEAN_SQUARED_ERROR)


cdef inline void loss_root(
    const Loss *loss, const real *y_pred, Targets given, double scale, real *root,
    Py_ssize_t samples, Py_ssize_t n,
) noexcept nogil:
    """A root Q of scale w H_L for each sample, QᵀQ = scale w H_L; overwrites (samples, rank, n).

    A shared root is written once. That of softmax cross-entropy is (I - e eᵀ) diag(e) with
    e = √S, since e has the length 1 and I - e eᵀ is a projection. That of a likelihood through
    softmax is the row S - onehot, 1 / p_c times softmax's Jacobian.
    """
    cdef const real *targets = <const real *>given.values
    cdef const int64_t *labels = given.labels
    cdef const real *weights = <const real *>given.weights
    cdef Py_ssize_t rank = loss_rank(loss, n)
    cdef bint by_element = labels == NULL and (loss.ignore_nan or loss.output_weight != NULL)
    cdef real factor = <real>scale
    cdef real weight = 1
    cdef real p, rest
    cdef Py_ssize_t s, t, k, j
    if root_is_shared(loss, given):
        samples = 1
    memset(root, 0, samples * rank * n * sizeof(real))
    for s in range(samples):
        if weights != NULL:
            factor = <real>(scale * weights[s])
        if factor == 0 or label_is_missing(loss, labels, s):
            pass
        elif loss.through_softmax:
            softmax_forward(y_pred, root, 1, n)
            root[labels[s]] = <real>-sum_beside(root, labels[s], n)
            for j in range(n):
                root[j] *= sqrt(factor)
        elif loss.kind == NEGATIVE_LOG_LIKELIHOOD:
            root[labels[s]] = sqrt(factor) / y_pred[labels[s]]
        elif loss.kind == SOFTMAX_CROSS_ENTROPY:
            softmax_forward(y_pred, root, 1, n)
            t = dominant(root, n)
            rest = <real>sum_beside(root, t, n) if t >= 0 else 0
            for j in range(n):
                root[j] = sqrt(root[j])
            for k in range(n - 1, -1, -1):  # the first row, which holds e, last
                p = root[k]
                for j in range(n):
                    root[k * n + j] = -p * root[j] * root[j] * sqrt(factor)
                if k == t:
                    root[k * n + k] = p * rest * sqrt(factor)
                else:
                    root[k * n + k] += p * sqrt(factor)
        else:
            for j in range(n):
                if by_element:
                    weight = <real>element_weight(loss, targets, s * n + j, j)
                if weight > 0:
                    root[j * n + j] = sqrt(factor * (
                        weight * diagonal_hessian(loss, y_pred[j], targets, s * n + j, n)))
        y_pred += n
        root += rank * n
