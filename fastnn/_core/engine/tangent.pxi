# Derivatives along a direction: the tangent of the outputs, and of the gradient.
#
# The tangent of a quantity is its derivative along a direction of the input or of the parameters.
# `tangent_pass` carries it forward through the layers. Carried back again through `backward_pass`,
# it becomes the Hessian times that direction (Pearlmutter 1994): each layer hands down the tangent
# of its cotangent, which is that of `backward_pass` plus a term for the layer's own curvature.

cdef bint tangent_pass(
    Plan plan, const real *params, const real *constants, const real *direction,
    const real *x, const real *x_tangent, const real *activations,
    real *tangents, real *out, Py_ssize_t rows, char *scratch, int n_threads,
) noexcept nogil:
    """The tangents of all activations, laid out as those; the last operation's go to `out`.

    `direction` is that of the parameters and `x_tangent` (rows, n_in) that of the input; one that
    is zero may be NULL. So may the tangents that they imply: those below the first linear layer
    are not written where `x_tangent` is NULL. Returns whether `out` was.
    """
    cdef const Operation *operation
    cdef const real *op_x
    cdef const real *op_y
    cdef const real *tangent = x_tangent
    cdef const real *bias
    cdef real *y
    cdef Py_ssize_t i, n
    for i in range(plan.n_operations):
        operation = &plan.operations[i]
        op_x = activations + plan.operations[i - 1].output * rows if i > 0 else x
        op_y = activations + operation.output * rows
        y = out if i == plan.n_operations - 1 else tangents + operation.output * rows
        n = rows * operation.n_out
        if operation.kind == DENSE:
            bias = NULL
            if direction != NULL and operation.bias >= 0:
                bias = direction + operation.bias
            dense_tangent(
                op_x, tangent, params + operation.weight,
                direction + operation.weight if direction != NULL else direction, bias, y,
                rows, operation.n_in, operation.n_out, scratch, n_threads)
            if operation.relu:
                activation_backward(RELU, 0, op_y, op_y, y, y, n)
        elif tangent == NULL:
            continue
        elif operation.kind == STANDARDIZE:
            standardize_backward(constants + operation.bias, tangent, y, rows, operation.n_in)
        elif operation.kind == SOFTMAX:
            softmax_backward(op_y, tangent, y, rows, operation.n_in)
        elif operation.kind == LOG_SOFTMAX:
            log_softmax_tangent(op_y, tangent, y, rows, operation.n_in)
        else:
            activation_backward(operation.kind, <real>operation.alpha, op_x, op_y, tangent, y, n)
        tangent = y
    return tangent != NULL


cdef void backward_tangent_pass(
    Plan plan, const real *params, const real *constants, const real *direction,
    const real *x, const real *activations, const real *tangents, Py_ssize_t rows,
    real *cotangent, real *spare, real *cotangent_tangent, real *spare_tangent,
    real *product, char *scratch, int n_threads,
) noexcept nogil:
    """Turn the output's cotangent and its tangent into the Hessian's product with `direction`.

    The arguments are those of `backward_pass`, each with its tangent; all four buffers, of
    rows * max_width each, are overwritten. The result is added to `product` (n_params,).
    """
    cdef const Operation *operation
    cdef const real *op_x
    cdef const real *op_y
    cdef const real *x_tangent
    cdef const real *y_tangent
    cdef real *dbias
    cdef Py_ssize_t i, n
    for i in range(plan.n_operations - 1, plan.first_trainable - 1, -1):
        operation = &plan.operations[i]
        op_x = activations + plan.operations[i - 1].output * rows if i > 0 else x
        op_y = activations + operation.output * rows
        x_tangent = tangents + plan.operations[i - 1].output * rows if i > 0 else NULL
        y_tangent = tangents + operation.output * rows
        n = rows * operation.n_out
        if operation.kind == DENSE:
            if operation.relu:
                activation_backward(RELU, 0, op_y, op_y, cotangent, cotangent, n)
                activation_backward(RELU, 0, op_y, op_y, cotangent_tangent, cotangent_tangent, n)
            dbias = product + operation.bias if operation.bias >= 0 else NULL
            dense_backward_params(
                op_x, cotangent_tangent, product + operation.weight, dbias, True,
                rows, operation.n_in, operation.n_out, scratch, n_threads)
            if i == plan.first_trainable:
                return
            dense_backward_params(
                x_tangent, cotangent, product + operation.weight, <real *>NULL, True,
                rows, operation.n_in, operation.n_out, scratch, n_threads)
            dense_backward_input(
                cotangent_tangent, params + operation.weight, <const real *>NULL, spare_tangent,
                rows, operation.n_in, operation.n_out, scratch, n_threads)
            dense_add_backward_input(
                cotangent, direction + operation.weight, spare_tangent,
                rows, operation.n_in, operation.n_out, scratch, n_threads)
            dense_backward_input(
                cotangent, params + operation.weight, <const real *>NULL, spare,
                rows, operation.n_in, operation.n_out, scratch, n_threads)
            cotangent, spare = spare, cotangent
            cotangent_tangent, spare_tangent = spare_tangent, cotangent_tangent
        elif operation.kind == SOFTMAX:
            softmax_backward(op_y, cotangent_tangent, cotangent_tangent, rows, operation.n_in)
            add_softmax_curvature(
                op_y, y_tangent, cotangent, cotangent_tangent, rows, operation.n_in)
            softmax_backward(op_y, cotangent, cotangent, rows, operation.n_in)
        elif operation.kind == LOG_SOFTMAX:
            log_softmax_backward(op_y, cotangent_tangent, cotangent_tangent, rows, operation.n_in)
            add_log_softmax_curvature(
                op_y, y_tangent, cotangent, cotangent_tangent, rows, operation.n_in)
            log_softmax_backward(op_y, cotangent, cotangent, rows, operation.n_in)
        elif operation.kind == STANDARDIZE:
            standardize_backward(constants + operation.bias, cotangent, cotangent,
                                 rows, operation.n_in)
            standardize_backward(constants + operation.bias, cotangent_tangent, cotangent_tangent,
                                 rows, operation.n_in)
        else:
            activation_backward(operation.kind, <real>operation.alpha, op_x, op_y,
                                cotangent_tangent, cotangent_tangent, n)
            add_activation_curvature(operation.kind, <real>operation.alpha, op_x, op_y, x_tangent,
                                     cotangent, cotangent_tangent, n)
            activation_backward(operation.kind, <real>operation.alpha, op_x, op_y,
                                cotangent, cotangent, n)
