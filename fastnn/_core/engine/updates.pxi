# The penalty on weights, and the optimizer's step, once a gradient is complete.

cdef enum:  # what an update takes, beside the gradient
    LEARNING_RATE
    WEIGHT_DECAY
    DROPOUT_FACTOR
    N_NUMBERS


cdef void update_params(
    const Optimizer *optimizer, double rate, real *params, const real *grads, real *state,
    Py_ssize_t n, const Segment *segments, Py_ssize_t n_segments, Py_ssize_t step, int n_threads,
) noexcept nogil:
    """One step on the segments, whose gradient is clipped by its norm."""
    update_clipped(optimizer, rate, clipping_of(optimizer, grads, segments, n_segments), params,
                   grads, state, n, segments, n_segments, step, n_threads)


cdef Clipping clipping_of(
    const Optimizer *optimizer, const real *grads, const Segment *segments, Py_ssize_t n_segments,
) noexcept nogil:
    """Call `clipping`, which is inlined here only, so that its code exists once."""
    return clipping(optimizer, grads, segments, n_segments)


cdef void update_clipped(
    const Optimizer *optimizer, double rate, Clipping clip, real *params, const real *grads,
    real *state, Py_ssize_t n, const Segment *segments, Py_ssize_t n_segments, Py_ssize_t step,
    int n_threads,
) noexcept nogil:
    """Call `update`, which is inlined here only, so that its code exists once."""
    update(optimizer, rate, clip, params, grads, state, n, segments, n_segments, step, n_threads)


cdef double penalize_weights(
    Plan plan, double strength, const real *params, real *grads, Py_ssize_t start,
) noexcept nogil:
    """Return strength/2 Σ w² over all weights, without biases; add its gradient to `grads`.

    The gradient of the operations before `start` is not added.
    """
    cdef double total = 0
    cdef real zero = 0
    cdef real squares
    cdef real factor = <real>strength
    cdef Operation *operation
    cdef Py_ssize_t k, i, n
    cdef const real *weight
    cdef real *gradient
    for k in range(plan.n_operations):
        operation = &plan.operations[k]
        if operation.kind == DENSE:
            weight = params + operation.weight
            gradient = grads + operation.weight
            n = operation.n_in * operation.n_out
            dot(1, 1, n, weight, n, weight, n, 0, &zero, 0, &squares, 1, False, NULL)
            if FLT_MIN <= squares <= FLT_MAX:
                total += squares
            else:  # too large or small for float32
                total += sum_of_squares(weight, n)
            for i in range(n if k >= start else 0):
                gradient[i] += factor * weight[i]
    return 0.5 * strength * total
