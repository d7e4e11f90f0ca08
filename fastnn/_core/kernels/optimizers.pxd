"""Updates of the flat parameter vector with PyTorch's formulas, in one pass over memory each.

An update gets its learning rate and its weight decay, and has no schedule. It processes the
segments of parameters that are trained, normally one segment with all of them. If the gradient is
clipped or has an L1 penalty, it is prepared block by block in a buffer. So the loops of the
optimizers contain neither, and `grads` is not changed. State arrays start as zeros, so the first
velocity is the first gradient, as in PyTorch.
"""

from cython.parallel cimport prange
from libc cimport math
from libc.float cimport DBL_MAX, DBL_MIN, FLT_MAX, FLT_MIN

from fastnn._core.kernels.apart cimport call_apart
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
    LION


cdef struct Optimizer:
    int kind
    double weight_decay
    bint plain         # the gradient is neither clipped nor has an L1 penalty
    double l1
    double clip_norm   # infinity: no clipping
    double clip_value  # infinity: no clipping
    double momentum
    bint nesterov
    bint centered
    double beta1
    double beta2
    double alpha
    double eps
    bint eps_uncorrected  # Adam adds eps to √v, not to √v̂


cdef struct Clipping:
    # two factors of the gradient, both 1 if its norm is not too large
    double inverse  # 1 / (‖g‖ + 1e-6)
    double most     # clip_norm


cdef struct Segment:
    Py_ssize_t first
    Py_ssize_t size
    Py_ssize_t missed  # updates while it was frozen, which are not in its running means
    double rate_factor   # of the learning rate
    double decay_factor  # of the weight decay


cdef inline Optimizer optimizer_from(dict rule) except *:
    """Return the C form of an optimizer's `update_rule()`."""
    cdef Optimizer optimizer
    kinds = {"sgd": SGD, "adam": ADAM, "adamw": ADAMW, "rmsprop": RMSPROP, "lion": LION}
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
    const Optimizer *optimizer, double rate, Clipping clip, real *params, const real *grads,
    real *state, Py_ssize_t n, const Segment *segments, Py_ssize_t n_segments, Py_ssize_t step,
    int n_threads,
) noexcept nogil:
    """One step in place on the segments. `state` is (n_states, n); `step` counts from 1.

    Threads share the parameters if there are at least THREAD_PARAMS for each thread.
    """
    cdef Py_ssize_t parts, share, first, part, i
    cdef Segment segment
    cdef Optimizer copy = optimizer[0]
    cdef const Optimizer *own = &copy  # with the weight decay of the segment
    cdef double own_rate
    for i in range(n_segments):
        segment = segments[i]
        own_rate = rate * segment.rate_factor
        copy.weight_decay = optimizer.weight_decay * segment.decay_factor
        parts = max(<Py_ssize_t>1, min(<Py_ssize_t>n_threads, segment.size // THREAD_PARAMS))
        if parts == 1:
            call_apart(update_some[real], own, own_rate, clip, params, grads, state, n,
                       segment.first, segment.first + segment.size, step - segment.missed)
        else:
            share = (segment.size + parts - 1) // parts
            for part in prange(parts, num_threads=startable(<int>parts), schedule="static"):
                first = segment.first + part * share
                call_apart(update_some[real], own, own_rate, clip, params, grads, state, n, first,
                           min(first + share, segment.first + segment.size),
                           step - segment.missed)


cdef inline Clipping clipping(
    const Optimizer *optimizer, const real *grads, const Segment *segments, Py_ssize_t n_segments,
) noexcept nogil:
    """Return the factors that limit the gradient's norm, as PyTorch's clip_grad_norm_.

    There are two factors, since their product can be too small for the dtype. If the squares
    overflow, those of the gradient times a power of two are summed instead.
    """
    cdef double most = optimizer.clip_norm
    cdef double factor = 1
    cdef double total = 0
    cdef double inverse
    cdef Py_ssize_t i
    if optimizer.plain or most == math.INFINITY:
        return Clipping(1, 1)
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
    """Update the parameters from `first` to `end`."""
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
    """Write the gradient, clipped by norm and by value, plus the slope of l1 Σ |Θ| (0 at 0)."""
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
    """Call the update of the kind; its state arrays are `stride` apart."""
    if optimizer.kind == ADAM or optimizer.kind == ADAMW:
        adam(optimizer, rate, params, grads, state, state + stride, n, step)
    elif optimizer.kind == LION:
        lion(optimizer, rate, params, grads, state, n)
    elif optimizer.kind == RMSPROP:
        # separate loops, since a loop that tests these for each parameter is not vectorized
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
    """Θ ← Θ - ε m̂ / (√v̂ + eps), with running means m of g and v of g² (Kingma and Ba 2015).

    m̂ and v̂ are divided by 1 - βᵗ, which corrects the start at zero. AdamW does not add the decay
    to g: it first multiplies Θ by 1 - ε λ (Loshchilov and Hutter 2019). With `eps_uncorrected`, as
    at the end of section 2 of Kingma and Ba, eps is added to √v, which is eps / √(1 - β₂ᵗ) here.
    """
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
    # limit for a parameter that only the penalty changes: products with it would be subnormal
    cdef real idle = least * <real>1e12 if optimizer.weight_decay > 0 else least
    cdef real gradient
    cdef Py_ssize_t i
    for i in range(n):
        gradient = grads[i] + decay * params[i]
        mean[i] = flushed(beta1 * mean[i] + rest1 * gradient, least)
        square[i] = beta2 * square[i] + rest2 * gradient * gradient
        # the division comes first, since the product of rate and mean can be subnormal
        params[i] = flushed(
            shrink * params[i] - rate * (mean[i] / (sqrt(square[i]) / root + eps)),
            idle if grads[i] == 0 else least)


cdef inline real flushed(real x, real least) noexcept nogil:
    """Return x, or 0 if |x| < least: arithmetic with subnormal numbers can be 100 times slower.

    If a feature is always 0, a penalty shrinks its weights and their running means to subnormal
    numbers. There they would stay, since β times the smallest subnormal number rounds to itself.
    Running means of squares need no such limit: the root of a subnormal number is a normal number.
    """
    return 0 if -least < x and x < least else x


cdef inline void lion(
    const Optimizer *optimizer, double learning_rate, real *params, const real *grads, real *mean,
    Py_ssize_t n,
) noexcept nogil:
    """Θ ← (1 - ε λ) Θ - ε sign(β₁ m + (1 - β₁) g), then m ← β₂ m + (1 - β₂) g (Chen et al. 2023).

    A direction that is NaN makes the parameter NaN, so that divergence is noticed.
    """
    cdef real rate = learning_rate
    cdef real beta1 = optimizer.beta1
    cdef real rest1 = 1 - optimizer.beta1
    cdef real beta2 = optimizer.beta2
    cdef real rest2 = 1 - optimizer.beta2
    cdef real shrink = 1 - learning_rate * optimizer.weight_decay
    cdef real least = FLT_MIN if real is float else DBL_MIN
    cdef real direction
    cdef Py_ssize_t i
    for i in range(n):
        direction = beta1 * mean[i] + rest1 * grads[i]
        direction = 1 if direction > 0 else (-1 if direction < 0 else direction)
        params[i] = flushed(shrink * params[i] - rate * direction, least)
        mean[i] = flushed(beta2 * mean[i] + rest2 * grads[i], least)


cdef inline void rmsprop(
    const Optimizer *optimizer, double learning_rate, real *params, const real *grads, real *square,
    real *velocity, real *mean, Py_ssize_t n, bint moving, bint centered,
) noexcept nogil:
    """Θ ← Θ - ε u with u = g / (√v + eps), or u ← μ u + g / (√v + eps) with momentum.

    v is a running mean of g²; if centered, minus the square of a running mean of g (Graves 2013).
    """
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
            variance = 0 if variance < 0 else variance  # < 0 by rounding
        gradient /= sqrt(variance) + eps
        if moving:
            velocity[i] = momentum * velocity[i] + gradient
            gradient = velocity[i]
        params[i] -= rate * gradient
