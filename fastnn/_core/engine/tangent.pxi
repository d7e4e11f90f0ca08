# Derivatives along a direction: the tangent of the outputs, and of the gradient.
#
# The tangent of a quantity is its derivative along a direction of the input or of the parameters.
# `tangent_pass` computes the tangents of all outputs, layer by layer. `backward_tangent_pass` then
# computes the Hessian times the direction (Pearlmutter 1994): for each layer the tangent of the
# cotangent, which is the step of `backward_pass` plus a term for the layer's own curvature.
#
# `product` is a function that is called, not inline as in the training passes: inlined, its many
# uses were a tenth of the engine's code. `hidden` keeps the compiler from copying it for each set
# of constants.

cdef void product(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const real *a, Py_ssize_t a_row, Py_ssize_t a_col,
    const real *b, Py_ssize_t b_row, Py_ssize_t b_col, const real *start, Py_ssize_t start_row,
    real *c, Py_ssize_t c_row, char *scratch, int n_threads,
) noexcept nogil:
    """c = a b + start; see gemm."""
    gemm(m, n, k, a, a_row, a_col, b, b_row, b_col, start, start_row, c, c_row, False,
         <const real *>NULL, scratch, n_threads)


cdef void linear_tangent(
    const Operation *operation, const real *params, const real *direction, const real *x,
    const real *x_tangent, real *y_tangent, Py_ssize_t rows, char *scratch, int n_threads,
) noexcept nogil:
    """ẏ = ẋ Wᵀ + x Ẇᵀ + ḃ of a linear layer, an embedding, or SCALE with diag(w); overwrites ẏ.

    The direction or ẋ, but not both, may be NULL, which means zero.
    """
    cdef const real *weight = params + operation.weight
    cdef const real *bias = NULL
    cdef real *start = NULL
    cdef Py_ssize_t n_in = operation.n_in
    cdef Py_ssize_t n_out = operation.n_out
    if embeds(operation.kind):
        pass_on(operation, x_tangent, y_tangent, rows, hidden(0))
        if direction != NULL:
            embed(operation, direction, x, hidden(1), hidden(0), y_tangent, rows, scratch,
                  n_threads)
        if x_tangent != NULL:
            embed(operation, params, x_tangent, hidden(0), direction != NULL, y_tangent, rows,
                  scratch, n_threads)
        return
    if direction != NULL:
        start = y_tangent
        if operation.bias >= 0:
            bias = direction + operation.bias
        if operation.kind == SCALE:
            scale_and_shift(x, direction + operation.weight, bias, y_tangent, rows, n_out)
        else:
            product(rows, n_out, n_in, x, n_in, hidden(1), direction + operation.weight,
                    hidden(1), n_in, bias, <Py_ssize_t>0, y_tangent, n_out, scratch, n_threads)
    if x_tangent == NULL:
        return
    if operation.kind == SCALE:
        scale_rows(weight, x_tangent, start != NULL, y_tangent, rows, n_out)
    else:
        product(rows, n_out, n_in, x_tangent, n_in, hidden(1), weight, hidden(1), n_in,
                start, n_out, y_tangent, n_out, scratch, n_threads)


cdef void linear_pull(
    const Operation *operation, const real *params, const real *dy, bint accumulate, real *dx,
    Py_ssize_t rows, char *scratch, int n_threads,
) noexcept nogil:
    """dx = dy W, overwritten or with `accumulate` added."""
    cdef const real *weight = params + operation.weight
    if embeds(operation.kind):
        pull_embedding(operation, params, dy, accumulate, dx, rows, scratch, n_threads)
    elif operation.kind == SCALE:
        scale_rows(weight, dy, accumulate, dx, rows, operation.n_out)
    else:
        product(rows, operation.n_in, operation.n_out, dy, operation.n_out, hidden(1),
                weight, operation.n_in, hidden(1), dx if accumulate else <real *>NULL,
                operation.n_in, dx, operation.n_in, scratch, n_threads)


cdef void add_params_gradient(
    const Operation *operation, const real *x, const real *dy, bint with_bias, real *grads,
    bint accumulate, Py_ssize_t rows, char *scratch, int n_threads,
) noexcept nogil:
    """dW += dyᵀ x, and with `with_bias` db += Σ dy. Without `accumulate`, both start at zero."""
    cdef Py_ssize_t n_in = operation.n_in
    cdef Py_ssize_t n_out = operation.n_out
    cdef real *dweight = grads + operation.weight
    cdef Py_ssize_t first
    if not accumulate:
        first = 0 if operation.kind != DENSE else n_in * n_out  # the product overwrites dW
        memset(dweight + first, 0, (operation.n_own - first) * sizeof(real))
    if embeds(operation.kind):
        add_embedding_gradient(operation, x, dy, with_bias, grads, rows, scratch, n_threads)
        return
    if operation.kind == SCALE:
        add_products(x, dy, dweight, rows, n_out)
    else:
        product(n_out, n_in, rows, dy, hidden(1), n_out, x, n_in, hidden(1),
                dweight if accumulate else <real *>NULL, n_in, dweight, n_in, scratch, n_threads)
    if with_bias and operation.bias >= 0:
        add_rows(dy, grads + operation.bias, rows, n_out)


cdef bint tangent_pass(
    Plan plan, const real *params, const real *constants, const real *direction,
    const real *x, const real *x_tangent, const real *activations,
    real *tangents, real *out, Py_ssize_t rows, char *scratch, int n_threads,
) noexcept nogil:
    """Overwrite `tangents` with those of all activations, and `out` with those of the outputs.

    `direction` is the direction of the parameters, `x_tangent` (rows, n_in) that of the input; NULL
    means zero. If `x_tangent` is NULL, the tangents below the first linear layer are zero and not
    written. Return whether `out` was written; otherwise the outputs' tangents are zero.
    """
    cdef const Operation *operation
    cdef const real *op_x
    cdef const real *op_y
    cdef const real *tangent
    cdef real *y
    cdef Py_ssize_t i
    for i in range(plan.n_operations):
        operation = &plan.operations[i]
        if operation.kind == FORK or operation.kind == BRANCH:
            continue
        op_x = input_of(operation, x, activations, rows)
        tangent = x_tangent
        if x_tangent != NULL or operation.params_below:
            tangent = input_of(operation, x_tangent, tangents, rows)
        op_y = activations + operation.output * rows
        y = out if i == plan.n_operations - 1 else tangents + operation.output * rows
        if is_parametric(operation.kind):
            parametric_tangent(operation, direction, tangent, activations, y, rows)
        elif has_params(operation.kind):
            linear_tangent(operation, params, direction, op_x, tangent, y, rows, scratch,
                           n_threads)
            if operation.relu:
                times_slope(operation, op_x, activations, y, y, rows)
        elif operation.kind == JOIN:
            join_tangent(plan, operation, x_tangent, tangents, y, rows)
        elif tangent == NULL:
            continue
        elif has_symmetric_jacobian(operation.kind):
            times_symmetric(operation, params, activations, rows, <Py_ssize_t>1,
                            block_of(tangent, operation.n_out), y)
        elif operation.kind == ENCODE:
            times_encoding(operation, constants, op_x, rows, <Py_ssize_t>1,
                           block_of(tangent, operation.n_in), False, y)
        elif is_fixed_scaling(operation.kind):
            times_fixed_scale(operation, constants, tangent, y, rows)
        elif operation.kind == SOFTMAX:
            softmax_backward(op_y, tangent, y, rows, operation.n_in)
        elif operation.kind == LOG_SOFTMAX:
            log_softmax_tangent(
                activations + operation.kept * rows, tangent, y, rows, operation.n_in)
        else:
            times_slope(operation, op_x, activations, tangent, y, rows)
    return x_tangent != NULL or plan.params_below_tip


cdef void backward_tangent_pass(
    Plan plan, const real *params, const real *constants, const real *direction,
    const real *x, const real *activations, const real *tangents, Py_ssize_t rows,
    real *cotangent, real *spare, real *cotangent_tangent, real *spare_tangent,
    real *out, bint accumulate, char *scratch, int n_threads,
) noexcept nogil:
    """Overwrite `out` (n_params,) with the Hessian times `direction`, or with `accumulate` add it.

    The arguments are those of `backward_pass`, each with its tangent. All four buffers, of
    rows * max_width each, and twice the slots after the last, are overwritten.
    """
    cdef const Operation *operation
    cdef const real *op_x
    cdef const real *op_y
    cdef const real *x_tangent
    cdef const real *y_tangent
    cdef const real *kept
    cdef Block block
    cdef Py_ssize_t i, j, row
    cdef real *slots = spare_tangent + plan.max_width * rows
    for i in range(plan.n_operations - 1, plan.first_trainable - 1, -1):
        operation = &plan.operations[i]
        if is_border(operation.kind):
            border_backward(plan, operation, cotangent, slots, rows)
            border_backward(plan, operation, cotangent_tangent, slots + plan.slots_width * rows,
                            rows)
            continue
        if not operation.params_below and not has_params(operation.kind):
            continue
        op_x = input_of(operation, x, activations, rows)
        op_y = activations + operation.output * rows
        x_tangent = NULL
        if operation.params_below:
            x_tangent = input_of(operation, x, tangents, rows)
        y_tangent = tangents + operation.output * rows
        kept = activations + operation.kept * rows
        if is_parametric(operation.kind):
            if not accumulate:
                memset(out + operation.weight, 0, operation.n_own * sizeof(real))
            parametric_backward_tangent(
                operation, params + operation.weight, direction + operation.weight, op_x, x_tangent,
                kept, cotangent, cotangent_tangent, out + operation.weight, spare, spare_tangent,
                rows)
        elif has_params(operation.kind):
            if operation.relu:
                times_slope(operation, op_x, activations, cotangent, cotangent, rows)
                times_slope(operation, op_x, activations, cotangent_tangent, cotangent_tangent,
                            rows)
            add_params_gradient(operation, op_x, cotangent_tangent, True, out, accumulate, rows,
                                scratch, n_threads)
            if not operation.params_below:
                continue
            add_params_gradient(operation, x_tangent, cotangent, False, out, True, rows, scratch,
                                n_threads)
            linear_pull(operation, params, cotangent_tangent, False, spare_tangent, rows, scratch,
                        n_threads)
            linear_pull(operation, direction, cotangent, True, spare_tangent, rows, scratch,
                        n_threads)
            linear_pull(operation, params, cotangent, False, spare, rows, scratch, n_threads)
            cotangent, spare = spare, cotangent
            cotangent_tangent, spare_tangent = spare_tangent, cotangent_tangent
        elif has_symmetric_jacobian(operation.kind):
            block = block_of(<const real *>cotangent_tangent, operation.n_out)
            times_symmetric(operation, params, activations, rows, <Py_ssize_t>1, block,
                            cotangent_tangent)
            if operation.kind == NORMALIZE:
                for row in range(rows):
                    j = row * operation.n_out
                    add_normalize_curvature(
                        op_y + j, kept[row], x_tangent + j, y_tangent + j, cotangent + j,
                        cotangent_tangent + j, operation.n_out)
            block = block_of(<const real *>cotangent, operation.n_out)
            times_symmetric(operation, params, activations, rows, <Py_ssize_t>1, block, cotangent)
        elif operation.kind == SOFTMAX:
            softmax_backward(op_y, cotangent_tangent, cotangent_tangent, rows, operation.n_in)
            add_softmax_curvature(
                op_y, y_tangent, cotangent, cotangent_tangent, rows, operation.n_in)
            softmax_backward(op_y, cotangent, cotangent, rows, operation.n_in)
        elif operation.kind == LOG_SOFTMAX:
            log_softmax_backward(kept, cotangent_tangent, cotangent_tangent, rows, operation.n_in)
            add_log_softmax_curvature(
                kept, y_tangent, cotangent, cotangent_tangent, rows, operation.n_in)
            log_softmax_backward(kept, cotangent, cotangent, rows, operation.n_in)
        elif operation.kind == ENCODE:
            times_encoding(operation, constants, op_x, rows, <Py_ssize_t>1,
                           block_of(cotangent, operation.n_out), True, spare)
            times_encoding(operation, constants, op_x, rows, <Py_ssize_t>1,
                           block_of(cotangent_tangent, operation.n_out), True, spare_tangent)
            cotangent, spare = spare, cotangent
            cotangent_tangent, spare_tangent = spare_tangent, cotangent_tangent
        elif is_fixed_scaling(operation.kind):
            times_fixed_scale(operation, constants, cotangent, cotangent, rows)
            times_fixed_scale(operation, constants, cotangent_tangent, cotangent_tangent, rows)
        else:
            times_slope(operation, op_x, activations, cotangent_tangent, cotangent_tangent, rows)
            if operation.kind == COSINE:
                cosine_pass(operation, hidden(2), op_x, cotangent, x_tangent, cotangent_tangent,
                            rows)
            else:
                add_curvature(
                    operation.kind, <real>operation.alpha, op_x, x_tangent, cotangent,
                    cotangent_tangent, rows * operation.n_out)
            times_slope(operation, op_x, activations, cotangent, cotangent, rows)
