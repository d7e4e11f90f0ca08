# Training on sparse rows: the first layer's weight is held transposed, and few of its rows change.
#
# a) The Trainer changes a copy of the parameters in which the first weight is transposed. The
#    weight's gradient and the optimizer's state are transposed in place. `publish` writes all of
#    them in the order of the network, and `collect` transposes them again.
# b) Between the steps, the gradient is 0 outside the rows of the features in the last batch.

cdef struct FirstLayer:
    bint used
    bint is_float
    bint learns            # whether it is trained
    bint published         # whether the arrays are in the order of the network, and up to date
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t n_params
    Py_ssize_t n_states
    void *given            # the parameters in the order of the network
    void *params           # the copy
    void *grads
    char *state
    int8_t *marks          # (n_in,), whether a feature is in the next list
    Segment *touched       # the rows of the features of this batch, as runs of parameters
    Py_ssize_t n_touched


cdef inline Py_ssize_t lists_bytes(
    const FirstLayer *layer, Py_ssize_t n_segments,
) noexcept nogil:
    """Return the bytes for `marks` and `touched`.

    After the rows, `touched` has room for the segments of all other parameters.
    """
    return (layer.n_in + n_segments) * <Py_ssize_t>sizeof(Segment) + layer.n_in


cdef void use_lists(FirstLayer *layer, Workspace lists):
    """Take memory for the lists, which must outlive the layer; `collect` writes them anew."""
    layer.marks = <int8_t *>lists.data
    layer.touched = <Segment *>aligned(<char *>layer.marks + layer.n_in)
    layer.n_touched = 0


cdef FirstLayer first_layer_of(
    Plan plan, cnp.ndarray params, cnp.ndarray grads, cnp.ndarray state, frozen, Workspace copy,
):
    """Return the layer without lists; the arrays and the workspace must outlive it."""
    cdef FirstLayer layer
    layer.used = True
    layer.is_float = is_float(params)
    layer.learns = frozen is None or not frozen[0]
    layer.published = True
    layer.n_in, layer.n_out = plan.operations[0].n_in, plan.operations[0].n_out
    layer.n_params, layer.n_states = plan.n_params, cnp.PyArray_DIM(state, 0)
    layer.given, layer.params = address(params), copy.data
    layer.grads, layer.state = address(grads), <char *>address(state)
    return layer


cdef void transpose_first(
    const FirstLayer *layer, const void *source, void *target, bint back,
) noexcept nogil:
    """Write the first weight of `source` transposed, or `back`, into `target`."""
    cdef Py_ssize_t rows = layer.n_in if back else layer.n_out
    cdef Py_ssize_t columns = layer.n_out if back else layer.n_in
    if layer.is_float:
        transposed(<const float *>source, rows, columns, <float *>target, 1)
    else:
        transposed(<const double *>source, rows, columns, <double *>target, 1)


cdef void collect(FirstLayer *layer, bint within_batch, int n_threads) noexcept nogil:
    """Transpose the parameters, gradient and state, if they are `published`.

    `within_batch` means that the gradient belongs to an unfinished batch.
    """
    if layer.published:
        if layer.is_float:
            collect_typed(layer, <float *>layer.params, within_batch, n_threads)
        else:
            collect_typed(layer, <double *>layer.params, within_batch, n_threads)
        layer.published = False


cdef void collect_typed(
    FirstLayer *layer, real *params, bint within_batch, int n_threads,
) noexcept nogil:
    cdef const real *given = <const real *>layer.given
    cdef real *grads = <real *>layer.grads
    cdef real *state = <real *>layer.state
    cdef Py_ssize_t size = layer.n_in * layer.n_out
    cdef Py_ssize_t i
    for i in range(layer.n_states):
        transpose_in_place(
            state + i * layer.n_params, layer.n_out, layer.n_in, params, n_threads)
    if layer.learns:
        layer.n_touched = 0
        memset(layer.marks, within_batch, layer.n_in)
        if within_batch:  # any row may have a gradient
            transpose_in_place(grads, layer.n_out, layer.n_in, params, n_threads)
            layer.n_touched = layer.n_in
            for i in range(layer.n_in):
                layer.touched[i] = row_of(layer, i)
        else:
            memset(grads, 0, size * sizeof(real))
    transposed(given, layer.n_out, layer.n_in, params, n_threads)
    memcpy(params + size, given + size, (layer.n_params - size) * sizeof(real))


cdef void publish(FirstLayer *layer, int n_threads) noexcept nogil:
    """Write the arrays in the order of the network, unless they are `published`."""
    if not layer.published:
        if layer.is_float:
            publish_typed(layer, <float *>layer.params, n_threads)
        else:
            publish_typed(layer, <double *>layer.params, n_threads)
        layer.published = True


cdef void publish_typed(FirstLayer *layer, real *params, int n_threads) noexcept nogil:
    cdef real *given = <real *>layer.given
    cdef real *state = <real *>layer.state
    cdef Py_ssize_t size = layer.n_in * layer.n_out
    cdef Py_ssize_t i
    transposed(<const real *>params, layer.n_in, layer.n_out, given, n_threads)
    memcpy(given + size, params + size, (layer.n_params - size) * sizeof(real))
    for i in range(layer.n_states):
        transpose_in_place(
            state + i * layer.n_params, layer.n_in, layer.n_out, params, n_threads)
    if layer.learns:
        transpose_in_place(
            <real *>layer.grads, layer.n_in, layer.n_out, params, n_threads)


cdef void transpose_in_place(
    real *matrix, Py_ssize_t rows, Py_ssize_t columns, real *spare, int n_threads,
) noexcept nogil:
    """Transpose a matrix (rows, columns); `spare` is as large."""
    memcpy(spare, matrix, rows * columns * sizeof(real))
    transposed(<const real *>spare, rows, columns, matrix, n_threads)


cdef inline Segment row_of(const FirstLayer *layer, Py_ssize_t feature) noexcept nogil:
    """Return a feature's row of the transposed weight; `update_touched` sets its rate factor."""
    return Segment(feature * layer.n_out, layer.n_out, 0, 1, 1)


cdef void touch(
    FirstLayer *layer, const SparseRows *x, Py_ssize_t rows, real *grads, bint begins,
) noexcept nogil:
    """List the features of these rows; when a batch begins, zero the gradient of the last one."""
    cdef Py_ssize_t i, p, row
    cdef int32_t column
    if begins:
        for i in range(layer.n_touched):
            memset(grads + layer.touched[i].first, 0, layer.n_out * sizeof(real))
            layer.marks[layer.touched[i].first // layer.n_out] = False
        layer.n_touched = 0
    for i in range(rows):
        row = number_of_row(x, i)
        for p in range(x.indptr[row], x.indptr[row + 1]):
            column = x.indices[p]
            if not layer.marks[column]:
                layer.marks[column] = True
                layer.touched[layer.n_touched] = row_of(layer, column)
                layer.n_touched += 1


cdef void update_touched(
    FirstLayer *layer, const Optimizer *optimizer, double rate, double penalty, real *params,
    const real *grads, real *state, const Segment *segments, Py_ssize_t n_segments,
    Py_ssize_t step, int n_threads,
) noexcept nogil:
    """The optimizer's step, on the rows of the batch's features alone if the others cannot change.

    `penalty` times the first weight is a part of its gradient that `grads` does not contain.
    """
    cdef Py_ssize_t size = layer.n_in * layer.n_out
    cdef Segment first = segments[0]
    cdef Segment *others = layer.touched + layer.n_touched
    cdef Py_ssize_t n_others = 0
    cdef Optimizer of_weight = optimizer[0]
    cdef Clipping clip
    cdef Py_ssize_t i
    if first.size > size:
        others[0] = first
        others[0].first, others[0].size = size, first.size - size
        n_others = 1
    for i in range(1, n_segments):
        others[n_others] = segments[i]
        n_others += 1
    clip = clipping_of(optimizer, grads, layer.touched, layer.n_touched + n_others)
    if moves_touched_alone(optimizer) and penalty == 0:
        for i in range(layer.n_touched):
            layer.touched[i].rate_factor = first.rate_factor
        update_clipped(optimizer, rate, clip, params, grads, state, layer.n_params,
                       layer.touched, layer.n_touched + n_others, step, n_threads)
        return
    update_clipped(optimizer, rate, clip, params, grads, state, layer.n_params, others, n_others,
                   step, n_threads)
    of_weight.weight_decay += penalty
    first.size = size
    update_clipped(&of_weight, rate, clip, params, grads, state, layer.n_params, &first, 1, step,
                   n_threads)


cdef bint moves_touched_alone(const Optimizer *optimizer) noexcept nogil:
    """Return whether a parameter stays where its gradient is 0."""
    return (optimizer.kind == SGD and optimizer.momentum == 0 and optimizer.weight_decay == 0
            and optimizer.l1 == 0)
