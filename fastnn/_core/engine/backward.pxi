# The backward pass: the chain rule from the last operation to the first, one cotangent per row.

cdef void times_slope(
    const Operation *operation, const real *x, const real *activations, const real *dy, real *dx,
    Py_ssize_t rows,
) noexcept nogil:
    """dx = σ'(x) dy for an activation, or the ReLU after a linear layer; dx may be dy."""
    cdef const real *kept = activations + operation.kept * rows
    cdef const real *y = activations + operation.output * rows
    cdef Py_ssize_t n = rows * operation.n_out
    if operation.kind == DENSE:
        times_activation_slope(RELU, <real>0, y, kept, dy, dx, n)
    elif operation.kind == COSINE:
        cosine_pass(operation, hidden(1), x, dy, <const real *>NULL, dx, rows)
    else:
        times_activation_slope(operation.kind, <real>operation.alpha, x, kept, dy, dx, n)


cdef void backward_pass(
    Plan plan, const real *params, const real *constants,
    const real *x, const real *activations, Py_ssize_t rows,
    real *cotangent, real *spare, real *grads, bint accumulate, real *dx,
    const int8_t *frozen, char *scratch, int n_threads, const Batch *batch,
) noexcept nogil:
    """Call `backward_to` with the first operation."""
    backward_to(plan, hidden(0), params, constants, x, activations, rows, cotangent, spare,
                spare + plan.max_width * rows, grads, accumulate, dx, frozen, scratch, n_threads,
                batch)


cdef void backward_to(
    Plan plan, Py_ssize_t start, const real *params, const real *constants,
    const real *x, const real *activations, Py_ssize_t rows,
    real *cotangent, real *spare, real *slots, real *grads, bint accumulate, real *dx,
    const int8_t *frozen, char *scratch, int n_threads, const Batch *batch,
) noexcept nogil:
    """Compute the gradient by the parameters and by the input from the output's cotangent.

    `activations` come from `forward_pass` and include the last output. `cotangent` contains the
    cotangent of the output on entry; `cotangent`, `spare` (rows * max_width each) and `slots`
    (rows * slots_width) are overwritten. `grads` may be NULL; otherwise it is overwritten, or with
    `accumulate` added to, except for the operations that are `frozen` (NULL: none). `dx`
    (rows, n_in), the cotangent of the input of the operation `start`, is overwritten;
    if it is NULL, the pass ends at the lowest operation that is trained. `batch` is that of
    `forward_pass`.
    """
    cdef Operation *operation
    cdef const real *op_x
    cdef const real *op_y
    cdef const real *kept
    cdef bint gated = False  # the last product already applied the derivative of this ReLU
    cdef Py_ssize_t lowest = max(start, plan.lowest_trained(frozen)) if dx == NULL else start
    cdef bint learns, wanted
    cdef Py_ssize_t i
    for i in range(plan.n_operations - 1, lowest - 1, -1):
        operation = &plan.operations[i]
        if is_border(operation.kind):
            border_backward(plan, operation, cotangent, slots, rows)
            gated = False
            continue
        learns = grads != NULL and not (frozen != NULL and frozen[i])
        wanted = dx != NULL or (i > lowest and operation.params_below)
        op_x = input_of(operation, x, activations, rows)
        op_y = activations + operation.output * rows
        kept = activations + operation.kept * rows
        if operation.kind == DENSE:
            if operation.relu and not gated:
                activation_backward(RELU, 0, op_y, op_y, cotangent, cotangent,
                                    rows * operation.n_out)
            if learns:
                dense_backward_params(
                    op_x, cotangent, grads + operation.weight,
                    grads + operation.bias if operation.bias >= 0 else <real *>NULL,
                    accumulate, rows, operation.n_in, operation.n_out, scratch, n_threads)
            if wanted:
                gated = i > 0 and plan.operations[i - 1].relu
                dense_backward_input(
                    cotangent, params + operation.weight, op_x if gated else <const real *>NULL,
                    spare, rows, operation.n_in, operation.n_out, scratch, n_threads)
                cotangent, spare = spare, cotangent
        elif embeds(operation.kind):
            if learns:
                embedding_backward_params(operation, op_x, cotangent, grads, accumulate, rows,
                                          scratch, n_threads)
            if wanted:
                pull_embedding(operation, params, cotangent, hidden(0), spare, rows, scratch,
                               n_threads)
                cotangent, spare = spare, cotangent
        elif operation.kind == ENCODE:
            if wanted:
                times_encoding(operation, constants, op_x, rows, <Py_ssize_t>1,
                               block_of(cotangent, operation.n_out), True, spare)
                cotangent, spare = spare, cotangent
        elif is_fixed_scaling(operation.kind):
            times_fixed_scale(operation, constants, cotangent, cotangent, rows)
        elif operation.kind == SOFTMAX:
            softmax_backward(op_y, cotangent, cotangent, rows, operation.n_in)
        elif operation.kind == LOG_SOFTMAX:
            log_softmax_backward(kept, cotangent, cotangent, rows, operation.n_in)
        elif has_symmetric_jacobian(operation.kind):
            if operation.kind == SCALE and learns:
                scale_backward_params(operation, op_x, cotangent, grads, accumulate, rows)
            if batch != NULL and differs_in_training(operation.kind):
                training_backward(operation, activations, rows, cotangent, batch.others)
            elif wanted:
                times_symmetric(operation, params, activations, rows, <Py_ssize_t>1,
                                block_of(cotangent, operation.n_out), cotangent)
        else:
            if is_parametric(operation.kind) and learns:
                scale_backward_params(operation, kept + rows * operation.n_out, cotangent, grads,
                                      accumulate, rows)
            times_slope(operation, op_x, activations, cotangent, cotangent, rows)
        if operation.kind != DENSE:
            gated = False
    if dx != NULL:
        memcpy(dx, cotangent, rows * plan.operations[start].n_in * sizeof(real))


cdef double loss_of_outputs(
    const Loss *loss, const real *y_pred, Targets targets, Py_ssize_t rows, Py_ssize_t n_out,
    double scale, real *cotangent,
) noexcept nogil:
    """Return `loss_and_cotangent`, whose inlined code exists once thanks to this function."""
    return loss_and_cotangent(loss, y_pred, targets, rows, n_out, scale, cotangent)


cdef double chunk_gradient(
    Plan plan, const real *params, const real *constants,
    const real *x, Targets targets, Py_ssize_t rows, const Loss *loss, double scale,
    real *grads, bint accumulate, const int8_t *frozen, real *workspace, char *scratch,
    int n_threads, const Batch *batch,
) noexcept nogil:
    """Forward, loss and backward for some rows of a minibatch.

    Return the weighted sum of the losses. Overwrite `grads` with `scale` times the gradient of that
    sum, or with `accumulate` add it, except for the operations that are `frozen` (NULL: none).
    `workspace` has rows * plan.gradient_width() elements. `batch` is NULL in evaluation mode.
    """
    cdef real *cotangent = workspace + plan.row_width * rows
    cdef real *y_pred = cotangent - plan.n_out * rows  # the last of the activations
    cdef double total
    forward_pass(plan, params, constants, x, workspace, y_pred, rows, scratch, n_threads,
                 batch, True)
    total = loss_of_outputs(loss, y_pred, targets, rows, plan.n_out, scale, cotangent)
    backward_pass(plan, params, constants, x, workspace, rows, cotangent,
                  cotangent + plan.max_width * rows, grads, accumulate, <real *>NULL,
                  frozen, scratch, n_threads, batch)
    return total
