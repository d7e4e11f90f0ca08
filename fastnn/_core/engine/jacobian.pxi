# Jacobians: a block of rows or columns passes through the network, for a chunk of samples.
#
# a) Reverse accumulation starts at the outputs with one row per output, and does with each row what
#    `backward_pass` does with the cotangent. Forward accumulation starts at the inputs with one
#    tangent per input.
# b) A block starts as the identity. The first linear layer replaces it by the layer's weight, which
#    all samples share (a block of stride 0), without a product. The block stays shared until the
#    Jacobian of a layer depends on the sample.
# c) Softmax after the last linear layer mixes the rows. It is applied from the left, to the rows at
#    the input of that layer. Its own Jacobian (n_out, n_out) is formed only in the Jacobian by the
#    parameters, where it is a part of the result.
#
# The sizes of `blocks`, `slopes`, `at_linear` and `at_borders` are those of `Chunk`.

cdef enum:
    ROWS_BYTES = 64 * 1024


cdef void slopes_of(
    const Operation *operation, const real *x, const real *activations, real *slopes,
    Py_ssize_t samples,
) noexcept nogil:
    """Overwrite `slopes` with σ' of an activation, or of the ReLU after a linear layer."""
    cdef Py_ssize_t n = samples * operation.n_out
    cdef Py_ssize_t i
    for i in range(n):
        slopes[i] = 1
    times_slope(operation, x, activations, slopes, slopes, samples)


cdef Block pull_back(
    Plan plan, const real *params, const real *constants, const real *x, const real *activations,
    Py_ssize_t samples, Py_ssize_t r, Py_ssize_t top, Py_ssize_t lowest, Block block,
    real *blocks, real *slopes, real *dx, Block *at_linear, Block *at_borders, char *scratch,
    int n_threads,
) noexcept nogil:
    """Return the cotangents of the network's input, given those of the output of operation `top`.

    A product by the first operation is written to `dx` (samples, r, n_in), which the result then
    refers to. If `at_linear` is not NULL, it receives the cotangents of z = W a + b of each layer
    with parameters, and the pass ends at the operation `lowest`. `at_borders` is overwritten.
    """
    cdef const Operation *operation
    cdef const real *op_x
    cdef const real *op_y
    cdef const real *kept
    cdef real *here
    cdef real *below
    cdef Py_ssize_t i, n_out, shared_samples
    cdef bint sparse, logarithm, wanted
    for i in range(top, -1, -1):
        operation = &plan.operations[i]
        n_out = operation.n_out
        wanted = at_linear == NULL or operation.params_below
        if is_border(operation.kind):
            if block.rows == NULL:
                identity_block(blocks + operation.output * samples * r, n_out)
                block = block_of(blocks + operation.output * samples * r, 0)
            wanted = at_linear == NULL or plan.operations[operation.fork].params_below
            block = border_pull(plan, operation, block, at_borders, blocks, dx, samples, r, wanted)
            continue
        op_x = input_of(operation, x, activations, samples)
        op_y = activations + operation.output * samples
        kept = activations + operation.kept * samples
        here = blocks + operation.output * samples * r
        below = blocks + operation.input * samples * r if operation.input >= 0 else dx
        if block.rows == NULL:
            if operation.kind == DENSE and not operation.relu and at_linear == NULL:
                block = block_of(params + operation.weight, 0)
                continue
            identity_block(here, n_out)
            block = block_of(here, 0)
        sparse = (operation.kind == DENSE and operation.relu
                  and active_pays(n_out, operation.n_in, sizeof(real)))
        if operation.kind == DENSE and operation.relu and (at_linear != NULL or not sparse):
            slopes_of(operation, op_x, activations, slopes, samples)
            times_diagonal(<const real *>block.rows, block.stride, slopes, here, samples, r, n_out)
            block = block_of(here, r * n_out)
        if at_linear != NULL:
            at_linear[i] = block
            if i == lowest:
                break
            if not wanted:
                continue
        shared_samples = 1 if block.stride == 0 else samples
        if sparse:
            times_active(<const real *>block.rows, block.stride, op_y, params + operation.weight,
                         below, samples, r, n_out, operation.n_in, <int32_t *>slopes)
            block = block_of(below, r * operation.n_in)
        elif operation.kind == DENSE:
            linear_pull(operation, params, <const real *>block.rows, False, below,
                        shared_samples * r, scratch, n_threads)
            block = block_of(below, 0 if block.stride == 0 else r * operation.n_in)
        elif is_fixed_scaling(operation.kind):
            times_fixed_scale(operation, constants, <const real *>block.rows, below,
                              shared_samples * r)
            block = block_of(below, 0 if block.stride == 0 else r * n_out)
        elif has_symmetric_jacobian(operation.kind):
            block = times_symmetric(operation, params, activations, samples, r, block, below)
        elif operation.kind == SOFTMAX or operation.kind == LOG_SOFTMAX:
            logarithm = operation.kind == LOG_SOFTMAX
            times_softmax(<const real *>block.rows, block.stride, kept if logarithm else op_y,
                          logarithm, below, samples, r, n_out)
            block = block_of(below, r * n_out)
        else:
            slopes_of(operation, op_x, activations, slopes, samples)
            times_diagonal(<const real *>block.rows, block.stride, slopes, below, samples, r, n_out)
            block = block_of(below, r * n_out)
    return block


cdef Py_ssize_t last_linear(Plan plan) noexcept nogil:
    """Return the last linear layer if all later operations can act from the left; else -1."""
    cdef Py_ssize_t i = plan.n_operations - 1
    while i >= 0 and plan.operations[i].kind != DENSE:
        if plan.operations[i].kind == NORMALIZE or is_border(plan.operations[i].kind):
            return -1
        i -= 1
    return i


cdef Block below_last_linear(
    Plan plan, Py_ssize_t last, const real *params, const real *constants,
    const real *x, const real *activations, Py_ssize_t samples,
    real *blocks, real *slopes, real *dx,
) noexcept nogil:
    """Return the Jacobian of the outputs by the input of the last linear layer.

    It is the layer's weight with the Jacobians of the later operations applied from the left, which
    needs no product.
    """
    cdef const Operation *operation = &plan.operations[last]
    cdef const real *weight = params + operation.weight
    cdef Py_ssize_t r = operation.n_out
    cdef Py_ssize_t width = operation.n_in
    cdef real *block = blocks + operation.input * samples * r if operation.input >= 0 else dx
    cdef real *row = slopes + samples * plan.max_width
    cdef const real *op_x
    cdef const real *op_y
    cdef Py_ssize_t i, j, s
    if last == plan.n_operations - 1 and not operation.relu:
        return block_of(weight, 0)
    copy_blocks(weight, 0, block, samples, r * width)
    for i in range(last if operation.relu else last + 1, plan.n_operations):
        operation = &plan.operations[i]
        op_x = input_of(operation, x, activations, samples)
        op_y = activations + operation.output * samples
        if operation.kind == SOFTMAX:
            softmax_times(op_y, block, row, samples, r, width)
        elif operation.kind == LOG_SOFTMAX:
            log_softmax_times(activations + operation.kept * samples, block, row, samples, r, width)
        else:
            if operation.kind == STANDARDIZE:
                for s in range(samples):
                    for j in range(r):
                        slopes[s * r + j] = 1 / constants[operation.scale + j]
            elif operation.kind == UNSTANDARDIZE:
                copy_blocks(constants + operation.scale, 0, slopes, samples, r)
            elif operation.kind == SCALE:
                copy_blocks(params + operation.weight, 0, slopes, samples, r)
            elif operation.kind == BATCH_NORMALIZE:
                copy_blocks(activations + operation.kept * samples, 0, slopes, samples, r)
            elif operation.kind == DROPOUT:
                continue
            else:
                slopes_of(operation, op_x, activations, slopes, samples)
            diagonal_times(slopes, block, samples, r, width)
    return block_of(block, r * width)


cdef Block push_forward(
    Plan plan, const real *params, const real *constants, const real *x, const real *activations,
    Py_ssize_t samples, real *blocks, real *slopes, Block *at_borders, char *scratch,
    int n_threads,
) noexcept nogil:
    """Return the transposed Jacobian by the input: a block of n_in tangents (n_out,)."""
    cdef const Operation *operation
    cdef const real *op_x
    cdef const real *op_y
    cdef real *here
    cdef Block block = identity()
    cdef Py_ssize_t r = plan.n_in
    cdef Py_ssize_t i, n_out, shared_samples
    for i in range(plan.n_operations):
        operation = &plan.operations[i]
        n_out = operation.n_out
        if is_border(operation.kind):
            block = border_push(plan, i, block, at_borders, blocks, samples, r)
            continue
        op_x = input_of(operation, x, activations, samples)
        op_y = activations + operation.output * samples
        here = blocks + operation.output * samples * r
        if block.rows == NULL:
            if operation.kind == DENSE:
                transpose_blocks(params + operation.weight, 0, here, 1, n_out, r)
            else:
                identity_block(here, r)
            block = block_of(here, 0)
        elif operation.kind == DENSE:
            linear_tangent(operation, params, <const real *>NULL, <const real *>NULL,
                           <const real *>block.rows, here,
                           (1 if block.stride == 0 else samples) * r, scratch, n_threads)
            block = block_of(here, 0 if block.stride == 0 else r * n_out)
        shared_samples = 1 if block.stride == 0 else samples
        if is_fixed_scaling(operation.kind):
            times_fixed_scale(operation, constants, <const real *>block.rows, here,
                              shared_samples * r)
            block = block_of(here, 0 if block.stride == 0 else r * n_out)
        elif has_symmetric_jacobian(operation.kind):
            block = times_symmetric(operation, params, activations, samples, r, block, here)
        elif operation.kind == SOFTMAX:  # symmetric
            times_softmax(<const real *>block.rows, block.stride, op_y, False, here,
                          samples, r, n_out)
            block = block_of(here, r * n_out)
        elif operation.kind == LOG_SOFTMAX:
            push_log_softmax(<const real *>block.rows, block.stride,
                             activations + operation.kept * samples, here, samples, r, n_out)
            block = block_of(here, r * n_out)
        elif operation.kind != DENSE or operation.relu:
            slopes_of(operation, op_x, activations, slopes, samples)
            times_diagonal(<const real *>block.rows, block.stride, slopes, here,
                           samples, r, n_out)
            block = block_of(here, r * n_out)
    return block


cdef bint forward_is_cheaper(Plan plan) noexcept nogil:
    """Return whether tangents of all inputs need fewer products than cotangents of all outputs.

    The first linear layer of either pass costs nothing.
    """
    cdef Py_ssize_t total = 0
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t last = 0
    cdef Py_ssize_t i
    for i in range(plan.n_operations):
        if plan.operations[i].kind == DENSE:
            last = plan.operations[i].n_in * plan.operations[i].n_out
            if total == 0:
                first = last
            total += last
    return plan.n_in * (total - first) < plan.n_out * (total - last)


cdef void input_jacobian(
    Plan plan, const real *params, const real *constants, const real *x, const real *activations,
    Py_ssize_t samples, real *jacobian, real *blocks, real *slopes, Block *at_borders,
    char *scratch, int n_threads,
) noexcept nogil:
    """Overwrite `jacobian` (samples, n_out, n_in)."""
    cdef Py_ssize_t size = plan.n_out * plan.n_in
    cdef Py_ssize_t last = last_linear(plan)
    cdef Block block = identity()
    if forward_is_cheaper(plan):
        block = push_forward(plan, params, constants, x, activations, samples, blocks, slopes,
                             at_borders, scratch, n_threads)
        transpose_blocks(<const real *>block.rows, block.stride, jacobian,
                         samples, plan.n_in, plan.n_out)
        return
    if last >= 0:
        block = below_last_linear(plan, last, params, constants, x, activations, samples,
                                  blocks, slopes, jacobian)
    else:
        last = plan.n_operations
    block = pull_back(plan, params, constants, x, activations, samples, plan.n_out, last - 1, 0,
                      block, blocks, slopes, jacobian, NULL, at_borders, scratch, n_threads)
    if block.stride == 0 or block.rows != jacobian:
        copy_blocks(<const real *>block.rows, block.stride, jacobian, samples, size)


cdef void cotangents_at_linear(
    Plan plan, const real *params, const real *constants, const real *x, const real *activations,
    Py_ssize_t samples, real *blocks, real *slopes, Block *at_linear, Block *at_borders,
    char *scratch, int n_threads,
) noexcept nogil:
    """Set `at_linear` to the Jacobian by z = W a + b of each layer with parameters."""
    cdef Py_ssize_t r = plan.n_out
    cdef Py_ssize_t last = max(last_linear(plan), plan.first_trainable)
    cdef Block block
    if plan.n_params == 0:
        return
    pull_back(plan, params, constants, x, activations, samples, r, plan.n_operations - 1, last,
              identity(), blocks, slopes, <real *>NULL, at_linear, at_borders, scratch, n_threads)
    if last > plan.first_trainable:
        block = below_last_linear(plan, last, params, constants, x, activations, samples,
                                  blocks, slopes, <real *>NULL)
        pull_back(plan, params, constants, x, activations, samples, r, last - 1,
                  plan.first_trainable, block, blocks, slopes, <real *>NULL, at_linear, at_borders,
                  scratch, n_threads)


cdef void params_rows(
    Plan plan, const real *x, const real *activations, Py_ssize_t samples, Py_ssize_t r,
    const Block *at_linear, real *jacobian,
) noexcept nogil:
    """Overwrite `jacobian` (samples, r, n_params) from the cotangents in `at_linear`.

    A few samples at a time are written, so that their rows stay in cache until all layers are done:
    a cache line that two layers share is then written to memory once.
    """
    cdef const Operation *operation
    cdef const real *op_x
    cdef const real *block
    cdef Py_ssize_t sample_bytes = r * (plan.n_params + 1) * <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t most = max(<Py_ssize_t>1, ROWS_BYTES // sample_bytes)
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t i
    while first < samples:
        for i in range(plan.n_operations):
            operation = &plan.operations[i]
            if not has_params(operation.kind):
                continue
            op_x = input_of(operation, x, activations, samples)
            if is_parametric(operation.kind):
                op_x = activations + (operation.kept + operation.n_out) * samples
            block = <const real *>at_linear[i].rows + first * at_linear[i].stride
            if operation.kind != DENSE:
                scale_params_rows(
                    operation, block, at_linear[i].stride, op_x + first * operation.n_in,
                    jacobian + first * r * plan.n_params, min(most, samples - first), r,
                    plan.n_params)
            else:
                linear_params_rows(
                    block, at_linear[i].stride, op_x + first * operation.n_in, operation.bias >= 0,
                    jacobian + first * r * plan.n_params + operation.weight,
                    min(most, samples - first), r, operation.n_in, operation.n_out, plan.n_params)
        first += most
