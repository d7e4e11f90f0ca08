"""Updates of the flat parameter vector, in PyTorch's formulas; one pass over memory each.

Weight decay is the L2 kind, added to the gradient. State arrays start as zeros, which makes the
first velocity equal to the first gradient, as PyTorch defines it.
"""

from cython.parallel cimport prange
from libc cimport math

from fastnn._core.kernels.dtypes cimport real, sqrt


cdef enum:
    THREAD_PARAMS = 100_000


cdef enum OptimizerKind:
    SGD
    ADAM


cdef struct Optimizer:
    int kind
    double learning_rate
    double weight_decay
    double momentum
    bint nesterov
    double beta1
    double beta2
    double eps


cdef inline Optimizer optimizer_from(dict rule) except *:
    """The C form of an optimizer's description; what its kind does not use is left out of it."""
    cdef Optimizer optimizer
    optimizer.kind = {"sgd": SGD, "adam": ADAM}[rule["kind"]]
    optimizer.learning_rate = rule["learning_rate"]
    optimizer.weight_decay = rule["weight_decay"]
    optimizer.momentum = rule.get("momentum", 0)
    optimizer.nesterov = rule.get("nesterov", False)
    optimizer.beta1 = rule.get("beta1", 0)
    optimizer.beta2 = rule.get("beta2", 0)
    optimizer.eps = rule.get("eps", 0)
    return optimizer


cdef inline void update(
    const Optimizer *optimizer, real *params, const real *grads, real *state, Py_ssize_t n,
    Py_ssize_t step, int n_threads,
) noexcept nogil:
    """One step in place. `state` is (n_states, n); `step` counts from 1.

    Threads share the parameters where those are so many that each has THREAD_PARAMS to update.
    """
    cdef Py_ssize_t parts = min(<Py_ssize_t>n_threads, n // THREAD_PARAMS)
    cdef Py_ssize_t share, first, part
    if parts <= 1:
        update_some(optimizer, params, grads, state, state + n, n, step)
    else:
        share = (n + parts - 1) // parts
        for part in prange(parts, num_threads=parts, schedule="static"):
            first = part * share
            update_some(optimizer, params + first, grads + first, state + first,
                        state + n + first, min(share, n - first), step)


cdef inline void update_some(
    const Optimizer *optimizer, real *params, const real *grads, real *state1, real *state2,
    Py_ssize_t n, Py_ssize_t step,
) noexcept nogil:
    if optimizer.kind == ADAM:
        adam(optimizer, params, grads, state1, state2, n, step)
    elif optimizer.momentum == 0:
        gradient_descent(optimizer, params, grads, n)
    else:
        sgd_with_momentum(optimizer, params, grads, state1, n)


cdef inline void gradient_descent(
    const Optimizer *optimizer, real *params, const real *grads, Py_ssize_t n,
) noexcept nogil:
    """Θ ← Θ - ε g."""
    cdef real rate = optimizer.learning_rate
    cdef real decay = optimizer.weight_decay
    cdef Py_ssize_t i
    for i in range(n):
        params[i] -= rate * (grads[i] + decay * params[i])


cdef inline void sgd_with_momentum(
    const Optimizer *optimizer, real *params, const real *grads, real *velocity, Py_ssize_t n,
) noexcept nogil:
    """v ← μ v + g, then Θ ← Θ - ε v, or Θ ← Θ - ε (g + μ v) with Nesterov's look-ahead."""
    cdef real rate = optimizer.learning_rate
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
    const Optimizer *optimizer, real *params, const real *grads, real *mean, real *square,
    Py_ssize_t n, Py_ssize_t step,
) noexcept nogil:
    """m and v are running means of g and g²; Θ ← Θ - ε m̂ / (√v̂ + eps), where the hats divide by
    1 - βᵗ to undo the start at zero (Kingma and Ba 2015)."""
    cdef double correction1 = 1 - math.pow(optimizer.beta1, step)
    cdef double correction2 = math.sqrt(1 - math.pow(optimizer.beta2, step))
    cdef real rate = optimizer.learning_rate / correction1
    cdef real beta1 = optimizer.beta1
    cdef real rest1 = 1 - optimizer.beta1
    cdef real beta2 = optimizer.beta2
    cdef real rest2 = 1 - optimizer.beta2
    cdef real root = correction2
    cdef real eps = optimizer.eps
    cdef real decay = optimizer.weight_decay
    cdef real gradient
    cdef Py_ssize_t i
    for i in range(n):
        gradient = grads[i] + decay * params[i]
        mean[i] = beta1 * mean[i] + rest1 * gradient
        square[i] = beta2 * square[i] + rest2 * gradient * gradient
        params[i] -= rate * mean[i] / (sqrt(square[i]) / root + eps)
