"""Updates of the flat parameter vector, in PyTorch's formulas; one pass over memory each.

An update is told its learning rate and knows no schedule. It walks the segments of parameters that
are trained, normally one that is all of them. Where the gradient is clipped or L1 penalises, a
block of it at a time is made ready in a buffer, so that the optimizers' own loops know of neither
and `grads` stays as it is. State arrays start as zeros, which makes the first velocity equal to the
first gradient, as PyTorch defines it.
"""

from cython.parallel cimport prange
from libc cimport math
from libc.float cimport DBL_MAX, DBL_MIN, FLT_MAX, FLT_MIN

from fastnn._core.kernels.dtypes cimport real, sqrt
from fastnn._core.kernels.sums cimport sum_of_squares, sum_of_squares_of_multiple
from fastnn._core.kernels.threads cimport startable


cdef enum:
    THREAD_PARAMS = 100_000
    BLOCK = 512


cdef enum OptimizerKind:
    SGD
    ADAM
    ADAMW
    RMSPROP


cdef struct Optimizer:
    int kind
    double weight_decay
    bint plain         # the gradient is taken as it is, neither clipped nor with L1's slope
    double l1
    double clip_norm   # infinity: not clipped
    double clip_value  # likewise
    double momentum
    bint nesterov
    bint centered
    double beta1
    double beta2
    double alpha
    double eps
    bint eps_uncorrected  # Adam's eps is added to √v as it is, not to √v̂


cdef struct Clipping:
    # the gradient is multiplied by both; by 1 where its norm is not too large
    double inverse  # 1 / (‖g‖ + 1e-6)
    double most     # clip_norm


cdef struct Segment:
    Py_ssize_t first
    Py_ssize_t size
    Py_ssize_t missed  # updates that it was frozen for, which its running means have not seen


cdef inline Optimizer optimizer_from(dict rule) except *:
    """The C form of an optimizer's description; what its kind does not use is left out of it."""
    cdef Optimizer optimizer
    kinds = {"sgd": SGD, "adam": ADAM, "adamw": ADAMW, "rmsprop": RMSPROP}
    optimizer.kind = kinds[rule["kind"]]
    optimizer.weight_decay = rule["weight_decay"]
    optimizer.l1 = rule["l1"]
    optimizer.clip_norm = math.INFINITY if rule["clip_norm"] is None else rule["clip_norm"]
    optimizer.clip_value = math.INFINITY if rule["clip_value"] is None else rule["clip_value"]
    optimizer.plain = (
        optimizer.l1 == 0 and rule["clip_norm"] is None and rule["clip_value"] is None)
    optimizer.momentum = rule.get("momentum", 0)
    optimizer.nesterov = rule.get("nesterov", False)
    optimizer.centered = rule.get("centered", False)
    optimizer.beta1 = rule.get("beta1", 0)
    optimizer.beta2 = rule.get("beta2", 0)
    optimizer.alpha = rule.get("alpha", 0)
    optimizer.eps = rule.get("eps", 0)
    optimizer.eps_uncorrected = rule.get("eps_uncorrected", False)
    return optimizer


cdef inline void update(
    const Optimizer *optimizer, double rate, real *params, const real *grads, real *state,
    Py_ssize_t n, const Segment *segments, Py_ssize_t n_segments, Py_ssize_t step, int n_threads,
) noexcept nogil:
    """One step in place on the segments. `state` is (n_states, n); `step` counts from 1.

    Threads share the parameters where those are so many that each has THREAD_PARAMS to update.
    """
    cdef Clipping clip = Clipping(1, 1)
    cdef Py_ssize_t parts, share, first, part, i
    cdef Segment segment
    if not optimizer.plain and optimizer.clip_norm < math.INFINITY:
        clip = clipping(optimizer.clip_norm, grads, segments, n_segments)
    for i in range(n_segments):
        segment = segments[i]
        parts = max(<Py_ssize_t>1, min(<Py_ssize_t>n_threads, segment.size // THREAD_PARAMS))
        if parts == 1:
            update_some(optimizer, rate, clip, params, grads, state, n, segment.first,
                        segment.first + segment.size, step - segment.missed)
        else:
            share = (segment.size + parts - 1) // parts
            for part in prange(parts, num_threads=startable(<int>parts), schedule="static"):
                first = segment.first + part * share
                update_some(optimizer, rate, clip, params, grads, state, n, first,
                            min(first + share, segment.first + segment.size),
                            step - segment.missed)


cdef inline Clipping clipping(
    double most, const real *grads, const Segment *segments, Py_ssize_t n_segments,
) noexcept nogil:
    """What to multiply the gradient by, lest its norm exceed `most`; torch's clip_grad_norm_.

    The two factors stand apart, for their product can be too small for the dtype. Squares that
    overflow are added up once more, those of the gradient times a power of two.
    """
    cdef double factor = 1
    cdef double total = 0
    cdef double inverse
    cdef Py_ssize_t i
    for i in range(n_segments):
        total += sum_of_squares(grads + segments[i].first, segments[i].size)
    if total > DBL_MAX:
        factor = math.ldexp(1, -600)
        total = 0
        for i in range(n_segments):
            total += sum_of_squares_of_multiple(
                factor, grads + segments[i].first, segments[i].size)
    inverse = factor / (math.sqrt(total) + 1e-6 * factor)
    return Clipping(1, 1) if inverse * most >= 1 else Clipping(inverse, most)


cdef inline void update_some(
    const Optimizer *optimizer, double rate, Clipping clip, real *params, const real *grads,
    real *state, Py_ssize_t n, Py_ssize_t first, Py_ssize_t end, Py_ssize_t step,
) noexcept nogil:
    """Update the parameters from `first` to `end`, whose gradient is to be clipped."""
    cdef real ready[BLOCK]
    cdef const real *gradient = grads + first
    cdef Py_ssize_t size = end - first if optimizer.plain else BLOCK
    while first < end:
        size = min(size, end - first)
        if not optimizer.plain:
            make_ready(optimizer, clip, params + first, grads + first, ready, size)
            gradient = ready
        step_of_kind(optimizer, rate, params + first, gradient, state + first, n, size, step)
        first += size


cdef inline void make_ready(
    const Optimizer *optimizer, Clipping clip, const real *params, const real *grads, real *ready,
    Py_ssize_t n,
) noexcept nogil:
    """The gradient clipped, cut off at clip_value, and with the slope of l1 Σ |Θ|, 0 at 0."""
    cdef real inverse = clip.inverse
    cdef real norm = clip.most
    cdef real most = optimizer.clip_value
    cdef real l1 = optimizer.l1
    cdef real gradient
    cdef Py_ssize_t i
    for i in range(n):
        gradient = inverse * grads[i] * norm
        gradient = most if gradient > most else (-most if gradient < -most else gradient)
        ready[i] = gradient + (l1 if params[i] > 0 else (-l1 if params[i] < 0 else 0))


cdef inline void step_of_kind(
    const Optimizer *optimizer, double rate, real *params, const real *grads, real *state,
    Py_ssize_t stride, Py_ssize_t n, Py_ssize_t step,
) noexcept nogil:
    """Hand over to the optimizer; its state arrays stand `stride` apart."""
    if optimizer.kind == ADAM or optimizer.kind == ADAMW:
        adam(optimizer, rate, params, grads, state, state + stride, n, step)
    elif optimizer.kind == RMSPROP:
        # a loop each, since one that asks for every parameter is not vectorised
        if optimizer.centered and optimizer.momentum > 0:
            rmsprop(optimizer, rate, params, grads, state, state + stride, state + 2 * stride, n,
                    True, True)
        elif optimizer.centered:
            rmsprop(optimizer, rate, params, grads, state, NULL, state + stride, n, False, True)
        elif optimizer.momentum > 0:
            rmsprop(optimizer, rate, params, grads, state, state + stride, NULL, n, True, False)
        else:
            rmsprop(optimizer, rate, params, grads, state, NULL, NULL, n, False, False)
    elif optimizer.momentum == 0:
        gradient_descent(optimizer, rate, params, grads, n)
    else:
        sgd_with_momentum(optimizer, rate, params, grads, state, n)


cdef inline void gradient_descent(
    const Optimizer *optimizer, double learning_rate, real *params, const real *grads,
    Py_ssize_t n,
) noexcept nogil:
    """Θ ← Θ - ε g."""
    cdef real rate = learning_rate
    cdef real decay = optimizer.weight_decay
    cdef Py_ssize_t i
    for i in range(n):
        params[i] -= rate * (grads[i] + decay * params[i])


cdef inline void sgd_with_momentum(
    const Optimizer *optimizer, double learning_rate, real *params, const real *grads,
    real *velocity, Py_ssize_t n,
) noexcept nogil:
    """v ← μ v + g, then Θ ← Θ - ε v, or Θ ← Θ - ε (g + μ v) with Nesterov's look-ahead."""
    cdef real rate = learning_rate
    cdef real momentum = optimizer.momentum
    cdef real decay = optimizer.weight_decay
    cdef real gradient
    cdef Py_ssize_t i
    if optimizer.nesterov:
        for i in range(n):
            gradient = grads[i] + decay * params[i]
            velocity[i] = momentum * velocity[i] + gradient
            params[i] -= rate * (gradient + momentum * velocity[i])
    else:
        for i in range(n):
            velocity[i] = momentum * velocity[i] + (grads[i] + decay * params[i])
            params[i] -= rate * velocity[i]


cdef inline void adam(
    const Optimizer *optimizer, double learning_rate, real *params, const real *grads, real *mean,
    real *square, Py_ssize_t n, Py_ssize_t step,
) noexcept nogil:
    """m and v are running means of g and g²; Θ ← Θ - ε m̂ / (√v̂ + eps), where the hats divide by
    1 - βᵗ to undo the start at zero (Kingma and Ba 2015). AdamW's decay leaves g alone and shrinks
    Θ by 1 - ε λ before (Loshchilov and Hutter 2019). With `eps_uncorrected`, the form at the end of
    Kingma and Ba's section 2: eps is added to √v before the division, which is eps / √(1 - β₂ᵗ)
    here."""
    cdef double correction1 = 1 - math.pow(optimizer.beta1, step)
    cdef double correction2 = math.sqrt(1 - math.pow(optimizer.beta2, step))
    cdef bint decoupled = optimizer.kind == ADAMW
    cdef real rate = learning_rate / correction1
    cdef real beta1 = optimizer.beta1
    cdef real rest1 = 1 - optimizer.beta1
    cdef real beta2 = optimizer.beta2
    cdef real rest2 = 1 - optimizer.beta2
    cdef real root = correction2
    cdef real eps = optimizer.eps / (correction2 if optimizer.eps_uncorrected else 1)
    cdef real decay = 0 if decoupled else optimizer.weight_decay
    cdef real shrink = 1 - learning_rate * optimizer.weight_decay if decoupled else 1
    cdef real least = FLT_MIN if real is float else DBL_MIN
    # for a parameter that only the penalty moves, as products with it would be subnormal
    cdef real idle = least * <real>1e12 if optimizer.weight_decay > 0 else least
    cdef real gradient
    cdef Py_ssize_t i
    for i in range(n):
        gradient = grads[i] + decay * params[i]
        mean[i] = flushed(beta1 * mean[i] + rest1 * gradient, least)
        square[i] = beta2 * square[i] + rest2 * gradient * gradient
        # divided first, for the product of rate and mean can be subnormal
        params[i] = flushed(
            shrink * params[i] - rate * (mean[i] / (sqrt(square[i]) / root + eps)),
            idle if grads[i] == 0 else least)


cdef inline real flushed(real x, real least) noexcept nogil:
    """x, or 0 below `least`: arithmetic with subnormal numbers can be a hundred times as slow.

    The weights of a feature that is always 0, and their running means, shrink to such numbers under
    a penalty and would stay there: β times the least of them rounds to itself. Running means of
    squares remain as they are: the root of a subnormal number is a divisor like any other.
    """
    return 0 if -least < x and x < least else x


cdef inline void rmsprop(
    const Optimizer *optimizer, double learning_rate, real *params, const real *grads, real *square,
    real *velocity, real *mean, Py_ssize_t n, bint moving, bint centered,
) noexcept nogil:
    """v is a running mean of g², less the square of that of g if centered (Graves 2013);
    Θ ← Θ - ε u for u = g / (√v + eps), or for u ← μ u + g / (√v + eps) with momentum."""
    cdef real rate = learning_rate
    cdef real momentum = optimizer.momentum
    cdef real alpha = optimizer.alpha
    cdef real rest = 1 - optimizer.alpha
    cdef real eps = optimizer.eps
    cdef real decay = optimizer.weight_decay
    cdef real gradient, variance, shift
    cdef real largest = FLT_MAX if real is float else DBL_MAX
    cdef Py_ssize_t i
    for i in range(n):
        gradient = grads[i] + decay * params[i]
        square[i] = alpha * square[i] + rest * gradient * gradient
        variance = square[i]
        if centered:
            mean[i] = alpha * mean[i] + rest * gradient
            shift = mean[i] * mean[i]
            variance -= largest if shift > largest else shift  # as inf - inf is NaN
            variance = 0 if variance < 0 else variance  # by rounding
        gradient /= sqrt(variance) + eps
        if moving:
            velocity[i] = momentum * velocity[i] + gradient
            gradient = velocity[i]
        params[i] -= rate * gradient
