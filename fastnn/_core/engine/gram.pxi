# The Gauss-Newton matrix Σ Jᵀ H_L J over the samples.
#
# a) With a root Q of the loss's Hessian, QᵀQ = H_L, the matrix is the sum of (QJ)ᵀ(QJ). So reverse
#    accumulation starts with Q instead of the identity, and the cotangents C at the linear layers
#    include H_L.
# b) The matrix is computed in groups of rows. A group belongs to the weights and the bias of one
#    unit i of a layer. After a ReLU only the samples count for which the unit is active, about
#    half. Threads share the groups.
# c) With one cotangent per sample, the rows of QJ are written for a chunk of samples, and a group
#    is the product of c_si a_sj with these rows.
# d) With r cotangents per sample, J is never formed. The block for weights W_ij of one layer and
#    W_i'j' of another is Σ_s (Σ_k C_ski C'_ski') a_sj a'_sj'. The inner sum is computed once for
#    all j and j'. The large product then has one row per sample, where (QJ)ᵀ (QJ) has r.
# e) If other operations than linear layers have parameters, all rows of QJ are written and
#    multiplied.
# f) The matrix is symmetric: only the diagonal and the elements right of it are computed, and
#    `mirror` copies them.

cdef enum:
    GRAM_COLUMNS = 128  # weights of the other layer that one product takes together
    GRAM_INPUTS = 4     # or inputs of the unit that one product takes together


cdef struct Unit:  # one output of a linear layer, and the samples for which it is active
    const Operation *layer
    Py_ssize_t number       # of the operation
    Py_ssize_t i
    Py_ssize_t active
    int32_t *samples


cdef Py_ssize_t gram_scratch(
    Plan plan, Py_ssize_t samples, Py_ssize_t itemsize,
) noexcept nogil:
    """Return the bytes per thread: the index of a unit's samples, sums, and a product's factor."""
    cdef Py_ssize_t columns = plan.max_width + max(
        <Py_ssize_t>GRAM_COLUMNS, GRAM_INPUTS * plan.max_width)
    return (samples * (columns * itemsize + sizeof(int32_t)) + 127) // 64 * 64


cdef Py_ssize_t gram_rows(Plan plan, Py_ssize_t r) noexcept nogil:
    """Return how many rows of QJ are written per sample; see c) and e)."""
    return r if plan.has_scales or r == 1 else 0


cdef Py_ssize_t gram_samples(Plan plan, Py_ssize_t r) noexcept nogil:
    """Return the largest number of samples to take at a time."""
    if not plan.has_scales:
        return 256
    return min(max(2_000_000 // (r * plan.n_params), 1), 256)


cdef void add_gram(
    Plan plan, const real *x, const real *activations, Py_ssize_t samples, Py_ssize_t r,
    const Block *at_linear, real *rows, real *matrix, bint accumulate, char *scratch,
    char *factors, Py_ssize_t per_thread, int n_threads,
) noexcept nogil:
    """Write or add the sum over some samples. `rows` has room for `gram_rows` rows per sample."""
    cdef Py_ssize_t units = 0
    cdef Py_ssize_t i, number, thread
    if plan.has_scales:
        params_rows(plan, x, activations, samples, r, at_linear, rows)
        product(plan.n_params, plan.n_params, samples * r, rows, hidden(1), plan.n_params,
                rows, plan.n_params, hidden(1), matrix if accumulate else <real *>NULL,
                plan.n_params, matrix, plan.n_params, scratch, n_threads)
        return
    if r == 1:
        params_rows(plan, x, activations, samples, 1, at_linear, rows)
    for i in range(plan.n_operations):
        if plan.operations[i].kind == DENSE:
            units += plan.operations[i].n_out
    for number in prange(units, num_threads=startable(n_threads), schedule="dynamic"):
        thread = threadid()
        add_gram_of_unit(plan, number, x, activations, samples, r, at_linear, rows, matrix,
                         accumulate, factors + thread * per_thread)


cdef void add_gram_of_unit(
    Plan plan, Py_ssize_t number, const real *x, const real *activations, Py_ssize_t samples,
    Py_ssize_t r, const Block *at_linear, const real *rows, real *matrix, bint accumulate,
    char *room,
) noexcept nogil:
    """Write or add the group of a unit, whose number counts the units of all linear layers."""
    cdef Unit unit
    cdef const real *a
    cdef const real *y
    cdef Py_ssize_t s
    unit.number = plan.first_trainable
    unit.i = number
    while True:
        unit.layer = &plan.operations[unit.number]
        if unit.layer.kind == DENSE:
            if unit.i < unit.layer.n_out:
                break
            unit.i -= unit.layer.n_out
        unit.number += 1
    unit.samples = <int32_t *>room
    unit.active = 0
    y = activations + unit.layer.output * samples + unit.i
    for s in range(samples):
        unit.samples[unit.active] = s
        unit.active += not unit.layer.relu or not y[s * unit.layer.n_out] <= 0
    room = aligned(<char *>(unit.samples + samples))
    a = input_of(unit.layer, x, activations, samples)
    if r == 1:
        add_gram_of_rows(plan, &unit, a, at_linear, rows, matrix, accumulate, <real *>room)
    else:
        add_gram_of_sums(plan, &unit, a, x, activations, samples, r, at_linear, matrix, accumulate,
                         <real *>room)


cdef void add_gram_of_rows(
    Plan plan, const Unit *unit, const real *a, const Block *at_linear, const real *rows,
    real *matrix, bint accumulate, real *factor,
) noexcept nogil:
    """Write or add the unit's rows of rowsᵀ rows, from the diagonal on."""
    cdef const Operation *layer = unit.layer
    cdef const Block *block = &at_linear[unit.number]
    cdef const real *c = <const real *>block.rows + unit.i
    cdef Py_ssize_t column = layer.weight + unit.i * layer.n_in
    cdef Py_ssize_t t, s, j
    for t in range(unit.active):
        s = unit.samples[t]
        for j in range(layer.n_in):
            factor[s * layer.n_in + j] = c[s * block.stride] * a[s * layer.n_in + j]
    product_of_active(
        layer.n_in, plan.n_params - column, unit.active, unit.samples,
        factor, <Py_ssize_t>1, layer.n_in, rows + column, plan.n_params,
        matrix + column * (plan.n_params + 1), plan.n_params, accumulate)
    column = layer.bias + unit.i
    if layer.bias >= 0:
        product_of_active(
            <Py_ssize_t>1, plan.n_params - column, unit.active, unit.samples,
            c, <Py_ssize_t>1, block.stride, rows + column, plan.n_params,
            matrix + column * (plan.n_params + 1), plan.n_params, accumulate)


cdef void add_gram_of_sums(
    Plan plan, const Unit *unit, const real *a, const real *x, const real *activations,
    Py_ssize_t samples, Py_ssize_t r, const Block *at_linear, real *matrix, bint accumulate,
    real *room,
) noexcept nogil:
    """Write or add the unit's rows from the inner sums Σ_k C_ski C'_ski', layer by layer.

    Two of the three factors are multiplied first: the sums with the other layer's inputs, which
    gives long rows, or the sums with one of the unit's own inputs if that is less work.
    """
    cdef const Operation *layer = unit.layer
    cdef const Operation *other
    cdef const Block *block = &at_linear[unit.number]
    cdef const real *other_a
    cdef real one = 1
    cdef real *sums = room
    cdef real *factor = sums + samples * plan.max_width
    cdef real *weight_rows = matrix + (layer.weight + unit.i * layer.n_in) * plan.n_params
    cdef real *bias_row = matrix + (layer.bias + unit.i) * plan.n_params
    cdef Py_ssize_t lanes = VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t m, first, count, inputs, done, j
    for m in range(unit.number, plan.n_operations):
        other = &plan.operations[m]
        if other.kind != DENSE:
            continue
        other_a = input_of(other, x, activations, samples)
        weighted_sums(
            unit.active, unit.samples, r, other.n_out,
            <const real *>block.rows + unit.i, block.stride, layer.n_out,
            <const real *>at_linear[m].rows, at_linear[m].stride, sums)
        first = unit.i if m == unit.number else 0
        # the last vector of a row of the other layer's inputs may be partly empty
        if (lanes - other.n_in % lanes) % lanes * layer.n_in < 3 * other.n_in:
            count = other.n_out - first
            done = 0
            while done < layer.n_in:
                inputs = min(<Py_ssize_t>GRAM_INPUTS, layer.n_in - done)
                outer(unit.active, unit.samples, <Py_ssize_t>1, inputs, count,
                      a + done, layer.n_in, <Py_ssize_t>0, sums + first, other.n_out,
                      factor, inputs * count, <Py_ssize_t>0)
                for j in range(inputs):
                    product_of_active(
                        count, other.n_in, unit.active, unit.samples,
                        factor + j * count, <Py_ssize_t>1, inputs * count, other_a, other.n_in,
                        weight_rows + (done + j) * plan.n_params + other.weight
                        + first * other.n_in, other.n_in, accumulate)
                done += inputs
        else:
            while first < other.n_out:
                count = min(max(<Py_ssize_t>1, GRAM_COLUMNS // other.n_in), other.n_out - first)
                outer(unit.active, unit.samples, <Py_ssize_t>1, count, other.n_in,
                      sums + first, other.n_out, <Py_ssize_t>0, other_a, other.n_in,
                      factor, count * other.n_in, <Py_ssize_t>0)
                product_of_active(
                    layer.n_in, count * other.n_in, unit.active, unit.samples,
                    a, <Py_ssize_t>1, layer.n_in, factor, count * other.n_in,
                    weight_rows + other.weight + first * other.n_in, plan.n_params, accumulate)
                first += count
        if other.bias >= 0:
            product_of_active(
                layer.n_in, other.n_out, unit.active, unit.samples, a, <Py_ssize_t>1, layer.n_in,
                sums, other.n_out, weight_rows + other.bias, plan.n_params, accumulate)
        if layer.bias >= 0 and m != unit.number:
            product_of_active(
                other.n_out, other.n_in, unit.active, unit.samples, sums, <Py_ssize_t>1,
                other.n_out, other_a, other.n_in, bias_row + other.weight, other.n_in, accumulate)
        if layer.bias >= 0 and other.bias >= 0:
            product_of_active(
                <Py_ssize_t>1, other.n_out, unit.active, unit.samples, &one, <Py_ssize_t>0,
                <Py_ssize_t>0, sums, other.n_out, bias_row + other.bias, other.n_out, accumulate)


cdef void mirror(real *matrix, Py_ssize_t n) noexcept nogil:
    """Copy the elements right of the diagonal to the left of it, square by square.

    Squares that share cache lines of the result are copied together.
    """
    cdef Py_ssize_t side = VECTOR_BYTES // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t first, i0, j0, i, j
    first = 0
    while first < n:
        j0 = first
        while j0 < n:
            i0 = first
            while i0 < min(first + 4 * side, j0):
                transpose(side, min(side, n - j0), side, matrix + i0 * n + j0, n,
                          matrix + j0 * n + i0, n)
                i0 += side
            if i0 == j0:
                for i in range(i0, min(i0 + side, n)):
                    for j in range(i + 1, min(i0 + side, n)):
                        matrix[j * n + i] = matrix[i * n + j]
            j0 += side
        first += 4 * side
