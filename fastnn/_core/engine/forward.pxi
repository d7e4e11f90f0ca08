# The forward pass: each operation reads the previous one's output and writes its own.

cdef void forward_pass(
    Plan plan, const real *params, const real *constants,
    const real *x, real *activations, real *out, Py_ssize_t rows,
    char *scratch, int n_threads,
) noexcept nogil:
    """Run `rows` samples through the network.

    `activations` receives every operation's output, (rows, width) one after the other, but for the
    last one's, which goes to `out`.
    """
    cdef Operation *operation
    cdef real *y
    cdef Py_ssize_t i
    for i in range(plan.n_operations):
        operation = &plan.operations[i]
        y = out if i == plan.n_operations - 1 else activations + operation.output * rows
        if operation.kind == DENSE:
            dense_forward(
                x, params + operation.weight,
                params + operation.bias if operation.bias >= 0 else <const real *>NULL,
                operation.relu, y, rows, operation.n_in, operation.n_out, scratch, n_threads)
        elif operation.kind == STANDARDIZE:
            standardize_forward(
                x, constants + operation.weight, constants + operation.bias, y,
                rows, operation.n_in)
        elif operation.kind == SOFTMAX:
            softmax_forward(x, y, rows, operation.n_in)
        elif operation.kind == LOG_SOFTMAX:
            log_softmax_forward(x, y, rows, operation.n_in)
        elif operation.kind == SCALE:
            scale_forward(x, params + operation.weight, params + operation.bias, y,
                          rows, operation.n_in)
        elif operation.kind == NORMALIZE:
            normalize_forward(x, <real>operation.alpha, y, activations + operation.kept * rows,
                              rows, operation.n_in)
        else:
            activation_forward(
                operation.kind, <real>operation.alpha, x, y, rows * operation.n_in)
        x = y
