# Normalization, SCALE, fixed scalings and dropout in the passes.
#
# In evaluation mode the Jacobian of each is symmetric at a sample. So `times_symmetric` serves
# cotangents and tangents, for one row per sample and for blocks of rows. The functions are not
# inline: a call costs little in comparison, and the code exists once.

cdef void scale_and_shift(
    const real *x, const real *weight, const real *bias, real *y, Py_ssize_t rows, Py_ssize_t n,
) noexcept nogil:
    """y = w x + b, or w x if the bias is NULL; overwrites y."""
    if bias == NULL:
        scale_rows(weight, x, False, y, rows, n)
    else:
        scale_forward(x, weight, bias, y, rows, n)


cdef void normalization_forward(
    const Operation *operation, Py_ssize_t number, const real *constants, const real *x, real *y,
    real *kept, Py_ssize_t rows, const Batch *batch,
) noexcept nogil:
    """Overwrite y, and `kept` with the values that the derivatives need."""
    cdef Py_ssize_t n = operation.n_in
    cdef real *running
    if operation.kind == NORMALIZE:
        normalize_forward(x, <real>operation.eps, y, kept, rows, n)
    elif operation.kind == DROPOUT:
        if batch == NULL:
            memcpy(y, x, rows * n * sizeof(real))
        else:
            dropout_forward(x, operation.p * batch.dropout_factor, hashed(batch.key, number),
                            batch.first, batch.numbers, y, kept, rows, n)
    elif batch == NULL:
        running_normalize(x, constants + operation.mean, constants + operation.variance,
                          operation.eps, y, kept, rows, n)
    else:
        running = <real *>batch.running
        batch_normalize(x, operation.eps, operation.momentum, running + operation.mean,
                        running + operation.variance, y, kept, rows, n, batch.others)


cdef void training_backward(
    const Operation *operation, const real *activations, Py_ssize_t rows, real *cotangent,
    const Others *others,
) noexcept nogil:
    """Overwrite the cotangent of the output with that of the input, in training mode."""
    cdef const real *kept = activations + operation.kept * rows
    cdef const real *y = activations + operation.output * rows
    cdef Py_ssize_t i
    if operation.kind == BATCH_NORMALIZE:
        batch_normalize_backward(
            y, kept, cotangent, cotangent, rows, operation.n_out, others)
    else:
        for i in range(rows * operation.n_out):
            cotangent[i] *= kept[i]


cdef Block times_symmetric(
    const Operation *operation, const real *params, const real *activations, Py_ssize_t samples,
    Py_ssize_t r, Block block, real *out,
) noexcept nogil:
    """Return a block's rows (r, n) times the operation's Jacobian at each sample.

    The result overwrites `out`, which may be the memory of the block. A block that all samples
    share is shared in the result as well, unless the Jacobian depends on the sample.
    """
    cdef const real *rows = <const real *>block.rows
    cdef const real *kept = activations + operation.kept * samples
    cdef const real *y = activations + operation.output * samples
    cdef Py_ssize_t n = operation.n_out
    cdef Py_ssize_t stride = block.stride
    cdef Py_ssize_t s, k
    if operation.kind == SCALE:
        scale_rows(params + operation.weight, rows, False, out,
                   (1 if stride == 0 else samples) * r, n)
        return block_of(out, stride)
    if operation.kind == BATCH_NORMALIZE:
        scale_rows(kept, rows, False, out, (1 if stride == 0 else samples) * r, n)
        return block_of(out, stride)
    if operation.kind == DROPOUT:  # the identity
        copy_blocks(rows, stride, out, 1 if stride == 0 else samples, r * n)
        return block_of(out, stride)
    for s in range(samples - 1, -1, -1):
        for k in range(r):
            normalize_times(y + s * n, kept[s], rows + s * stride + k * n, out + (s * r + k) * n, n)
    return block_of(out, r * n)


cdef void times_fixed_scale(
    const Operation *operation, const real *constants, const real *rows, real *out,
    Py_ssize_t n_rows,
) noexcept nogil:
    """Overwrite `out` with rows times the Jacobian of STANDARDIZE or UNSTANDARDIZE.

    It is diagonal, and the same for all samples. `out` may be `rows`.
    """
    cdef const real *scale = constants + operation.scale
    if operation.kind == STANDARDIZE:
        standardize_backward(scale, rows, out, n_rows, operation.n_in)
    else:
        scale_rows(scale, rows, False, out, n_rows, operation.n_in)


cdef void scale_backward_params(
    const Operation *operation, const real *x, const real *dy, real *grads, bint accumulate,
    Py_ssize_t rows,
) noexcept nogil:
    """dw = Σ x dy and db = Σ dy, overwritten or with `accumulate` added."""
    if not accumulate:
        memset(grads + operation.weight, 0, operation.n_out * sizeof(real))
    add_products(x, dy, grads + operation.weight, rows, operation.n_out)
    if operation.bias < 0:
        return
    if not accumulate:
        memset(grads + operation.bias, 0, operation.n_out * sizeof(real))
    add_rows(dy, grads + operation.bias, rows, operation.n_out)


cdef void scale_params_rows(
    const Operation *operation, const real *block, Py_ssize_t stride, const real *x,
    real *jacobian, Py_ssize_t samples, Py_ssize_t r, Py_ssize_t n_params,
) noexcept nogil:
    """Write block (diag(x) | I) into the columns of the operation, in rows of `n_params`.

    Without a bias, there is no I.
    """
    cdef Py_ssize_t n = operation.n_out
    cdef Py_ssize_t s, k
    for s in range(samples):
        for k in range(r):
            scale_rows(x + s * n, block + s * stride + k * n, False,
                       jacobian + operation.weight, <Py_ssize_t>1, n)
            if operation.bias >= 0:
                memcpy(jacobian + operation.bias, block + s * stride + k * n, n * sizeof(real))
            jacobian += n_params
