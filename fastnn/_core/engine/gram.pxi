# The Gauss-Newton matrix Σ Jᵀ H_L J over the samples, without the Jacobian J.
#
# a) With a root Q of the loss's Hessian, QᵀQ = H_L, the matrix is a sum of (QJ)ᵀ(QJ). So reverse
#    accumulation starts from Q in place of the identity, and what it finds at the linear layers,
#    the cotangents C, holds H_L already.
# b) For one row a sample, the rows of QJ are written for a chunk and multiplied: (QJ)ᵀ (QJ).
# c) For r rows, a block of the matrix that belongs to weights W_ij of one layer and W_i'j' of
#    another is Σ_s (Σ_k C_ski C'_ski') a_sj a'_sj'. The inner sum is formed once for all j and j',
#    so that the large product has one row a sample where (QJ)ᵀ (QJ) has r.
# d) The matrix is symmetric: only what stands on and right of the diagonal is computed, and
#    `mirror` copies it. Threads share the rows of the matrix.

cdef enum:
    GRAM_COLUMNS = 256      # of one product
    GRAM_ROWS = 56         # of one product; a multiple of the tiles' heights


cdef Py_ssize_t gram_scratch(Py_ssize_t samples, Plan plan, Py_ssize_t itemsize) noexcept nogil:
    """Bytes for one thread: the second factor of a product, and its inner sums."""
    cdef Py_ssize_t columns = max(<Py_ssize_t>GRAM_COLUMNS, plan.max_width)
    return (samples * (columns + plan.max_width) * itemsize + 63) // 64 * 64


cdef void add_gram(
    Plan plan, const real *x, const real *activations, Py_ssize_t samples, Py_ssize_t r,
    const Block *at_linear, real *matrix, bint accumulate, char *factors, Py_ssize_t per_thread,
    char *scratch, int n_threads,
) noexcept nogil:
    """The samples' share of the matrix, by the cheaper of the two ways."""
    cdef Py_ssize_t rows = 0
    cdef Py_ssize_t i, row, thread
    if r == 1:
        params_rows(plan, x, activations, samples, 1, at_linear, <real *>factors)
        add_gram_of_rows(<real *>factors, samples, plan.n_params, matrix, accumulate, scratch,
                         n_threads)
        return
    for i in range(plan.n_operations):
        if plan.operations[i].kind == DENSE:
            rows += plan.operations[i].n_out
    for row in prange(rows, num_threads=n_threads, schedule="dynamic"):
        thread = threadid()
        add_gram_row(plan, row, x, activations, samples, r, at_linear, matrix, accumulate,
                     <real *>(factors + thread * per_thread), scratch + gemm_workspace(thread))


cdef void add_gram_of_rows(
    const real *rows, Py_ssize_t samples, Py_ssize_t n_params, real *matrix, bint accumulate,
    char *scratch, int n_threads,
) noexcept nogil:
    """matrix (+)= rowsᵀ rows for one row (n_params,) a sample, on and right of the diagonal."""
    cdef Py_ssize_t parts = (n_params + GRAM_ROWS - 1) // GRAM_ROWS
    cdef Py_ssize_t part, first
    cdef real *c
    for part in range(parts):
        first = part * GRAM_ROWS
        c = matrix + first * (n_params + 1)
        gemm(min(<Py_ssize_t>GRAM_ROWS, n_params - first), n_params - first, samples,
             rows + first, 1, n_params, rows + first, n_params, 1, c if accumulate else NULL,
             n_params, c, n_params, False, <const real *>NULL, scratch, n_threads)


cdef void add_gram_row(
    Plan plan, Py_ssize_t row, const real *x, const real *activations,
    Py_ssize_t samples, Py_ssize_t r, const Block *at_linear, real *matrix, bint accumulate,
    real *factor, char *scratch,
) noexcept nogil:
    """The rows of the matrix that belong to one output i of a linear layer l, W_i and b_i.

    `row` counts the outputs of all linear layers.
    """
    cdef const Operation *layer
    cdef const Operation *other
    cdef const real *a
    cdef const real *other_a
    cdef real *sums = factor + samples * max(<Py_ssize_t>GRAM_COLUMNS, plan.max_width)
    cdef real *weight_rows
    cdef real *bias_row
    cdef Py_ssize_t i = row
    cdef Py_ssize_t number = plan.first_trainable
    cdef Py_ssize_t m, first, count, most, columns, place
    while plan.operations[number].kind != DENSE or i >= plan.operations[number].n_out:
        if plan.operations[number].kind == DENSE:
            i -= plan.operations[number].n_out
        number += 1
    layer = &plan.operations[number]
    a = activations + plan.operations[number - 1].output * samples if number > 0 else x
    weight_rows = matrix + (layer.weight + i * layer.n_in) * plan.n_params
    bias_row = matrix + (layer.bias + i) * plan.n_params
    for m in range(number, plan.n_operations):
        other = &plan.operations[m]
        if other.kind != DENSE:
            continue
        other_a = activations + plan.operations[m - 1].output * samples if m > 0 else x
        weighted_sums(
            samples, r, other.n_out,
            <const real *>at_linear[number].rows + i, at_linear[number].stride, layer.n_out,
            <const real *>at_linear[m].rows, at_linear[m].stride, other.n_out,
            sums, other.n_out)
        most = max(<Py_ssize_t>1, GRAM_COLUMNS // other.n_in)
        first = i if m == number else 0
        while first < other.n_out:
            count = min(most, other.n_out - first)
            columns = count * other.n_in
            outer(samples, <Py_ssize_t>1, count, other.n_in, sums + first, other.n_out,
                  <Py_ssize_t>0, other_a, other.n_in, factor, columns, <Py_ssize_t>0)
            place = other.weight + first * other.n_in
            add_product(a, layer.n_in, factor, columns, columns, samples,
                        weight_rows + place, plan.n_params, accumulate, scratch)
            if layer.bias >= 0 and m != number:
                add_column_sums(factor, columns, columns, samples, bias_row + place, accumulate,
                                scratch)
            first += count
        if other.bias >= 0:
            add_product(a, layer.n_in, sums, other.n_out, other.n_out, samples,
                        weight_rows + other.bias, plan.n_params, accumulate, scratch)
            if layer.bias >= 0:
                add_column_sums(sums, other.n_out, other.n_out, samples, bias_row + other.bias,
                                accumulate, scratch)


cdef inline void add_product(
    const real *a, Py_ssize_t m, const real *b, Py_ssize_t b_row, Py_ssize_t n, Py_ssize_t samples,
    real *c, Py_ssize_t c_row, bint accumulate, char *scratch,
) noexcept nogil:
    """c (m, n) (+)= aᵀ b for a (samples, m)."""
    gemm(m, n, samples, a, 1, m, b, b_row, 1, c if accumulate else NULL, c_row, c, c_row,
         False, <const real *>NULL, scratch, 1)


cdef inline void add_column_sums(
    const real *b, Py_ssize_t b_row, Py_ssize_t n, Py_ssize_t samples, real *c, bint accumulate,
    char *scratch,
) noexcept nogil:
    cdef real one = 1
    gemm(1, n, samples, &one, 0, 0, b, b_row, 1, c if accumulate else NULL, 0, c, n,
         False, <const real *>NULL, scratch, 1)


cdef void mirror(real *matrix, Py_ssize_t n) noexcept nogil:
    """Copy what stands right of the diagonal to its left, square by square."""
    cdef Py_ssize_t side = VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t i0, j0, i, j
    i0 = 0
    while i0 < n:
        for i in range(i0, min(i0 + side, n)):
            for j in range(i + 1, min(i0 + side, n)):
                matrix[j * n + i] = matrix[i * n + j]
        j0 = i0 + side
        while j0 < n:
            transpose(side, min(side, n - j0), side, matrix + i0 * n + j0, n,
                      matrix + j0 * n + i0, n)
            j0 += side
        i0 += side
