# A Plan is a network as the engine sees it: an array of C structs that name an operation, its
# widths, and where its parameters stand. It holds offsets and no dtype, so that one Plan serves
# float32 and float64; the passes take pointers to the arrays. A ReLU after a linear layer is no
# operation of its own: the product stores max(z, 0), and z, whose sign that tells, is never kept. A
# normalisation with a weight and a bias is two operations: itself, and a scale and shift.

cdef enum OperationKind:  # beside the activations, which number from zero
    DENSE = 100
    STANDARDIZE
    SOFTMAX
    LOG_SOFTMAX
    SCALE      # y = w x + b, column by column
    NORMALIZE  # each row by its own mean and deviation
    BATCH_NORMALIZE  # each column, by the batch's or by running statistics
    DROPOUT


cdef struct Operation:
    int kind
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t weight    # offset in params
    Py_ssize_t bias      # offset in params; -1 without a bias
    Py_ssize_t mean      # offset in constants: of STANDARDIZE, or the running mean
    Py_ssize_t scale     # offset in constants: of STANDARDIZE
    Py_ssize_t variance  # offset in constants: the running variance
    bint relu            # the output of a linear layer goes through ReLU
    double alpha         # negative slope of LeakyReLU, scale of ELU
    double eps           # added to the variance of a normalization
    double momentum      # of the running statistics
    double p             # probability that Dropout zeroes an element
    Py_ssize_t output  # the output's offset in the activations of one row
    Py_ssize_t kept    # that of what the operation keeps for its derivatives, before its output


@cython.final
cdef class Plan:
    """A network compiled to a list of operations.

    Parameters
    ----------
    operations : list of (kind, in_features, out_features, bias, alpha, momentum)
        As `Layer.operation` returns them; the widths are trusted to fit.
    """

    cdef Operation *operations
    cdef readonly Plan logits            # the network without its last Softmax; None without one
    cdef readonly Py_ssize_t n_operations
    cdef readonly Py_ssize_t n_in
    cdef readonly Py_ssize_t n_out
    cdef readonly Py_ssize_t n_params
    cdef readonly Py_ssize_t n_constants
    cdef readonly Py_ssize_t row_width   # all activations of one sample
    cdef readonly Py_ssize_t max_width   # the widest input or output
    cdef bint has_scales                 # whether columns are scaled by parameters
    cdef readonly bint has_dropout
    cdef readonly bint has_batch_norm    # whose batches go through the network as a whole
    cdef Py_ssize_t first_trainable      # the lowest operation that has parameters

    def __cinit__(self, list operations):
        cdef int code
        self.operations = <Operation *>calloc(2 * len(operations), sizeof(Operation))
        if self.operations == NULL:
            raise MemoryError
        self.first_trainable = 2 * len(operations)
        for kind, n_in, n_out, bias, alpha, momentum in operations:
            code = operation_kind(kind)
            if code == RELU and self.n_operations and self.after_linear():
                self.operations[self.n_operations - 1].relu = True
                continue
            self.add(code, n_in, n_out, bias, alpha, momentum)
            if code == NORMALIZE or code == BATCH_NORMALIZE:
                self.add(SCALE, n_out, n_out, True, 0, 0)
        self.n_in = self.operations[0].n_in
        self.n_out = self.operations[self.n_operations - 1].n_out
        if kind == "softmax":  # the last
            self.logits = Plan(
                operations[:len(operations) - 1]
                or [("identity", self.n_in, self.n_in, False, 0.0, 0.0)])

    def __dealloc__(self):
        free(self.operations)

    cdef void add(
        self, int kind, Py_ssize_t n_in, Py_ssize_t n_out, bint bias, double number,
        double momentum,
    ):
        cdef Operation *operation = &self.operations[self.n_operations]
        operation.kind = kind
        operation.n_in = n_in
        operation.n_out = n_out
        operation.kept = self.row_width
        operation.bias = -1
        if has_params(kind):
            operation.weight = self.n_params
            self.n_params += n_in * n_out if kind == DENSE else n_out
            if bias:
                operation.bias = self.n_params
                self.n_params += n_out
            self.first_trainable = min(self.first_trainable, self.n_operations)
            self.has_scales |= kind == SCALE
        elif kind == STANDARDIZE or kind == BATCH_NORMALIZE:
            operation.mean = self.n_constants
            operation.scale = operation.variance = self.n_constants + n_in
            self.n_constants += 2 * n_in
        if kind == NORMALIZE or kind == BATCH_NORMALIZE:
            operation.eps = number
            operation.momentum = momentum
        elif kind == DROPOUT:
            operation.p = number
        else:
            operation.alpha = number
        self.has_batch_norm |= kind == BATCH_NORMALIZE
        self.has_dropout |= kind == DROPOUT
        self.row_width += kept_width(kind, n_out)
        operation.output = self.row_width
        self.row_width += n_out
        self.max_width = max(self.max_width, n_in, n_out)
        self.n_operations += 1

    cdef bint after_linear(self):
        """Whether the last operation so far is a linear layer's, and nothing yet follows it."""
        cdef Operation *last = &self.operations[self.n_operations - 1]
        return last.kind == DENSE and not last.relu

    cdef object frozen_operations(self, segments):
        """Which operations have parameters outside of the Trainer's segments; None if none has."""
        cdef Py_ssize_t i
        frozen = np.zeros(self.n_operations, np.int8)
        for i in range(self.n_operations):
            if has_params(self.operations[i].kind):
                place = self.operations[i].weight
                frozen[i] = True
                for first, size, _ in segments:
                    if first <= place < first + size:
                        frozen[i] = False
        return frozen if frozen.any() else None

    cdef Py_ssize_t lowest_trained(self, const int8_t *frozen) noexcept nogil:
        """The lowest operation whose parameters are wanted, n_operations if there is none."""
        cdef Py_ssize_t i = self.first_trainable
        if frozen != NULL:
            while i < self.n_operations and (frozen[i] or not has_params(self.operations[i].kind)):
                i += 1
        return i

    cdef Py_ssize_t gradient_width(self) noexcept nogil:
        """What a row needs in a gradient's workspace: its activations and two cotangents."""
        return self.row_width + 2 * self.max_width

    cdef Py_ssize_t chunk_rows(self, Py_ssize_t itemsize) noexcept nogil:
        """How many rows go through the network at a time.

        Few enough for their activations to stay in about 1 MB of cache and for a pass to last a
        fraction of a second; enough for the products to be efficient. A larger batch accumulates
        its gradient over chunks: its memory stays bounded, and since the rule knows neither the
        batch nor the threads, neither changes a bit.
        """
        cdef Py_ssize_t row_bytes = itemsize * (self.gradient_width() + self.n_in)
        cdef Py_ssize_t cached = min(max(1_000_000 // row_bytes, 512), 4096)
        cdef Py_ssize_t affordable = <Py_ssize_t>(2e10 / (6 * self.n_params + 1))  # flops
        return max(min(cached, affordable), 16)

    cdef Py_ssize_t predict_rows(self, Py_ssize_t n, Py_ssize_t itemsize) noexcept nogil:
        """How many of n rows go through the network at a time when no gradient is wanted.

        Few enough for input and activations to stay in the second-level cache, and even, lest the
        last block be so small that its products take another form.
        """
        cdef Py_ssize_t row_bytes = itemsize * (self.row_width + self.n_in)
        cdef Py_ssize_t most = max(500_000 // row_bytes, 256)
        cdef Py_ssize_t blocks = max(1, (n + most - 1) // most)
        return (n + blocks - 1) // blocks


cdef inline bint has_params(int kind) noexcept nogil:
    """Whether an operation has a weight, and perhaps a bias."""
    return kind == DENSE or kind == SCALE


cdef inline bint has_symmetric_jacobian(int kind) noexcept nogil:
    """Whether `times_symmetric` applies the Jacobian: it is symmetric in evaluation mode.

    That of softmax is symmetric as well, but has functions of its own.
    """
    return (kind == SCALE or kind == NORMALIZE or kind == BATCH_NORMALIZE
            or kind == DROPOUT)


cdef inline bint differs_in_training(int kind) noexcept nogil:
    """Whether the operation is another function in training mode than in evaluation mode."""
    return kind == BATCH_NORMALIZE or kind == DROPOUT


cdef Py_ssize_t kept_width(int kind, Py_ssize_t n) noexcept nogil:
    """What an operation keeps for its derivatives, for each row."""
    if kind == NORMALIZE:
        return 1
    return n if keeps_one_each(kind) else 0


cdef bint keeps_one_each(int kind) noexcept nogil:
    """Whether an operation keeps a number for each output: a factor, a slope, a probability."""
    return (kind == BATCH_NORMALIZE or kind == DROPOUT or kind == SIGMOID or kind == TANH
            or kind == LOG_SOFTMAX)


cdef int operation_kind(str name) except -1:
    cdef int kind = activation_kind(name)
    if kind != NOT_AN_ACTIVATION:
        return kind
    return {"linear": DENSE, "standardize": STANDARDIZE, "softmax": SOFTMAX,
            "log_softmax": LOG_SOFTMAX, "layer_norm": NORMALIZE,
            "batch_norm": BATCH_NORMALIZE, "dropout": DROPOUT}[name]
