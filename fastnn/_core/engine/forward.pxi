# The forward pass: each operation reads the output of an operation before it.

cdef struct Batch:            # rows that go forward in training mode
    uint64_t key              # of the dropout masks
    Py_ssize_t first          # the number of the first row within the batch
    double dropout_factor     # of the probability of each Dropout
    void *running             # the constants, whose running statistics are updated
    const int64_t *numbers    # of the rows within the batch; NULL: those from `first` on
    const Others *others      # rows of the batch in other processes; NULL: there are none


cdef Batch ALONE  # for backward passes: all rows of the batch are in this process


cdef extern from *:
    """
    /* A constant argument makes the compiler copy the called function; these hide the constant. */
    static inline ptrdiff_t hidden(ptrdiff_t n) { __asm__("" : "+r"(n)); return n; }
    static inline void *hidden_null(void) { return (void *)hidden(0); }
    """
    Py_ssize_t hidden(Py_ssize_t n) nogil
    void *hidden_null() nogil


cdef inline const Batch *no_batch() noexcept nogil:
    """Return the value that selects evaluation mode."""
    return <const Batch *>hidden_null()


cdef inline Batch batch_from(tuple training, void *running) except *:
    """Return the batch that the tuple `training` of `forward` or `loss_and_grad` describes."""
    cdef Batch batch
    batch.key = batch_key(training[0], training[1], training[2])
    batch.first = 0
    batch.dropout_factor = training[3]
    batch.running = running
    batch.numbers = NULL
    batch.others = NULL
    return batch


cdef inline uint64_t batch_key(uint64_t key, Py_ssize_t epoch, Py_ssize_t position) noexcept nogil:
    """Return the key of the batch that starts at the sample `position` of an epoch."""
    return hashed(hashed(key, epoch), position)


cdef void forward_pass(
    Plan plan, const real *params, const real *constants,
    const real *x, real *activations, real *out, Py_ssize_t rows,
    char *scratch, int n_threads, const Batch *batch, bint differentiated,
) noexcept nogil:
    """Call `forward_from` with the first operation."""
    forward_from(plan, hidden(0), params, constants, x, activations, out, rows, scratch, n_threads,
                 batch, differentiated)


cdef void forward_from(
    Plan plan, Py_ssize_t start, const real *params, const real *constants,
    const real *network_x, real *activations, real *out, Py_ssize_t rows,
    char *scratch, int n_threads, const Batch *batch, bint differentiated,
) noexcept nogil:
    """Run `rows` samples through the network from the operation `start`.

    `network_x` is the input of the network, which only the first operations read. The outputs of
    all operations but the last go to `activations`, (rows, width) one after the other; the last
    goes to `out`. If `differentiated`, the values that the derivatives need are written too.
    `batch` is NULL in evaluation mode.
    """
    cdef Operation *operation
    cdef const real *x
    cdef real *y
    cdef real *kept
    cdef Py_ssize_t i
    for i in range(start, plan.n_operations):
        operation = &plan.operations[i]
        if operation.kind == FORK or operation.kind == BRANCH:
            continue
        x = input_of(operation, network_x, activations, rows)
        y = out if i == plan.n_operations - 1 else activations + operation.output * rows
        kept = activations + operation.kept * rows if differentiated else NULL
        if operation.kind == DENSE:
            dense_forward(
                x, params + operation.weight,
                params + operation.bias if operation.bias >= 0 else <const real *>NULL,
                operation.relu, y, rows, operation.n_in, operation.n_out, scratch, n_threads)
        elif operation.kind == STANDARDIZE:
            standardize_forward(
                x, constants + operation.mean, constants + operation.scale, y,
                rows, operation.n_in)
        elif operation.kind == UNSTANDARDIZE:
            scale_and_shift(x, constants + operation.scale, constants + operation.mean, y,
                            rows, operation.n_in)
        elif operation.kind == SOFTMAX:
            softmax_forward(x, y, rows, operation.n_in)
        elif operation.kind == LOG_SOFTMAX:
            log_softmax_forward(x, y, kept, rows, operation.n_in)
        elif embeds(operation.kind):
            pass_on(operation, x, y, rows, hidden(0))
            embed(operation, params, x, hidden(1), hidden(0), y, rows, scratch, n_threads)
        elif operation.kind == COSINE:
            cosine_pass(operation, hidden(0), x, <const real *>NULL, <const real *>NULL, y, rows)
        elif operation.kind == ENCODE:
            encode_forward(operation, constants, x, y, rows)
        elif operation.kind == JOIN:
            join_forward(plan, operation, network_x, activations, y, rows)
        elif operation.kind == SCALE:
            scale_and_shift(
                x, params + operation.weight,
                params + operation.bias if operation.bias >= 0 else <const real *>NULL,
                y, rows, operation.n_in)
        elif has_symmetric_jacobian(operation.kind):
            normalization_forward(operation, i, constants, x, y,
                                  activations + operation.kept * rows, rows, batch)
        elif is_parametric(operation.kind):
            parametric_forward(operation, params + operation.weight, x, y, kept, rows)
        else:
            activate(operation.kind, <real>operation.alpha, x, y, kept, rows * operation.n_in)
